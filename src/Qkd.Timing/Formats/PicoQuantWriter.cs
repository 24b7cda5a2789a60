using System.Buffers.Binary;

namespace Qkd.Timing.Formats;

/// <summary>Writes PicoQuant's records under the header of a PTU or of a legacy HydraHarp file.</summary>
internal sealed class PicoQuantWriter : RecordWriter
{
    /// <summary>Overflow records that one pause may cost, for types that write one for each wrap.</summary>
    private const long MostOverflows = 50_000_000;

    private readonly PicoQuantLayout _layout;
    private readonly long _start;
    private readonly long _recordsAt;
    private readonly long _longestDelay;
    private long _wraps;
    private long _records;

    private PicoQuantWriter(Stream stream, TagStreamInfo source, PicoQuantLayout layout, double tick, double? delayTick, Func<Stream, long> writeHeader)
        : base(stream, source, tick, delayTick)
    {
        _layout = layout;
        _longestDelay = (1L << layout.DelayBits) - 1;
        _start = stream.CanSeek ? stream.Position : 0;
        _recordsAt = writeHeader(stream);
    }

    public static PicoQuantWriter CreatePtu(Stream stream, TagWriteOptions options)
    {
        var source = options.Source;
        var type = options.RecordType ?? (source.HasDelays ? PicoQuantRecordType.HydraHarpV2T3 : PicoQuantRecordType.HydraHarpV2T2);
        var layout = PicoQuantLayout.Of((long)type) ?? throw new ArgumentException($"{type} is no type of record.", nameof(options));
        var (tick, delayTick) = Ticks(source, layout, options.TickPicoseconds);
        var header = new PtuHeader();
        foreach (var tag in options.Header?.Tags ?? [])
        {
            header.Tags.Add(tag);
        }

        header.Set("CreatorSW_Name", "qkd");
        header.Set(PtuHeader.ModeName, PtuTagType.Integer, layout.IsT3 ? 3 : 2);
        header.Set(PtuHeader.RecordTypeName, PtuTagType.Integer, (long)type);
        header.Set(PtuHeader.BitsName, PtuTagType.Integer, 32);
        header.Set(PtuHeader.GlobalResolutionName, PtuTagType.Double, BitConverter.DoubleToInt64Bits(tick * 1e-12));
        header.Set(PtuHeader.ResolutionName, PtuTagType.Double, BitConverter.DoubleToInt64Bits((delayTick ?? tick) * 1e-12));
        header.Set(PtuHeader.RecordsName, PtuTagType.Integer, 0);
        return new(stream, source, layout, tick, delayTick, header.Write);
    }

    public static PicoQuantWriter CreateHydraHarp(Stream stream, TagFormat format, TagWriteOptions options)
    {
        var isT3 = format == TagFormat.Ht3;
        var version2 = options.RecordType is not (PicoQuantRecordType.HydraHarpV1T2 or PicoQuantRecordType.HydraHarpV1T3);
        var header = new HydraHarpHeader { IsVersion2 = version2, IsT3 = isT3, ResolutionPicoseconds = 1 };
        var (tick, delayTick) = Ticks(options.Source, header.Layout, options.TickPicoseconds);

        // The header holds the sync's rate as a whole number of hertz: its period is as exact as that.
        header = header with
        {
            ResolutionPicoseconds = delayTick ?? tick,
            BaseResolutionPicoseconds = isT3 ? 1 : tick,
            SyncRateHertz = isT3 ? (int)Math.Clamp(Math.Round(1e12 / tick), 1, int.MaxValue) : 0,
        };
        return new(stream, options.Source, header.Layout, tick, delayTick, target =>
        {
            header.Write(target);
            return header.RecordsAt;
        });
    }

    /// <inheritdoc/>
    protected override void WriteEvent(long time, byte channel, uint delay)
    {
        if (TagBuffer.IsMarker(channel))
        {
            WriteMarker(time, (uint)channel & 15);
            return;
        }

        if (channel == TagBuffer.SyncChannel && (_layout.IsT3 || _layout.IsPicoHarp))
        {
            Omitted++;
            return;
        }

        var number = channel - (_layout is { IsPicoHarp: true, IsT3: true } ? 0 : 1);
        if (number > (_layout.IsPicoHarp ? 14 : 63))
        {
            throw new ArgumentException($"{_layout.Name} records have no channel {channel}.");
        }

        if (delay > _longestDelay)
        {
            Omitted++;
            return;
        }

        var within = Within(time);
        Put(channel == TagBuffer.SyncChannel
            ? 0x8000_0000 | within
            : (uint)number << (_layout.TimeBits + _layout.DelayBits) | delay << _layout.TimeBits | within);
    }

    /// <inheritdoc/>
    protected override void AfterFlush()
    {
        if (_recordsAt < 0 || !Stream.CanSeek)
        {
            return;
        }

        var end = Stream.Position;
        Span<byte> count = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(count, _records);
        Stream.Position = _start + _recordsAt;
        Stream.Write(count);
        Stream.Position = end;
    }

    private static (double Tick, double? DelayTick) Ticks(TagStreamInfo source, PicoQuantLayout layout, double? wanted)
    {
        if (!layout.IsT3)
        {
            return (wanted ?? (source.HasDelays ? source.DelayTickPicoseconds : source.TickPicoseconds), null);
        }

        // Without delays of its own the source's sync pulses are counted; how far apart they are, nobody says.
        return source.HasDelays
            ? (source.TickPicoseconds, wanted ?? source.DelayTickPicoseconds)
            : (wanted ?? throw new ArgumentException($"{layout.Name} counts sync pulses: their period is needed as the tick.", nameof(wanted)), source.TickPicoseconds);
    }

    private void WriteMarker(long time, uint markers)
    {
        if (markers == 0)
        {
            Omitted++;
            return;
        }

        var within = Within(time);
        Put((_layout.IsPicoHarp, _layout.IsT3) switch
        {
            (false, _) => 0x8000_0000 | markers << (_layout.TimeBits + _layout.DelayBits) | within,
            (true, true) => 0xF000_0000 | markers << _layout.TimeBits | within,

            // The markers take the place of the lowest bits of the time.
            (true, false) => 0xF000_0000 | (within & ~15U) | markers,
        });
    }

    /// <summary>The part of a time that fits the record, overflows written before it as needed.</summary>
    private uint Within(long time)
    {
        if (time < 0)
        {
            throw new ArgumentException($"{_layout.Name} records have no time before 0, such as {time}.");
        }

        var wraps = time / _layout.Wrap;
        if (!_layout.CountsOverflows && wraps - _wraps > MostOverflows)
        {
            throw new ArgumentException($"{_layout.Name} would need {wraps - _wraps} records to bridge one pause.");
        }

        var shift = _layout.TimeBits + _layout.DelayBits;
        while (_wraps < wraps)
        {
            var count = _layout.CountsOverflows ? Math.Min(wraps - _wraps, (1L << _layout.TimeBits) - 1) : 1;
            Put(_layout.IsPicoHarp ? 0xF000_0000 : 0x8000_0000 | 63U << shift | (_layout.CountsOverflows ? (uint)count : 0));
            _wraps += count;
        }

        return (uint)(time - (wraps * _layout.Wrap));
    }

    private void Put(uint record)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Record(4), record);
        _records++;
    }
}
