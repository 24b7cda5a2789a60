using Qkd.Timing.Formats;

namespace Qkd.Timing.Tests.Formats;

/// <summary>Files made for tests, and helpers to read them.</summary>
internal static class TagSamples
{
    public static string RecordingPath
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                var file = Path.Combine(folder.FullName, "..", "shared", "data", "hydraharp-v2-t2.ptu");
                if (File.Exists(file))
                {
                    return file;
                }
            }

            return "";
        }
    }

    /// <summary>Records of a type such as an instrument may write them: ascending, with every special that there is.</summary>
    public static uint[] Records(PicoQuantLayout layout, int count, int seed, double overflowShare = 0.1)
    {
        var random = new Random(seed);
        var records = new uint[count];
        long within = 0;
        var limit = layout.IsT3 ? 1L << layout.TimeBits : layout.Wrap;
        var shift = layout.TimeBits + layout.DelayBits;
        var overflow = layout.IsPicoHarp ? 0xF000_0000 : 0xFE00_0000;
        for (var i = 0; i < count; i++)
        {
            var step = random.Next(3) == 0 ? 0 : random.NextInt64(0, Math.Max(2, (long)(limit * overflowShare / 4)));
            if (within + step >= limit || random.NextDouble() < overflowShare / 4)
            {
                // Most overflows say one, some say nothing, some a lot.
                var many = layout.CountsOverflows ? (uint)(random.Next(4) switch { 0 => 0, 1 => random.Next(2, 900), _ => 1 }) : (uint)(layout.IsPicoHarp || random.Next(2) == 0 ? 0 : random.Next(1, 900));
                records[i] = overflow | many;
                within = 0;
                continue;
            }

            within += step;
            var kind = random.Next(12);
            records[i] = (layout.IsPicoHarp, layout.IsT3, kind) switch
            {
                (true, false, 0) => PicoHarpMarker(ref within, limit, random),
                (true, true, 0) => 0xF000_0000 | (uint)random.Next(1, 16) << layout.TimeBits | (uint)within,
                (false, _, 0) => 0x8000_0000 | (uint)random.Next(1, 16) << shift | (uint)within,
                (false, false, 1) => 0x8000_0000 | (uint)within,
                (true, true, _) => (uint)random.Next(1, 5) << shift | (uint)random.Next(1 << layout.DelayBits) << layout.TimeBits | (uint)within,
                (true, false, _) => (uint)random.Next(5) << shift | (uint)within,
                _ => (uint)random.Next(64) << shift | (uint)random.Next(1 << layout.DelayBits) << layout.TimeBits | (uint)within,
            };
        }

        return records;
    }

    /// <summary>A PTU file written by hand: the few entries that matter, and some of each other type.</summary>
    public static byte[] Ptu(PicoQuantLayout layout, uint[] records, double globalResolution = 1e-12, double resolution = 4e-12, long? declared = null)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("PQTTTR\0\01.0.00\0\0"u8);
        Tag("File_Comment", 0x4001FFFF, 16, "made for a test\0"u8.ToArray());
        Tag("File_CreatingTime", 0x21000008, BitConverter.DoubleToInt64Bits(45000.5));
        Tag("UsrWide", 0x4002FFFF, 8, "\x41\0\x42\0\0\0\0\0"u8.ToArray());
        Tag("UsrArray", 0x2001FFFF, 16, new byte[16]);
        Tag("UsrBlob", 0xFFFFFFFF, 8, new byte[8]);
        Tag("Fast_Load_End", 0xFFFF0008, 0);
        Tag("TTResultFormat_TTTRRecType", 0x10000008, (long)layout.Type);
        Tag("TTResultFormat_BitsPerRecord", 0x10000008, 32);
        Tag("MeasDesc_GlobalResolution", 0x20000008, BitConverter.DoubleToInt64Bits(globalResolution));
        Tag("MeasDesc_Resolution", 0x20000008, BitConverter.DoubleToInt64Bits(resolution));
        Tag("TTResult_NumberOfRecords", 0x10000008, declared ?? records.Length);
        Tag("Header_End", 0xFFFF0008, 0);
        foreach (var record in records)
        {
            writer.Write(record);
        }

        writer.Flush();
        return stream.ToArray();

        void Tag(string name, uint type, long value, byte[]? data = null)
        {
            var id = new byte[32];
            System.Text.Encoding.ASCII.GetBytes(name, id);
            writer.Write(id);
            writer.Write(-1);
            writer.Write(type);
            writer.Write(value);
            writer.Write(data ?? []);
        }
    }

    /// <summary>Everything a file holds, and why it ended if it did so early.</summary>
    public static (List<(long Time, byte Channel, uint Delay)> Events, TagFormatException? Fault, TagCounts Counts, TagStreamInfo Info) ReadAll(
        byte[] file, TagFormat? format = null, int capacity = 100, double? referencePeriod = null)
    {
        using var reader = TagFiles.OpenReader(new MemoryStream(file), format, referencePeriod);
        var events = new List<(long, byte, uint)>();
        var buffer = new TagBuffer(Math.Max(64, capacity));
        try
        {
            while (reader.Read(buffer))
            {
                for (var i = 0; i < buffer.Count; i++)
                {
                    events.Add((buffer.Times[i], buffer.Channels[i], reader.Info.HasDelays ? buffer.Delays[i] : 0));
                }
            }

            return (events, null, reader.Counts, reader.Info);
        }
        catch (TagFormatException e)
        {
            return (events, e, reader.Counts, reader.Info);
        }
    }

    /// <summary>Writes events as a file.</summary>
    public static byte[] Write(IEnumerable<(long Time, byte Channel, uint Delay)> events, TagFormat format, TagWriteOptions options, out long omitted)
    {
        var stream = new MemoryStream();
        var writer = TagFiles.OpenWriter(stream, format, options);
        var buffer = new TagBuffer(64);
        foreach (var (time, channel, delay) in events)
        {
            buffer.Add(time, channel, delay);
            if (buffer.Count == buffer.Capacity)
            {
                writer.Write(buffer);
                buffer.Count = 0;
            }
        }

        writer.Write(buffer);
        writer.Complete();
        omitted = writer.Omitted;
        writer.Dispose();
        return stream.ToArray();
    }

    private static uint PicoHarpMarker(ref long within, long limit, Random random)
    {
        // The lowest bits of a marker's time are the markers themselves.
        var time = Math.Min((within & ~15L) + 16 + random.Next(1, 16), (limit & ~15L) - 1);
        within = Math.Max(time, within);
        return 0xF000_0000 | (uint)within | (within % 16 == 0 ? 1U : 0);
    }
}
