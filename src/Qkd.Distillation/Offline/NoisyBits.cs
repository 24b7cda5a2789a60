using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>Random bits and a copy of them in which each is wrong with the same probability: what a benchmark or a table of figures is measured on, and never key.</summary>
/// <param name="Alice">The bits, packed from the least significant bit upwards.</param>
/// <param name="Bob">The copy.</param>
/// <param name="Count">Number of bits.</param>
/// <param name="Errors">How many of the copy's are wrong.</param>
public sealed record NoisyBits(ulong[] Alice, ulong[] Bob, int Count, int Errors)
{
    /// <summary>Draws bits and errors.</summary>
    /// <param name="random">Decides both.</param>
    /// <param name="errorRate">Probability of each bit to be wrong, 0 to 1, 1 left out.</param>
    /// <param name="count">Number of bits.</param>
    public static NoisyBits Draw(Random random, double errorRate, int count)
    {
        ArgumentNullException.ThrowIfNull(random);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegative(errorRate);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(errorRate, 1);
        var alice = new ulong[BitString.WordCount(count)];
        random.NextBytes(MemoryMarshal.AsBytes(alice.AsSpan()));
        if ((count & 63) != 0)
        {
            alice[^1] &= (1UL << count) - 1;
        }

        var bob = (ulong[])alice.Clone();
        var errors = 0;

        // From error to error: the gaps between them are geometric.
        for (var place = Gap(); place < count; place += 1 + Gap())
        {
            bob[place >> 6] ^= 1UL << (int)place;
            errors++;
        }

        return new(alice, bob, count, errors);

        long Gap() => errorRate == 0 ? count : (long)Math.Min(count, Math.Log(1 - random.NextDouble()) / Math.Log(1 - errorRate));
    }
}
