using System.Buffers.Binary;

namespace Qkd.Timing.Formats;

/// <summary>
/// Reads a quTAG's binary files: a header of 40 bytes, whose meaning is the vendor's, then records of a u64 of picoseconds and a u16 channel, 0 for the start
/// input.
/// </summary>
internal sealed class QuTagReader : RecordReader
{
    /// <summary>Bytes before the first record.</summary>
    public const int HeaderBytes = 40;

    /// <summary>Bytes a record.</summary>
    public const int Bytes = 10;

    private const ulong LatestTime = 1UL << 62;

    private long _last;

    private QuTagReader(RecordStream records, TagStreamInfo info)
        : base(records, Bytes) => Info = info;

    /// <inheritdoc/>
    public override TagStreamInfo Info { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="TagFormatException">It is shorter than its header.</exception>
    public static QuTagReader Open(Stream stream)
    {
        var records = new RecordStream(stream, Bytes);
        var header = new byte[HeaderBytes];
        records.ReadHeader(header);
        return new(records, new TagStreamInfo
        {
            Format = TagFormat.QuTag.Name(),
            RecordType = "quTAG",
            TickPicoseconds = 1,
            Header = [new("Header", Convert.ToHexString(header))],
        });
    }

    /// <inheritdoc/>
    protected override int Decode(ReadOnlySpan<byte> bytes, TagBuffer buffer, out string? problem)
    {
        problem = null;
        var used = 0;
        for (; used * Bytes < bytes.Length && buffer.Count < buffer.Capacity; used++)
        {
            var record = bytes.Slice(used * Bytes, Bytes);
            var time = BinaryPrimitives.ReadUInt64LittleEndian(record);
            var channel = BinaryPrimitives.ReadUInt16LittleEndian(record[8..]);
            if (time > LatestTime || (long)time < _last)
            {
                problem = $"time {time} ps does not follow {_last} ps";
                return used;
            }

            if (channel >= TagBuffer.MarkerFlag)
            {
                problem = $"channel {channel} is none of a quTAG's";
                return used;
            }

            buffer.Add(_last = (long)time, (byte)channel);
        }

        return used;
    }
}
