using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>What the nodes count, against theory written out in <see cref="GateTheory"/>, with the fibre at rest and nothing to align.</summary>
public sealed class TheoryTests
{
    private const int PilotSlots = 4096;
    private const int FrameSlots = 1_000_000;

    /// <summary>Blocks counted; the number of frames of a block is fixed before it begins, and so is the number of pulses.</summary>
    private const int Blocks = 6;

    [Fact]
    public async Task Counts_and_errors_per_intensity_and_basis_are_those_of_theory()
    {
        // Only chance is left.
        using var bench = new TestBench(seed: 21, aligned: true);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () => BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted) >= Blocks,
            "six blocks",
            TestBench.ExactMeans);

        // Tags lost on a machine too busy to take them are an alarm, and no matter of theory.
        summary.GetProperty("alarms").EnumerateArray().ShouldBeEmpty(summary.ToString());
        var blocks = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).OrderBy(block => block.Id).Take(Blocks).ToList();
        blocks.Count.ShouldBe(Blocks);
        var pulses = blocks.Sum(block => (double)block.FrameCount) * (FrameSlots - PilotSlots);
        var theory = new GateTheory(lossDb: 5);
        for (var intensity = 0; intensity < 3; intensity++)
        {
            Holds($"key basis, intensity {intensity}: gain", blocks.Sum(b => b.KeyCounts[intensity]), pulses * theory.MatchedPerSlot(intensity, 0));
            Holds($"key basis, intensity {intensity}: errors", blocks.Sum(b => b.KeyErrors[intensity]), pulses * theory.ErrorsPerSlot(intensity, 0));
            Holds($"test basis, intensity {intensity}: gain", blocks.Sum(b => b.TestCounts[intensity]), pulses * theory.MatchedPerSlot(intensity, 1));
            Holds($"test basis, intensity {intensity}: errors", blocks.Sum(b => b.TestErrors[intensity]), pulses * theory.ErrorsPerSlot(intensity, 1));
        }

        for (var basis = 0; basis < 2; basis++)
        {
            HoldYields(theory, basis, pulses, [.. Enumerable.Range(0, 3).Select(i => blocks.Sum(b => (basis == 0 ? b.KeyCounts : b.TestCounts)[i]))]);
        }

        Holds("QBER Z", blocks.Sum(b => b.KeyErrors.Sum()), blocks.Sum(b => b.KeyCounts.Sum()), Rate(theory, 0));
        Holds("QBER X", blocks.Sum(b => b.TestErrors.Sum()), blocks.Sum(b => b.TestCounts.Sum()), Rate(theory, 1));
    }

    /// <summary>
    /// Yields of no photon and of one. Nobody sees how many photons a pulse had; what the three gains say of it are the bounds of vacuum and weak decoy
    /// (X. Ma et al., Phys. Rev. A 72, 012326 (2005), equations 18 and 21), each a weighted sum of gains. They are held against the same sums of theory's
    /// gains, and against the yields themselves, which theory knows photon by photon: a bound must lie below its yield. That of Y1 is close to it; that
    /// of Y0 takes the decoy's two-photon pulses for single ones, which at these intensities is half of it.
    /// </summary>
    private static void HoldYields(GateTheory theory, int basis, double pulses, long[] counts)
    {
        var (mu, nu, vacuum) = (0.45, 0.15, 0.001);
        var (em, en, ev) = (Math.Exp(mu), Math.Exp(nu), Math.Exp(vacuum));
        double[] none = [0, -vacuum * en / (nu - vacuum), nu * ev / (nu - vacuum)];

        // Y1 >= factor (Qν e^ν - Qv e^v - (ν² - v²)/μ² (Qμ e^μ - Y0)), with the bound above for Y0.
        var factor = mu / ((mu * nu) - (mu * vacuum) - (nu * nu) + (vacuum * vacuum));
        var square = ((nu * nu) - (vacuum * vacuum)) / (mu * mu);
        double[] one = [-factor * square * em, factor * (en + (square * none[1])), factor * (-ev + (square * none[2]))];
        Hold("Y0", none, theory.Yield(0, basis), leastShare: 0.4);
        Hold("Y1", one, theory.Yield(1, basis), leastShare: 0.95);

        // Theory with itself: the yields, weighted with Poisson's probabilities, are the gain.
        var (gain, weight) = (0.0, Math.Exp(-mu));
        for (var n = 0; n < 40; n++)
        {
            gain += weight * theory.Yield(n, basis);
            weight *= mu / (n + 1);
        }

        gain.ShouldBe(theory.MatchedPerSlot(0, basis) / GateTheory.SentPerSlot(0, basis), 1e-9);

        void Hold(string what, double[] weights, double yield, double leastShare)
        {
            double measured = 0, expected = 0, variance = 0;
            for (var i = 0; i < 3; i++)
            {
                var sent = pulses * GateTheory.SentPerSlot(i, basis);
                measured += weights[i] * counts[i] / sent;
                expected += weights[i] * theory.MatchedPerSlot(i, basis) / GateTheory.SentPerSlot(i, basis);
                variance += weights[i] * weights[i] * counts[i] / (sent * sent);
            }

            var sigma = Math.Sqrt(variance);
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"basis {basis}: {what} at least {measured:0.000e0}, {expected:0.000e0} expected: {(measured - expected) / sigma:+0.0;-0.0} sigma of {sigma:0.0e0}; the yield is {yield:0.000e0}");
            measured.ShouldBe(expected, 5 * sigma, what);
            measured.ShouldBeLessThan(yield + (5 * sigma), what);
            measured.ShouldBeGreaterThan((yield * leastShare) - (5 * sigma), what);
        }
    }

    private static double Rate(GateTheory theory, int basis) =>
        Enumerable.Range(0, 3).Sum(i => theory.ErrorsPerSlot(i, basis)) / Enumerable.Range(0, 3).Sum(i => theory.MatchedPerSlot(i, basis));

    /// <summary>Five sigma of the count. A dead time makes counts less spread than Poisson's, so this is the wider of the two.</summary>
    private static void Holds(string what, long count, double expected)
    {
        var sigmas = (count - expected) / Math.Sqrt(expected);
        TestContext.Current.TestOutputHelper!.WriteLine($"{what}: {count} counted, {expected:0} expected, {sigmas:+0.0;-0.0} sigma");
        Math.Abs(sigmas).ShouldBeLessThan(5, what);
    }

    private static void Holds(string what, long errors, long count, double expected)
    {
        var sigmas = (((double)errors / count) - expected) / Math.Sqrt(expected * (1 - expected) / count);
        TestContext.Current.TestOutputHelper!.WriteLine($"{what}: {(double)errors / count:P4}, {expected:P4} expected, {sigmas:+0.0;-0.0} sigma");
        Math.Abs(sigmas).ShouldBeLessThan(5, what);
    }
}
