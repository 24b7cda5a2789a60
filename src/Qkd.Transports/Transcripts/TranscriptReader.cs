using System.Globalization;

namespace Qkd.Transports.Transcripts;

/// <summary>One record of a transcript.</summary>
/// <param name="Time">When it passed, UTC.</param>
/// <param name="Channel">On which of the device's connections.</param>
/// <param name="Sent">True for host to instrument.</param>
/// <param name="Data">The bytes.</param>
public sealed record TranscriptRecord(DateTimeOffset Time, string Channel, bool Sent, ReadOnlyMemory<byte> Data);

/// <summary>Reads what <see cref="TranscriptWriter"/> wrote.</summary>
public static class TranscriptReader
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="FormatException">Not a transcript; the message names the line.</exception>
    public static IReadOnlyList<TranscriptRecord> ReadFile(string path)
    {
        using var reader = new StreamReader(path);
        return Read(reader);
    }

    /// <summary>Reads all records. Empty lines and lines starting with <c>#</c> say nothing.</summary>
    /// <exception cref="FormatException">Not a transcript; the message names the line.</exception>
    public static IReadOnlyList<TranscriptRecord> Read(TextReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var records = new List<TranscriptRecord>();
        (DateTimeOffset Time, string Channel, bool Sent)? open = null;
        var bytes = new List<byte>();
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (line.AsSpan().Trim().IsEmpty || line.StartsWith('#'))
            {
                continue;
            }

            if (line.StartsWith(" + ", StringComparison.Ordinal))
            {
                if (open is null)
                {
                    throw Wrong(number, "goes on with a record that was never begun");
                }

                ReadBytes(line.AsSpan(3), bytes, number);
                continue;
            }

            Finish();
            var words = line.Split(' ', 4);
            if (words.Length < 4
                || words[2] is not (">" or "<")
                || !DateTimeOffset.TryParseExact(
                    words[0], TranscriptWriter.TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
            {
                throw Wrong(number, "is not 'time channel > bytes |text|'");
            }

            open = (time, words[1], words[2] == ">");
            ReadBytes(words[3], bytes, number);
        }

        Finish();
        return records;

        void Finish()
        {
            if (open is { } record)
            {
                records.Add(new(record.Time, record.Channel, record.Sent, bytes.ToArray()));
                bytes.Clear();
                open = null;
            }
        }
    }

    private static void ReadBytes(ReadOnlySpan<char> text, List<byte> bytes, int number)
    {
        var bar = text.IndexOf('|');
        var hex = (bar < 0 ? text : text[..bar]).Trim();
        foreach (var range in hex.Split(' '))
        {
            var pair = hex[range];
            if (pair.IsEmpty)
            {
                continue;
            }

            if (pair.Length != 2 || !byte.TryParse(pair, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                throw Wrong(number, $"has '{pair}' where a byte in hex should stand");
            }

            bytes.Add(value);
        }
    }

    private static FormatException Wrong(int line, string problem) => new($"Transcript line {line} {problem}.");
}
