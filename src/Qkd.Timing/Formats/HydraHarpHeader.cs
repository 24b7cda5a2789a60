using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Qkd.Timing.Formats;

/// <summary>
/// The header of a legacy HydraHarp file (.ht2, .ht3): fixed structures one after the other, little-endian, padded by nothing.
/// </summary>
/// <remarks>
/// Layout by PicoQuant's demonstration programs for file versions 1.0 and 2.0, as three public readers have it that were written apart from each other
/// (in C, Matlab and Python): text 328 bytes, measurement 208, hardware 160, then 20 for each input, then 24 and the image header. Version 1.0 records
/// wrap at 33552000 in T2, those of version 2.0 at 2^25.
/// </remarks>
internal sealed record HydraHarpHeader
{
    private const int TextBytes = 328;
    private const int MeasurementBytes = 208;
    private const int HardwareBytes = 160;
    private const int InputBytes = 20;
    private const int LastBytes = 24;
    private const int MostInputs = 64;
    private const int MostImageWords = 1 << 20;

    /// <summary>First bytes of the file.</summary>
    public static ReadOnlySpan<byte> Ident => "HydraHarp"u8;

    /// <summary>Whether records are those of version 2.</summary>
    public required bool IsVersion2 { get; init; }

    /// <summary>Whether records are T3.</summary>
    public required bool IsT3 { get; init; }

    /// <summary>Resolution of the delay in T3, in picoseconds.</summary>
    public required double ResolutionPicoseconds { get; init; }

    /// <summary>Resolution of the time in T2, in picoseconds.</summary>
    public double BaseResolutionPicoseconds { get; init; } = 1;

    /// <summary>Sync pulses a second.</summary>
    public int SyncRateHertz { get; init; }

    /// <summary>Inputs of the instrument.</summary>
    public int Inputs { get; init; } = 2;

    /// <summary>Records; 0 if the measurement was broken off.</summary>
    public long Records { get; init; }

    /// <summary>What is written in it as text.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Text { get; init; } = [];

    public PicoQuantLayout Layout => PicoQuantLayout.Of((long)((IsVersion2, IsT3) switch
    {
        (false, false) => PicoQuantRecordType.HydraHarpV1T2,
        (false, true) => PicoQuantRecordType.HydraHarpV1T3,
        (true, false) => PicoQuantRecordType.HydraHarpV2T2,
        (true, true) => PicoQuantRecordType.HydraHarpV2T3,
    }))!;

    /// <summary>Where the number of records stands.</summary>
    public long RecordsAt => TextBytes + MeasurementBytes + HardwareBytes + (InputBytes * Inputs) + 16;

    public static HydraHarpHeader Read(RecordStream stream)
    {
        var text = new byte[TextBytes];
        stream.ReadHeader(text);
        if (!text.AsSpan().StartsWith(Ident))
        {
            throw new TagFormatException(0, "not a HydraHarp file: it does not begin with HydraHarp");
        }

        var version = String(text, 16, 6);
        if (version is not ("1.0" or "2.0"))
        {
            throw new TagFormatException(16, $"version '{version}' is neither 1.0 nor 2.0");
        }

        var measurement = new byte[MeasurementBytes];
        stream.ReadHeader(measurement);
        var bits = Int(measurement, 4);
        var mode = Int(measurement, 12);
        var resolution = BinaryPrimitives.ReadDoubleLittleEndian(measurement.AsSpan(24));
        Require(bits == 32, TextBytes + 4, $"{bits} bits a record instead of 32");
        Require(mode is 2 or 3, TextBytes + 12, $"measurement mode {mode} is neither T2 nor T3");
        Require(resolution is > 0 and < 1e9, TextBytes + 24, $"a resolution of {resolution} ps");
        var hardware = new byte[HardwareBytes];
        stream.ReadHeader(hardware);
        var resolutionAt = stream.Position - HardwareBytes + 112;
        var baseResolution = BinaryPrimitives.ReadDoubleLittleEndian(hardware.AsSpan(112));
        Require(baseResolution is > 0 and < 1e6, resolutionAt, $"a base resolution of {baseResolution} ps");
        var inputs = Int(hardware, 128);
        Require(inputs is >= 0 and <= MostInputs, resolutionAt + 16, $"{inputs} inputs");
        stream.ReadHeader(new byte[InputBytes * inputs]);
        var last = new byte[LastBytes];
        var lastAt = stream.Position;
        stream.ReadHeader(last);
        var (syncRate, imageWords, records) = (Int(last, 0), Int(last, 12), BinaryPrimitives.ReadInt64LittleEndian(last.AsSpan(16)));
        Require(imageWords is >= 0 and <= MostImageWords, lastAt + 12, $"an image header of {imageWords} words");
        Require(records >= 0, lastAt + 16, $"{records} records");
        Require(mode == 2 || syncRate > 0, lastAt, $"{syncRate} sync pulses a second: the sync's period is not known");
        var word = new byte[4];
        for (var i = 0; i < imageWords; i++)
        {
            stream.ReadHeader(word);
        }

        return new()
        {
            IsVersion2 = version == "2.0",
            IsT3 = mode == 3,
            ResolutionPicoseconds = resolution,
            BaseResolutionPicoseconds = baseResolution,
            SyncRateHertz = syncRate,
            Inputs = inputs,
            Records = records,
            Text =
            [
                new("FormatVersion", version),
                new("CreatorName", String(text, 22, 18)),
                new("CreatorVersion", String(text, 40, 12)),
                new("FileTime", String(text, 52, 18)),
                new("Comment", String(text, 72, 256)),
                new("HardwareIdent", String(hardware, 0, 16)),
                new("HardwarePartNo", String(hardware, 16, 8)),
                new("HardwareSerial", Int(hardware, 24).ToString(CultureInfo.InvariantCulture)),
                new("SyncDivider", Int(hardware, 144).ToString(CultureInfo.InvariantCulture)),
                new("SyncRate", syncRate.ToString(CultureInfo.InvariantCulture)),
            ],
        };
    }

    public void Write(Stream stream)
    {
        var bytes = new byte[RecordsAt + 8];
        Ident.CopyTo(bytes);
        Put(16, IsVersion2 ? "2.0" : "1.0");
        Put(22, "qkd");
        Put(70, "\r\n");
        Put(TextBytes + 4, 32);
        Put(TextBytes + 12, IsT3 ? 3 : 2);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(TextBytes + 24), ResolutionPicoseconds);
        const int hardware = TextBytes + MeasurementBytes;
        Put(hardware, "HydraHarp 400");
        BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(hardware + 112), BaseResolutionPicoseconds);
        Put(hardware + 128, Inputs);
        Put(hardware + 144, 1);
        Put((int)RecordsAt - 16, SyncRateHertz);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan((int)RecordsAt), Records);
        stream.Write(bytes);

        void Put(int at, object value)
        {
            if (value is int number)
            {
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), number);
            }
            else
            {
                Encoding.Latin1.GetBytes((string)value, bytes.AsSpan(at));
            }
        }
    }

    private static void Require(bool holds, long at, string problem)
    {
        if (!holds)
        {
            throw new TagFormatException(at, problem);
        }
    }

    private static int Int(byte[] bytes, int at) => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at));

    private static string String(byte[] bytes, int at, int length)
    {
        var text = Encoding.Latin1.GetString(bytes, at, length);
        var end = text.IndexOf('\0', StringComparison.Ordinal);
        return (end < 0 ? text : text[..end]).Trim();
    }
}
