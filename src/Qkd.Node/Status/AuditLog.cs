using System.Text.Encodings.Web;
using System.Text.Json;

namespace Qkd.Node.Status;

/// <summary>
/// What happened to every block, and every alarm: one JSON object a line, appended, never a secret in it. The sum of the failure
/// probabilities of all accepted blocks is kept with them.
/// </summary>
public sealed class AuditLog : IDisposable
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly StreamWriter? _writer;

    /// <summary>Opens the log; an empty path writes nowhere.</summary>
    public AuditLog(string path, TimeProvider time)
    {
        _time = time;
        if (path.Length > 0)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
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

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _writer?.Dispose();
        }
    }
}
