using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>
/// A Cantor basis of GF(2^64): v_0 = 1, v_i² + v_i = v_(i-1). With s_0(x) = x and s_(k+1) = s_k² + s_k, s_k vanishes on
/// W_k = span(v_0 .. v_(k-1)), has coefficients in GF(2), and s_k(v_i) = v_(i-k) (D. Cantor, J. Combin. Theory A 50 (1989)).
/// </summary>
internal static class CantorBasis
{
    /// <summary>Binary logarithm of the largest transform that the tables below serve.</summary>
    public const int LargestTransform = 20;

    private static readonly ulong[] Vectors = MakeVectors();
    private static readonly Vector256<ulong>[] LowSums = MakeSums(0);
    private static readonly Vector256<ulong>[] HighSums = MakeSums(8);

    /// <summary>v_index.</summary>
    public static ulong Vector(int index) => Vectors[index];

    /// <summary>Sum of the v_(j+1) over the bits j of a number.</summary>
    public static ulong Sum(uint bits)
    {
        ulong sum = 0;
        for (var j = 0; j < 32; j++)
        {
            sum ^= Vectors[j + 1] & (0 - (ulong)(bits >> j & 1));
        }

        return sum;
    }

    /// <summary>Sums of b, 2 b, 4 b and 8 b, b below 2^16, for the four last layers of a transform.</summary>
    public static Vector256<ulong> FourSums(int b) => LowSums[b & 255] ^ HighSums[b >> 8];

    private static ulong[] MakeVectors()
    {
        // s_1 is nilpotent with a kernel of one dimension, so going down from any element of trace 1 ends at v_0 = 1.
        var vectors = new ulong[64];
        for (var i = 0; i < 64; i++)
        {
            vectors[63] = 1UL << i;
            for (var k = 63; k > 0; k--)
            {
                vectors[k - 1] = BinaryField64.Multiply(vectors[k], vectors[k]) ^ vectors[k];
            }

            if (vectors[0] == 1)
            {
                return vectors;
            }
        }

        throw new InvalidOperationException("Every field has an element of trace 1.");
    }

    private static Vector256<ulong>[] MakeSums(int shift)
    {
        var sums = new Vector256<ulong>[256];
        for (var i = 0u; i < 256; i++)
        {
            var b = i << shift;
            sums[i] = Vector256.Create(Sum(b), Sum(b << 1), Sum(b << 2), Sum(b << 3));
        }

        return sums;
    }
}
