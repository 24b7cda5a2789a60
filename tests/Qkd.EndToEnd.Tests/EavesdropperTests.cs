using System.Diagnostics;
using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>Intercept-resend as section 4 of docs/physics.md says, on a running bench.</summary>
public sealed class EavesdropperTests
{
    /// <summary>She comes so many seconds after the first light, which is this frame: a frame is 10 ms.</summary>
    private const int ComesAfterSeconds = 6;
    private const int FirstFrameOfHers = 100 * ComesAfterSeconds;

    /// <summary>Where the bench has first to be aligned.</summary>
    private const int ComesLateAfterSeconds = 15;
    private const int FirstFrameOfHersLate = 100 * ComesLateAfterSeconds;

    /// <summary>Frames on either side of her coming that may hold some of both.</summary>
    private const int Margin = 3;

    private static string[] ComesAfter(int seconds) =>
    [
        "--Bench:Emulation:Eavesdropper:Kind=InterceptResend",
        $"--Bench:Emulation:Eavesdropper:StartAfterSeconds={seconds}",
    ];

    [Fact]
    public async Task Switched_on_while_running_she_is_noticed_within_a_block_and_no_more_key_is_stored()
    {
        using var bench = new TestBench(seed: 31);
        var alarmed = new Stopwatch();
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () =>
            {
                if (!alarmed.IsRunning && Alarmed(bench, "qber"))
                {
                    alarmed.Start();
                }

                // Long enough for several blocks, if there were any.
                return alarmed.Elapsed > TimeSpan.FromSeconds(4);
            },
            "an alarm",
            [.. ComesAfter(ComesLateAfterSeconds), "--Bench:Emulation:Eavesdropper:Fraction=1"]);

        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        summary.GetProperty("secret_bits").GetInt64().ShouldBeGreaterThan(0);
        summary.GetProperty("alarms").EnumerateArray().Select(alarm => alarm.GetProperty("kind").GetString()).ShouldContain("qber");

        // What was accepted was sent before her, but for the few frames that a bound can bear.
        var blocks = BlockLog.Read(bench.Folder, "bob");
        var accepted = blocks.Where(block => block.Accepted).ToList();
        accepted.ShouldNotBeEmpty();
        accepted.ShouldAllBe(block => block.FirstFrame + block.FrameCount <= FirstFrameOfHersLate + Margin && block.QberX < 0.03);
        BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).ShouldAllBe(block => block.FirstFrame + block.FrameCount <= FirstFrameOfHersLate + Margin);

        // Within a block: the first that has a frame of hers was given up, by its error rate or by that of its pilots before it had ended.
        blocks.Where(block => !block.Accepted && block.FirstFrame + block.FrameCount > FirstFrameOfHersLate).MinBy(block => block.FirstFrame)!.Reason.ShouldContain("error rate");
    }

    [Fact]
    public async Task With_the_guards_open_the_error_rate_is_a_quarter_and_half_of_that_without_her_and_the_bound_gives_nothing()
    {
        // Every limit that would stop key making before a whole block of hers is out of the way: only the bound is left.
        using var bench = new TestBench(seed: 32, aligned: true);
        await QkdProcess.RunJsonUntilAsync(
            bench,
            () => Hers(bench, "bob").Count(block => block.KeyErrors.Length == 3) >= 2 && Hers(bench, "bob").Count >= 3,
            "three blocks of hers, two of them corrected",
            [
                .. ComesAfter(ComesAfterSeconds),
                "--Bench:Emulation:Eavesdropper:Fraction=1",
                "--Bench:Protocol:QberLimit=0.45",
                "--Bench:Bob:Polarization:RealignAbove=0.45",
            ]);

        var clean = Clean(bench, "bob");
        var hers = Hers(bench, "bob");
        clean.ShouldNotBeEmpty();
        hers.ShouldAllBe(block => !block.Accepted && block.SecretBits == 0);
        ShouldBeAQuarter("X", clean, hers, block => block.TestErrors, block => block.TestCounts);

        // The key basis too: with the limit out of the way a block of hers is corrected and verified, which makes its errors known.
        var corrected = hers.Where(block => block.KeyErrors.Length == 3).ToList();
        corrected.Count.ShouldBeGreaterThanOrEqualTo(2);
        ShouldBeAQuarter("Z", clean, corrected, block => block.KeyErrors, block => block.KeyCounts);
    }

    /// <summary>1/4 + e/2, where e is the error rate without her in the same basis; five sigma of both counts.</summary>
    private static void ShouldBeAQuarter(string basis, List<LoggedBlock> clean, List<LoggedBlock> hers, Func<LoggedBlock, long[]> errorsOf, Func<LoggedBlock, long[]> countsOf)
    {
        var (cleanErrors, cleanCount) = (clean.Sum(block => errorsOf(block).Sum()), clean.Sum(block => countsOf(block).Sum()));
        var (errors, count) = (hers.Sum(block => errorsOf(block).Sum()), hers.Sum(block => countsOf(block).Sum()));
        var e = (double)cleanErrors / cleanCount;
        var expected = 0.25 + (e / 2);
        var sigma = Math.Sqrt((expected * (1 - expected) / count) + (e / 4 / cleanCount));
        TestContext.Current.TestOutputHelper!.WriteLine($"QBER {basis} {(double)errors / count:P3} of {count}, {expected:P3} expected, e = {e:P3}: {(((double)errors / count) - expected) / sigma:+0.0;-0.0} sigma");
        ((double)errors / count).ShouldBe(expected, 5 * sigma);
    }

    [Fact]
    public async Task On_from_the_start_alignment_fails_and_there_is_no_key()
    {
        using var bench = new TestBench(seed: 33);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () => Alarmed(bench, "alignment") || Alarmed(bench, "qber"),
            "an alarm",
            "--Bench:Emulation:Eavesdropper:Kind=InterceptResend",
            "--Bench:Emulation:Eavesdropper:Fraction=1");

        summary.GetProperty("secret_bits").GetInt64().ShouldBe(0);
        summary.GetProperty("blocks_accepted").GetInt64().ShouldBe(0);
        summary.GetProperty("first_key_s").ValueKind.ShouldBe(JsonValueKind.Null);
        BlockLog.Read(bench.Folder, "alice").Concat(BlockLog.Read(bench.Folder, "bob")).ShouldAllBe(block => !block.Accepted);
    }

    [Fact]
    public async Task A_tenth_of_the_pulses_costs_what_the_bound_says()
    {
        using var bench = new TestBench(seed: 34, aligned: true);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench, () => Hers(bench, "alice").Count >= 6, "six blocks of hers", [.. ComesAfter(ComesAfterSeconds), .. TestBench.ExactMeans, "--Bench:Emulation:Eavesdropper:Fraction=0.1"]);

        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        var (clean, hers) = (Clean(bench, "alice"), Hers(bench, "alice"));
        clean.ShouldNotBeEmpty();

        // Each length is that of the bound, worked out here anew from the block's public figures; it never exceeds it.
        foreach (var block in clean.Concat(hers))
        {
            var bound = TwoDecoyFormula.Length(block, intensityUncertainty: 0.002, epsilon: 1e-10);
            TestContext.Current.TestOutputHelper!.WriteLine($"block {block.Id} from frame {block.FirstFrame}: QBER Z {block.QberZ:P2} X {block.QberX:P2}, {block.SecretBits} secret bits, bound {bound:0}, {block.Reason}");
            ((double)block.SecretBits).ShouldBeLessThanOrEqualTo(Math.Max(0, bound));
            if (block.Accepted)
            {
                ((double)block.SecretBits).ShouldBeGreaterThan(bound - 64);
            }
        }

        // 1/4 + e/2 of her share of the detections, and e of the rest. What she sends is brighter, and clicks more often in both bases.
        var (cleanCount, count) = (clean.Sum(block => block.TestCounts.Sum()), hers.Sum(block => block.TestCounts.Sum()));
        var e = (double)clean.Sum(block => block.TestErrors.Sum()) / cleanCount;
        var share = ShareOfDetections(fraction: 0.1);
        var expected = ((1 - share) * e) + (share * (0.25 + (e / 2)));
        var sigma = Math.Sqrt((expected * (1 - expected) / count) + (e / cleanCount));
        var seen = (double)hers.Sum(block => block.TestErrors.Sum()) / count;
        TestContext.Current.TestOutputHelper!.WriteLine($"QBER X {seen:P3}, {expected:P3} expected for a share of {share:P2}: {(seen - expected) / sigma:+0.0;-0.0} sigma");
        seen.ShouldBe(expected, 5 * sigma);
        hers.Average(Yield).ShouldBeLessThan(0.7 * clean.Average(Yield));
    }

    /// <summary>
    /// F' of section 4 of docs/physics.md for the default bench: the share of the detections in one basis, without a click in the other, that
    /// come from pulses she has intercepted.
    /// </summary>
    private static double ShareOfDetections(double fraction)
    {
        double[] probabilities = [0.5, 0.3125, 0.1875];
        double[] means = [0.45, 0.15, 0.001];
        var photoelectrons = 0.85 * Math.Pow(10, -0.5);
        double Sum(Func<double, double> of) => probabilities.Zip(means, (p, mean) => p * of(mean)).Sum();
        double Detected(double mean) => (1 - Math.Exp(-mean / 2)) * Math.Exp(-mean / 2);
        double Clicking(double mean) => 1 - Math.Exp(-mean / 2) + (2 * (1 - Math.Exp(-mean / 4)));

        // Her pulse's brightness, by bisection: as many detectors click as without her.
        var results = Sum(mean => 1 - Math.Exp(-mean));
        var wanted = Sum(mean => Clicking(mean * photoelectrons)) / results;
        var (low, high) = (0.0, 10.0);
        while (high - low > 1e-12)
        {
            var middle = (low + high) / 2;
            (low, high) = Clicking(middle) < wanted ? (middle, high) : (low, middle);
        }

        var (hers, others) = (fraction * results * Detected(low), (1 - fraction) * Sum(mean => Detected(mean * photoelectrons)));
        return hers / (hers + others);
    }

    private static double Yield(LoggedBlock block) => (double)block.SecretBits / block.KeyCounts.Sum();

    private static bool Alarmed(TestBench bench, string kind) =>
        BlockLog.Alarms(bench.Folder, "alice").Concat(BlockLog.Alarms(bench.Folder, "bob")).Any(alarm => alarm.Kind == kind);

    /// <summary>Accepted blocks that ended before she came.</summary>
    private static List<LoggedBlock> Clean(TestBench bench, string node) =>
        [.. BlockLog.Read(bench.Folder, node).Where(block => block.Accepted && block.FirstFrame + block.FrameCount <= FirstFrameOfHers - Margin)];

    /// <summary>Blocks that began after she came and got as far as their errors in the test basis; at Alice's end, in both.</summary>
    private static List<LoggedBlock> Hers(TestBench bench, string node) =>
        [.. BlockLog.Read(bench.Folder, node).Where(block => block.FirstFrame >= FirstFrameOfHers + Margin && block.TestCounts.Length == 3 && (node == "bob" || block.KeyErrors.Length == 3))];
}
