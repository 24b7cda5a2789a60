using System.Globalization;
using System.Net;
using System.Net.Sockets;
using NetMQ;
using NetMQ.Monitoring;
using Qkd.Devices;

namespace Qkd.Transports.Zmq;

/// <summary>
/// A socket with its monitor, which tells when the connection stands and when it breaks: ZeroMQ itself reconnects silently, and a
/// driver must not mistake a restarted instrument for the one it has configured. All members on the <see cref="ZmqReactor"/>'s
/// thread, except the tasks and <see cref="OpenAsync"/>.
/// </summary>
internal sealed class ZmqConnection : IDisposable
{
    private static int _count;

    private readonly NetMQSocket _socket;
    private readonly NetMQMonitor _monitor;
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EventHandler<NetMQSocketEventArgs> _readable;
    private readonly Action _lost;
    private bool _watched;
    private bool _closed;

    private ZmqConnection(NetMQSocket socket, string endpoint, EventHandler<NetMQSocketEventArgs> readable, Action lost)
    {
        (_socket, _readable, _lost) = (socket, readable, lost);
        var name = string.Create(CultureInfo.InvariantCulture, $"inproc://qkd-monitor-{Interlocked.Increment(ref _count)}");
        _monitor = new(socket, name, SocketEvents.Connected | SocketEvents.Disconnected);
        _monitor.Connected += OnConnected;
        _monitor.Disconnected += OnDisconnected;
        _monitor.AttachToPoller(ZmqReactor.Instance);
        socket.ReceiveReady += readable;
        Watched = true;
        try
        {
            socket.Connect(endpoint);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether the readable handler is called when something has arrived; off to let the sender be pushed back.</summary>
    public bool Watched
    {
        get => _watched;
        set
        {
            if (value != _watched && !_closed)
            {
                _watched = value;
                if (value)
                {
                    ZmqReactor.Watch(_socket);
                }
                else
                {
                    ZmqReactor.Unwatch(_socket);
                }
            }
        }
    }

    /// <summary>Connects, and waits until the peer has accepted.</summary>
    /// <param name="create">Makes the socket; called on the owning thread.</param>
    /// <param name="address">A TCP address.</param>
    /// <param name="options">Limits and names.</param>
    /// <param name="readable">Called when something has arrived.</param>
    /// <param name="lost">Called when the connection broke.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<ZmqConnection> OpenAsync(
        Func<NetMQSocket> create,
        DeviceAddress address,
        ZmqOptions options,
        EventHandler<NetMQSocketEventArgs> readable,
        Action lost,
        CancellationToken cancellationToken)
    {
        if (address.Kind != DeviceAddressKind.Tcp)
        {
            throw new FormatException($"{options.DeviceName}: {address} is not a TCP socket (TCPIP0::10.0.0.5::5555::SOCKET).");
        }

        ZmqConnection? connection = null;
        try
        {
            var host = await ResolveAsync(address.Host, cancellationToken)
                .WaitAsync(options.ConnectTimeout, options.Time, cancellationToken).ConfigureAwait(false);
            var ipv6 = host.AddressFamily == AddressFamily.InterNetworkV6;
            var endpoint = string.Create(CultureInfo.InvariantCulture, $"tcp://{(ipv6 ? $"[{host}]" : host)}:{address.Port}");
            await ZmqReactor.RunAsync(() =>
            {
                var socket = create();
                socket.Options.Linger = TimeSpan.Zero;
                socket.Options.MaxMsgSize = options.MaximumMessageLength;
                socket.Options.IPv4Only = !ipv6;
                connection = new(socket, endpoint, readable, lost);
            }).ConfigureAwait(false);
            await connection!._connected.Task.WaitAsync(options.ConnectTimeout, options.Time, cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch (Exception problem)
        {
            if (connection is not null)
            {
                await ZmqReactor.RunAsync(connection.Dispose).ConfigureAwait(false);
            }

            throw problem switch
            {
                OperationCanceledException => problem,
                TimeoutException => new DeviceTimeoutException(
                    options.DeviceName, address.Text, "connecting over ZeroMQ", options.ConnectTimeout, problem),
                _ => new DeviceException(options.DeviceName, address.Text, $"cannot connect: {problem.Message}", problem),
            };
        }
    }

    /// <summary>Closes the socket; what is not yet sent is dropped.</summary>
    public void Dispose()
    {
        if (_closed)
        {
            return;
        }

        Watched = false;
        _closed = true;
        _socket.ReceiveReady -= _readable;
        _monitor.Connected -= OnConnected;
        _monitor.Disconnected -= OnDisconnected;
        _monitor.DetachFromPoller();
        _monitor.Dispose();
        _socket.Dispose();
    }

    // Not left to the socket, which would hold up every other one on its thread meanwhile.
    private static async Task<IPAddress> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out var number))
        {
            return number;
        }

        var found = await Dns.GetHostAddressesAsync(host, cancellationToken).ConfigureAwait(false);
        return found.FirstOrDefault(candidate => candidate.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
    }

    private void OnConnected(object? sender, NetMQMonitorSocketEventArgs e) => _connected.TrySetResult();

    private void OnDisconnected(object? sender, NetMQMonitorSocketEventArgs e) => _lost();
}
