using System.Text;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Devices;

namespace Qkd.Transports.Zmq;

/// <summary>
/// Asks a ZeroMQ REP peer: one text out, one text back. Requests of several callers take turns. A REQ socket that waits for a reply
/// can do nothing else, so after a time-out it is thrown away and made anew; a late reply then finds nobody.
/// </summary>
public sealed class ZmqRequestTransport : IAsyncDisposable
{
    private readonly ZmqOptions _options;
    private readonly IWireTranscript? _transcript;
    private readonly string _channel;
    private readonly SemaphoreSlim _turn = new(1, 1);

    // Both on the reactor's thread only.
    private ZmqConnection? _connection;
    private RequestSocket? _socket;

    private TaskCompletionSource<string>? _pending;
    private string? _problem;

    private ZmqRequestTransport(DeviceAddress address, ZmqOptions options, IWireTranscript? transcript, string channel) =>
        (Address, _options, _transcript, _channel) = (address, options, transcript, channel);

    /// <summary>The peer's address.</summary>
    public DeviceAddress Address { get; }

    /// <summary>Whether the peer went away or the transport was disposed of; open a new one.</summary>
    public bool IsBroken => Volatile.Read(ref _problem) is not null;

    /// <summary>Connects, and waits until the peer has accepted.</summary>
    /// <param name="address">A TCP address.</param>
    /// <param name="options">Limits, clock, and the device's name for messages.</param>
    /// <param name="transcript">Takes a record of every message; null for none.</param>
    /// <param name="channel">The connection's name in the transcript.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceTimeoutException">Nobody accepted within <see cref="ZmqOptions.ConnectTimeout"/>.</exception>
    /// <exception cref="DeviceException">The host name is not known.</exception>
    /// <exception cref="FormatException">Not a TCP address.</exception>
    public static async ValueTask<ZmqRequestTransport> ConnectAsync(
        DeviceAddress address, ZmqOptions options, IWireTranscript? transcript, string channel, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(options);
        var transport = new ZmqRequestTransport(address, options, transcript, channel);
        await transport.OpenAsync(cancellationToken).ConfigureAwait(false);
        return transport;
    }

    /// <summary>Sends a text and waits for the reply. A reply of several frames comes back as one text with a line feed between.</summary>
    /// <param name="request">What to send, UTF-8.</param>
    /// <param name="timeout">How long the reply may take.</param>
    /// <param name="cancellationToken">Gives up; the reply is then lost.</param>
    /// <exception cref="DeviceTimeoutException">No reply in time.</exception>
    /// <exception cref="DeviceDisconnectedException">The peer closed the connection.</exception>
    public async ValueTask<string> RequestAsync(string request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ThrowIfBroken();
            if (_connection is null)
            {
                await OpenAsync(cancellationToken).ConfigureAwait(false);
            }

            var bytes = Encoding.UTF8.GetBytes(request);
            _transcript?.Record(_channel, sent: true, bytes);
            var reply = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
            var answered = false;
            try
            {
                await ZmqReactor.RunAsync(() => Send(bytes, reply)).ConfigureAwait(false);
                var text = await reply.Task.WaitAsync(timeout, _options.Time, cancellationToken).ConfigureAwait(false);
                answered = true;
                return text;
            }
            catch (TimeoutException late)
            {
                throw new DeviceTimeoutException(_options.DeviceName, Address.Text, $"'{request}'", timeout, late);
            }
            finally
            {
                if (!answered)
                {
                    await ZmqReactor.RunAsync(Close).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Interlocked.CompareExchange(ref _problem, "closed by its owner", null);
        await ZmqReactor.RunAsync(() =>
        {
            Fail("closed by its owner");
            Close();
        }).ConfigureAwait(false);
    }

    private async ValueTask OpenAsync(CancellationToken cancellationToken) =>
        _connection = await ZmqConnection.OpenAsync(
            () => _socket = new RequestSocket(), Address, _options, OnReadable, OnLost, cancellationToken).ConfigureAwait(false);

    private void Send(byte[] request, TaskCompletionSource<string> reply)
    {
        if (_socket is not { } socket || !socket.TrySendFrame(TimeSpan.Zero, request))
        {
            reply.TrySetException(Disconnected("no connection to send on"));
            return;
        }

        _pending = reply;
    }

    private void OnReadable(object? sender, NetMQSocketEventArgs e)
    {
        var frames = new List<byte[]>();
        if (!e.Socket.TryReceiveMultipartBytes(ref frames!))
        {
            return;
        }

        foreach (var frame in frames)
        {
            _transcript?.Record(_channel, sent: false, frame);
        }

        _pending?.TrySetResult(string.Join('\n', frames.Select(Encoding.UTF8.GetString)));
        _pending = null;
    }

    private void OnLost()
    {
        Interlocked.CompareExchange(ref _problem, "the other side closed the connection", null);
        Fail(_problem!);
        Close();
    }

    private void Fail(string problem)
    {
        _pending?.TrySetException(Disconnected(problem));
        _pending = null;
    }

    private void Close()
    {
        _pending = null;
        _connection?.Dispose();
        _connection = null;
        _socket = null;
    }

    private void ThrowIfBroken()
    {
        if (Volatile.Read(ref _problem) is { } problem)
        {
            throw Disconnected(problem);
        }
    }

    private DeviceDisconnectedException Disconnected(string problem) => new(_options.DeviceName, Address.Text, problem);
}
