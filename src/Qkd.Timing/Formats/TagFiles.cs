namespace Qkd.Timing.Formats;

/// <summary>Opens tag files of every format.</summary>
public static class TagFiles
{
    /// <summary>Bytes of a file's beginning that <see cref="Recognise(ReadOnlySpan{byte})"/> would like to see.</summary>
    public const int HeadBytes = 16;

    /// <summary>The format that a file's first bytes show; null if they show none. Streams of bare words cannot be told apart.</summary>
    /// <param name="head">The first <see cref="HeadBytes"/> bytes, or all if there are fewer.</param>
    public static TagFormat? Recognise(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith(PtuHeader.Magic))
        {
            return TagFormat.Ptu;
        }

        if (head.StartsWith(Recording.RecordingSeal.Magic))
        {
            return TagFormat.Session;
        }

        // T2 or T3 is in the header; the reader looks.
        return head.StartsWith(HydraHarpHeader.Ident) ? TagFormat.Ht2 : null;
    }

    /// <summary>Opens a file for reading.</summary>
    /// <param name="stream">The file at its start; the reader disposes of it. To recognise the format it must be able to seek.</param>
    /// <param name="format">Its format; null to recognise it.</param>
    /// <param name="referencePeriodPicoseconds">Period of the reference edges, for files that count them and do not say how far apart they are.</param>
    /// <exception cref="TagFormatException">The header is cut off or makes no sense, or the format cannot be recognised.</exception>
    /// <exception cref="ArgumentException">A session is encrypted and is opened with its key instead.</exception>
    public static TagReader OpenReader(Stream stream, TagFormat? format = null, double? referencePeriodPicoseconds = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var recognised = format is null or TagFormat.Ht2 or TagFormat.Ht3 ? Recognise(stream) : null;
        return (format ?? recognised) switch
        {
            TagFormat.Ptu => PicoQuantReader.OpenPtu(stream),
            TagFormat.Ht2 or TagFormat.Ht3 => PicoQuantReader.OpenHydraHarp(stream, format),
            TagFormat.S15A1 or TagFormat.S15A1X or TagFormat.Tdc1 => new SFifteenReader(stream, format!.Value),
            TagFormat.Idq => new IdQuantiqueReader(stream, referenced: false, null),
            TagFormat.IdqReferenced => new IdQuantiqueReader(stream, referenced: true, referencePeriodPicoseconds),
            TagFormat.QuTag => QuTagReader.Open(stream),
            TagFormat.Session => throw new ArgumentException("A session's recording is encrypted: it is opened with its key.", nameof(format)),
            _ => throw new TagFormatException(0, "the format cannot be recognised: it has to be given"),
        };
    }

    /// <summary>The header of a PTU file that a reader has read; null of others.</summary>
    public static PtuHeader? HeaderOf(TagReader reader) => (reader as PicoQuantReader)?.Header;

    /// <summary>Opens a file for writing.</summary>
    /// <param name="stream">The file, empty; the writer disposes of it. If it can seek, the header says in the end how many records there are.</param>
    /// <param name="format">Its format.</param>
    /// <param name="options">What will come, and how it is to be written.</param>
    /// <exception cref="ArgumentException">The format cannot hold such events; the message says why.</exception>
    public static TagWriter OpenWriter(Stream stream, TagFormat format, TagWriteOptions options)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(options);
        return format switch
        {
            TagFormat.Ptu => PicoQuantWriter.CreatePtu(stream, options),
            TagFormat.Ht2 or TagFormat.Ht3 => PicoQuantWriter.CreateHydraHarp(stream, format, options),
            TagFormat.S15A1 or TagFormat.S15A1X or TagFormat.Tdc1 => new SFifteenWriter(stream, format, options.Source),
            TagFormat.Idq => new IdQuantiqueWriter(stream, referenced: false, options),
            TagFormat.IdqReferenced => new IdQuantiqueWriter(stream, referenced: true, options),
            TagFormat.QuTag => new QuTagWriter(stream, options.Source),
            _ => throw new ArgumentException("A session's recording is written by the node that runs it.", nameof(format)),
        };
    }

    private static TagFormat? Recognise(Stream stream)
    {
        if (!stream.CanSeek)
        {
            return null;
        }

        Span<byte> head = stackalloc byte[HeadBytes];
        var start = stream.Position;
        var read = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        stream.Position = start;
        return Recognise(head[..read]);
    }
}
