using CsCheck;
using Shouldly;
using static Qkd.Distillation.Tests.Amplification.ToeplitzDefinition;

namespace Qkd.Distillation.Tests.Amplification;

public sealed class ModifiedToeplitzTests
{
    /// <summary>Word by word, and the smallest blocks.</summary>
    private static readonly int[] Cuts = [0, BlockChoice.Smallest, BlockChoice.Smallest + 1];

    public static TheoryData<int, int> Sizes => new()
    {
        { 1, 0 }, { 1, 1 }, { 2, 1 }, { 63, 8 }, { 64, 63 }, { 65, 1 }, { 65, 64 }, { 127, 64 }, { 128, 64 }, { 129, 65 }, { 500, 160 },
        { 511, 511 }, { 1000, 328 }, { 1023, 1 }, { 1025, 1024 }, { 4097, 2048 }, { 5000, 1304 }, { 8191, 4095 }, { 8192, 1 }, { 8192, 8191 },
        { 8193, 8192 }, { 8193, 1 }, { 8194, 3 }, { 9999, 9992 }, { 16_383, 127 }, { 16_384, 8192 }, { 16_385, 8193 }, { 16_386, 64 },
    };

    internal static IEnumerable<HashPath> Paths
    {
        get
        {
            yield return HashPath.Plain;
            if (NarrowField64.IsSupported)
            {
                yield return HashPath.Narrow;
            }

            if (WideField64.IsSupported)
            {
                yield return HashPath.Wide;
            }
        }
    }

    /// <summary>Every path against the definition, bit by bit.</summary>
    [Theory]
    [MemberData(nameof(Sizes))]
    public void Equals_the_matrix_product(int n, int length)
    {
        var random = new Random((n * 10_007) + length);
        var (bits, seed) = (RandomBits(random, n), RandomBits(random, n - 1));
        var expected = Text(bits, n, seed, length);
        Text(Hash(bits, n, seed, length), length).ShouldBe(expected);
        foreach (var path in Paths)
        {
            foreach (var cut in Cuts)
            {
                Text(Hash(bits, n, seed, length, path, cut), length).ShouldBe(expected, $"{path}, {cut}");
            }
        }
    }

    [Fact]
    public void Equals_the_matrix_product_at_any_size() => Gen.Select(Gen.Int[1, 900], Gen.Double[0, 1], Gen.Int).Sample(
        (n, share, start) =>
        {
            var random = new Random(start);
            var length = (int)Math.Round(n * share);
            var (bits, seed) = (RandomBits(random, n), RandomBits(random, n - 1));
            var expected = Text(bits, n, seed, length);
            Text(Hash(bits, n, seed, length), length).ShouldBe(expected);
            Text(Hash(bits, n, seed, length, HashPath.Plain, 0), length).ShouldBe(expected);
            Text(Hash(bits, n, seed, length, BlockChoice.Path, BlockChoice.Smallest), length).ShouldBe(expected);
        },
        iter: 200);

    [Fact]
    public void A_block_and_its_bits_are_the_same_to_the_stages_of_distillation()
    {
        var random = new Random(4);
        using var bits = new BitString(3_001);
        RandomBits(random, 3_001).CopyTo(bits.Words);
        var seed = RandomBits(random, 3_000);
        using var key = ModifiedToeplitz.Hash(bits, seed, 1_000);
        key.Length.ShouldBe(1_000);
        key.Words.ToArray().ShouldBe(Hash(bits.Words, 3_001, seed, 1_000));
    }

    /// <summary>Linear in the bits and, but for the identity part, in the seed.</summary>
    [Fact]
    public void Sums_give_sums_of_hashes() => Gen.Select(Gen.Int[2, 70_000], Gen.Double[0, 1], Gen.Int).Sample(
        (n, share, start) =>
        {
            var random = new Random(start);
            var length = Math.Clamp((int)(n * share), 1, n);
            var (a, b, s, t) = (RandomBits(random, n), RandomBits(random, n), RandomBits(random, n - 1), RandomBits(random, n - 1));
            foreach (var cut in Cuts)
            {
                var of = Hash(a, n, s, length, BlockChoice.Path, cut);
                Hash(Sum(a, b), n, s, length, BlockChoice.Path, cut).ShouldBe(Sum(of, Hash(b, n, s, length, BlockChoice.Path, cut)));
                var identity = Hash(a, n, new ulong[s.Length], length, BlockChoice.Path, cut);
                identity.ShouldBe(Hash(a, n, new ulong[s.Length], length, BlockChoice.Path, 0));
                Hash(a, n, Sum(s, t), length, BlockChoice.Path, cut).ShouldBe(Sum(identity, Sum(of, Hash(a, n, t, length, BlockChoice.Path, cut))));
            }
        },
        iter: 40);

    [Fact]
    public void Every_input_bit_counts()
    {
        var random = new Random(5);
        var (bits, seed) = (RandomBits(random, 777), RandomBits(random, 776));
        foreach (var cut in Cuts)
        {
            var whole = Hash(bits, 777, seed, 256, BlockChoice.Path, cut);
            for (var i = 0; i < 777; i += cut == 0 ? 1 : 7)
            {
                bits[i >> 6] ^= 1UL << i;
                Hash(bits, 777, seed, 256, BlockChoice.Path, cut).ShouldNotBe(whole);
                bits[i >> 6] ^= 1UL << i;
            }
        }
    }

    /// <summary>What lies in the memory before is not part of the hash, and what lies behind the seed's end has no part in it.</summary>
    [Fact]
    public void Nothing_but_the_bits_and_the_seed_counts()
    {
        var random = new Random(7);
        var (bits, seed) = (RandomBits(random, 20_001), RandomBits(random, 20_000));
        var expected = Hash(bits, 20_001, seed, 7_001);
        ulong[] longer = [.. seed, ulong.MaxValue, ulong.MaxValue];
        longer[seed.Length - 1] |= ulong.MaxValue << 20_000;
        foreach (var cut in Cuts)
        {
            var key = RandomBits(random, 64 * expected.Length);
            ModifiedToeplitz.Hash(bits, 20_001, longer, key, 7_001, BlockChoice.Path, cut);
            key.ShouldBe(expected);
        }
    }

    [Fact]
    public void Arguments_that_do_not_fit_are_refused()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => ModifiedToeplitz.Hash(new BitString(64), new ulong[1], 65));
        Should.Throw<ArgumentOutOfRangeException>(() => ModifiedToeplitz.Hash(new ulong[1], 64, new ulong[1], new ulong[2], 65));
        Should.Throw<ArgumentOutOfRangeException>(() => ModifiedToeplitz.Hash([], -1, [], [], 0));
        Should.Throw<ArgumentOutOfRangeException>(() => ModifiedToeplitz.Hash(new ulong[1], 64, new ulong[1], [], -1));
        Should.Throw<ArgumentException>(() => ModifiedToeplitz.Hash(new ulong[2], 64, new ulong[1], new ulong[1], 8)).ParamName.ShouldBe("bits");
        Should.Throw<ArgumentException>(() => ModifiedToeplitz.Hash(new ulong[] { 2 }, 1, [], new ulong[1], 1)).ParamName.ShouldBe("bits");
        Should.Throw<ArgumentException>(() => ModifiedToeplitz.Hash(new ulong[2], 66, new ulong[1], new ulong[1], 8)).ParamName.ShouldBe("seed");
        Should.Throw<ArgumentException>(() => ModifiedToeplitz.Hash(new ulong[1], 64, new ulong[1], new ulong[2], 8)).ParamName.ShouldBe("key");
        ModifiedToeplitz.Hash([], 0, [], [], 0);
    }

    internal static ulong[] Hash(ReadOnlySpan<ulong> bits, int n, ReadOnlySpan<ulong> seed, int length)
    {
        var key = new ulong[(length + 63) / 64];
        ModifiedToeplitz.Hash(bits, n, seed, key, length);
        return key;
    }

    internal static ulong[] Hash(ReadOnlySpan<ulong> bits, int n, ReadOnlySpan<ulong> seed, int length, HashPath path, int cut)
    {
        var key = new ulong[(length + 63) / 64];
        ModifiedToeplitz.Hash(bits, n, seed, key, length, path, cut);
        return key;
    }

    private static ulong[] Sum(ulong[] a, ulong[] b) => [.. a.Zip(b, static (x, y) => x ^ y)];
}
