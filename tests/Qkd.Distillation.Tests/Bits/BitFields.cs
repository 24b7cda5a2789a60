namespace Qkd.Distillation.Tests.Bits;

/// <summary>Polynomials over GF(2), one coefficient at a time.</summary>
internal static class BitFields
{
    /// <summary>The product of two polynomials of 64 coefficients.</summary>
    public static (ulong Low, ulong High) Multiply(ulong a, ulong b)
    {
        ulong low = 0, high = 0;
        for (var i = 0; i < 64; i++)
        {
            if ((b >> i & 1) != 0)
            {
                low ^= a << i;
                high ^= i == 0 ? 0 : a >> (64 - i);
            }
        }

        return (low, high);
    }

    /// <summary>The product in GF(2)[x] / (x^128 + x^7 + x^2 + x + 1), by doubling and adding.</summary>
    public static UInt128 MultiplyInField(UInt128 a, UInt128 b)
    {
        UInt128 product = 0;
        for (var i = 127; i >= 0; i--)
        {
            product = product << 1 ^ (product >> 127 != 0 ? 0x87u : 0u);
            if ((b >> i & 1) != 0)
            {
                product ^= a;
            }
        }

        return product;
    }

    /// <summary>m1 H^n + .. + mn H for blocks of 16 little-endian bytes, each message part filled up with zeros, the length last.</summary>
    public static UInt128 Hash(UInt128 key, ReadOnlySpan<byte> message)
    {
        UInt128 value = 0;
        for (var start = 0; start < message.Length; start += 16)
        {
            UInt128 block = 0;
            for (var i = start; i < Math.Min(start + 16, message.Length); i++)
            {
                block |= (UInt128)message[i] << (8 * (i - start));
            }

            value = MultiplyInField(value ^ block, key);
        }

        return MultiplyInField(value ^ (uint)message.Length, key);
    }

    public static UInt128 Number(Gf128 element) => new(element.High, element.Low);

    public static UInt128 Number(ReadOnlySpan<byte> bytes) => Number(Gf128.Read(bytes));

    public static Gf128 Element(UInt128 number) => new((ulong)number, (ulong)(number >> 64));
}
