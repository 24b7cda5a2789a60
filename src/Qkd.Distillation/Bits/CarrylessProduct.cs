using System.Buffers.Binary;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Aes = System.Runtime.Intrinsics.Arm.Aes;

namespace Qkd.Distillation;

/// <summary>Products of polynomials over GF(2), 64 coefficients each. Constant in time on every path.</summary>
internal static class CarrylessProduct
{
    private const ulong EveryFourth = 0x1111_1111_1111_1111;

    /// <summary>The 127 coefficients of a · b.</summary>
    public static (ulong Low, ulong High) Multiply(ulong a, ulong b)
    {
        if (Pclmulqdq.IsSupported)
        {
            var product = Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(a), Vector128.CreateScalar(b), 0);
            return (product.GetElement(0), product.GetElement(1));
        }

        if (Aes.IsSupported)
        {
            var product = Aes.PolynomialMultiplyWideningLower(Vector64.Create(a), Vector64.Create(b));
            return (product.GetElement(0), product.GetElement(1));
        }

        return MultiplyPlain(a, b);
    }

    /// <summary>The same with integer multiplications alone.</summary>
    /// <remarks>
    /// After T. Pornin's constant-time multiplication in BearSSL (ghash_ctmul64): with three zeros between the bits, sums of up to 15
    /// products cannot carry into the next bit; the upper half is the lower half of the bit-reversed product.
    /// </remarks>
    public static (ulong Low, ulong High) MultiplyPlain(ulong a, ulong b) =>
        (LowHalf(a, b), Reverse(LowHalf(Reverse(a), Reverse(b))) >> 1);

    private static ulong LowHalf(ulong x, ulong y)
    {
        ulong x0 = x & EveryFourth, x1 = x & EveryFourth << 1, x2 = x & EveryFourth << 2, x3 = x & EveryFourth << 3;
        ulong y0 = y & EveryFourth, y1 = y & EveryFourth << 1, y2 = y & EveryFourth << 2, y3 = y & EveryFourth << 3;
        var z0 = (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1);
        var z1 = (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2);
        var z2 = (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3);
        var z3 = (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0);
        return (z0 & EveryFourth) | (z1 & EveryFourth << 1) | (z2 & EveryFourth << 2) | (z3 & EveryFourth << 3);
    }

    private static ulong Reverse(ulong x)
    {
        x = (x >> 1 & 0x5555_5555_5555_5555) | (x & 0x5555_5555_5555_5555) << 1;
        x = (x >> 2 & 0x3333_3333_3333_3333) | (x & 0x3333_3333_3333_3333) << 2;
        x = (x >> 4 & 0x0F0F_0F0F_0F0F_0F0F) | (x & 0x0F0F_0F0F_0F0F_0F0F) << 4;
        return BinaryPrimitives.ReverseEndianness(x);
    }
}
