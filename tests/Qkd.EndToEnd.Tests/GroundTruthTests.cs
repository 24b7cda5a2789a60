using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>With the fibre drifting and the paddles following, what the nodes count agrees with what the emulation knows to have happened.</summary>
public sealed class GroundTruthTests
{
    private const int FrameSlots = 1_000_000;
    private const int Blocks = 10;

    [Fact]
    public async Task Counts_and_errors_agree_with_the_ground_truth_while_the_fibre_drifts()
    {
        using var bench = new TestBench(seed: 71);
        await QkdProcess.RunJsonUntilAsync(
            bench,
            () => BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted) >= Blocks,
            "ten blocks",
            [.. TestBench.ExactMeans, "--Bench:Emulation:Channel:DriftRadiansPerRootSecond=0.02", "--Bench:Emulation:Truth:PeriodSeconds=0.1"]);

        // Blocks without a gap between them, so that their pulses are one stretch of the truth.
        var blocks = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).OrderBy(block => block.Id).Take(Blocks).ToList();
        for (var i = 1; i < Blocks; i++)
        {
            blocks[i].FirstFrame.ShouldBe(blocks[i - 1].FirstFrame + blocks[i - 1].FrameCount);
        }

        var truth = Truth(bench);
        var (from, until) = (blocks[0].FirstFrame * FrameSlots, (blocks[^1].FirstFrame + blocks[^1].FrameCount) * FrameSlots);
        long[] matched = [.. Enumerable.Range(0, 6).Select(cell => Between(truth, from, until, cell, t => t.Matched))];
        long[] wrong = [.. Enumerable.Range(0, 6).Select(cell => Between(truth, from, until, cell, t => t.Wrong))];

        // How far the light was turned, on the mean, as the truth has it; then theory says what a gate with veto makes of such light.
        var theory = new GateTheory(5, Misalignment(matched, wrong, 0), Misalignment(matched, wrong, 1));
        for (var cell = 0; cell < 6; cell++)
        {
            var (intensity, basis) = (cell >> 1, cell & 1);
            var counts = blocks.Sum(block => basis == 0 ? block.KeyCounts[intensity] : block.TestCounts[intensity]);
            var errors = blocks.Sum(block => basis == 0 ? block.KeyErrors[intensity] : block.TestErrors[intensity]);
            Holds($"intensity {intensity}, basis {basis}: gain", counts, matched[cell] * theory.MatchedPerSlot(intensity, basis) / theory.TrueClicksPerSlot(intensity, basis));
            Holds($"intensity {intensity}, basis {basis}: errors", errors, wrong[cell] * theory.ErrorsPerSlot(intensity, basis) / theory.TrueWrongClicksPerSlot(intensity, basis));
        }
    }

    /// <summary>The share of misaligned light with which theory has as many wrong clicks in a basis as there were.</summary>
    private static double Misalignment(long[] matched, long[] wrong, int basis)
    {
        var share = Enumerable.Range(0, 3).Sum(i => (double)wrong[(2 * i) + basis]) / Enumerable.Range(0, 3).Sum(i => matched[(2 * i) + basis]);
        double Share(double misaligned)
        {
            var theory = basis == 0 ? new GateTheory(5, misaligned, 0) : new GateTheory(5, 0, misaligned);
            return Enumerable.Range(0, 3).Sum(i => theory.TrueWrongClicksPerSlot(i, basis)) / Enumerable.Range(0, 3).Sum(i => theory.TrueClicksPerSlot(i, basis));
        }

        // All but a straight line.
        var (aligned, turned) = (Share(0), Share(0.01));
        var found = 0.01 * (share - aligned) / (turned - aligned);
        TestContext.Current.TestOutputHelper!.WriteLine($"basis {basis}: {share:P3} of the clicks are wrong, {aligned:P3} if aligned; misaligned {found:P3}");
        return Math.Max(0, found);
    }

    private static void Holds(string what, long count, double expected)
    {
        var sigmas = (count - expected) / Math.Sqrt(expected);
        TestContext.Current.TestOutputHelper!.WriteLine($"{what}: {count} counted, {expected:0} expected, {sigmas:+0.0;-0.0} sigma");
        Math.Abs(sigmas).ShouldBeLessThan(5, what);
    }

    /// <summary>What happened between two slots. A line of the truth has 0.1 s, in which the counters grow evenly.</summary>
    private static long Between(IReadOnlyList<TruthLine> truth, long from, long until, int cell, Func<TruthLine, long[]> counter)
    {
        return (long)(At(until) - At(from));

        double At(long slot)
        {
            var after = truth.First(line => line.Slots >= slot);
            var before = truth.Last(line => line.Slots < slot);
            var part = (double)(slot - before.Slots) / (after.Slots - before.Slots);
            return counter(before)[cell] + (part * (counter(after)[cell] - counter(before)[cell]));
        }
    }

    private static List<TruthLine> Truth(TestBench bench)
    {
        var lines = new List<TruthLine>();
        foreach (var text in BlockLog.ReadLines(Path.Combine(bench.Folder, "ground-truth.jsonl")))
        {
            var line = JsonDocument.Parse(text).RootElement;
            if (line.GetProperty("latest_emission") is { ValueKind: JsonValueKind.Object } emission)
            {
                emission.GetProperty("first_slot").GetInt64().ShouldBe(0, "the light was on without a break");
                var symbols = line.GetProperty("payload").GetProperty("symbols").EnumerateArray().ToList();
                lines.Add(new TruthLine(
                    emission.GetProperty("slot_count").GetInt64(),
                    [.. symbols.Select(symbol => symbol.GetProperty("matched_clicks").GetInt64())],
                    [.. symbols.Select(symbol => symbol.GetProperty("wrong_clicks").GetInt64())]));
            }
        }

        return lines;
    }

    /// <summary>Counters up to a slot, by twice the intensity plus the basis.</summary>
    private sealed record TruthLine(long Slots, long[] Matched, long[] Wrong);
}
