using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>The README's first command, with a time limit.</summary>
public sealed class OneCommandTests
{
    [Fact]
    public async Task Emulated_bench_makes_the_same_key_on_both_sides()
    {
        using var bench = new TestBench(seed: 1);
        ShouldBeGood(await QkdProcess.RunJsonUntilAsync(bench, () => Accepted(bench) >= 4, "four blocks"));

        // The store that it leaves serves a second start: the blocks go on where they ended.
        var first = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).Max(block => block.Id);
        var before = Accepted(bench);
        ShouldBeGood(await QkdProcess.RunJsonUntilAsync(bench, () => Accepted(bench) >= before + 2, "two more blocks"));
        var later = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).ToList();
        later.Select(block => block.Id).ShouldBeUnique();
        later.Max(block => block.Id).ShouldBeGreaterThan(first);
    }

    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(11)]
    public async Task Sixty_seconds_at_any_seed(int seed)
    {
        using var bench = new TestBench(seed);
        var summary = await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(150), ["run", "--for", "60s", "--json", .. bench.Everything]);
        TestContext.Current.TestOutputHelper!.WriteLine(summary.ToString());
        ShouldBeGood(summary);
    }

    private static int Accepted(TestBench bench) => BlockLog.Read(bench.Folder, "bob").Count(block => block.Accepted);

    private static void ShouldBeGood(JsonElement summary)
    {
        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        summary.GetProperty("secret_bits").GetInt64().ShouldBeGreaterThan(0);
        summary.GetProperty("blocks_accepted").GetInt64().ShouldBeGreaterThan(0);
        summary.GetProperty("first_key_s").GetDouble().ShouldBeGreaterThan(0);
        summary.GetProperty("alarms").GetArrayLength().ShouldBe(0, summary.ToString());
        summary.GetProperty("qber_z").GetDouble().ShouldBeInRange(0.005, 0.02);
        summary.GetProperty("qber_x").GetDouble().ShouldBeInRange(0.005, 0.02);
        summary.GetProperty("secret_rate_bps").GetDouble().ShouldBeGreaterThan(0);
        summary.GetProperty("pulses").GetInt64().ShouldBeGreaterThan(summary.GetProperty("detections").GetInt64());
        summary.GetProperty("detections").GetInt64().ShouldBeGreaterThan(summary.GetProperty("sifted_bits").GetInt64());
        summary.GetProperty("sifted_bits").GetInt64().ShouldBeGreaterThan(summary.GetProperty("secret_bits").GetInt64());
        summary.GetProperty("duration_s").GetDouble().ShouldBeGreaterThan(summary.GetProperty("first_key_s").GetDouble());
    }
}
