using System.Buffers.Binary;
using System.Numerics;

namespace Qkd.Timing.Formats;

/// <summary>
/// Reads S-Fifteen's streams: "a1" events of eight bytes in either order of their words, and the four-byte words of a TDC1. Bits 3..0 of an event say which
/// detectors fired within one window: each gives a tag of its own. Bit 4 marks an event that stands for nothing.
/// </summary>
/// <remarks>
/// <code>
/// a1    high word [time 53..22      ]  low word [time 21..0][unused 5][dummy][pattern 4]    time in 1/256 ns
/// TDC1                                          [time 26..0         ][dummy][pattern 4]    time in 2 ns, wraps every 2^28 ns
/// </code>
/// </remarks>
internal sealed class SFifteenReader : RecordReader
{
    private const int Dummy = 16;
    private const int DetectorMask = 15;
    private const long Tdc1Wrap = 1L << 27;
    private const long LatestTime = 1L << 61;

    private readonly TagFormat _format;
    private long _last = -1;
    private long _base;

    public SFifteenReader(Stream stream, TagFormat format)
        : base(new RecordStream(stream, BytesOf(format)), BytesOf(format))
    {
        _format = format;
        Info = new TagStreamInfo
        {
            Format = format.Name(),
            RecordType = format switch
            {
                TagFormat.Tdc1 => "S-Fifteen TDC1",
                TagFormat.S15A1 => "S-Fifteen a1",
                _ => "S-Fifteen a1, high word first",
            },
            TickPicoseconds = format == TagFormat.Tdc1 ? 2000 : 1000.0 / 256,
        };
    }

    /// <inheritdoc/>
    public override TagStreamInfo Info { get; }

    /// <inheritdoc/>
    protected override int EventsARecord => 4;

    /// <inheritdoc/>
    protected override int Decode(ReadOnlySpan<byte> bytes, TagBuffer buffer, out string? problem)
    {
        problem = null;
        var used = 0;
        for (; used * RecordBytes < bytes.Length && buffer.Capacity - buffer.Count >= EventsARecord; used++)
        {
            var (time, flags) = Event(bytes.Slice(used * RecordBytes, RecordBytes));
            if (time < _last)
            {
                problem = $"time runs backwards, from {_last} to {time} ticks";
                return used;
            }

            if (time > LatestTime)
            {
                problem = "wraps add up to more time than any measurement lasts";
                return used;
            }

            _last = time;
            var pattern = (uint)flags & DetectorMask;
            if ((flags & Dummy) != 0 || pattern == 0)
            {
                Counts.Dummies++;
                continue;
            }

            for (; pattern != 0; pattern &= pattern - 1)
            {
                buffer.Add(time, (byte)(BitOperations.TrailingZeroCount(pattern) + 1));
            }
        }

        return used;
    }

    private static int BytesOf(TagFormat format) => format == TagFormat.Tdc1 ? 4 : 8;

    private (long Time, int Flags) Event(ReadOnlySpan<byte> bytes)
    {
        var first = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (_format == TagFormat.Tdc1)
        {
            long time = first >> 5;
            if (_base + time < _last)
            {
                // It can only have wrapped; dummy events see to it that it does not do so twice unseen.
                _base += Tdc1Wrap;
                Counts.Overflows++;
            }

            return (_base + time, (int)(first & 31));
        }

        var second = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        var (low, high) = _format == TagFormat.S15A1 ? (first, second) : (second, first);
        return ((long)high << 22 | low >> 10, (int)(low & 31));
    }
}
