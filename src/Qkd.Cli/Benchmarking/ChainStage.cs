using System.Diagnostics;
using Qkd.Devices;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>
/// The whole chain, both ends, on two cores: from detections to the same secret key at both ends, authentication included. Two blocks are worked on side by side, each
/// with both its ends in turn.
/// </summary>
internal sealed class ChainStage : IBenchmarkStage
{
    private const int Cores = 2;
    private const int FramesPerBlock = 40;
    private const double ErrorRate = 0.02;

    public string Name => "chain";

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        SyntheticLight[] light = [new(FramesPerBlock, ErrorRate), new(FramesPerBlock, ErrorRate)];
        var randomness = OperatingSystemRandomness.Instance;
        var reconciler = AdaptiveReconciler.Create(ReconciliationMethod.Auto, randomness);
        Measuring.Warm(() => Block(light[0], reconciler));
        var (sifted, secret, blocks) = (0L, 0L, 0);
        var began = Stopwatch.GetTimestamp();
        var workers = light.Select(mine => new Thread(() =>
        {
            while (Stopwatch.GetElapsedTime(began) < time && !cancellationToken.IsCancellationRequested)
            {
                var (bits, key) = Block(mine, reconciler);
                Interlocked.Add(ref sifted, bits);
                Interlocked.Add(ref secret, key);
                Interlocked.Increment(ref blocks);
            }
        })).ToArray();
        foreach (var worker in workers)
        {
            worker.Start();
        }

        foreach (var worker in workers)
        {
            worker.Join();
        }

        cancellationToken.ThrowIfCancellationRequested();
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        yield return new("chain_sifted_mbps", sifted / seconds / 1e6, "Mb/s", FormattableString.Invariant(
            $"{Cores} cores, both ends, {ErrorRate:P0} errors: key-basis bits of {blocks} blocks of {sifted / Math.Max(1, blocks) / 1e6:0.0} Mbit; {secret / seconds / 1e6:0.0} Mb/s secret"));
    }

    private static (long Sifted, long Secret) Block(SyntheticLight light, IReconciler reconciler)
    {
        var (alice, bob) = light.Sift();
        var bits = alice.KeyBitCount;
        new LocalDistillation(reconciler, OperatingSystemRandomness.Instance).Distill(alice, bob, new(alice.TestErrorRate), out var keys);
        using var aliceKey = keys?.Alice;
        using var bobKey = keys?.Bob;
        return (bits, aliceKey?.LengthBits ?? 0);
    }
}
