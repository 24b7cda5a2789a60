using Microsoft.Extensions.Logging;
using Qkd.Link;

namespace Qkd.Node;

internal static partial class Log
{
    [LoggerMessage(3000, LogLevel.Information, "{Node}: {State} ({Detail})")]
    public static partial void StateChanged(ILogger logger, string node, SessionState state, string detail);

    [LoggerMessage(3001, LogLevel.Information, "{Node}: block {BlockId} gives {SecretBits} secret bits; error rate Z {QberZ:P2}, X {QberX:P2}")]
    public static partial void BlockAccepted(ILogger logger, string node, long blockId, long secretBits, double qberZ, double qberX);

    [LoggerMessage(3002, LogLevel.Warning, "{Node}: block {BlockId} discarded: {Reason}")]
    public static partial void BlockDiscarded(ILogger logger, string node, long blockId, string reason);

    [LoggerMessage(3003, LogLevel.Warning, "{Node}: alarm {Kind}: {Detail}")]
    public static partial void AlarmRaised(ILogger logger, string node, string kind, string detail);

    [LoggerMessage(3004, LogLevel.Information, "{Node}: opened {Device}: {Identity} at {Address}")]
    public static partial void DeviceOpened(ILogger logger, string node, string device, string identity, string address);

    [LoggerMessage(3005, LogLevel.Warning, "{Node}: session ended: {Reason}; next attempt in {Seconds:0.#} s")]
    public static partial void SessionEnded(ILogger logger, string node, string reason, double seconds);

    [LoggerMessage(3006, LogLevel.Information, "{Node}: attenuator at {Decibels:0.00} dB; mean photon numbers {Intensities}")]
    public static partial void IntensitiesSet(ILogger logger, string node, double decibels, string intensities);

    [LoggerMessage(3007, LogLevel.Error, "{Node}: an emission could not be ended in order: {Reason}")]
    public static partial void UncleanStop(ILogger logger, string node, string reason);

    [LoggerMessage(3009, LogLevel.Warning, "{Node}: this session is recorded to {File}; the recording holds raw key, and with its key file every key that is made")]
    public static partial void RecordingBegan(ILogger logger, string node, string file);

    [LoggerMessage(3008, LogLevel.Error, "The nodes cannot run: {Reason}")]
    public static partial void NodesFailed(ILogger logger, string reason);
}
