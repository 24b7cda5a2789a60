using Qkd.Node.Polarization;
using Shouldly;

namespace Qkd.Node.Tests.Polarization;

public sealed class TrackerTests
{
    private const double StepSeconds = 1.5;

    [Fact]
    [Trait("Speed", "Slow")]
    public void It_holds_the_error_while_the_fibre_drifts_as_on_the_bench()
    {
        // 0.01 rad/√s, the default of config/bench.json, for ten minutes on each of 60 fibres. Without tracking each axis would be off by
        // 0.01 √600 = 0.245 rad, an error rate of 0.245²/2 = 3 % (physics.md section 3).
        const int fibres = 60;
        const int steps = 400;
        var (means, over) = (new double[fibres], new int[fibres]);
        var realignments = 0;
        Parallel.For(0, fibres, fibre =>
        {
            var (errors, again) = Follow(AlignerTests.NewLine(fibre, 0), steps);
            means[fibre] = errors.Average();
            over[fibre] = errors.Count(error => error > 0.01);
            Interlocked.Add(ref realignments, again);
        });

        // The mean over fibres scatters by 0.0001 (their spread, 0.0006, over √60): 0.0015 is expected, and the dither may add 0.0004.
        means.Average().ShouldBeLessThan(0.0025);
        means.Max().ShouldBeLessThan(0.006);
        (over.Sum() / (double)(fibres * steps)).ShouldBeLessThan(0.02);

        // Ten hours in all: a paddle reaches its end about once in an hour, at most.
        realignments.ShouldBeLessThan(40);
    }

    [Fact]
    public void Without_it_the_same_drift_makes_errors()
    {
        var errors = Enumerable.Range(0, 10).Select(fibre =>
        {
            var line = AlignerTests.NewLine(fibre, 0);
            Align(line);
            line.Wait(600);
            var (z, x) = line.Misalignment();
            return (z + x) / 2;
        });

        // σ²t/2 = 3 % for each basis in the mean; the mean of ten fibres scatters by about a third of itself.
        errors.Average().ShouldBeGreaterThan(0.01);
    }

    [Fact]
    public void A_frozen_fibre_stays_aligned_within_the_dither()
    {
        var line = new SimulatedLine(77) { Drift = 0 };
        var (errors, again) = Follow(line, 100);
        again.ShouldBe(0);
        errors.Average().ShouldBeLessThan(0.001 + PolarizationTracker.DitherErrorRate);
        errors.Max().ShouldBeLessThan(0.006);
    }

    [Fact]
    public void Each_step_is_small_and_within_the_limits()
    {
        var line = AlignerTests.NewLine(2, 0);
        var tracker = new PolarizationTracker(Align(line).Fit!, SimulatedLine.Limits, line.Paddles);
        for (var step = 0; step < 100; step++)
        {
            var seen = Contrasts.FromClicks(line.Count(100));
            var next = tracker.Next(line.Paddles, seen, TimeSpan.FromSeconds(StepSeconds));
            for (var paddle = 0; paddle < 3; paddle++)
            {
                next[paddle].ShouldBeInRange(0, 170);

                // A step of three degrees, the dither there and back, and the motor's own step.
                Math.Abs(next[paddle] - line.Paddles[paddle]).ShouldBeLessThan(3 + (2 * PolarizationTracker.DitherDegrees) + 0.13);
            }

            line.Move(next);
        }
    }

    [Fact]
    public void At_the_end_of_the_range_it_says_that_it_cannot_follow()
    {
        // Limits drawn tightly around the alignment: a fibre that drifts fast leaves what can be reached.
        var line = new SimulatedLine(21) { Drift = 0.05 };
        var fit = Align(line).Fit!;
        var (low, high) = (line.Paddles.Min(), line.Paddles.Max());
        var tracker = new PolarizationTracker(fit, SimulatedLine.Limits with { Minimum = low, Maximum = high }, line.Paddles);
        tracker.CanFollow.ShouldBeTrue();
        for (var step = 0; step < 400 && tracker.CanFollow; step++)
        {
            var seen = Contrasts.FromClicks(line.Count(100, 4));
            line.Move(tracker.Next(line.Paddles, seen, TimeSpan.FromSeconds(1)));
        }

        tracker.CanFollow.ShouldBeFalse();
        tracker.RemainingError.ShouldBeGreaterThan(0.005);
    }

    private static PolarizationAligner Align(SimulatedLine line)
    {
        var aligner = new PolarizationAligner(SimulatedLine.Limits, 0.04, 40);
        AlignerTests.Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
        return aligner;
    }

    /// <summary>Aligns, follows, and aligns again where the keeper would.</summary>
    private static (List<double> Errors, int Realignments) Follow(SimulatedLine line, int steps)
    {
        var aligner = Align(line);
        var tracker = new PolarizationTracker(aligner.Fit!, SimulatedLine.Limits, line.Paddles);
        var errors = new List<double>();
        var again = 0;
        for (var step = 0; step < steps; step++)
        {
            var seen = Contrasts.FromClicks(line.Count(100, 4));
            var (z, x) = line.Misalignment();
            errors.Add(Math.Max(z, x));
            line.Move(tracker.Next(line.Paddles, seen, TimeSpan.FromSeconds(StepSeconds)));
            line.Wait(StepSeconds - 1);
            if (!tracker.CanFollow || Math.Max(seen.ErrorZ, seen.ErrorX) > 0.04)
            {
                aligner.Restart();
                AlignerTests.Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
                tracker = new PolarizationTracker(aligner.Fit!, SimulatedLine.Limits, line.Paddles);
                again++;
            }
        }

        return (errors, again);
    }
}
