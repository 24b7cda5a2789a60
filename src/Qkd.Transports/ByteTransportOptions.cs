using System.IO.Ports;

namespace Qkd.Transports;

/// <summary>How to open a byte stream.</summary>
public sealed record ByteTransportOptions
{
    /// <summary>Name of the device in the configuration, for messages.</summary>
    public required string DeviceName { get; init; }

    /// <summary>Settings of a serial port; of no consequence on TCP.</summary>
    public SerialSettings Serial { get; init; } = new();

    /// <summary>How long connecting may take, name resolution included. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the other side may refuse to take bytes; then the connection counts as broken, since half a message may be out. Default 5 s.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Clock of the time-outs.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>Settings of a serial port. A baud rate in the address takes precedence.</summary>
public sealed record SerialSettings
{
    /// <summary>Bits a second. Default 9600.</summary>
    public int BaudRate { get; init; } = 9600;

    /// <summary>5 to 8. Default 8.</summary>
    public int DataBits { get; init; } = 8;

    /// <summary>Default none.</summary>
    public Parity Parity { get; init; } = Parity.None;

    /// <summary>Default one.</summary>
    public StopBits StopBits { get; init; } = StopBits.One;

    /// <summary>Default none. XOnXOff swallows two byte values and is no use for binary protocols.</summary>
    public Handshake Handshake { get; init; } = Handshake.None;

    /// <summary>Data terminal ready. Set after opening, where the port has such a line: a pseudo-terminal has none. Default on.</summary>
    public bool DataTerminalReady { get; init; } = true;

    /// <summary>Request to send, likewise; left to the driver of the port with a hardware handshake. Default on.</summary>
    public bool RequestToSend { get; init; } = true;
}
