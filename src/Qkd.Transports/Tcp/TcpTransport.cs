using System.Net.Sockets;
using Qkd.Devices;

namespace Qkd.Transports.Tcp;

/// <summary>A TCP socket: no Nagle delay, keep-alive so that a peer that vanished is noticed within about half a minute.</summary>
internal sealed class TcpTransport : IByteTransport
{
    private static readonly (SocketOptionName Option, int Seconds)[] KeepAlive =
    [
        (SocketOptionName.TcpKeepAliveTime, 15),
        (SocketOptionName.TcpKeepAliveInterval, 5),
        (SocketOptionName.TcpKeepAliveRetryCount, 3),
    ];

    private readonly Socket _socket;
    private readonly TransportFaults _faults;

    private TcpTransport(DeviceAddress address, Socket socket, ByteTransportOptions options)
    {
        Address = address;
        _socket = socket;
        _faults = new(address, options);
    }

    /// <inheritdoc/>
    public DeviceAddress Address { get; }

    /// <inheritdoc/>
    public bool IsBroken => _faults.IsBroken;

    public static async ValueTask<TcpTransport> ConnectAsync(DeviceAddress address, ByteTransportOptions options, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var timer = new CancellationTokenSource(options.ConnectTimeout, options.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await socket.ConnectAsync(address.Host, address.Port, both.Token).ConfigureAwait(false);
            socket.NoDelay = true;
            KeepAliveBestEffort(socket);
            return new(address, socket, options);
        }
        catch (OperationCanceledException late) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new DeviceTimeoutException(options.DeviceName, address.Text, "connecting", options.ConnectTimeout, late);
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new DeviceException(options.DeviceName, address.Text, $"cannot connect: {refused.Message}", refused);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await _faults.WriteAsync(
            async token =>
            {
                while (!data.IsEmpty)
                {
                    data = data[await _socket.SendAsync(data, SocketFlags.None, token).ConfigureAwait(false)..];
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _faults.ThrowIfBroken();
        try
        {
            var count = await _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false);
            return count > 0 || buffer.IsEmpty ? count : throw _faults.Break("the other side closed the connection");
        }
        catch (Exception fault) when (fault is SocketException or ObjectDisposedException)
        {
            throw _faults.Break(fault.Message, fault);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DiscardInputAsync(CancellationToken cancellationToken)
    {
        var sink = new byte[4096];
        while (!IsBroken && AnythingReceived())
        {
            await ReadAsync(sink, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _faults.Close();
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private bool AnythingReceived()
    {
        try
        {
            return _socket.Available > 0;
        }
        catch (Exception fault) when (fault is SocketException or ObjectDisposedException)
        {
            throw _faults.Break(fault.Message, fault);
        }
    }

    private static void KeepAliveBestEffort(Socket socket)
    {
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            foreach (var (option, seconds) in KeepAlive)
            {
                socket.SetSocketOption(SocketOptionLevel.Tcp, option, seconds);
            }
        }
        catch (SocketException)
        {
            // An old system without these options: a vanished peer is then noticed by the next time-out only.
        }
    }
}
