using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Node.Status;
using Qkd.Sim.Bench;

namespace Qkd.Cli;

/// <summary>One alarm in a summary.</summary>
internal sealed record AlarmEntry(string Kind, string Node, DateTimeOffset Time, string Detail);

/// <summary>What a run came to. Times are wall time unless they say otherwise; counts are those of the nodes in this process.</summary>
internal sealed record RunSummary
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        WriteIndented = true,
    };

    [JsonPropertyName("duration_s")]
    public required double DurationSeconds { get; init; }

    [JsonPropertyName("bench_time_s")]
    public required double BenchTimeSeconds { get; init; }

    public required long Pulses { get; init; }

    public required long Detections { get; init; }

    public required long SiftedBits { get; init; }

    public required double? QberZ { get; init; }

    public required double? QberX { get; init; }

    public required long SecretBits { get; init; }

    [JsonPropertyName("secret_rate_bps")]
    public required double SecretRateBps { get; init; }

    public required long BlocksAccepted { get; init; }

    public required long BlocksDiscarded { get; init; }

    [JsonPropertyName("first_key_s")]
    public required double? FirstKeySeconds { get; init; }

    public required bool? KeysMatch { get; init; }

    /// <summary>Confirmed key that the first node's applications can still draw.</summary>
    public required long DeliverableBits { get; init; }

    public required IReadOnlyList<AlarmEntry> Alarms { get; init; }

    public required IReadOnlyList<NodeSummary> Nodes { get; init; }

    /// <summary>Sums a run up. With both nodes in this process the confirmed keys of their stores are compared.</summary>
    public static RunSummary Make(NodesService nodes, EmulatedBench? bench, DateTime startedUtc)
    {
        var duration = (DateTime.UtcNow - startedUtc).TotalSeconds;
        var status = nodes.Nodes.Select(node => node.Monitor.Snapshot()).ToList();
        var (first, last) = (status[0], status[^1]);
        var light = status.Select(s => s.FirstLightAt).Min();
        var key = status.Select(s => s.FirstKeyAt).Max();
        bool? match = null;
        if (nodes.Nodes.Count == 2)
        {
            match = NodeKeys.HoldSameKeys(nodes.Nodes[0].Keys, nodes.Nodes[1].Keys);
        }

        return new RunSummary
        {
            DurationSeconds = Math.Round(duration, 3),
            BenchTimeSeconds = Math.Round(bench?.BenchTime.TotalSeconds ?? duration, 3),
            Pulses = last.Totals.Pulses,
            Detections = last.Totals.Detections,
            SiftedBits = first.Totals.SiftedBits,
            QberZ = Finite(last.Totals.QberZ),
            QberX = Finite(last.Totals.QberX),
            SecretBits = first.Totals.SecretBits,
            SecretRateBps = light is { } l ? Math.Round(first.Totals.SecretBits / Math.Max(1e-3, (last.Time - l).TotalSeconds)) : 0,
            BlocksAccepted = first.Totals.BlocksAccepted,
            BlocksDiscarded = first.Totals.BlocksDiscarded,
            FirstKeySeconds = key is { } k ? Math.Round((k.UtcDateTime - startedUtc).TotalSeconds, 3) : null,
            KeysMatch = match,
            DeliverableBits = first.Pool.DeliverableBits,
            Alarms = [.. status.SelectMany(s => s.Alarms).OrderBy(a => a.Time).Select(a => new AlarmEntry(a.KindName, a.Node, a.Time, a.Detail))],
            Nodes = [.. status.Select(NodeSummary.From)],
        };
    }

    /// <summary>The summary as one JSON object.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    private static double? Finite(double value) => double.IsFinite(value) ? Math.Round(value, 6) : null;
}

/// <summary>One node's share in a summary.</summary>
internal sealed record NodeSummary(
    string Node, long Pulses, long Detections, long SiftedBits, long SecretBits, long BlocksAccepted, long BlocksDiscarded, string PoolLevel, long DeliverableBits, long AuthenticationBits)
{
    public static NodeSummary From(NodeStatus status) => new(
        status.Node,
        status.Totals.Pulses,
        status.Totals.Detections,
        status.Totals.SiftedBits,
        status.Totals.SecretBits,
        status.Totals.BlocksAccepted,
        status.Totals.BlocksDiscarded,
        status.Pool.Level,
        status.Pool.DeliverableBits,
        status.Pool.AuthenticationBits);
}
