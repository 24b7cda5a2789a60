using Qkd.Node.Polarization;
using Shouldly;

namespace Qkd.Node.Tests.Polarization;

public sealed class AlignerTests
{
    private const double ErrorLimit = 0.04;
    private const int MeasurementsAllowed = 40;

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.04)]
    [Trait("Speed", "Slow")]
    public void From_any_fibre_it_reaches_its_tolerance_within_twenty_measurements(double retardanceSpread)
    {
        // Evenly drawn fibres, the aligner's own searches with another seed each; the second case draws the paddles as well.
        const int runs = 2000;
        var reached = new bool[runs];
        Parallel.For(0, runs, run =>
        {
            var line = NewLine(run, retardanceSpread);
            var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed, seed: run);
            var end = Run(line, aligner);
            reached[run] = end is AlignmentStep.Aligned && aligner.Measurements <= 20 && MissesBy(line) < PolarizationAligner.Tolerance;
        });

        // An aligner that reaches it in 99 % would miss 20 ± 4.4 of these; 6 or fewer say three standard deviations that this one is better.
        reached.Count(yes => !yes).ShouldBeLessThanOrEqualTo(6);
    }

    [Fact]
    public void An_alignment_costs_ten_to_fifteen_measurements()
    {
        var counts = Enumerable.Range(0, 50).Select(run =>
        {
            var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
            Run(NewLine(run, 0), aligner).ShouldBeOfType<AlignmentStep.Aligned>();
            return aligner.Measurements;
        }).Order().ToArray();
        counts[25].ShouldBeInRange(6, 15);
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.5)]
    public void An_eavesdropper_is_never_aligned_away(double share)
    {
        for (var run = 0; run < 40; run++)
        {
            var line = NewLine(run, 0);
            line.Intercepted = share;
            var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
            var failed = Run(line, aligner).ShouldBeOfType<AlignmentStep.Failed>();
            failed.Reason.ShouldContain("cannot be aligned");
            failed.Reason.ShouldContain("contrast");
            failed.Reason.ShouldContain("eavesdropper");
            aligner.Measurements.ShouldBeLessThanOrEqualTo(MeasurementsAllowed);
        }
    }

    [Fact]
    public void The_reason_tells_the_contrast_that_is_left()
    {
        // Intercept-resend of every pulse halves it: 0.5 times 0.98, known to about 0.02 from eight measurements of 600 clicks each.
        var line = NewLine(7, 0);
        line.Intercepted = 1;
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Failed>();
        aligner.Model!.Visibility.ShouldBe(0.49, 0.1);
    }

    [Fact]
    public void Without_light_it_says_so_at_once()
    {
        var line = NewLine(3, 0);
        line.Light = 0;
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
        var failed = Run(line, aligner).ShouldBeOfType<AlignmentStep.Failed>();
        failed.Reason.ShouldContain("without light");
        aligner.Measurements.ShouldBe(1);
    }

    [Fact]
    public void Light_that_comes_back_is_aligned_after_a_restart()
    {
        var line = NewLine(3, 0);
        line.Light = 0;
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Failed>();
        line.Light = 1;
        aligner.Restart();
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
        MissesBy(line).ShouldBeLessThan(PolarizationAligner.Tolerance);
    }

    [Fact]
    public void It_gives_up_after_the_measurements_allowed()
    {
        // Contrasts that no fibre gives: drawn by chance at each measurement, with light enough.
        var random = new Random(5);
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, 12);
        var line = NewLine(1, 0);
        double Any() => (random.NextDouble() * 2) - 1;
        AlignmentStep step = new AlignmentStep.Move(line.Paddles);
        while (step is AlignmentStep.Move move)
        {
            step = aligner.Next(line.Move(move.Degrees), new Contrasts(Any(), Any(), Any(), Any(), 0.04));
        }

        step.ShouldBeOfType<AlignmentStep.Failed>();
        aligner.Measurements.ShouldBeInRange(6, 12);
    }

    [Fact]
    public void A_bench_as_it_was_left_needs_one_look()
    {
        var line = NewLine(11, 0);
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
        aligner.Restart();
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
        aligner.Measurements.ShouldBe(1);
    }

    [Theory]
    [InlineData(0.02, 0.01, true)]
    [InlineData(0.02, 0.03, false)]
    [InlineData(0, 0.001, false)]
    public void What_was_aligned_by_hand_needs_one_look_where_that_is_allowed(double alignedBelow, double errorRate, bool aligned)
    {
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed, alignedBelow);
        var contrast = 1 - (2 * errorRate);
        var step = aligner.Next([85, 85, 85], new Contrasts(contrast, 0, 0, contrast, 0.035));
        (step is AlignmentStep.Aligned).ShouldBe(aligned);
    }

    [Fact]
    public void A_fibre_that_was_moved_is_aligned_anew()
    {
        var line = NewLine(12, 0);
        var aligner = new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed);
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();

        // Twenty thousand seconds of drift: a turn of more than a radian.
        line.Wait(20_000);
        MissesBy(line).ShouldBeGreaterThan(0.02);
        aligner.Restart();
        Run(line, aligner).ShouldBeOfType<AlignmentStep.Aligned>();
        MissesBy(line).ShouldBeLessThan(PolarizationAligner.Tolerance);
    }

    [Fact]
    public void The_same_seed_and_the_same_measurements_give_the_same_moves()
    {
        double[] Angles()
        {
            var line = NewLine(4, 0);
            Run(line, new PolarizationAligner(SimulatedLine.Limits, ErrorLimit, MeasurementsAllowed, seed: 9));
            return line.Paddles;
        }

        Angles().ShouldBe(Angles());
    }

    [Fact]
    public void Every_move_stays_within_the_limits()
    {
        for (var run = 0; run < 30; run++)
        {
            var line = NewLine(run, 0);
            var limits = SimulatedLine.Limits;
            var aligner = new PolarizationAligner(limits, ErrorLimit, MeasurementsAllowed, seed: run);
            AlignmentStep step = new AlignmentStep.Move(line.Paddles);
            while (step is AlignmentStep.Move move)
            {
                move.Degrees.Count.ShouldBe(3);
                move.Degrees.ShouldAllBe(angle => angle >= limits.Minimum && angle <= limits.Maximum);
                line.Move(move.Degrees);
                step = aligner.Next(line.Paddles, line.Measure());
            }
        }
    }

    internal static SimulatedLine NewLine(int run, double retardanceSpread)
    {
        var random = new Random(run);
        double Draw(double nominal) => nominal + ((random.NextDouble() - 0.5) * 2 * retardanceSpread);
        return retardanceSpread == 0
            ? new SimulatedLine(1000 + run)
            : new SimulatedLine(1000 + run) { RetardanceWaves = [Draw(0.25), Draw(0.5), Draw(0.25)] };
    }

    internal static AlignmentStep Run(SimulatedLine line, PolarizationAligner aligner)
    {
        line.Move(line.Paddles);
        while (true)
        {
            var step = aligner.Next(line.Paddles, line.Measure());
            if (step is not AlignmentStep.Move move)
            {
                return step;
            }

            line.Move(move.Degrees);
            line.Wait(0.5);
        }
    }

    /// <summary>How far the worse basis is from what the paddles could do; a plain search for that only where it matters.</summary>
    private static double MissesBy(SimulatedLine line)
    {
        var (z, x) = line.Misalignment();
        var worst = Math.Max(z, x);
        return worst < PolarizationAligner.Tolerance ? worst : worst - line.LeastMisalignment();
    }
}
