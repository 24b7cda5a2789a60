using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// The product of seed and bits word by word, only the coefficients that are wanted: l m / 4096 carry-less products, m = n - l. The
/// choice for short blocks, and the plain twin of the transforms. Time and memory access depend on the lengths alone.
/// </summary>
internal static class WordwiseToeplitz
{
    private const int WordsAtOnce = 8;

    /// <summary>Adds T' x_bottom to a key of <paramref name="length"/> bits that holds x_top. May set bits beyond the key's end.</summary>
    public static void AddProduct(ReadOnlySpan<ulong> bits, int bitCount, ReadOnlySpan<ulong> seed, Span<ulong> key, int length, bool wide)
    {
        var bottomBits = bitCount - length;
        using var bottom = new BitString(bottomBits);
        BitRange.Copy(bits, length, bottom.Words);

        // Coefficients of the product from word `first` on; one word earlier for the upper half of its last product.
        var first = (bottomBits - 1) >> 6;
        var shift = (bottomBits - 1) & 63;
        var count = (key.Length + 2 + WordsAtOnce - 1) / WordsAtOnce * WordsAtOnce;
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

        for (var i = 0; i < key.Length; i++)
        {
            var low = halves[2 * (i + 1)] ^ halves[(2 * i) + 1];
            var high = halves[2 * (i + 2)] ^ halves[(2 * (i + 1)) + 1];
            key[i] ^= shift == 0 ? low : low >> shift | high << (64 - shift);
        }

        BitString.Erase(halves);
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
}
