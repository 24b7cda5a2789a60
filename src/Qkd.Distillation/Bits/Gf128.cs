using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// An element of GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1). Bit i of the 128-bit little-endian number is the coefficient of x^i.
/// </summary>
internal readonly record struct Gf128(ulong Low, ulong High)
{
    /// <summary>x^7 + x^2 + x + 1, which x^128 equals.</summary>
    public const ulong Modulus = 0x87;

    public static Gf128 operator ^(Gf128 a, Gf128 b) => new(a.Low ^ b.Low, a.High ^ b.High);

    public static Gf128 Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Low);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], High);
    }

    /// <summary>The product in the field.</summary>
    public static Gf128 Multiply(Gf128 a, Gf128 b) => Pclmulqdq.IsSupported ? MultiplyWide(a, b) : MultiplyWords(a, b);

    /// <summary>The same, with words alone.</summary>
    internal static Gf128 MultiplyWords(Gf128 a, Gf128 b)
    {
        var (l0, l1) = CarrylessProduct.Multiply(a.Low, b.Low);
        var (h0, h1) = CarrylessProduct.Multiply(a.High, b.High);
        var (p0, p1) = CarrylessProduct.Multiply(a.Low, b.High);
        var (q0, q1) = CarrylessProduct.Multiply(a.High, b.Low);
        return Reduce(l0, l1 ^ p0 ^ q0, h0 ^ p1 ^ q1, h1);
    }

    /// <summary>Reduces a polynomial of 256 coefficients.</summary>
    public static Gf128 Reduce(ulong w0, ulong w1, ulong w2, ulong w3)
    {
        // x^128 is 1 + x + x^2 + x^7: what is shifted out of the top word comes back at the bottom, at most seven bits.
        w2 ^= (w3 >> 63) ^ (w3 >> 62) ^ (w3 >> 57);
        return new(
            w0 ^ w2 ^ (w2 << 1) ^ (w2 << 2) ^ (w2 << 7),
            w1 ^ w3 ^ (w3 << 1 | w2 >> 63) ^ (w3 << 2 | w2 >> 62) ^ (w3 << 7 | w2 >> 57));
    }

    /// <summary>Reduces low + middle x^64 + high x^128 with two products, where these are instructions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ulong> Reduce(Vector128<ulong> low, Vector128<ulong> middle, Vector128<ulong> high)
    {
        var modulus = Vector128.CreateScalar(Modulus);
        low ^= Sse2.ShiftLeftLogical128BitLane(middle, 8);
        high ^= Sse2.ShiftRightLogical128BitLane(middle, 8);
        var top = Pclmulqdq.CarrylessMultiply(high, modulus, 0x01);
        low ^= Sse2.ShiftLeftLogical128BitLane(top, 8);
        high ^= Sse2.ShiftRightLogical128BitLane(top, 8);
        return low ^ Pclmulqdq.CarrylessMultiply(high, modulus, 0x00);
    }

    /// <summary>The product of two elements in vectors, low word first, where products are instructions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ulong> Multiply(Vector128<ulong> a, Vector128<ulong> b) => Reduce(
        Pclmulqdq.CarrylessMultiply(a, b, 0x00),
        Pclmulqdq.CarrylessMultiply(a, b, 0x01) ^ Pclmulqdq.CarrylessMultiply(a, b, 0x10),
        Pclmulqdq.CarrylessMultiply(a, b, 0x11));

    private static Gf128 MultiplyWide(Gf128 a, Gf128 b)
    {
        var product = Multiply(Vector128.Create(a.Low, a.High), Vector128.Create(b.Low, b.High));
        return new(product.GetElement(0), product.GetElement(1));
    }

    /// <inheritdoc/>
    public override string ToString() => nameof(Gf128);
}
