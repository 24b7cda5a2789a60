using System.Runtime.Intrinsics.X86;
using CsCheck;
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
    public void Equals_the_matrix_product_at_any_size() => Gen.Select(Gen.Int[1, 900], Gen.Double[0, 1], Gen.Int).Sample(
        (n, share, seed) =>
        {
            var random = new Random(seed);
            var length = (int)Math.Round(n * share);
            using var bits = RandomBits(random, n);
            var seedBits = RandomBits(random, n - 1).Words.ToArray();
            using var plain = ModifiedToeplitz.Hash(bits, seedBits, length, wide: false);
            Text(plain).ShouldBe(Plain(bits, seedBits, length));
            using var usual = ModifiedToeplitz.Hash(bits, seedBits, length);
            Text(usual).ShouldBe(Text(plain));
        },
        iter: 400);

    [Theory]
    [InlineData(100_003, 33_336)]
    [InlineData(65_536, 65_528)]
    [InlineData(80_000, 8)]
    public void Both_paths_agree_at_the_size_of_a_block(int n, int length)
    {
        var random = new Random(n);
        using var bits = RandomBits(random, n);
        var seed = RandomBits(random, n - 1).Words.ToArray();
        using var plain = ModifiedToeplitz.Hash(bits, seed, length, wide: false);
        using var usual = ModifiedToeplitz.Hash(bits, seed, length);
        usual.Words.SequenceEqual(plain.Words).ShouldBeTrue();
        plain.CountOnes().ShouldBeGreaterThan(0);
    }

    /// <summary>Linear in the bits: the hash of a sum is the sum of the hashes.</summary>
    [Fact]
    public void Sums_of_bits_give_sums_of_hashes()
    {
        var random = new Random(6);
        using var a = RandomBits(random, 3_001);
        using var b = RandomBits(random, 3_001);
        using var sum = new BitString(3_001);
        var seed = RandomBits(random, 3_000).Words.ToArray();
        for (var i = 0; i < sum.Words.Length; i++)
        {
            sum.Words[i] = a.Words[i] ^ b.Words[i];
        }

        using var hashA = ModifiedToeplitz.Hash(a, seed, 1_000);
        using var hashB = ModifiedToeplitz.Hash(b, seed, 1_000);
        using var hashOfSum = ModifiedToeplitz.Hash(sum, seed, 1_000);
        for (var i = 0; i < hashOfSum.Words.Length; i++)
        {
            hashOfSum.Words[i].ShouldBe(hashA.Words[i] ^ hashB.Words[i]);
        }
    }

    [Fact]
    public void More_bits_than_there_are_is_refused() =>
        Should.Throw<ArgumentOutOfRangeException>(() => ModifiedToeplitz.Hash(new BitString(64), new ulong[1], 65));

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
