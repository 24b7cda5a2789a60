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
    private const int FirstTail = 1 << 20;

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
            _epsilonSum = LastSum(path, out var torn);
            _writer = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
            if (torn)
            {
                _writer.WriteLine();
            }
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

    /// <summary>The sum as it stood when the log was written last; 0 in a new log. A crash may have torn the last line off.</summary>
    private static double LastSum(string path, out bool torn)
    {
        torn = false;
        if (!File.Exists(path))
        {
            return 0;
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        if (stream.Length == 0)
        {
            return 0;
        }

        stream.Seek(-1, SeekOrigin.End);
        torn = stream.ReadByte() != '\n';

        // Usually near the end; after a long time without key it is further up.
        for (long tail = FirstTail; ; tail *= 2)
        {
            stream.Seek(-Math.Min(stream.Length, tail), SeekOrigin.End);
            if (LastSum(stream) is { } sum)
            {
                return sum;
            }

            if (tail >= stream.Length)
            {
                return 0;
            }
        }
    }

    /// <summary>The last sum from here to the end; null if there is none.</summary>
    private static double? LastSum(Stream stream)
    {
        using var reader = new StreamReader(stream, leaveOpen: true);
        double? sum = null;
        while (reader.ReadLine() is { } line)
        {
            if (!line.Contains(SumName, StringComparison.Ordinal))
            {
                continue;
            }

            try
            {
                sum = JsonSerializer.Deserialize<SumOnly>(line, Json)?.EpsilonSum ?? sum;
            }
            catch (JsonException)
            {
                // A line cut off by a crash, or by the beginning of the tail.
            }
        }

        return sum;
    }

    private sealed record SumOnly(double? EpsilonSum);
}
