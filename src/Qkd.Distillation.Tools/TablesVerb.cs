using System.Diagnostics;
using System.Globalization;
using System.Text;
using Qkd.Devices;

namespace Qkd.Distillation.Tools;

/// <summary>
/// <c>tables page frames</c>: corrects and verifies random bits with either method over the error rates of interest, at least so many frames of each, and puts what it
/// counted into a page, between the two comments that mark the place.
/// </summary>
internal static class TablesVerb
{
    private const string Begin = "<!-- made by qkd-codes tables -->";
    private const string End = "<!-- until here -->";
    private const int BitsOfBlock = 1 << 22;

    private static readonly double[] ErrorRates = [0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.08, 0.11];

    private static readonly DeclaredModel Declared = new(DeclaredSource.SinglePhotons, 1e-10, 1e-10);

    public static int Run(string[] arguments)
    {
        var page = File.ReadAllText(arguments[0]);
        var (begin, end) = (page.IndexOf(Begin, StringComparison.Ordinal), page.IndexOf(End, StringComparison.Ordinal));
        if (begin < 0 || end < begin)
        {
            Console.Error.WriteLine($"{arguments[0]} has no place for the tables, between {Begin} and {End}");
            return 1;
        }

        var frames = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        var tables = new StringBuilder();
        foreach (IReconciler reconciler in (IReconciler[])[new CascadeReconciler(), new LdpcReconciler(OperatingSystemRandomness.Instance)])
        {
            tables.Append(CultureInfo.InvariantCulture, $"\n{(reconciler.Name == "ldpc" ? "LDPC" : "Cascade")}:\n\n");
            tables.Append("| error rate | frames | bits of a frame | f | retried | disclosed | rounds | Mb/s |\n|---|---|---|---|---|---|---|---|\n");
            foreach (var errorRate in ErrorRates)
            {
                var line = Measure(reconciler, errorRate, frames);
                Console.WriteLine($"{reconciler.Name} {line}");
                tables.Append(line).Append('\n');
            }
        }

        File.WriteAllText(arguments[0], page[..(begin + Begin.Length)] + "\n" + tables + "\n" + page[end..]);
        return 0;
    }

    private static string Measure(IReconciler reconciler, double errorRate, int leastFrames)
    {
        var distillation = new LocalDistillation(reconciler, OperatingSystemRandomness.Instance);
        var (frames, retried, disclosed, bits, told, entropy, rounds) = (0, 0, 0, 0L, 0.0, 0.0, 0);
        var rates = new List<double>();
        while (frames < leastFrames)
        {
            var drawn = NoisyBits.Draw(new Random(), errorRate, BitsOfBlock);
            var alice = BroughtBits.OfSinglePhotons(drawn.Alice, drawn.Count, 0, 0, Declared);
            var bob = BroughtBits.OfSinglePhotons(drawn.Bob, drawn.Count, 0, 0, Declared);
            var start = Stopwatch.GetTimestamp();
            var report = distillation.Reconcile(alice, bob, new(errorRate));
            rates.Add(drawn.Count / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e6);
            frames += report.Frames;
            retried += report.RetriedFrames;
            disclosed += report.DisclosedFrames;
            bits += drawn.Count;
            told += report.Ledger.ReconciliationBits + report.Ledger.DisclosedBits;
            entropy += drawn.Count * FiniteKey.BinaryEntropy((double)drawn.Errors / drawn.Count);
            rounds = Math.Max(rounds, report.Rounds);
        }

        var median = rates.Order().ElementAt(rates.Count / 2);
        return string.Create(
            CultureInfo.InvariantCulture, $"| {errorRate:0.0 %} | {frames} | {bits / frames} | {told / entropy:0.000} | {retried} | {disclosed} | {rounds} | {median:0} |");
    }
}
