using System.Numerics;
using System.Runtime.InteropServices;

namespace Qkd.Distillation.Tests.Amplification;

/// <summary>The hash from its definition, one bit at a time, and bits to hash.</summary>
internal static class ToeplitzDefinition
{
    /// <summary>Bit i of the key: x_i plus the sum over j of seed[i - j + m - 1] x_(l + j).</summary>
    public static int Bit(ReadOnlySpan<ulong> bits, int n, ReadOnlySpan<ulong> seed, int length, int i)
    {
        var m = n - length;
        var sum = At(bits, i);
        for (var j = 0; j < m; j++)
        {
            sum ^= At(seed, i - j + m - 1) & At(bits, length + j);
        }

        return sum;
    }

    public static string Text(ReadOnlySpan<ulong> bits, int n, ReadOnlySpan<ulong> seed, int length)
    {
        var key = new char[length];
        for (var i = 0; i < length; i++)
        {
            key[i] = (char)('0' + Bit(bits, n, seed, length, i));
        }

        return new(key);
    }

    /// <summary>
    /// The same bit for long blocks: the parity of the AND of the bits with a window of the seed, the bits put in reversed order so that
    /// both run upwards. <paramref name="reversed"/> holds bit n - 1 - k of the block in place k.
    /// </summary>
    public static int BitByParity(ReadOnlySpan<ulong> bits, ReadOnlySpan<ulong> reversed, int m, ReadOnlySpan<ulong> seed, int i)
    {
        // j = m - 1 - k: seed[i + k] meets x_(l + m - 1 - k) = x_(n - 1 - k).
        ulong parity = 0;
        for (var word = 0; 64 * (long)word < m; word++)
        {
            var place = (i >> 6) + word;
            var window = seed[place] >> i;
            if ((i & 63) != 0 && place + 1 < seed.Length)
            {
                window |= seed[place + 1] << (64 - (i & 63));
            }

            var left = m - (64 * (long)word);
            parity ^= window & reversed[word] & (left < 64 ? (1UL << (int)left) - 1 : ulong.MaxValue);
        }

        return (BitOperations.PopCount(parity) & 1) ^ At(bits, i);
    }

    public static ulong[] Reversed(ReadOnlySpan<ulong> bits, int n)
    {
        var reversed = new ulong[(n + 63) / 64];
        for (var i = 0; i < n; i++)
        {
            reversed[(n - 1 - i) >> 6] |= (ulong)At(bits, i) << (n - 1 - i);
        }

        return reversed;
    }

    public static int At(ReadOnlySpan<ulong> bits, int index) => (int)(bits[index >> 6] >> index & 1);

    public static string Text(ReadOnlySpan<ulong> bits, int length)
    {
        var text = new char[length];
        for (var i = 0; i < length; i++)
        {
            text[i] = (char)('0' + At(bits, i));
        }

        return new(text);
    }

    public static ulong[] RandomBits(Random random, int length)
    {
        var bits = new ulong[(length + 63) / 64];
        random.NextBytes(MemoryMarshal.AsBytes(bits.AsSpan()));
        if ((length & 63) != 0)
        {
            bits[^1] &= (1UL << length) - 1;
        }

        return bits;
    }
}
