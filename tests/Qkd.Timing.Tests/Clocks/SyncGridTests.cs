using System.Globalization;
using System.Text;
using Shouldly;

namespace Qkd.Timing.Tests.Clocks;

/// <summary>Clock recovery over a grid of loss, background, offset, frequency error and drift: how often, how soon, how well, and never wrongly.</summary>
public sealed class SyncGridTests
{
    private const string WriteVariable = "QKD_WRITE_SYNC_TABLE";
    private const string Begin = "<!-- made by SyncGridTests -->";
    private const string End = "<!-- until here -->";

    /// <summary>Runs of each point: 32 points make more than a thousand.</summary>
    private const int Runs = 34;

    private static readonly (double Ppm, double Drift)[] Clocks = [(0, 0), (20, 0), (50, 1), (-50, -1)];

    private static readonly (double Loss, double SignalToNoise, double Seconds)[] Links =
        [(20, 100, 1), (20, 1, 1.5), (25, 10, 1.5), (30, 100, 3), (30, 10, 3), (30, 1, 5), (40, 10, 18), (40, 1, 25)];

    [Fact]
    [Trait("Speed", "Slow")]
    public void Over_the_grid_no_lock_is_false()
    {
        var table = new StringBuilder("\n| loss | light/noise | ppm | ppm/s | runs | locked | after (s) | jitter added (ps) | wrong |\n|---|---|---|---|---|---|---|---|---|\n");
        long runs = 0, wrong = 0;
        foreach (var (loss, signalToNoise, seconds) in Links)
        {
            foreach (var (ppm, drift) in Clocks)
            {
                var trial = new SyncTrial { Loss = loss, SignalToNoise = signalToNoise, Ppm = ppm, DriftPpmPerSecond = drift, Seconds = seconds };
                var results = Enumerable.Range(0, Runs).Select(run => trial.Run((int)runs + run + 1000)).ToArray();
                var line = Line(trial, results);
                TestContext.Current.TestOutputHelper?.WriteLine(line);
                table.Append(line).Append('\n');
                runs += results.Length;
                wrong += results.Sum(result => result.Wrong);
                results.Count(result => result.LockedAfter is not null).ShouldBeGreaterThanOrEqualTo(Runs * 9 / 10, line);
                if (loss == 30 && ppm == 20)
                {
                    results.Where(result => result.LockedAfter is not null).Max(result => result.JitterAdded).ShouldBeLessThan(20, line);
                }
            }
        }

        runs.ShouldBeGreaterThanOrEqualTo(1000);
        wrong.ShouldBe(0);
        table.Append(CultureInfo.InvariantCulture, $"\n{runs} runs, {wrong} clicks with a wrong slot.\n\n");
        if (Environment.GetEnvironmentVariable(WriteVariable) == "1")
        {
            Write(table.ToString());
        }
    }

    [Theory]
    [InlineData(25, 10, -50, 1, 1.5)]
    [InlineData(30, 1, 20, 0, 5)]
    public void A_corner_of_the_grid(double loss, double signalToNoise, double ppm, double drift, double seconds)
    {
        for (var seed = 1; seed <= 2; seed++)
        {
            var result = new SyncTrial { Loss = loss, SignalToNoise = signalToNoise, Ppm = ppm, DriftPpmPerSecond = drift, Seconds = seconds }.Run(seed);
            result.LockedAfter.ShouldNotBeNull();
            result.Wrong.ShouldBe(0);
            result.JitterAdded.ShouldBeLessThan(20);
        }
    }

    private static string Line(SyncTrial trial, SyncResult[] results)
    {
        var locked = results.Where(result => result.LockedAfter is not null).ToArray();
        var after = locked.Select(result => result.LockedAfter!.Value).Order().ToArray();
        var jitter = locked.Select(result => result.JitterAdded).Order().ToArray();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {trial.Loss} dB | {trial.SignalToNoise} | {trial.Ppm} | {trial.DriftPpmPerSecond} | {results.Length} | {locked.Length} | {after[after.Length / 2]:0.00}, {after[^1]:0.00} | {jitter[jitter.Length / 2]:0.0}, {jitter[^1]:0.0} | {results.Sum(result => result.Wrong)} |");
    }

    private static void Write(string table)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var page = Path.Combine(folder.FullName, "docs", "performance.md");
            if (!File.Exists(page))
            {
                continue;
            }

            var text = File.ReadAllText(page);
            var begin = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
            File.WriteAllText(page, text[..begin] + "\n" + table + text[text.IndexOf(End, begin, StringComparison.Ordinal)..]);
            return;
        }
    }
}
