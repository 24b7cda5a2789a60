using System.Buffers.Binary;

namespace Qkd.Timing.Formats;

/// <summary>Writes S-Fifteen's streams. Tags of several detectors at the same time become one word.</summary>
internal sealed class SFifteenWriter(Stream stream, TagFormat format, TagStreamInfo source)
    : RecordWriter(stream, source, format == TagFormat.Tdc1 ? 2000 : 1000.0 / 256, null)
{
    private const int Detectors = 4;
    private const uint Dummy = 16;

    /// <summary>A TDC1 says at least so often that its counter went on: half of what it can count.</summary>
    private const long LongestPause = 1L << 26;

    /// <summary>Words without a tag that one pause may cost.</summary>
    private const long MostDummies = 50_000_000;

    private long _time;
    private uint _pattern;
    private long _written;

    /// <inheritdoc/>
    protected override void WriteEvent(long time, byte channel, uint delay)
    {
        if (TagBuffer.IsMarker(channel) || channel == TagBuffer.SyncChannel)
        {
            Omitted++;
            return;
        }

        if (channel > Detectors || time < 0 || time >> 54 != 0)
        {
            throw new ArgumentException($"S-Fifteen words have four detectors and 54 bits of time: not channel {channel} at {time}.");
        }

        var bit = 1U << (channel - 1);
        if (_pattern != 0 && (time != _time || (_pattern & bit) != 0))
        {
            Put(_time, _pattern);
            _pattern = 0;
        }

        (_time, _pattern) = (time, _pattern | bit);
    }

    /// <inheritdoc/>
    protected override void Finish()
    {
        if (_pattern != 0)
        {
            Put(_time, _pattern);
        }
    }

    private void Put(long time, uint flags)
    {
        if (format != TagFormat.Tdc1)
        {
            var (low, high) = ((uint)(time << 10) | flags, (uint)(time >> 22));
            var bytes = Record(8);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, format == TagFormat.S15A1 ? low : high);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], format == TagFormat.S15A1 ? high : low);
            return;
        }

        if ((time - _written) / LongestPause > MostDummies)
        {
            throw new ArgumentException($"a TDC1 would need {(time - _written) / LongestPause} words to bridge one pause.");
        }

        for (; time - _written >= LongestPause; _written += LongestPause)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(Record(4), (uint)((_written + LongestPause) << 5) | Dummy);
        }

        _written = time;
        BinaryPrimitives.WriteUInt32LittleEndian(Record(4), (uint)(time << 5) | flags);
    }
}

/// <summary>Writes ID Quantique timestamps of one channel, with or without the index of the reference edge.</summary>
internal sealed class IdQuantiqueWriter(Stream stream, bool referenced, TagWriteOptions options)
    : RecordWriter(stream, options.Source, referenced ? TickOf(options) : 1, referenced ? 1 : null)
{
    /// <inheritdoc/>
    protected override void WriteEvent(long time, byte channel, uint delay)
    {
        if (channel != options.Channel || time < 0)
        {
            Omitted++;
            return;
        }

        if (referenced)
        {
            var bytes = Record(16);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, delay);
            BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], time);
            return;
        }

        BinaryPrimitives.WriteInt64LittleEndian(Record(8), time);
    }

    /// <summary>The file does not hold the period of the reference: any will do.</summary>
    private static double TickOf(TagWriteOptions options) => options.Source.HasDelays && options.Source.TickPicoseconds > 0 ? options.Source.TickPicoseconds : 1;
}

/// <summary>Writes quTAG files; the header is empty.</summary>
internal sealed class QuTagWriter : RecordWriter
{
    public QuTagWriter(Stream stream, TagStreamInfo source)
        : base(stream, source, 1, null) => stream.Write(new byte[QuTagReader.HeaderBytes]);

    /// <inheritdoc/>
    protected override void WriteEvent(long time, byte channel, uint delay)
    {
        if (TagBuffer.IsMarker(channel) || time < 0)
        {
            Omitted++;
            return;
        }

        var bytes = Record(QuTagReader.Bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes, time);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[8..], channel);
    }
}
