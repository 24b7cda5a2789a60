using System.Runtime.InteropServices;

namespace Qkd.Timing.Formats;

/// <summary>Reads PTU files and legacy HydraHarp files: different headers, the same records.</summary>
internal sealed class PicoQuantReader : RecordReader
{
    private readonly long _recordsStart;
    private PicoQuantDecoder _decoder;
    private long _last = long.MinValue;

    private PicoQuantReader(RecordStream records, PicoQuantLayout layout, TagStreamInfo info)
        : base(records, 4)
    {
        _decoder = new PicoQuantDecoder(layout);
        _recordsStart = records.Position;
        Info = info;
    }

    /// <inheritdoc/>
    public override TagStreamInfo Info { get; }

    /// <summary>The header of a PTU file; null for others.</summary>
    public PtuHeader? Header { get; private init; }

    /// <summary>Opens a PTU file.</summary>
    /// <exception cref="TagFormatException">Its header is cut off or makes no sense.</exception>
    public static PicoQuantReader OpenPtu(Stream stream)
    {
        var records = new RecordStream(stream, 4);
        var header = PtuHeader.Read(records);
        var type = Required(header, records, PtuHeader.RecordTypeName).Value;
        var layout = PicoQuantLayout.Of(type)
            ?? throw new TagFormatException(records.Position, $"{PtuHeader.RecordTypeName} is {type:X8}, which is no known type of record");
        if (header[PtuHeader.BitsName] is { Value: not 32 } bits)
        {
            throw new TagFormatException(records.Position, $"{PtuHeader.BitsName} is {bits.Value} instead of 32");
        }

        var tick = Resolution(header, records, PtuHeader.GlobalResolutionName);
        var declared = header[PtuHeader.RecordsName]?.Value ?? 0;
        var info = new TagStreamInfo
        {
            Format = TagFormat.Ptu.Name(),
            RecordType = layout.Name,
            TickPicoseconds = tick,
            HasDelays = layout.IsT3,
            DelayTickPicoseconds = layout.IsT3 ? Resolution(header, records, PtuHeader.ResolutionName) : 0,
            DeclaredRecords = declared > 0 ? declared : null,
            Header = header.Describe(),
        };
        return new(records, layout, info) { Header = header };
    }

    /// <summary>Opens a legacy HydraHarp file.</summary>
    /// <exception cref="TagFormatException">Its header is cut off or makes no sense, or it is of the other mode.</exception>
    public static PicoQuantReader OpenHydraHarp(Stream stream, TagFormat? format)
    {
        var records = new RecordStream(stream, 4);
        var header = HydraHarpHeader.Read(records);
        var found = header.IsT3 ? TagFormat.Ht3 : TagFormat.Ht2;
        if (format is { } wanted && wanted != found)
        {
            throw new TagFormatException(0, $"the file is {found.Name()}, not {wanted.Name()}");
        }

        var info = new TagStreamInfo
        {
            Format = found.Name(),
            RecordType = header.Layout.Name,
            TickPicoseconds = header.IsT3 ? 1e12 / header.SyncRateHertz : header.BaseResolutionPicoseconds,
            HasDelays = header.IsT3,
            DelayTickPicoseconds = header.IsT3 ? header.ResolutionPicoseconds : 0,
            DeclaredRecords = header.Records > 0 ? header.Records : null,
            Header = header.Text,
        };
        return new(records, header.Layout, info);
    }

    /// <inheritdoc/>
    protected override int Decode(ReadOnlySpan<byte> bytes, TagBuffer buffer, out string? problem)
    {
        problem = null;
        var records = MemoryMarshal.Cast<byte, uint>(bytes);
        if (Info.DeclaredRecords is { } declared)
        {
            // Some programs write more behind the records.
            records = records[..(int)Math.Min(records.Length, declared - Counts.Records)];
        }

        if (!BitConverter.IsLittleEndian)
        {
            var swapped = new uint[records.Length];
            System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(records, swapped);
            records = swapped;
        }

        var (before, first) = (_decoder.Fork(), buffer.Count);
        var used = _decoder.Decode(records, buffer, out problem);
        if (FirstOutOfOrder(buffer, first) is { } bad)
        {
            // Again, record by record, to tell which it was.
            buffer.Count = first;
            _decoder = before;
            for (used = 0; used < records.Length && buffer.Count <= bad; used++)
            {
                before = _decoder.Fork();
                _decoder.Decode(records.Slice(used, 1), buffer, out _);
            }

            problem = $"time runs backwards, to {buffer.Times[bad]} ticks";
            (used, buffer.Count, _decoder) = (used - 1, bad, before);
        }

        Counts.Overflows = _decoder.Overflows;
        _last = buffer.Count > first ? buffer.Times[^1] : _last;
        return used;
    }

    private int? FirstOutOfOrder(TagBuffer buffer, int first)
    {
        var (times, last) = (buffer.AllTimes, _last);
        for (var i = first; i < buffer.Count; i++)
        {
            if (times[i] < last)
            {
                return i;
            }

            last = times[i];
        }

        return null;
    }

    /// <inheritdoc/>
    protected override TagFormatException? CheckEnd() => Info.DeclaredRecords is { } declared && Counts.Records < declared
        ? new(_recordsStart + (4 * Counts.Records), $"the file ends after {Counts.Records} of the {declared} records that its header announces")
        : null;

    private static PtuTag Required(PtuHeader header, RecordStream records, string name) =>
        header[name] ?? throw new TagFormatException(records.Position, $"the header has no {name}");

    private static double Resolution(PtuHeader header, RecordStream records, string name)
    {
        var tag = Required(header, records, name);
        return tag.Type == PtuTagType.Double && tag.AsDouble is > 1e-16 and < 10
            ? tag.AsDouble * 1e12
            : throw new TagFormatException(records.Position, $"{name} is {tag.Text}, which is no time in seconds");
    }
}
