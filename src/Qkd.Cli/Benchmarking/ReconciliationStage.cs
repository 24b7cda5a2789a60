using System.Buffers;
using System.Diagnostics;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>Error correction of random bits with random errors, each end's work counted apart. The slower end decides.</summary>
internal sealed class ReconciliationStage(IReconciler reconciler, double errorRate, int bits) : IBenchmarkStage
{
    private static readonly DeclaredModel Declared = new(DeclaredSource.SinglePhotons, 1e-10, 1e-10);

    public string Name => reconciler.Name;

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        var (aliceRates, bobRates) = (new List<double>(), new List<double>());
        var (told, entropy, frames, retried, disclosed, rounds) = (0.0, 0.0, 0, 0, 0, 0);
        var began = Stopwatch.GetTimestamp();
        for (var run = 0; aliceRates.Count < 3 || Stopwatch.GetElapsedTime(began) < time; run++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var drawn = NoisyBits.Draw(new Random(), errorRate, bits);
            using var alice = reconciler.Begin(BroughtBits.OfSinglePhotons(drawn.Alice, bits, 0, 0, Declared), LinkEnd.Alice, new(errorRate));
            using var bob = reconciler.Begin(BroughtBits.OfSinglePhotons(drawn.Bob, bits, 0, 0, Declared), LinkEnd.Bob, new(errorRate));
            var (aliceTime, bobTime) = Talk(alice, bob);
            if (run == 0)
            {
                // The compiler settles.
                continue;
            }

            aliceRates.Add(bits / aliceTime.TotalSeconds / 1e6);
            bobRates.Add(bits / bobTime.TotalSeconds / 1e6);
            var q = (double)drawn.Errors / bits;
            told += alice.Result.Ledger.ReconciliationBits + alice.Result.Ledger.DisclosedBits;
            entropy += bits * FiniteKey.BinaryEntropy(q);
            frames += alice.Result.FrameStarts.Count - 1;
            retried += alice.RetriedFrames;
            disclosed += alice.DisclosedFrames;
            rounds = Math.Max(rounds, alice.Rounds);
        }

        var (a, b) = (Measuring.Median(aliceRates), Measuring.Median(bobRates));
        yield return new($"{Name}_mbps", Math.Min(a, b), "Mb/s", FormattableString.Invariant($"{errorRate:P1} errors; Alice {a:0} Mb/s, Bob {b:0} Mb/s, {rounds} rounds"));
        yield return new($"{Name}_efficiency", told / entropy, "", FormattableString.Invariant($"f over {frames} frames"));
        if (Name == "ldpc")
        {
            yield return new($"{Name}_frame_error_rate", (double)retried / frames, "", $"{retried} of {frames} frames not decoded at once, {disclosed} disclosed in the end");
        }
    }

    private static (TimeSpan Alice, TimeSpan Bob) Talk(IReconciliation alice, IReconciliation bob)
    {
        var (fromAlice, fromBob) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        var (aliceTime, bobTime) = (TimeSpan.Zero, TimeSpan.Zero);
        for (var (aliceDone, bobDone) = (false, false); !(aliceDone && bobDone);)
        {
            fromAlice.ResetWrittenCount();
            var start = Stopwatch.GetTimestamp();
            aliceDone = alice.Step(fromBob.WrittenSpan, fromAlice);
            var turned = Stopwatch.GetTimestamp();
            aliceTime += Stopwatch.GetElapsedTime(start, turned);
            if (!bobDone)
            {
                fromBob.ResetWrittenCount();
                bobDone = bob.Step(fromAlice.WrittenSpan, fromBob);
                bobTime += Stopwatch.GetElapsedTime(turned);
            }
        }

        // The corrected bits are part of the work.
        var before = Stopwatch.GetTimestamp();
        _ = alice.Result;
        var between = Stopwatch.GetTimestamp();
        _ = bob.Result;
        return (aliceTime + Stopwatch.GetElapsedTime(before, between), bobTime + Stopwatch.GetElapsedTime(between));
    }
}
