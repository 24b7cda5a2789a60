using Microsoft.Extensions.Logging;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Link.Preparation;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Keys;
using Qkd.Node.Status;
using Qkd.Transports;

namespace Qkd.Node.Nodes;

/// <summary>A node of the link: runs until it is told to stop, and recovers by itself from whatever can be recovered from.</summary>
public interface INode : IAsyncDisposable
{
    /// <summary>Its name.</summary>
    string Name { get; }

    /// <summary>What it is doing.</summary>
    NodeMonitor Monitor { get; }

    /// <summary>Its keys.</summary>
    NodeKeys Keys { get; }

    /// <summary>Runs until cancelled.</summary>
    /// <exception cref="ConfigurationException">A setting makes running impossible.</exception>
    Task RunAsync(CancellationToken cancellationToken);
}

/// <summary>What both kinds of node are given.</summary>
public sealed record NodeParts
{
    /// <summary>The whole configuration.</summary>
    public required BenchOptions Options { get; init; }

    /// <summary>The drivers.</summary>
    public required DriverCatalog Catalog { get; init; }

    /// <summary>Where <c>sim:</c> names are looked up.</summary>
    public required AddressBook Book { get; init; }

    /// <summary>Clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>Makes loggers.</summary>
    public required ILoggerFactory Loggers { get; init; }
}

/// <summary>Turns the configuration into what the link works with.</summary>
internal static class Agreement
{
    /// <summary>What both nodes must agree on.</summary>
    public static LinkAgreement From(ProtocolOptions protocol) => new()
    {
        FrameSlots = protocol.FrameSlots,
        PilotSlots = protocol.PilotSlots,
        MarkerDivisor = protocol.MarkerDivisor,
        RepetitionRateHertz = protocol.RepetitionRateMHz * 1e6,
        Probabilities = SymbolProbabilities.FromProbabilities(protocol.KeyBasisProbability, protocol.IntensityProbabilities),
        Security = new SecurityParameters(protocol.Epsilon)
        {
            Mismatch = new DetectorMismatch(protocol.EfficiencyMismatch, protocol.DarkCountMismatch, protocol.DarkCountProbability),
        },
        BlockKeyBits = protocol.BlockKeyBits,
        InitialBlockFrames = protocol.InitialBlockFrames,
        QberLimit = protocol.QberLimit,
    };

    /// <summary>Time-outs of one end.</summary>
    public static LinkTimeouts Timeouts(LinkOptions link) => new()
    {
        Block = TimeSpan.FromSeconds(link.BlockTimeoutSeconds),
        ClockTolerance = TimeSpan.FromMilliseconds(link.ClockToleranceMs),
    };

    /// <summary>Whether each statement has evidence and a date.</summary>
    public static bool Attested(params Attestation?[] attestations) =>
        attestations.All(attestation => attestation is { Evidence.Length: > 0 } && DateOnly.TryParseExact(attestation.Date, "yyyy-MM-dd", out _));
}

/// <summary>How long to wait before the next attempt: doubles from a quarter of a second to a limit, and starts anew after success.</summary>
internal sealed class Backoff(TimeSpan limit)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);
    private TimeSpan _next = First;

    /// <summary>The wait before the next attempt.</summary>
    public TimeSpan Next()
    {
        var now = _next < limit ? _next : limit;
        _next = 2 * now;
        return now;
    }

    /// <summary>An attempt succeeded.</summary>
    public void Reset() => _next = First;
}
