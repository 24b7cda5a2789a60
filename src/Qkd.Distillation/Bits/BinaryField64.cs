using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// GF(2^64) = GF(2)[x] / (x^64 + x^4 + x^3 + x + 1), four elements at a time; bit i of a word is the coefficient of x^i. One
/// implementation for each kind of processor, chosen as a type argument so that the loops around it are compiled for it.
/// </summary>
internal interface IBinaryField64
{
    /// <summary>Products before reduction, low and high word of each: of elements 0 and 2, and of elements 1 and 3.</summary>
    static abstract (Vector256<ulong> Even, Vector256<ulong> Odd) Products(Vector256<ulong> a, Vector256<ulong> b);

    /// <summary>Brings products, or sums of products, back to elements.</summary>
    static abstract Vector256<ulong> Reduce(Vector256<ulong> even, Vector256<ulong> odd);

    /// <summary>a · b.</summary>
    static abstract Vector256<ulong> Multiply(Vector256<ulong> a, Vector256<ulong> b);
}

/// <summary>With 256-bit carry-less multiplication.</summary>
internal readonly struct WideField64 : IBinaryField64
{
    public static bool IsSupported => Pclmulqdq.V256.IsSupported && Avx2.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<ulong> Even, Vector256<ulong> Odd) Products(Vector256<ulong> a, Vector256<ulong> b) =>
        (Pclmulqdq.V256.CarrylessMultiply(a, b, 0x00), Pclmulqdq.V256.CarrylessMultiply(a, b, 0x11));

    /// <remarks>
    /// The upper word h is worth h (x + 1)(x^3 + 1); what that carries beyond x^63 depends on the four highest bits of h alone and is
    /// taken from a table that stays in a register.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Reduce(Vector256<ulong> even, Vector256<ulong> odd)
    {
        var low = Avx2.UnpackLow(even, odd);
        var high = Avx2.UnpackHigh(even, odd);
        var once = high ^ high << 1;
        var carried = Avx2.Shuffle(BinaryField64.CarryTable, (high >> 60).AsByte()).AsUInt64();
        return low ^ carried ^ (once ^ once << 3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Multiply(Vector256<ulong> a, Vector256<ulong> b)
    {
        var (even, odd) = Products(a, b);
        return Reduce(even, odd);
    }
}

/// <summary>With 128-bit carry-less multiplication.</summary>
internal readonly struct NarrowField64 : IBinaryField64
{
    public static bool IsSupported => Pclmulqdq.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<ulong> Even, Vector256<ulong> Odd) Products(Vector256<ulong> a, Vector256<ulong> b)
    {
        Vector128<ulong> a0 = a.GetLower(), a1 = a.GetUpper(), b0 = b.GetLower(), b1 = b.GetUpper();
        return (Vector256.Create(Pclmulqdq.CarrylessMultiply(a0, b0, 0x00), Pclmulqdq.CarrylessMultiply(a1, b1, 0x00)),
            Vector256.Create(Pclmulqdq.CarrylessMultiply(a0, b0, 0x11), Pclmulqdq.CarrylessMultiply(a1, b1, 0x11)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Reduce(Vector256<ulong> even, Vector256<ulong> odd) =>
        Vector256.Create(Reduce(even.GetLower(), odd.GetLower()), Reduce(even.GetUpper(), odd.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ulong> Multiply(Vector256<ulong> a, Vector256<ulong> b)
    {
        Vector128<ulong> a0 = a.GetLower(), a1 = a.GetUpper(), b0 = b.GetLower(), b1 = b.GetUpper();
        return Vector256.Create(
            Reduce(Pclmulqdq.CarrylessMultiply(a0, b0, 0x00), Pclmulqdq.CarrylessMultiply(a0, b0, 0x11)),
            Reduce(Pclmulqdq.CarrylessMultiply(a1, b1, 0x00), Pclmulqdq.CarrylessMultiply(a1, b1, 0x11)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Reduce(Vector128<ulong> even, Vector128<ulong> odd)
    {
        var low = Sse2.UnpackLow(even, odd);
        var high = Sse2.UnpackHigh(even, odd);
        var folded = high ^ high >> 60 ^ high >> 61 ^ high >> 63;
        var once = folded ^ folded << 1;
        return low ^ once ^ once << 3;
    }
}

/// <summary>With integer arithmetic alone.</summary>
internal readonly struct PlainField64 : IBinaryField64
{
    public static (Vector256<ulong> Even, Vector256<ulong> Odd) Products(Vector256<ulong> a, Vector256<ulong> b)
    {
        var (low0, high0) = CarrylessProduct.MultiplyPlain(a[0], b[0]);
        var (low1, high1) = CarrylessProduct.MultiplyPlain(a[1], b[1]);
        var (low2, high2) = CarrylessProduct.MultiplyPlain(a[2], b[2]);
        var (low3, high3) = CarrylessProduct.MultiplyPlain(a[3], b[3]);
        return (Vector256.Create(low0, high0, low2, high2), Vector256.Create(low1, high1, low3, high3));
    }

    public static Vector256<ulong> Reduce(Vector256<ulong> even, Vector256<ulong> odd) => Vector256.Create(
        BinaryField64.Reduce(even[0], even[1]),
        BinaryField64.Reduce(odd[0], odd[1]),
        BinaryField64.Reduce(even[2], even[3]),
        BinaryField64.Reduce(odd[2], odd[3]));

    public static Vector256<ulong> Multiply(Vector256<ulong> a, Vector256<ulong> b)
    {
        var (even, odd) = Products(a, b);
        return Reduce(even, odd);
    }
}

/// <summary>The same field, one element at a time, for tables.</summary>
internal static class BinaryField64
{
    /// <summary>x^4 + x^3 + x + 1, which x^64 equals.</summary>
    public const ulong Modulus = 0x1B;

    /// <summary>What h · (x^4 + x^3 + x + 1) carries beyond x^63, reduced, by the four highest bits of h; twice, as a shuffle wants it.</summary>
    public static Vector256<byte> CarryTable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256.Create(
            0x00, 0x1B, 0x2D, 0x36, 0x5A, 0x41, 0x77, 0x6C, 0xAF, 0xB4, 0x82, 0x99, 0xF5, 0xEE, 0xD8, 0xC3,
            0x00, 0x1B, 0x2D, 0x36, 0x5A, 0x41, 0x77, 0x6C, 0xAF, 0xB4, 0x82, 0x99, 0xF5, 0xEE, 0xD8, (byte)0xC3);
    }

    public static ulong Multiply(ulong a, ulong b)
    {
        var (low, high) = CarrylessProduct.MultiplyPlain(a, b);
        return Reduce(low, high);
    }

    public static ulong Reduce(ulong low, ulong high)
    {
        var folded = high ^ high >> 60 ^ high >> 61 ^ high >> 63;
        return low ^ folded ^ folded << 1 ^ folded << 3 ^ folded << 4;
    }
}
