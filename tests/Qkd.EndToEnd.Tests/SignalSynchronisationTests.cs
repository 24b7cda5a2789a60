using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>A bench whose receiver has no marker. In short: the receiver's own tests.</summary>
public sealed class SignalSynchronisationTests
{
    [Fact]
    [Trait("Speed", "Slow")]
    public async Task Slots_found_in_the_light_alone_make_the_same_key_at_both_ends()
    {
        using var bench = new TestBench(seed: 91, aligned: true);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () => BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted) >= 2 && BlockLog.Read(bench.Folder, "bob").Count(block => block.Accepted) >= 2,
            "two blocks",
            "--Bench:Protocol:BlockKeyBits=600000",
            "--Bench:Bob:Receiver:Synchronisation=Signal",
            "--Bench:Emulation:Tagger:ClockOffsetPpm=35",
            "--Bench:Emulation:Tagger:ClockDriftPpmPerSecond=0.5");
        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue(summary.ToString());
        summary.GetProperty("qber_z").GetDouble().ShouldBeLessThan(0.02);
        summary.GetProperty("alarms").EnumerateArray().ShouldNotContain(alarm => alarm.GetProperty("kind").GetString() == "synchronisation");
    }
}
