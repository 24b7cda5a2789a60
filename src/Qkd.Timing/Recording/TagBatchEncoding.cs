using System.Buffers;
using Qkd.Devices;

namespace Qkd.Timing.Recording;

/// <summary>
/// A batch of tags as bytes, and back to the same batch. A tag takes about five bytes: times within a marker's interval are small, and the count of markers hardly
/// grows from tag to tag.
/// </summary>
/// <remarks>
/// <c>u8 time base; u8 ends acquisition; i64 acquisition; i64 its start; i64 received; i32 losses; for each u8 cause, two optional i64; i32 runs; for each i32 channel,
/// i32 tags, i32 indexes, the times, the indexes</c>. Times and indexes are differences from the one before (referenced times the times themselves), the sign in the lowest bit,
/// in seven bits a byte.
/// </remarks>
internal static class TagBatchEncoding
{
    private const int LongestCompact = 10;
    private const int Slice = 4096;

    public static void Write(TagBatch batch, IBufferWriter<byte> writer)
    {
        writer.Byte((byte)batch.TimeBase);
        writer.Byte(batch.EndsAcquisition ? (byte)1 : (byte)0);
        writer.Int64(batch.Acquisition);
        writer.Int64(batch.AcquisitionStartPicoseconds);
        writer.Time(batch.ReceivedAt);
        writer.Int32(batch.LossesBefore.Count);
        foreach (var loss in batch.LossesBefore)
        {
            writer.Byte((byte)loss.Cause);
            WriteOptional(loss.DurationPicoseconds, writer);
            WriteOptional(loss.Tags, writer);
        }

        writer.Int32(batch.Runs.Count);
        foreach (var run in batch.Runs)
        {
            writer.Int32(run.Channel);
            writer.Int32(run.TimesPicoseconds.Length);
            writer.Int32(run.ReferenceIndexes.Length);
            WriteColumn(run.TimesPicoseconds.Span, batch.TimeBase == TagTimeBase.Absolute, writer);
            WriteColumn(run.ReferenceIndexes.Span, differences: true, writer);
        }
    }

    public static TagBatch Read(ref EntryCursor cursor)
    {
        var timeBase = cursor.Enum<TagTimeBase>();
        var ends = cursor.Boolean();
        var (acquisition, start, received) = (cursor.Int64(), cursor.Int64(), cursor.Time());
        var losses = new List<TagLoss>();
        for (var count = cursor.Int32(); count > 0; count--)
        {
            losses.Add(new(cursor.Enum<TagLossCause>(), ReadOptional(ref cursor), ReadOptional(ref cursor)));
        }

        var runs = new List<TagRun>();
        for (var count = cursor.Int32(); count > 0; count--)
        {
            var (channel, tags, indexes) = (cursor.Int32(), cursor.Int32(), cursor.Int32());
            runs.Add(new(channel, ReadColumn(ref cursor, tags, timeBase == TagTimeBase.Absolute), ReadColumn(ref cursor, indexes, differences: true)));
        }

        return new TagBatch
        {
            TimeBase = timeBase,
            Acquisition = acquisition,
            AcquisitionStartPicoseconds = start,
            Runs = runs,
            LossesBefore = losses,
            EndsAcquisition = ends,
            ReceivedAt = received,
        };
    }

    private static void WriteOptional(long? value, IBufferWriter<byte> writer)
    {
        writer.Byte(value is null ? (byte)0 : (byte)1);
        if (value is { } known)
        {
            writer.Int64(known);
        }
    }

    private static long? ReadOptional(ref EntryCursor cursor) => cursor.Boolean() ? cursor.Int64() : null;

    private static void WriteColumn(ReadOnlySpan<long> values, bool differences, IBufferWriter<byte> writer)
    {
        var before = 0L;
        while (!values.IsEmpty)
        {
            var slice = values[..Math.Min(values.Length, Slice)];
            values = values[slice.Length..];
            var bytes = writer.GetSpan(slice.Length * LongestCompact);
            var at = 0;
            foreach (var value in slice)
            {
                var change = unchecked(value - before);
                before = differences ? value : 0;
                var rest = unchecked((ulong)((change << 1) ^ (change >> 63)));
                for (; rest >= 128; rest >>= 7)
                {
                    bytes[at++] = (byte)(rest | 128);
                }

                bytes[at++] = (byte)rest;
            }

            writer.Advance(at);
        }
    }

    private static long[] ReadColumn(ref EntryCursor cursor, int count, bool differences)
    {
        // Each value has at least one byte.
        if (count < 0 || count > cursor.Left)
        {
            throw cursor.Malformed($"it claims {count} tags in {cursor.Left} bytes");
        }

        var values = new long[count];
        var before = 0L;
        foreach (ref var value in values.AsSpan())
        {
            var coded = cursor.Compact();
            value = unchecked(before + ((long)(coded >> 1) ^ -(long)(coded & 1)));
            before = differences ? value : 0;
        }

        return values;
    }
}
