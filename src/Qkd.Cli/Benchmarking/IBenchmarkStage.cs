using System.Diagnostics;

namespace Qkd.Cli.Benchmarking;

/// <summary>One measured figure.</summary>
/// <param name="Name">Its name in <c>--json</c>, with the unit: mbps are 10^6 bits a second, gbps 10^9 bytes a second.</param>
/// <param name="Value">The median of the runs.</param>
/// <param name="Unit">For people.</param>
/// <param name="Detail">On what it was measured.</param>
internal sealed record BenchmarkFigure(string Name, double Value, string Unit, string Detail);

/// <summary>A stage whose speed on this machine is measured, on one core unless it says so, on data drawn anew.</summary>
internal interface IBenchmarkStage
{
    /// <summary>Its name for <c>--stage</c>.</summary>
    string Name { get; }

    /// <summary>Measures for about so long.</summary>
    IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken);
}

/// <summary>Repeats and medians.</summary>
internal static class Measuring
{
    /// <summary>The median seconds that a piece of work takes. The first runs, in which the compiler settles, do not count.</summary>
    public static double Seconds(TimeSpan time, Action work, CancellationToken cancellationToken)
    {
        Warm(work);
        var seconds = new List<double>();
        var began = Stopwatch.GetTimestamp();
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            var start = Stopwatch.GetTimestamp();
            work();
            seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        while (seconds.Count < 3 || Stopwatch.GetElapsedTime(began) < time);
        return Median(seconds);
    }

    /// <summary>Runs something until the compiler has seen enough of it.</summary>
    public static void Warm(Action work)
    {
        var began = Stopwatch.GetTimestamp();
        do
        {
            work();
        }
        while (Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(0.7));
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
