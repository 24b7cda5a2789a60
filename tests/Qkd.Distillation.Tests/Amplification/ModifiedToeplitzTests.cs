using System.Runtime.Intrinsics.X86;
using Shouldly;

namespace Qkd.Distillation.Tests.Amplification;

public sealed class ModifiedToeplitzTests
{
    public static TheoryData<int, int> Sizes => new()
    {
        { 1, 0 }, { 1, 1 }, { 2, 1 }, { 63, 8 }, { 64, 63 }, { 65, 1 }, { 65, 64 }, { 127, 64 }, { 128, 64 }, { 129, 65 }, { 500, 160 },
        { 511, 511 }, { 1000, 328 }, { 1023, 1 }, { 1025, 1024 }, { 4097, 2048 }, { 5000, 1304 }, { 9999, 9992 },
    };

    /// <summary>Both paths against the definition, bit by bit.</summary>
    [Theory]
    [MemberData(nameof(Sizes))]
    public void Equals_the_matrix_product(int n, int length)
    {
        var random = new Random((n * 10_007) + length);
        for (var trial = 0; trial < 3; trial++)
        {
            using var bits = RandomBits(random, n);
            var seed = RandomBits(random, n - 1).Words.ToArray();
            var expected = Plain(bits, seed, length);

            using (var plain = ModifiedToeplitz.Hash(bits, seed, length, wide: false))
            {
                Text(plain).ShouldBe(expected);
            }

            if (Pclmulqdq.V256.IsSupported)
            {
                using var wide = ModifiedToeplitz.Hash(bits, seed, length, wide: true);
                Text(wide).ShouldBe(expected);
            }
        }
    }

    [Fact]
    public void Every_input_bit_counts()
    {
        var random = new Random(5);
        using var bits = RandomBits(random, 777);
        var seed = RandomBits(random, 776).Words.ToArray();
        using var whole = ModifiedToeplitz.Hash(bits, seed, 256);
        for (var i = 0; i < 777; i++)
        {
            bits.Words[i >> 6] ^= 1UL << i;
            using var other = ModifiedToeplitz.Hash(bits, seed, 256);
            Text(other).ShouldNotBe(Text(whole));
            bits.Words[i >> 6] ^= 1UL << i;
        }
    }

    private static string Plain(BitString bits, ulong[] seed, int length)
    {
        var m = bits.Length - length;
        var key = new char[length];
        for (var i = 0; i < length; i++)
        {
            var sum = bits[i];
            for (var j = 0; j < m; j++)
            {
                var k = i - j + m - 1;
                sum ^= (int)(seed[k >> 6] >> k & 1) & bits[length + j];
            }

            key[i] = (char)('0' + sum);
        }

        return new string(key);
    }

    private static BitString RandomBits(Random random, int length)
    {
        var bits = new BitString(length);
        for (var i = 0; i < length; i++)
        {
            bits.Words[i >> 6] |= (ulong)random.Next(2) << i;
        }

        return bits;
    }

    private static string Text(BitString bits) => string.Create(bits.Length, bits, static (text, b) =>
    {
        for (var i = 0; i < text.Length; i++)
        {
            text[i] = (char)('0' + b[i]);
        }
    });
}
