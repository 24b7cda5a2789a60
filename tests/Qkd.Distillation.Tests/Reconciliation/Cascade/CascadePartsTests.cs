using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class CascadePartsTests
{
    public static TheoryData<int> Exponents => [.. Enumerable.Range(6, 11)];

    [Theory]
    [MemberData(nameof(Exponents))]
    public void Every_order_takes_every_bit_once(int exponent)
    {
        var order = CascadeOrder.Of(exponent);
        var bits = Random(exponent, 1 << exponent);
        var places = new ulong[bits.Length];
        for (var pass = 1; pass < CascadePlan.Passes; pass++)
        {
            var seen = new bool[1 << exponent];
            var wrong = 0;
            order.Rearrange(pass, bits, places);
            for (var place = 0; place < seen.Length; place++)
            {
                var bit = order.BitAt(pass, place);
                wrong += seen[bit] || order.PlaceOf(pass, order.Spread(bit)) != place || ((places[place >> 6] >> place ^ bits[bit >> 6] >> bit) & 1) != 0 ? 1 : 0;
                seen[bit] = true;
            }

            wrong.ShouldBe(0, $"pass {pass}");
        }
    }

    /// <summary>
    /// Pairs of bits that stand in one block of 64 in one pass come into one block of 1024 in another in one of 64 cases, as they would in
    /// an order drawn at random: of 65536 * 63 / 2 pairs 32256, and within five sigma of 178 even if all were independent.
    /// </summary>
    [Fact]
    public void Orders_part_what_stood_together()
    {
        var order = CascadeOrder.Of(16);
        for (var one = 0; one < 3; one++)
        {
            for (var other = 0; other < 4; other++)
            {
                if (one == other)
                {
                    continue;
                }

                var together = 0;
                for (var block = 0; block < 65536; block += 64)
                {
                    var counts = new Dictionary<int, int>();
                    for (var place = block; place < block + 64; place++)
                    {
                        var bit = one == 0 ? place : order.BitAt(one, place);
                        var where = (other == 0 ? bit : order.PlaceOf(other, order.Spread(bit))) >> 10;
                        counts[where] = counts.GetValueOrDefault(where) + 1;
                    }

                    together += counts.Values.Sum(count => count * (count - 1) / 2);
                }

                together.ShouldBeInRange(32256 - 890, 32256 + 890, $"passes {one} and {other}");
            }
        }
    }

    /// <summary>
    /// Errors hide from two passes where two blocks of the first meet in two blocks of the second. In an order drawn at random a block of 8 meets
    /// others so 28 * 255 * 7 * 255 / 65535 times, for blocks of 256 in the second; the mean over 256 blocks may be 10 % off, where words that run side by side would make it five times as much.
    /// </summary>
    [Fact]
    public void Neighbours_do_not_stay_neighbours()
    {
        var order = CascadeOrder.Of(16);
        double meetings = 0;
        for (var block = 0; block < 256; block++)
        {
            // Where the bits of the block are, and how often each other block has two bits in different ones of these.
            var homes = Enumerable.Range(0, 8).Select(i => order.PlaceOf(1, order.Spread((64 * block) + i)) >> 8).ToArray();
            var visits = new Dictionary<int, List<int>>();
            foreach (var home in homes)
            {
                for (var place = home << 8; place < (home + 1) << 8; place++)
                {
                    var other = order.BitAt(1, place) >> 3;
                    if (other != 8 * block)
                    {
                        (visits.TryGetValue(other, out var list) ? list : visits[other] = []).Add(home);
                    }
                }
            }

            meetings += visits.Values.Sum(list => Enumerable.Range(0, list.Count).Sum(i => list.Skip(i + 1).Count(home => home != list[i])));
        }

        (meetings / 256).ShouldBeInRange(0.9 * 28 * 255 * 7 * 255 / 65535, 1.1 * 28 * 255 * 7 * 255 / 65535);
    }

    [Theory]
    [MemberData(nameof(Exponents))]
    public void Parities_of_all_blocks_are_sums_of_their_bits(int exponent)
    {
        var levels = new CascadeLevels(exponent);
        var bits = Random(exponent, 1 << exponent);
        var tree = new ulong[levels.Words];
        bits.CopyTo(tree, 0);
        levels.Build(tree);
        for (var size = 1; size < exponent; size++)
        {
            var tops = new ulong[levels.TopWords(size)];
            levels.Tops(tree, size, tops);
            for (var block = 0; block < 1 << (exponent - size); block++)
            {
                var parity = Parity(bits, block << size, 1 << size);
                (tops[block >> 6] >> block & 1).ShouldBe(parity);

                ref readonly var halving = ref levels.Halvings[size - 1];
                var place = (uint)block << size;
                ((ulong)halving.Parity(tree[halving.Word(place)], place)).ShouldBe(Parity(bits, block << size, 1 << (size - 1)));
            }
        }
    }

    [Theory]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(16)]
    public void Parities_of_halves_are_sums_of_their_bits(int exponent)
    {
        var bits = Random(exponent, 1 << exponent);
        var order = CascadeOrder.Of(exponent);
        uint expected = 0;
        var halves = new uint[1 << exponent];
        for (var i = 0; i < CascadePlan.HalfPasses; i++)
        {
            for (var place = 0; place < 1 << (exponent - 1); place++)
            {
                var bit = order.BitAt(CascadePlan.MainPasses + i, place);
                expected ^= (uint)(bits[bit >> 6] >> bit & 1) << i;
                halves[bit] |= 1u << i;
            }
        }

        Enumerable.Range(0, halves.Length).Count(bit => CascadeHalves.Of(exponent).With(bit) != halves[bit]).ShouldBe(0);
        CascadeHalves.Of(exponent).Parities(bits).ShouldBe(expected);
    }

    [Fact]
    public void Bits_come_out_of_a_message_as_they_went_in()
    {
        var random = new Random(5);
        using var writer = new CascadeBitWriter();
        for (var trial = 0; trial < 50; trial++)
        {
            var parts = Enumerable.Range(0, random.Next(3000)).Select(_ => random.Next(65)).Select(count => (Count: count, Value: count == 0 ? 0 : (ulong)random.NextInt64() << 1 >> (64 - count))).ToArray();
            foreach (var (count, value) in parts)
            {
                writer.Append(value, count);
            }

            var message = new System.Buffers.ArrayBufferWriter<byte>();
            writer.Flush(message);
            var reader = new CascadeBitReader(message.WrittenSpan, "test");
            foreach (var (count, value) in parts)
            {
                reader.Read(count).ShouldBe(value);
            }

            reader.End();
        }
    }

    private static ulong Parity(ulong[] bits, int start, int count)
    {
        ulong parity = 0;
        for (var i = start; i < start + count; i++)
        {
            parity ^= bits[i >> 6] >> i & 1;
        }

        return parity;
    }

    private static ulong[] Random(int seed, int bits)
    {
        var words = new ulong[bits / 64];
        new Random(seed).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(words.AsSpan()));
        return words;
    }
}
