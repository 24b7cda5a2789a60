using Qkd.Devices;
using Qkd.Link;

namespace Qkd.Node.Status;

/// <summary>Something that needs a person's attention.</summary>
/// <param name="Kind">What it is about.</param>
/// <param name="Node">The node that noticed it.</param>
/// <param name="Time">When.</param>
/// <param name="Detail">In words.</param>
public sealed record Alarm(AlarmKind Kind, string Node, DateTimeOffset Time, string Detail)
{
    /// <summary>The kind in snake_case, as it stands in JSON.</summary>
    public string KindName => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(Kind.ToString());
}

/// <summary>Health of one instrument.</summary>
/// <param name="Name">Name in the configuration.</param>
/// <param name="Driver">Driver id.</param>
/// <param name="Address">Address it was opened at.</param>
/// <param name="Identity">What it answered; null while it is not open.</param>
/// <param name="Kind">The last event's kind.</param>
/// <param name="Detail">The last event's text.</param>
/// <param name="Since">Since when.</param>
public sealed record DeviceHealth(
    string Name, string Driver, string Address, DeviceIdentity? Identity, DeviceEventKind Kind, string Detail, DateTimeOffset Since);

/// <summary>Totals since the node was started.</summary>
/// <param name="Pulses">Slots that light was looked for in (at Bob), or that were emitted and looked at (at Alice).</param>
/// <param name="Detections">Detections after gating and vetoes.</param>
/// <param name="SiftedBits">Matched detections of both bases, in blocks that reached sifting.</param>
/// <param name="SecretBits">Secret bits in accepted blocks.</param>
/// <param name="BlocksAccepted">Blocks that ended in key.</param>
/// <param name="BlocksDiscarded">Blocks that were given up.</param>
/// <param name="TestBits">Matched detections in the test basis.</param>
/// <param name="TestErrors">Errors among them.</param>
/// <param name="KeyBits">Matched detections in the key basis of blocks whose errors became known.</param>
/// <param name="KeyErrors">Errors among them.</param>
public sealed record NodeTotals(
    long Pulses, long Detections, long SiftedBits, long SecretBits, long BlocksAccepted, long BlocksDiscarded,
    long TestBits, long TestErrors, long KeyBits, long KeyErrors)
{
    /// <summary>Error rate in the key basis; NaN without data.</summary>
    public double QberZ => KeyBits == 0 ? double.NaN : (double)KeyErrors / KeyBits;

    /// <summary>Error rate in the test basis; NaN without data.</summary>
    public double QberX => TestBits == 0 ? double.NaN : (double)TestErrors / TestBits;
}

/// <summary>A picture of one node at one time, for the status page and for the summary of a run.</summary>
public sealed record NodeStatus
{
    /// <summary>The node's name.</summary>
    public required string Node { get; init; }

    /// <summary>State of its session.</summary>
    public required SessionState State { get; init; }

    /// <summary>More about the state.</summary>
    public required string StateDetail { get; init; }

    /// <summary>When this picture was taken.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Totals since the start.</summary>
    public required NodeTotals Totals { get; init; }

    /// <summary>Detections a second of wall time over the last seconds; 0 at Alice.</summary>
    public required double DetectionRateHertz { get; init; }

    /// <summary>Sifted bits a second of wall time over the last seconds.</summary>
    public required double SiftedRateBps { get; init; }

    /// <summary>Secret bits a second of wall time over the last seconds.</summary>
    public required double SecretRateBps { get; init; }

    /// <summary>Error rate of the pilots over the last second; NaN at Alice and without light.</summary>
    public required double PilotErrorRate { get; init; }

    /// <summary>How the receiver sees the light; null at Alice and before the first session.</summary>
    public required ReceiverFigures? Receiver { get; init; }

    /// <summary>The last block that was accepted or discarded; null before the first.</summary>
    public required BlockReport? LastBlock { get; init; }

    /// <summary>When the first key was stored; null before.</summary>
    public required DateTimeOffset? FirstKeyAt { get; init; }

    /// <summary>When light was first seen (at Bob) or switched on (at Alice); null before.</summary>
    public required DateTimeOffset? FirstLightAt { get; init; }

    /// <summary>The newest alarms, newest first.</summary>
    public required IReadOnlyList<Alarm> Alarms { get; init; }

    /// <summary>The instruments.</summary>
    public required IReadOnlyList<DeviceHealth> Devices { get; init; }

    /// <summary>The key pool.</summary>
    public required PoolFigures Pool { get; init; }
}

/// <summary>The key pool in numbers.</summary>
/// <param name="Level">READY, WARNING, CHARGING or EMPTY.</param>
/// <param name="DeliverableBits">Bits confirmed by both sides and not yet delivered.</param>
/// <param name="PendingBits">Bits not yet confirmed by the peer.</param>
/// <param name="KeysDelivered">Keys delivered so far, to masters and to slaves.</param>
/// <param name="AuthenticationBits">Bits of authentication key left, both directions.</param>
/// <param name="Origin">What is to be said of this key, e.g. that it comes from an emulated bench.</param>
public sealed record PoolFigures(string Level, long DeliverableBits, long PendingBits, long KeysDelivered, long AuthenticationBits, string Origin);
