namespace Qkd.Transports.Zmq;

/// <summary>How to connect to a ZeroMQ peer.</summary>
public sealed record ZmqOptions
{
    /// <summary>Name of the device in the configuration, for messages.</summary>
    public required string DeviceName { get; init; }

    /// <summary>How long to wait for the peer to accept a connection; until then it is tried again and again. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Messages that a <see cref="ZmqPairReceiver"/> holds for its reader. When it holds as many it stops taking further ones, and the
    /// high-water marks and TCP push back on the sender: nothing is dropped on this side. Default 4.
    /// </summary>
    public int QueueLength { get; init; } = 4;

    /// <summary>Longest message that is accepted, in bytes; a peer that announces a longer one is cut off. Default 256 MiB.</summary>
    public long MaximumMessageLength { get; init; } = 1L << 28;

    /// <summary>Clock of time-outs and time stamps.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
