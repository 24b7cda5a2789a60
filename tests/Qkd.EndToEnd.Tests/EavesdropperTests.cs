using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>Intercept-resend as section 4 of docs/physics.md says, on a running bench.</summary>
public sealed class EavesdropperTests
{
    private const string Kind = "--Bench:Emulation:Eavesdropper:Kind=InterceptResend";

    [Fact]
    public async Task Switched_on_while_running_she_is_noticed_within_a_block_and_no_more_key_is_stored()
    {
        using var bench = new TestBench(seed: 31);
        var summary = await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(120), [
            "run", "--for", "25s", "--json", .. bench.Everything, Kind, "--Bench:Emulation:Eavesdropper:Fraction=1", "--Bench:Emulation:Eavesdropper:StartAfterSeconds=8",
        ]);

        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        summary.GetProperty("secret_bits").GetInt64().ShouldBeGreaterThan(0);
        Alarms(summary).ShouldContain("qber", summary.ToString());

        // She began in frame 800: a frame is 10 ms. What was accepted was sent before her, but for the few frames that a bound can bear.
        var blocks = BlockLog.Read(bench.Folder, "bob");
        foreach (var block in blocks.Where(block => block.Accepted))
        {
            (block.FirstFrame + block.FrameCount).ShouldBeLessThanOrEqualTo(800 + 3);
            block.QberX.ShouldBeLessThan(0.03);
        }

        // The alarm came within the length of a block of her coming: no block that ended more than a block later was even begun by then.
        var alarmed = Frame(blocks, summary, "qber");
        alarmed.ShouldBeLessThanOrEqualTo(800 + blocks.Max(block => block.FrameCount));
    }

    [Fact]
    public async Task With_the_guards_open_the_error_rate_is_a_quarter_and_half_of_that_without_her_and_the_bound_gives_nothing()
    {
        // Every limit that would stop key making before a whole block of hers is out of the way: only the bound is left.
        using var bench = new TestBench(seed: 32);
        var summary = await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(120), [
            "run", "--for", "25s", "--json", .. bench.Everything, Kind, "--Bench:Emulation:Eavesdropper:Fraction=1", "--Bench:Emulation:Eavesdropper:StartAfterSeconds=6",
            "--Bench:Protocol:QberLimit=0.45", "--Bench:Bob:Polarization:RealignAbove=0.45", "--Bench:Bob:Polarization:Tracking=false",
            "--Bench:Emulation:Channel:DriftRadiansPerRootSecond=0",
        ]);

        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        var blocks = BlockLog.Read(bench.Folder, "bob");
        var clean = blocks.Where(block => block.FirstFrame + block.FrameCount <= 600 && block.Accepted).ToList();
        var hers = blocks.Where(block => block.FirstFrame >= 603 && block.TestCounts.Length == 3).ToList();
        clean.ShouldNotBeEmpty();
        hers.ShouldNotBeEmpty();
        hers.ShouldAllBe(block => !block.Accepted && block.SecretBits == 0);

        var (cleanErrors, cleanCount) = (clean.Sum(block => block.TestErrors.Sum()), clean.Sum(block => block.TestCounts.Sum()));
        var (errors, count) = (hers.Sum(block => block.TestErrors.Sum()), hers.Sum(block => block.TestCounts.Sum()));
        var e = (double)cleanErrors / cleanCount;
        var expected = 0.25 + (e / 2);
        var sigma = Math.Sqrt((expected * (1 - expected) / count) + (e / 4 / cleanCount));
        TestContext.Current.TestOutputHelper!.WriteLine($"QBER X {(double)errors / count:P3} of {count}, {expected:P3} expected, e = {e:P3}: {(((double)errors / count) - expected) / sigma:+0.0;-0.0} sigma");
        ((double)errors / count).ShouldBe(expected, 5 * sigma);
    }

    [Fact]
    public async Task On_from_the_start_alignment_fails_and_there_is_no_key()
    {
        using var bench = new TestBench(seed: 33);
        var summary = await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(120), [
            "run", "--for", "20s", "--json", .. bench.Everything, Kind, "--Bench:Emulation:Eavesdropper:Fraction=1",
        ]);

        summary.GetProperty("secret_bits").GetInt64().ShouldBe(0);
        summary.GetProperty("blocks_accepted").GetInt64().ShouldBe(0);
        summary.GetProperty("first_key_s").ValueKind.ShouldBe(JsonValueKind.Null);
        Alarms(summary).Intersect(["alignment", "qber"]).ShouldNotBeEmpty(summary.ToString());
    }

    [Fact]
    public async Task A_tenth_of_the_pulses_costs_what_the_bound_says()
    {
        using var bench = new TestBench(seed: 34);
        var summary = await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(120), [
            "run", "--for", "25s", "--json", .. bench.Everything, Kind, "--Bench:Emulation:Eavesdropper:Fraction=0.1", "--Bench:Emulation:Eavesdropper:StartAfterSeconds=7",
        ]);

        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        var blocks = BlockLog.Read(bench.Folder, "alice").Where(block => block.KeyErrors.Length == 3).ToList();
        var clean = blocks.Where(block => block.FirstFrame + block.FrameCount <= 700 && block.Accepted).ToList();
        var hers = blocks.Where(block => block.FirstFrame >= 703).ToList();
        clean.ShouldNotBeEmpty();
        hers.ShouldNotBeEmpty();

        // Each length is that of the bound, worked out here anew from the block's public figures; it never exceeds it.
        foreach (var block in blocks)
        {
            var bound = TwoDecoyFormula.Length(block, intensityUncertainty: 0.002, epsilon: 1e-10);
            TestContext.Current.TestOutputHelper!.WriteLine($"block {block.Id} from frame {block.FirstFrame}: QBER Z {block.QberZ:P2} X {block.QberX:P2}, {block.SecretBits} secret bits, bound {bound:0}, {block.Reason}");
            ((double)block.SecretBits).ShouldBeLessThanOrEqualTo(Math.Max(0, bound));
            if (block.Accepted)
            {
                ((double)block.SecretBits).ShouldBeGreaterThan(bound - 64);
            }
        }

        // 1/4 + e/2 of a tenth of the pulses and e of the rest.
        var e = (double)clean.Sum(block => block.TestErrors.Sum()) / clean.Sum(block => block.TestCounts.Sum());
        var expected = (0.9 * e) + (0.1 * (0.25 + (e / 2)));
        var count = hers.Sum(block => block.TestCounts.Sum());
        var sigma = Math.Sqrt((expected * (1 - expected) / count) + (e / clean.Sum(block => block.TestCounts.Sum())));
        ((double)hers.Sum(block => block.TestErrors.Sum()) / count).ShouldBe(expected, 5 * sigma);
        hers.Average(block => (double)block.SecretBits / block.KeyCounts.Sum()).ShouldBeLessThan(0.7 * clean.Average(block => (double)block.SecretBits / block.KeyCounts.Sum()));
    }

    private static IReadOnlyList<string> Alarms(JsonElement summary) =>
        [.. summary.GetProperty("alarms").EnumerateArray().Select(alarm => alarm.GetProperty("kind").GetString()!)];

    /// <summary>The frame in which an alarm was raised: by the times at which blocks ended, whose last frames are known.</summary>
    private static double Frame(IReadOnlyList<LoggedBlock> blocks, JsonElement summary, string kind)
    {
        var time = summary.GetProperty("alarms").EnumerateArray().First(alarm => alarm.GetProperty("kind").GetString() == kind).GetProperty("time").GetDateTimeOffset();
        var last = blocks.Where(block => block.Accepted).MaxBy(block => block.Time)!;
        return last.FirstFrame + last.FrameCount + Math.Max(0, (time - last.Time).TotalSeconds * 100);
    }
}
