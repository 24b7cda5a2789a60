using System.Text.Encodings.Web;
using System.Text.Json;
using Qkd.Link;

namespace Qkd.Node.Status;

/// <summary>
/// What happened to every block, and every alarm: one JSON object a line, appended, never a secret in it. The sum of the failure
/// probabilities of all accepted blocks is kept with them.
/// </summary>
public sealed class AuditLog : IDisposable
{
    private const string SumName = "epsilon_sum";
    private const int LongestTail = 1 << 20;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly StreamWriter? _writer;
    private double _epsilonSum;

    /// <summary>Opens the log; an empty path writes nowhere.</summary>
    public AuditLog(string path, TimeProvider time)
    {
        _time = time;
        if (path.Length > 0)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            _epsilonSum = LastSum(path);
            _writer = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        }
    }

    /// <summary>Appends a record.</summary>
    /// <param name="what">What happened, e.g. <c>block_accepted</c>.</param>
    /// <param name="details">Public facts; serialised with names in snake_case.</param>
    public void Write(string what, object details)
    {
        if (_writer is null)
        {
            return;
        }

        var line = JsonSerializer.Serialize(new { Time = _time.GetUtcNow(), What = what, Details = details }, Json);
        lock (_gate)
        {
            _writer.WriteLine(line);
        }
    }

    /// <summary>Appends an accepted block, and the sum of the security parameters of all accepted blocks in this log up to it.</summary>
    /// <param name="report">The block's public figures.</param>
    public void WriteAccepted(BlockReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (_writer is null)
        {
            return;
        }

        lock (_gate)
        {
            _epsilonSum += report.Epsilon;
            _writer.WriteLine(JsonSerializer.Serialize(
                new { Time = _time.GetUtcNow(), What = "block_accepted", EpsilonSum = _epsilonSum, Details = report }, Json));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _writer?.Dispose();
        }
    }

    /// <summary>The sum as it stood when the log was written last; 0 in a new log.</summary>
    private static double LastSum(string path)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Seek(-Math.Min(stream.Length, LongestTail), SeekOrigin.End);
        using var reader = new StreamReader(stream);
        var sum = 0.0;
        while (reader.ReadLine() is { } line)
        {
            if (!line.Contains(SumName, StringComparison.Ordinal))
            {
                continue;
            }

            try
            {
                using var record = JsonDocument.Parse(line);
                sum = record.RootElement.TryGetProperty(SumName, out var value) ? value.GetDouble() : sum;
            }
            catch (JsonException)
            {
                // A line cut off by a crash, or by the beginning of the tail.
            }
        }

        return sum;
    }
}
