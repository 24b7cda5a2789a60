using System.Numerics;
using System.Runtime.InteropServices;
using Qkd.Devices;

namespace Qkd.Cli.Distilling;

/// <summary>Two ends' bits parted into a random sample, which is compared and thrown away, and the rest.</summary>
internal sealed record TestSample
{
    /// <summary>Alice's bits that were not sampled.</summary>
    public required ulong[] Alice { get; init; }

    /// <summary>Bob's bits that were not sampled.</summary>
    public required ulong[] Bob { get; init; }

    /// <summary>Their number.</summary>
    public required int Count { get; init; }

    /// <summary>Bits of the sample.</summary>
    public required int TestCount { get; init; }

    /// <summary>Errors in the sample.</summary>
    public required int TestErrors { get; init; }

    /// <summary>Draws a sample of a fixed size, every set of positions being as likely as any other.</summary>
    public static TestSample Draw(BitFile alice, BitFile bob, int testCount, ISecretRandomness randomness)
    {
        var count = alice.Count - testCount;
        var (a, b) = (new ulong[(count + 63) / 64], new ulong[(count + 63) / 64]);
        var drawn = new ulong[4096];
        var (left, errors, next) = (testCount, 0, 0);
        for (var i = 0; i < alice.Count; i++)
        {
            if (i % drawn.Length == 0)
            {
                randomness.Fill(MemoryMarshal.AsBytes(drawn.AsSpan()));
            }

            var (x, y) = (alice.Words[i >> 6] >> i & 1, bob.Words[i >> 6] >> i & 1);

            // Selection sampling (D. Knuth, TAOCP 3.4.2, algorithm S): each with the probability (still to take) / (still to come).
            if (Math.BigMul(drawn[i % drawn.Length], (ulong)(alice.Count - i), out _) < (ulong)left)
            {
                left--;
                errors += (int)(x ^ y);
                continue;
            }

            a[next >> 6] |= x << next;
            b[next >> 6] |= y << next;
            next++;
        }

        return new() { Alice = a, Bob = b, Count = count, TestCount = testCount, TestErrors = errors };
    }

    /// <summary>Positions in which the rest differs: both ends are here, and a figure may say so.</summary>
    public long CountErrors() => Alice.Zip(Bob).Sum(pair => (long)BitOperations.PopCount(pair.First ^ pair.Second));
}
