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
        // Plates without retardance, a fibre that turns nothing and stands still, and tracking off: only chance is left.
        using var bench = new TestBench(seed: 21);
        await QkdProcess.RunJsonUntilAsync(
            bench,
            () => BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted) >= Blocks,
            "six blocks",
            [
                .. TestBench.ExactMeans,
                "--Bench:Emulation:Channel:RandomRotation=false",
                "--Bench:Emulation:Channel:DriftRadiansPerRootSecond=0",
                "--Bench:Emulation:Receiver:PaddleRetardanceWaves:0=0",
                "--Bench:Emulation:Receiver:PaddleRetardanceWaves:1=0",
                "--Bench:Emulation:Receiver:PaddleRetardanceWaves:2=0",
                "--Bench:Bob:Polarization:Tracking=false",
            ]);

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

        Holds("QBER Z", blocks.Sum(b => b.KeyErrors.Sum()), blocks.Sum(b => b.KeyCounts.Sum()), Rate(theory, 0));
        Holds("QBER X", blocks.Sum(b => b.TestErrors.Sum()), blocks.Sum(b => b.TestCounts.Sum()), Rate(theory, 1));
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
