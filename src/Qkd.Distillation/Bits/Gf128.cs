using System.Buffers.Binary;

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

    public static Gf128 Multiply(Gf128 a, Gf128 b)
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
        var (a0, a1) = CarrylessProduct.Multiply(w2, Modulus);
        var (b0, b1) = CarrylessProduct.Multiply(w3, Modulus);
        var (c0, _) = CarrylessProduct.Multiply(b1, Modulus);
        return new(w0 ^ a0 ^ c0, w1 ^ a1 ^ b0);
    }

    /// <inheritdoc/>
    public override string ToString() => nameof(Gf128);
}
