using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>
/// Polynomials over GF(2), between the powers of x and the basis X_i = product of the s_k(x) over the bits k of i (S.-J. Lin,
/// W.-H. Chung and Y. S. Han, FOCS 2014). Because s_(k+e)(x) = s_k(s_e(x)), and s_e(x) = x^(2^e) + x when e is a power of two, it is
/// done by expanding in powers of such an s_e, and then in both halves of the index. Nothing but sums of shifted words.
/// </summary>
internal static class CantorConversion
{
    /// <summary>Binary logarithm of the smallest length in bits.</summary>
    public const int Smallest = 9;

    // Longer polynomials are taken apart before their parts, of 8 KiB, are looked at one by one.
    private const int PartLogarithm = 16;

    /// <summary>From powers of x, 2^<paramref name="logarithm"/> of them, in place.</summary>
    public static void FromPowers(Span<ulong> words, int logarithm)
    {
        if (logarithm > PartLogarithm)
        {
            Expand(words, 0, PartLogarithm, logarithm - PartLogarithm);
            ExpandFully(words, PartLogarithm, logarithm - PartLogarithm);
        }

        var inner = Math.Min(logarithm, PartLogarithm);
        for (var at = 0; at < words.Length; at += 1 << (inner - 6))
        {
            var part = words.Slice(at, 1 << (inner - 6));
            Expand(part, 0, 8, inner - 8);
            ExpandFully(part, 8, inner - 8);
            var vectors = MemoryMarshal.Cast<ulong, Vector256<ulong>>(part);
            for (var i = 0; i < vectors.Length; i++)
            {
                vectors[i] = ExpandVector(vectors[i]);
            }
        }
    }

    /// <summary>Back to powers of x.</summary>
    public static void ToPowers(Span<ulong> words, int logarithm)
    {
        var inner = Math.Min(logarithm, PartLogarithm);
        for (var at = 0; at < words.Length; at += 1 << (inner - 6))
        {
            var part = words.Slice(at, 1 << (inner - 6));
            var vectors = MemoryMarshal.Cast<ulong, Vector256<ulong>>(part);
            for (var i = 0; i < vectors.Length; i++)
            {
                vectors[i] = GatherVector(vectors[i]);
            }

            GatherFully(part, 8, inner - 8);
            Gather(part, 0, 8, inner - 8);
        }

        if (logarithm > PartLogarithm)
        {
            GatherFully(words, PartLogarithm, logarithm - PartLogarithm);
            Gather(words, 0, PartLogarithm, logarithm - PartLogarithm);
        }
    }

    // Index bits from `from` on, `count` of them: the variable is the power of x^(2^from).
    private static void ExpandFully(Span<ulong> words, int from, int count)
    {
        if (count > 1)
        {
            var e = LargestPowerOfTwoBelow(count);
            Expand(words, from, e, count - e);
            ExpandFully(words, from + e, count - e);
            ExpandFully(words, from, e);
        }
    }

    private static void GatherFully(Span<ulong> words, int from, int count)
    {
        if (count > 1)
        {
            var e = LargestPowerOfTwoBelow(count);
            GatherFully(words, from, e);
            GatherFully(words, from + e, count - e);
            Gather(words, from, e, count - e);
        }
    }

    private static int LargestPowerOfTwoBelow(int count)
    {
        var e = 1;
        while (2 * e < count)
        {
            e *= 2;
        }

        return e;
    }

    /// <summary>Expands in powers of y^(2^e) + y, y = x^(2^from): 2^levels of them.</summary>
    private static void Expand(Span<ulong> words, int from, int e, int levels)
    {
        for (var r = levels - 1; r >= 0; r--)
        {
            var half = 1 << (e + r + from - 6);
            for (var at = 0; at < words.Length; at += 2 * half)
            {
                Divide(words.Slice(at, 2 * half), half, 1 << (r + from));
            }
        }
    }

    private static void Gather(Span<ulong> words, int from, int e, int levels)
    {
        for (var r = 0; r < levels; r++)
        {
            var half = 1 << (e + r + from - 6);
            for (var at = 0; at < words.Length; at += 2 * half)
            {
                Multiply(words.Slice(at, 2 * half), half, 1 << (r + from));
            }
        }
    }

    /// <summary>Quotient (upper half) and remainder (lower half) modulo x^(half, in words) + x^shift.</summary>
    private static void Divide(Span<ulong> words, int half, int shift)
    {
        if (shift < 64)
        {
            words[half] ^= words[^1] >> (64 - shift);
        }
        else
        {
            AddTo(words.Slice(half, shift >> 6), words[^(shift >> 6)..]);
        }

        AddShifted(words, half, shift);
    }

    private static void Multiply(Span<ulong> words, int half, int shift)
    {
        AddShifted(words, half, shift);
        if (shift < 64)
        {
            words[half] ^= words[^1] >> (64 - shift);
        }
        else
        {
            AddTo(words.Slice(half, shift >> 6), words[^(shift >> 6)..]);
        }
    }

    /// <summary>Adds the upper half, moved up by <paramref name="shift"/> bits and cut off, to the lower one.</summary>
    private static void AddShifted(Span<ulong> words, int half, int shift)
    {
        if (shift >= 64)
        {
            AddTo(words[(shift >> 6)..half], words.Slice(half, half - (shift >> 6)));
            return;
        }

        ref var lower = ref MemoryMarshal.GetReference(words);
        ref var upper = ref Unsafe.Add(ref lower, half);
        ref var before = ref Unsafe.Subtract(ref upper, 1);

        // The word before the upper half is not part of it.
        var carried = Vector256.LoadUnsafe(ref before) & Vector256.Create(0, ulong.MaxValue, ulong.MaxValue, ulong.MaxValue);
        (Vector256.LoadUnsafe(ref lower) ^ Vector256.LoadUnsafe(ref upper) << shift ^ carried >> (64 - shift)).StoreUnsafe(ref lower);
        for (nuint i = 4; i < (nuint)half; i += 4)
        {
            carried = Vector256.LoadUnsafe(ref before, i);
            (Vector256.LoadUnsafe(ref lower, i) ^ Vector256.LoadUnsafe(ref upper, i) << shift ^ carried >> (64 - shift)).StoreUnsafe(ref lower, i);
        }
    }

    private static void AddTo(Span<ulong> target, ReadOnlySpan<ulong> source)
    {
        ref var to = ref MemoryMarshal.GetReference(target);
        ref var from = ref MemoryMarshal.GetReference(source[..target.Length]);
        nuint i = 0;
        for (; i + 4 <= (nuint)target.Length; i += 4)
        {
            (Vector256.LoadUnsafe(ref to, i) ^ Vector256.LoadUnsafe(ref from, i)).StoreUnsafe(ref to, i);
        }

        for (; i < (nuint)target.Length; i++)
        {
            Unsafe.Add(ref to, i) ^= Unsafe.Add(ref from, i);
        }
    }

    /// <summary>256 coefficients: by x^16 + x, then both halves of the index, by y^4 + y and y^2 + y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> ExpandVector(Vector256<ulong> x)
    {
        x = DivideBy128(x, 8);
        x = DivideBy64(x, 4);
        x = DivideWithin(x, 30, 0x0000_0003_0000_0000, 0x0000_0000_FFFF_FFFC);
        x = DivideWithin(x, 15, 0x0001_0000_0001_0000, 0x0000_FFFE_0000_FFFE);

        x = DivideBy128(x, 32);
        x = DivideBy64(x, 16);
        x ^= Vector256.Shuffle(x, Vector256.Create(0UL, 0, 3, 0)) & Vector256.Create(0, 0, ulong.MaxValue, 0);
        x ^= Vector256.Shuffle(x, Vector256.Create(0UL, 2, 0, 0)) & Vector256.Create(0, ulong.MaxValue, 0, 0);
        x = DivideWithin(x, 16, 0x0000_FFFF_0000_0000, 0x0000_0000_FFFF_0000);

        x = DivideWithin(x, 6, 0x0300_0300_0300_0300, 0x00FC_00FC_00FC_00FC);
        x = DivideWithin(x, 3, 0x1010_1010_1010_1010, 0x0E0E_0E0E_0E0E_0E0E);
        x = DivideWithin(x, 4, 0x0F00_0F00_0F00_0F00, 0x00F0_00F0_00F0_00F0);
        return DivideWithin(x, 1, 0x4444_4444_4444_4444, 0x2222_2222_2222_2222);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> GatherVector(Vector256<ulong> x)
    {
        x = DivideWithin(x, 1, 0x2222_2222_2222_2222, 0x4444_4444_4444_4444);
        x = DivideWithin(x, 4, 0x00F0_00F0_00F0_00F0, 0x0F00_0F00_0F00_0F00);
        x = DivideWithin(x, 3, 0x0E0E_0E0E_0E0E_0E0E, 0x1010_1010_1010_1010);
        x = DivideWithin(x, 6, 0x00FC_00FC_00FC_00FC, 0x0300_0300_0300_0300);

        x = DivideWithin(x, 16, 0x0000_0000_FFFF_0000, 0x0000_FFFF_0000_0000);
        x ^= Vector256.Shuffle(x, Vector256.Create(0UL, 2, 0, 0)) & Vector256.Create(0, ulong.MaxValue, 0, 0);
        x ^= Vector256.Shuffle(x, Vector256.Create(0UL, 0, 3, 0)) & Vector256.Create(0, 0, ulong.MaxValue, 0);
        x = MultiplyBy64(x, 16);
        x = MultiplyBy128(x, 32);

        x = DivideWithin(x, 15, 0x0000_FFFE_0000_FFFE, 0x0001_0000_0001_0000);
        x = DivideWithin(x, 30, 0x0000_0000_FFFF_FFFC, 0x0000_0003_0000_0000);
        x = MultiplyBy64(x, 4);
        return MultiplyBy128(x, 8);
    }

    /// <summary>Division inside words; with the masks exchanged, its inverse.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> DivideWithin(Vector256<ulong> x, int distance, ulong first, ulong second)
    {
        x ^= x >> distance & Vector256.Create(first);
        return x ^ (x >> distance & Vector256.Create(second));
    }

    /// <summary>By x^64 + x^shift in each half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> DivideBy64(Vector256<ulong> x, int shift) => AddOdd(CarryOdd(x, shift), shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> MultiplyBy64(Vector256<ulong> x, int shift) => CarryOdd(AddOdd(x, shift), shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> CarryOdd(Vector256<ulong> x, int shift) =>
        x ^ (x >> (64 - shift) & Vector256.Create(0, ulong.MaxValue, 0, ulong.MaxValue));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> AddOdd(Vector256<ulong> x, int shift) =>
        x ^ (Vector256.Shuffle(x, Vector256.Create(1UL, 0, 3, 2)) << shift & Vector256.Create(ulong.MaxValue, 0, ulong.MaxValue, 0));

    /// <summary>By x^128 + x^shift.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> DivideBy128(Vector256<ulong> x, int shift) => AddUpper(CarryUpper(x, shift), shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> MultiplyBy128(Vector256<ulong> x, int shift) => CarryUpper(AddUpper(x, shift), shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> CarryUpper(Vector256<ulong> x, int shift) =>
        x ^ (Vector256.Shuffle(x, Vector256.Create(0UL, 0, 3, 0)) >> (64 - shift) & Vector256.Create(0, 0, ulong.MaxValue, 0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> AddUpper(Vector256<ulong> x, int shift) =>
        x ^ (Vector256.Shuffle(x, Vector256.Create(2UL, 3, 2, 3)) << shift & Vector256.Create(ulong.MaxValue, ulong.MaxValue, 0, 0))
        ^ (Vector256.Shuffle(x, Vector256.Create(0UL, 2, 0, 0)) >> (64 - shift) & Vector256.Create(0, ulong.MaxValue, 0, 0));
}
