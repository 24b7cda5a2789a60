using System.Buffers.Binary;
using Qkd.Drivers.IdQuantique.Id900;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

public sealed class TagConversionTests
{
    [Fact]
    public void The_fast_way_gives_what_the_plain_one_gives_for_every_length_and_wherever_the_index_starts_anew()
    {
        var random = new Random(7);
        for (var round = 0; round < 2000; round++)
        {
            var count = 1 + (round % 67);
            var (times, indexes) = (new long[count], new long[count]);
            long index = 1;
            for (var i = 0; i < count; i++)
            {
                index = random.Next(8) == 0 ? random.Next(3) : index + random.Next(3);
                (times[i], indexes[i]) = (random.NextInt64(), index);
            }

            if (round % 5 == 0)
            {
                (round % 2 == 0 ? times : indexes)[random.Next(count)] = -1;
            }

            // Messages do not begin at round addresses.
            var records = Pairs(times, indexes, random.Next(16));
            var plain = Run(records, count, random.Next(2) == 0 ? long.MinValue : 2, plainly: true);
            var fast = Run(records, count, plain.Before, plainly: false);
            fast.Sound.ShouldBe(plain.Sound);
            fast.Times.ShouldBe(plain.Times);
            fast.Indexes.ShouldBe(plain.Indexes);
            fast.Restarts.ShouldBe(plain.Restarts);
            fast.Last.ShouldBe(plain.Last);
        }
    }

    [Fact]
    public void Takes_pairs_apart_and_finds_where_the_index_starts_anew()
    {
        long[] times = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        long[] indexes = [1, 1, 2, 9, 1, 3, 3, 3, 2, 4];
        var (split, positions) = (new long[10], new long[10]);
        var restarts = new List<int>();
        var previous = 2L;
        TagConversion.SplitPairs(Pairs(times, indexes, 3).Span, split, positions, ref previous, 100, restarts).ShouldBeTrue();
        split.ShouldBe(times);
        positions.ShouldBe(indexes);
        restarts.ShouldBe([100, 104, 108]);
        previous.ShouldBe(4);
    }

    [Fact]
    public void Copies_times_and_finds_where_they_start_anew()
    {
        long[] times = [5, 6, 6, 2, 3, 1];
        var records = new byte[times.Length * 8];
        Buffer.BlockCopy(times, 0, records, 0, records.Length);
        var (copy, restarts, previous) = (new long[6], new List<int>(), long.MinValue);
        TagConversion.CopyTimes(records, copy, ref previous, 0, restarts).ShouldBeTrue();
        copy.ShouldBe(times);
        restarts.ShouldBe([3, 5]);
        previous.ShouldBe(1);

        records[^1] = 0x80;
        TagConversion.CopyTimes(records, copy, ref previous, 0, restarts).ShouldBeFalse();
    }

    private static (bool Sound, long Before, long Last, long[] Times, long[] Indexes, List<int> Restarts) Run(
        ReadOnlyMemory<byte> records, int count, long previous, bool plainly)
    {
        var (times, indexes, restarts, last) = (new long[count], new long[count], new List<int>(), previous);
        var sound = plainly
            ? TagConversion.SplitPairsPlainly(records.Span, times, indexes, ref last, 11, restarts)
            : TagConversion.SplitPairs(records.Span, times, indexes, ref last, 11, restarts);
        return (sound, previous, last, times, indexes, restarts);
    }

    private static ReadOnlyMemory<byte> Pairs(long[] times, long[] indexes, int offset)
    {
        var bytes = new byte[offset + (times.Length * 16)];
        for (var i = 0; i < times.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(offset + (i * 16)), times[i]);
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(offset + (i * 16) + 8), indexes[i]);
        }

        return bytes.AsMemory(offset);
    }
}
