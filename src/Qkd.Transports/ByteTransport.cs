using Qkd.Devices;
using Qkd.Transports.Serial;
using Qkd.Transports.Tcp;
using Qkd.Transports.Transcripts;

namespace Qkd.Transports;

/// <summary>Opens a byte stream to an instrument; the shape of <see cref="ByteTransport.ConnectAsync"/>, so that a test can hand a driver another one.</summary>
public delegate ValueTask<IByteTransport> ByteTransportFactory(
    DeviceAddress address, ByteTransportOptions options, IWireTranscript? transcript, string channel, CancellationToken cancellationToken);

/// <summary>Opens byte streams: serial ports and TCP sockets by the same call, since a serial instrument may sit behind a terminal server.</summary>
public static class ByteTransport
{
    /// <summary>Connects.</summary>
    /// <param name="address">A serial or a TCP address.</param>
    /// <param name="options">Serial settings, time-outs, and the device's name for messages.</param>
    /// <param name="transcript">Takes a record of everything that passes; null for none.</param>
    /// <param name="channel">The connection's name in the transcript: <c>control</c>, <c>counts</c>, …</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceException">No such port, no such host, refused, or not connected within <see cref="ByteTransportOptions.ConnectTimeout"/>.</exception>
    /// <exception cref="FormatException">The address is neither serial nor TCP.</exception>
    public static async ValueTask<IByteTransport> ConnectAsync(
        DeviceAddress address, ByteTransportOptions options, IWireTranscript? transcript, string channel, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(options);
        IByteTransport transport = address.Kind switch
        {
            DeviceAddressKind.Tcp => await TcpTransport.ConnectAsync(address, options, cancellationToken).ConfigureAwait(false),
            DeviceAddressKind.Serial => await SerialTransport.OpenAsync(address, options, cancellationToken).ConfigureAwait(false),
            DeviceAddressKind.Simulated => throw new FormatException(
                $"{options.DeviceName}: {address} names an emulated instrument; the address book must resolve it first."),
            _ => throw new FormatException(
                $"{options.DeviceName}: {address} is neither a serial port (ASRL/dev/ttyUSB0::INSTR) nor a TCP socket (TCPIP0::10.0.0.5::5025::SOCKET)."),
        };
        return transcript is null ? transport : new RecordingTransport(transport, transcript, channel);
    }

    /// <summary>Reads until the buffer is full.</summary>
    /// <exception cref="DeviceDisconnectedException">The connection is lost or the peer closed it.</exception>
    public static async ValueTask ReadExactlyAsync(this IByteTransport transport, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transport);
        while (!buffer.IsEmpty)
        {
            buffer = buffer[await transport.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)..];
        }
    }
}
