using System.Globalization;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>
/// The emulated bench for a long time: key to the end, the same at both ends, and memory that stays flat. QKD_SOAK_MINUTES says how long,
/// 3 at least; 10 by itself.
/// </summary>
public sealed class SoakTests
{
    /// <summary>By how much the resident set may have grown between minute 2 and the end, in bytes: a tenth of what the bench takes.</summary>
    private const long Allowance = 64L << 20;

    /// <summary>Until then buffers are still growing to what they need.</summary>
    private static readonly TimeSpan WarmUp = TimeSpan.FromMinutes(2);

    /// <summary>The resident set goes up and down with each collection: its median over this long is what is compared.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(30);

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task The_bench_makes_key_to_the_end_in_memory_that_stays_flat()
    {
        var duration = Duration();
        using var bench = new TestBench(seed: 81);
        await using var run = QkdProcess.Start(["run", "--json", .. bench.Everything]);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var samples = new List<(TimeSpan Time, long Bytes)>();
        while (clock.Elapsed < duration && !run.HasExited)
        {
            samples.Add((clock.Elapsed, run.ResidentBytes));
            await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
        }

        run.HasExited.ShouldBeFalse(run.Error);
        run.Interrupt();
        (await run.WaitAsync(TimeSpan.FromMinutes(2))).ShouldBe(0, run.Error);
        var (early, late) = (Median(samples, WarmUp), Median(samples, duration - Window));
        TestContext.Current.TestOutputHelper!.WriteLine($"resident after {WarmUp.TotalMinutes:0} minutes {early >> 20} MiB, after {duration.TotalMinutes:0.#} minutes {late >> 20} MiB");
        (late - early).ShouldBeLessThan(Allowance);

        var summary = run.Json();
        TestContext.Current.TestOutputHelper!.WriteLine(summary.ToString());
        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        summary.GetProperty("alarms").GetArrayLength().ShouldBe(0);

        // Key to the end: without a minute in which no block was accepted.
        var times = BlockLog.Read(bench.Folder, "bob").Where(block => block.Accepted).Select(block => block.Time).ToList();
        times.Count.ShouldBeGreaterThan(10);
        for (var i = 1; i < times.Count; i++)
        {
            (times[i] - times[i - 1]).ShouldBeLessThan(TimeSpan.FromMinutes(1));
        }

        (DateTimeOffset.UtcNow - times[^1]).ShouldBeLessThan(TimeSpan.FromMinutes(3));
    }

    private static TimeSpan Duration()
    {
        var text = Environment.GetEnvironmentVariable("QKD_SOAK_MINUTES") ?? "10";
        var minutes = double.Parse(text, CultureInfo.InvariantCulture);
        return minutes >= 3 ? TimeSpan.FromMinutes(minutes) : throw new InvalidOperationException($"QKD_SOAK_MINUTES is {text}; below 3 there is nothing to compare.");
    }

    private static long Median(List<(TimeSpan Time, long Bytes)> samples, TimeSpan from)
    {
        var within = samples.Where(sample => sample.Time >= from && sample.Time < from + Window).Select(sample => sample.Bytes).Order().ToList();
        return within[within.Count / 2];
    }
}
