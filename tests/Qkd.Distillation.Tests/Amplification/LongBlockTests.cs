using System.Buffers;
using Qkd.Devices;
using Shouldly;
using static Qkd.Distillation.Tests.Amplification.ToeplitzDefinition;

namespace Qkd.Distillation.Tests.Amplification;

public sealed class LongBlockTests
{
    /// <summary>Around every place where the cut into blocks changes, against the product word by word.</summary>
    [Fact]
    public void Transforms_equal_words_around_every_boundary()
    {
        var random = new Random(11);
        for (var logarithm = BlockChoice.Smallest; logarithm <= 15; logarithm++)
        {
            var block = 1 << logarithm;
            foreach (var (seedBlocks, bottomBlocks) in new[] { (1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 3) })
            {
                for (var past = -2; past <= 2; past++)
                {
                    // n - 1 around a whole number of blocks, and m so too.
                    var n = (seedBlocks * block) + 1 + past;
                    foreach (var m in new[] { (bottomBlocks * block) - 1, bottomBlocks * block, (bottomBlocks * block) + 1, (bottomBlocks * block) - random.Next(block) })
                    {
                        if (m >= 0 && m <= n)
                        {
                            Compare(random, n, n - m, BlockChoice.Path, logarithm);
                        }
                    }
                }
            }
        }
    }

    [Fact]
    public void Transforms_equal_words_at_random_sizes_on_every_path()
    {
        var random = new Random(12);
        foreach (var path in ModifiedToeplitzTests.Paths)
        {
            for (var trial = 0; trial < 30; trial++)
            {
                var n = random.Next(2, path == HashPath.Plain ? 100_000 : 200_000);
                Compare(random, n, random.Next(1, n), path, BlockChoice.Smallest + (trial % 5));
            }
        }
    }

    /// <summary>Transforms of more than one part, and of every size up to the largest.</summary>
    [Fact]
    public void Every_block_size_gives_the_same()
    {
        var random = new Random(13);
        const int N = 250_003, Length = 90_001;
        var (bits, seed) = (RandomBits(random, N), RandomBits(random, N - 1));
        var expected = ModifiedToeplitzTests.Hash(bits, N, seed, Length, BlockChoice.Path, 0);
        for (var logarithm = BlockChoice.Smallest; logarithm <= BlockChoice.Largest; logarithm++)
        {
            ModifiedToeplitzTests.Hash(bits, N, seed, Length, BlockChoice.Path, logarithm).ShouldBe(expected, $"2^{logarithm}");
        }
    }

    [Theory]
    [InlineData(1 << 20, 349_525)]
    [InlineData((1 << 20) + 1, 1)]
    [InlineData((1 << 21) - 1, (1 << 20) + 3)]
    [InlineData(1 << 22, 1_398_104)]
    public void A_long_block_has_the_bits_of_the_definition(int n, int length) => Sample(n, length, 200);

    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData(10_000_019, 3_300_001)]
    [InlineData(1 << 24, (1 << 24) / 3)]
    [InlineData(1 << 24, (1 << 24) - 1)]
    [InlineData(1 << 27, (1 << 27) / 3)]
    [InlineData((1 << 27) + 1_001, 1 << 26)]
    public void The_longest_blocks_have_the_bits_of_the_definition(int n, int length) => Sample(n, length, 200);

    /// <summary>Several threads, as many blocks, no state between them.</summary>
    [Fact]
    public void Blocks_are_hashed_side_by_side()
    {
        var random = new Random(14);
        const int N = 150_001, Length = 50_000;
        var bits = Enumerable.Range(0, 4).Select(_ => RandomBits(random, N)).ToArray();
        var seed = RandomBits(random, N - 1);
        var expected = bits.Select(b => ModifiedToeplitzTests.Hash(b, N, seed, Length)).ToArray();
        Parallel.For(0, 16, i => ModifiedToeplitzTests.Hash(bits[i % 4], N, seed, Length).ShouldBe(expected[i % 4]));
    }

    [Fact]
    public void Working_memory_stays_below_its_bound()
    {
        foreach (var n in new[] { 1_000_000, 1 << 20, 10_000_000, 1 << 24, 100_000_000, 1 << 27, (1 << 27) + 1_000 })
        {
            foreach (var length in new[] { n / 8, n / 3, n / 2 })
            {
                var logarithm = BlockChoice.Best(n, length, HashPath.Wide);
                logarithm.ShouldBeGreaterThanOrEqualTo(BlockChoice.Smallest);
                var bytes = 8.0 * TransformedToeplitz.WorkingWords(new(logarithm, n, length));

                // Two bits for each of the seed and of those multiplied, an eighth more for padding and for blocks not full.
                bytes.ShouldBeLessThan(2.25 * (n + n - length) / 8, $"{n}, {length}");
            }
        }
    }

    /// <summary>The message of the longest block: 16 MB, written in one piece and read back.</summary>
    [Fact]
    public void The_longest_seed_passes_through_its_message()
    {
        const int N = (1 << 27) + 1_001;
        var message = new ArrayBufferWriter<byte>();
        var seed = AmplificationMessages.CreateSeed(N, OperatingSystemRandomness.Instance, message);
        message.WrittenCount.ShouldBe(4 + (8 * seed.Length));
        (seed[^1] >> (N - 1)).ShouldBe(0UL);
        seed.AsSpan(0, 4).IndexOfAnyExcept(0UL).ShouldBeGreaterThanOrEqualTo(0);
        AmplificationMessages.ReadSeed(N, message.WrittenSpan).AsSpan().SequenceEqual(seed).ShouldBeTrue();
        Should.Throw<DistillationException>(() => AmplificationMessages.ReadSeed(N - 64, message.WrittenSpan));
        Should.Throw<DistillationException>(() => AmplificationMessages.ReadSeed(N, message.WrittenSpan[..^1]));
    }

    private static void Compare(Random random, int n, int length, HashPath path, int logarithm)
    {
        var (bits, seed) = (RandomBits(random, n), RandomBits(random, n - 1));
        ModifiedToeplitzTests.Hash(bits, n, seed, length, path, logarithm)
            .ShouldBe(ModifiedToeplitzTests.Hash(bits, n, seed, length, BlockChoice.Path, 0), $"n = {n}, l = {length}, {path}, 2^{logarithm}");
    }

    private static void Sample(int n, int length, int places)
    {
        var random = new Random(n ^ length);
        var (bits, seed) = (RandomBits(random, n), RandomBits(random, n - 1));
        var key = ModifiedToeplitzTests.Hash(bits, n, seed, length);
        var reversed = Reversed(bits, n);

        // The first and last words whole, and places between.
        var chosen = Enumerable.Range(0, Math.Min(length, 70))
            .Concat(Enumerable.Range(Math.Max(0, length - 70), Math.Min(length, 70)))
            .Concat(Enumerable.Range(0, places).Select(_ => random.Next(length)));
        foreach (var i in chosen)
        {
            At(key, i).ShouldBe(BitByParity(bits, reversed, n - length, seed, i), $"bit {i}");
        }

        if ((length & 63) != 0)
        {
            (key[^1] >> length).ShouldBe(0UL);
        }
    }
}
