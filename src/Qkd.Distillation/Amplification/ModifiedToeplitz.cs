using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// Privacy amplification by a modified Toeplitz matrix (I | T'): key = x_top ⊕ T' x_bottom, x_top the first l of the n bits, x_bottom the
/// other m = n - l, and T'[i, j] = seed[i - j + m - 1] for i below l and j below m, so that the seed has n - 1 bits. As polynomials over
/// GF(2), T' x_bottom are the coefficients m - 1 to n - 2 of seed · x_bottom.
/// </summary>
/// <remarks>
/// Word by word, only the coefficients that are wanted: l m / 4096 carry-less products, 14 ms at n = 10^6 and l = n / 3 with 256-bit
/// carry-less multiplication. Time and memory access depend on the lengths alone.
/// </remarks>
internal static class ModifiedToeplitz
{
    private const int WordsAtOnce = 8;

    /// <summary>Hashes <paramref name="bits"/> to <paramref name="length"/> bits, at most as many as there are.</summary>
    public static BitString Hash(BitString bits, ReadOnlySpan<ulong> seed, int length) => Hash(bits, seed, length, Pclmulqdq.V256.IsSupported);

    /// <summary>The same, on a path that the caller chooses.</summary>
    internal static BitString Hash(BitString bits, ReadOnlySpan<ulong> seed, int length, bool wide)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, bits.Length);
        var key = new BitString(length);
        if (length == 0)
        {
            return key;
        }

        Copy(bits.Words, 0, key.Words, length);
        var bottomBits = bits.Length - length;
        if (bottomBits == 0)
        {
            return key;
        }

        using var bottom = new BitString(bottomBits);
        Copy(bits.Words, length, bottom.Words, bottomBits);

        // Coefficients of the product from word `first` on; one word earlier for the upper half of its last product.
        var first = (bottomBits - 1) >> 6;
        var shift = (bottomBits - 1) & 63;
        var count = (key.Words.Length + 2 + WordsAtOnce - 1) / WordsAtOnce * WordsAtOnce;
        var halves = GC.AllocateArray<ulong>(2 * count, pinned: true);

        // The seed between zeros, so that every product may be taken without asking whether it is there. It is public.
        var before = bottom.Words.Length;
        var padded = new ulong[before + Math.Max(seed.Length, first + count) + WordsAtOnce];
        seed.CopyTo(padded.AsSpan(before));
        for (var i = 0; i < count; i += WordsAtOnce)
        {
            var at = before + first - 1 + i;
            if (wide)
            {
                Products(padded, at, bottom.Words, halves.AsSpan(2 * i, 2 * WordsAtOnce));
            }
            else
            {
                ProductsPlain(padded, at, bottom.Words, halves.AsSpan(2 * i, 2 * WordsAtOnce));
            }
        }

        var words = key.Words;
        for (var i = 0; i < words.Length; i++)
        {
            var low = halves[2 * (i + 1)] ^ halves[(2 * i) + 1];
            var high = halves[2 * (i + 2)] ^ halves[(2 * (i + 1)) + 1];
            words[i] ^= shift == 0 ? low : low >> shift | high << (64 - shift);
        }

        if ((length & 63) != 0)
        {
            words[^1] &= (1UL << length) - 1;
        }

        BitString.Erase(halves);
        return key;
    }

    /// <summary>Eight sums of products, of the words before place at + k of the seed with those of the bits, low and high half of each.</summary>
    private static void Products(ulong[] seed, int at, ReadOnlySpan<ulong> bits, Span<ulong> halves)
    {
        // A 256-bit multiplication takes words 0 and 2, or 1 and 3, of four.
        var (a, b, c, d) = (Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero);
        ref var end = ref seed[at];
        for (var i = 0; i < bits.Length; i++)
        {
            var factor = Vector256.Create(bits[i]);
            ref var start = ref Unsafe.Subtract(ref end, i);
            var lower = Vector256.LoadUnsafe(ref start);
            var upper = Vector256.LoadUnsafe(ref start, 4);
            a ^= Pclmulqdq.V256.CarrylessMultiply(lower, factor, 0x00);
            b ^= Pclmulqdq.V256.CarrylessMultiply(lower, factor, 0x01);
            c ^= Pclmulqdq.V256.CarrylessMultiply(upper, factor, 0x00);
            d ^= Pclmulqdq.V256.CarrylessMultiply(upper, factor, 0x01);
        }

        a.GetLower().CopyTo(halves);
        b.GetLower().CopyTo(halves[2..]);
        a.GetUpper().CopyTo(halves[4..]);
        b.GetUpper().CopyTo(halves[6..]);
        c.GetLower().CopyTo(halves[8..]);
        d.GetLower().CopyTo(halves[10..]);
        c.GetUpper().CopyTo(halves[12..]);
        d.GetUpper().CopyTo(halves[14..]);
    }

    private static void ProductsPlain(ulong[] seed, int at, ReadOnlySpan<ulong> bits, Span<ulong> halves)
    {
        halves.Clear();
        for (var i = 0; i < bits.Length; i++)
        {
            for (var k = 0; k < WordsAtOnce; k++)
            {
                var (low, high) = CarrylessProduct.Multiply(seed[at - i + k], bits[i]);
                halves[2 * k] ^= low;
                halves[(2 * k) + 1] ^= high;
            }
        }
    }

    private static void Copy(ReadOnlySpan<ulong> source, int from, Span<ulong> target, int count)
    {
        var (word, shift) = (from >> 6, from & 63);
        for (var i = 0; i < target.Length; i++)
        {
            target[i] = source[word + i] >> shift;
            if (shift != 0 && word + i + 1 < source.Length)
            {
                target[i] |= source[word + i + 1] << (64 - shift);
            }
        }

        if ((count & 63) != 0)
        {
            target[^1] &= (1UL << count) - 1;
        }
    }
}
