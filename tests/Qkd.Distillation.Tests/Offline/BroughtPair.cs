using System.Runtime.InteropServices;

namespace Qkd.Distillation.Tests.Offline;

/// <summary>Random bits of two ends that somebody might bring.</summary>
internal sealed record BroughtPair(ulong[] Alice, ulong[] Bob, int Count, int Errors)
{
    private static readonly DeclaredModel Declared = new(DeclaredSource.SinglePhotons, 1e-10, 1e-15);

    public static BroughtPair Random(int seed, int count, double errorRate)
    {
        var random = new Random(seed);
        var alice = new ulong[BitString.WordCount(count)];
        random.NextBytes(MemoryMarshal.AsBytes(alice.AsSpan()));
        if ((count & 63) != 0)
        {
            alice[^1] &= (1UL << count) - 1;
        }

        var bob = (ulong[])alice.Clone();
        var errors = 0;
        for (var i = 0; i < count; i++)
        {
            if (random.NextDouble() < errorRate)
            {
                bob[i >> 6] ^= 1UL << i;
                errors++;
            }
        }

        return new(alice, bob, count, errors);
    }

    /// <summary>As bits of a single-photon source, with a test sample of a tenth of their number.</summary>
    public (SiftedBlock Alice, SiftedBlock Bob) SinglePhotons(double errorRate = double.NaN)
    {
        var test = Count / 10;
        var testErrors = (long)(test * (double.IsNaN(errorRate) ? (double)Errors / Count : errorRate));
        return (BroughtBits.OfSinglePhotons(Alice, Count, test, testErrors, Declared), BroughtBits.OfSinglePhotons(Bob, Count, test, testErrors, Declared));
    }
}
