using System.Globalization;
using Qkd.Devices;

namespace Qkd.Transports.Transcripts;

/// <summary>
/// Writes what passes on the wire as text that a person can read and <see cref="TranscriptReader"/> can read back:
/// </summary>
/// <remarks>
/// <code>
/// # wire transcript 1
/// 2026-01-31T12:00:00.1234567Z control > 41 31 32 2E 35 30 0D                             |A12.50.|
/// 2026-01-31T12:00:00.1301234Z control &lt; 50 6F 73 3A 31 32 33 34 0D 0A 44 6F 6E 65 0D 0A |Pos:1234..Done..|
///  + 0D 0A                                           |..|
/// </code>
/// <c>&gt;</c> is host to instrument, <c>&lt;</c> instrument to host; a line that starts with <c>+</c> goes on with the record
/// before. Records are flushed as they are made, so that a crash leaves them. A transcript of a tag stream grows quickly.
/// </remarks>
public sealed class TranscriptWriter : IWireTranscript, IDisposable
{
    internal const string Heading = "# wire transcript 1";
    internal const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'";
    private const int BytesPerLine = 16;

    private readonly Lock _gate = new();
    private readonly TextWriter _writer;
    private readonly TimeProvider _time;
    private readonly bool _ownsWriter;
    private bool _disposed;

    /// <summary>Writes to a file, which is replaced; its folder is made where it is missing.</summary>
    public TranscriptWriter(string path, TimeProvider? time = null)
        : this(OpenFile(path), time, ownsWriter: true)
    {
    }

    /// <summary>Writes to a writer, which stays the caller's.</summary>
    public TranscriptWriter(TextWriter writer, TimeProvider? time = null)
        : this(writer, time, ownsWriter: false)
    {
    }

    private TranscriptWriter(TextWriter writer, TimeProvider? time, bool ownsWriter)
    {
        ArgumentNullException.ThrowIfNull(writer);
        (_writer, _time, _ownsWriter) = (writer, time ?? TimeProvider.System, ownsWriter);
        _writer.Write(Heading + "\n");
        _writer.Flush();
    }

    /// <inheritdoc/>
    public void Record(string channel, bool sent, ReadOnlySpan<byte> data)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(channel);
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            var time = _time.GetUtcNow().UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);
            WriteLine($"{time} {channel.Replace(' ', '-')} {(sent ? '>' : '<')} ", data[..Math.Min(data.Length, BytesPerLine)]);
            for (var position = BytesPerLine; position < data.Length; position += BytesPerLine)
            {
                WriteLine(" + ", data.Slice(position, Math.Min(data.Length - position, BytesPerLine)));
            }

            _writer.Flush();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            if (_ownsWriter)
            {
                _writer.Dispose();
            }
        }
    }

    private void WriteLine(string head, ReadOnlySpan<byte> data)
    {
        const string HexDigits = "0123456789ABCDEF";
        Span<char> line = stackalloc char[(4 * BytesPerLine) + 3];
        line.Fill(' ');
        line[3 * BytesPerLine] = '|';
        for (var i = 0; i < data.Length; i++)
        {
            line[3 * i] = HexDigits[data[i] >> 4];
            line[(3 * i) + 1] = HexDigits[data[i] & 15];
            line[(3 * BytesPerLine) + 1 + i] = data[i] is >= 0x20 and < 0x7F ? (char)data[i] : '.';
        }

        line[(3 * BytesPerLine) + 1 + data.Length] = '|';
        line[(3 * BytesPerLine) + 2 + data.Length] = '\n';
        _writer.Write(head);
        _writer.Write(line[..((3 * BytesPerLine) + 3 + data.Length)]);
    }

    private static StreamWriter OpenFile(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder)
        {
            Directory.CreateDirectory(folder);
        }

        return new StreamWriter(path, append: false);
    }
}
