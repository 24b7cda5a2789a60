using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>Privacy amplification of n bits to n / 3.</summary>
internal sealed class AmplificationStage : IBenchmarkStage
{
    public string Name => "pa";

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        foreach (var exponent in new[] { 20, 24, 27 })
        {
            var bits = 1 << exponent;
            var length = bits / 3;
            var (input, seed, key) = (new ulong[bits / 64], new ulong[bits / 64], new ulong[(length + 63) / 64]);
            RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(input.AsSpan()));
            RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(seed.AsSpan()));
            seed[^1] &= ulong.MaxValue >> 1;
            var seconds = Measuring.Seconds(time, () => ModifiedToeplitz.Hash(input, bits, seed, key, length), cancellationToken);
            yield return new($"pa_2e{exponent}_mbps", bits / seconds / 1e6, "Mb/s", $"2^{exponent} bits to a third of them");
        }
    }
}
