using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Qkd.Timing.Formats;

/// <summary>Types of the values of a <see cref="PtuTag"/>.</summary>
public enum PtuTagType : uint
{
    /// <summary>No value.</summary>
    Empty = 0xFFFF_0008,

    /// <summary>Truth value.</summary>
    Boolean = 0x0000_0008,

    /// <summary>64-bit integer.</summary>
    Integer = 0x1000_0008,

    /// <summary>64 bits.</summary>
    BitSet = 0x1100_0008,

    /// <summary>Colour.</summary>
    Colour = 0x1200_0008,

    /// <summary>Floating-point number.</summary>
    Double = 0x2000_0008,

    /// <summary>Days since 1899-12-30.</summary>
    DateTime = 0x2100_0008,

    /// <summary>Integers.</summary>
    IntegerArray = 0x1001_FFFF,

    /// <summary>Floating-point numbers.</summary>
    DoubleArray = 0x2001_FFFF,

    /// <summary>8-bit text.</summary>
    AnsiString = 0x4001_FFFF,

    /// <summary>16-bit text.</summary>
    WideString = 0x4002_FFFF,

    /// <summary>Bytes.</summary>
    Blob = 0xFFFF_FFFF,
}

/// <summary>One entry of a PTU header.</summary>
/// <param name="Name">Its name, at most 31 characters.</param>
/// <param name="Index">Its place among entries of that name; -1 if it is the only one.</param>
/// <param name="Type">Type of the value.</param>
/// <param name="Value">The value's eight bytes; of strings, arrays and blobs the length in bytes.</param>
/// <param name="Data">What follows of strings, arrays and blobs; else empty.</param>
public sealed record PtuTag(string Name, int Index, PtuTagType Type, long Value, ReadOnlyMemory<byte> Data)
{
    /// <summary>The value of a <see cref="PtuTagType.Double"/>.</summary>
    public double AsDouble => BitConverter.Int64BitsToDouble(Value);

    /// <summary>The value in words.</summary>
    public string Text => Type switch
    {
        PtuTagType.Empty => "",
        PtuTagType.Boolean => Value != 0 ? "true" : "false",
        PtuTagType.BitSet or PtuTagType.Colour => $"0x{Value:X}",
        PtuTagType.Double => AsDouble.ToString("R", CultureInfo.InvariantCulture),
        PtuTagType.DateTime => Date(AsDouble),
        PtuTagType.AnsiString => Encoding.Latin1.GetString(Data.Span).TrimEnd('\0'),
        PtuTagType.WideString => Encoding.Unicode.GetString(Data.Span).TrimEnd('\0'),
        PtuTagType.IntegerArray or PtuTagType.DoubleArray => $"{Data.Length / 8} numbers",
        PtuTagType.Blob => $"{Data.Length} bytes",
        _ => Value.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Whether data follow the value.</summary>
    internal static bool HasData(PtuTagType type) => ((uint)type & 0xFFFF) == 0xFFFF;

    private static string Date(double days)
    {
        // Days since 1899-12-30 (TDateTime); outside of what a calendar holds the number itself.
        var epoch = new DateTime(1899, 12, 30, 0, 0, 0, DateTimeKind.Unspecified);
        return days is > -690_000 and < 2_950_000 ? epoch.AddDays(days).ToString("s", CultureInfo.InvariantCulture) : days.ToString(CultureInfo.InvariantCulture);
    }
}

/// <summary>The header of a PTU file: entries in their order, those that are not understood among them.</summary>
public sealed class PtuHeader
{
    /// <summary>First bytes of the file.</summary>
    public static ReadOnlySpan<byte> Magic => "PQTTTR\0\0"u8;

    /// <summary>Names of the entries that say how to read the records.</summary>
    internal const string RecordTypeName = "TTResultFormat_TTTRRecType";

    internal const string BitsName = "TTResultFormat_BitsPerRecord";
    internal const string GlobalResolutionName = "MeasDesc_GlobalResolution";
    internal const string ResolutionName = "MeasDesc_Resolution";
    internal const string RecordsName = "TTResult_NumberOfRecords";
    internal const string ModeName = "Measurement_Mode";
    private const string EndName = "Header_End";

    /// <summary>Bytes that all data of a header may have together. A screen of the largest instrument has a hundredth of that.</summary>
    private const long MostData = 64 << 20;

    private const int MostTags = 100_000;
    private const int TagBytes = 48;

    private static ReadOnlySpan<byte> Version => "1.0.00\0\0"u8;

    /// <summary>The entries, the last one (<c>Header_End</c>) left out.</summary>
    public IList<PtuTag> Tags { get; } = [];

    /// <summary>The first entry of a name; null if there is none.</summary>
    public PtuTag? this[string name] => Tags.FirstOrDefault(tag => tag.Name == name);

    /// <summary>Entries as names and values in words.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Describe() =>
        [.. Tags.Select(tag => KeyValuePair.Create(tag.Index < 0 ? tag.Name : $"{tag.Name}[{tag.Index}]", tag.Text))];

    /// <summary>Puts an entry in the place of the one of its name, or at the end.</summary>
    public void Set(string name, PtuTagType type, long value) => Set(new PtuTag(name, -1, type, value, default));

    /// <summary>The same for text.</summary>
    public void Set(string name, string text)
    {
        // Padded to a multiple of eight, a zero at its end.
        var bytes = new byte[(text.Length / 8 + 1) * 8];
        Encoding.Latin1.GetBytes(text, bytes);
        Set(new PtuTag(name, -1, PtuTagType.AnsiString, bytes.Length, bytes));
    }

    private void Set(PtuTag tag)
    {
        for (var i = 0; i < Tags.Count; i++)
        {
            if (Tags[i].Name == tag.Name)
            {
                Tags[i] = tag;
                return;
            }
        }

        Tags.Add(tag);
    }

    /// <summary>Reads a header.</summary>
    /// <exception cref="TagFormatException">It is cut off or makes no sense.</exception>
    internal static PtuHeader Read(RecordStream stream)
    {
        var head = new byte[16];
        stream.ReadHeader(head);
        if (!head.AsSpan(0, 8).SequenceEqual(Magic))
        {
            throw new TagFormatException(0, "not a PTU file: it does not begin with PQTTTR");
        }

        var header = new PtuHeader();
        var tag = new byte[TagBytes];
        long data = 0;
        while (true)
        {
            var at = stream.Position;
            stream.ReadHeader(tag);
            var name = Encoding.Latin1.GetString(tag.AsSpan(0, 32)).TrimEnd('\0');
            var index = BinaryPrimitives.ReadInt32LittleEndian(tag.AsSpan(32));
            var type = (PtuTagType)BinaryPrimitives.ReadUInt32LittleEndian(tag.AsSpan(36));
            var value = BinaryPrimitives.ReadInt64LittleEndian(tag.AsSpan(40));
            if (name == EndName)
            {
                return header;
            }

            if (!Enum.IsDefined(type) || name.Any(char.IsControl))
            {
                throw new TagFormatException(at, $"no entry of a header: type {(uint)type:X8}");
            }

            ReadOnlyMemory<byte> content = default;
            if (PtuTag.HasData(type))
            {
                data += value is >= 0 and <= MostData ? value : MostData + 1;
                if (data > MostData || value > (stream.Remaining ?? long.MaxValue))
                {
                    throw new TagFormatException(at + 40, $"{name} is said to be {value} bytes long");
                }

                content = ReadData(stream, (int)value);
            }

            header.Tags.Add(new(name, index, type, value, content));
            if (header.Tags.Count > MostTags)
            {
                throw new TagFormatException(at, $"more than {MostTags} entries and no {EndName}");
            }
        }
    }

    /// <summary>Writes the header.</summary>
    /// <returns>Where in the stream, from the header's start, the value of the number of records is.</returns>
    internal long Write(Stream stream)
    {
        stream.Write(Magic);
        stream.Write(Version);
        long position = 16, recordsAt = -1;
        foreach (var tag in Tags)
        {
            recordsAt = tag.Name == RecordsName ? position + 40 : recordsAt;
            WriteTag(stream, tag);
            position += TagBytes + tag.Data.Length;
        }

        WriteTag(stream, new(EndName, -1, PtuTagType.Empty, 0, default));
        return recordsAt;
    }

    private static byte[] ReadData(RecordStream stream, int length)
    {
        // A length is believed only as far as there are bytes.
        var data = new List<byte>();
        var piece = new byte[Math.Min(length, 65_536)];
        for (var rest = length; rest > 0;)
        {
            var now = piece.AsSpan(0, Math.Min(rest, piece.Length));
            stream.ReadHeader(now);
            data.AddRange(now);
            rest -= now.Length;
        }

        return [.. data];
    }

    private static void WriteTag(Stream stream, PtuTag tag)
    {
        var bytes = new byte[TagBytes];
        Encoding.Latin1.GetBytes(tag.Name.AsSpan(0, Math.Min(31, tag.Name.Length)), bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(32), tag.Index);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(36), (uint)tag.Type);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(40), tag.Value);
        stream.Write(bytes);
        stream.Write(tag.Data.Span);
    }
}
