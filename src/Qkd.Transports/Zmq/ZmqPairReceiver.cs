using System.Threading.Channels;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Devices;

namespace Qkd.Transports.Zmq;

/// <summary>
/// Receives whole messages from a ZeroMQ PAIR peer, each in the buffer into which it came from the socket, at the cost of the
/// system's copy alone. Nothing is dropped on this side: when the reader falls behind by <see cref="ZmqOptions.QueueLength"/>
/// messages the sender is pushed back, and <see cref="Pauses"/> counts it.
/// </summary>
public sealed class ZmqPairReceiver : IAsyncDisposable
{
    private readonly ZmqOptions _options;
    private readonly IWireTranscript? _transcript;
    private readonly string _channelName;
    private readonly Channel<ZmqMessage> _messages = Channel.CreateUnbounded<ZmqMessage>(
        new() { SingleWriter = true, AllowSynchronousContinuations = false });

    private ZmqConnection? _connection;
    private PairSocket? _socket;
    private volatile bool _paused;
    private long _pauses;
    private int _disposed;

    private ZmqPairReceiver(DeviceAddress address, ZmqOptions options, IWireTranscript? transcript, string channel) =>
        (Address, _options, _transcript, _channelName) = (address, options, transcript, channel);

    /// <summary>The peer's address.</summary>
    public DeviceAddress Address { get; }

    /// <summary>How often the reader fell behind so that the sender had to be pushed back.</summary>
    public long Pauses => Interlocked.Read(ref _pauses);

    /// <summary>Connects, and waits until the peer has accepted.</summary>
    /// <param name="address">A TCP address.</param>
    /// <param name="options">Limits, clock, and the device's name for messages.</param>
    /// <param name="transcript">Takes a record of every message; null for none.</param>
    /// <param name="channel">The connection's name in the transcript.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceTimeoutException">Nobody accepted within <see cref="ZmqOptions.ConnectTimeout"/>.</exception>
    /// <exception cref="DeviceException">The host name is not known.</exception>
    /// <exception cref="FormatException">Not a TCP address.</exception>
    public static async ValueTask<ZmqPairReceiver> ConnectAsync(
        DeviceAddress address, ZmqOptions options, IWireTranscript? transcript, string channel, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.QueueLength, 1);
        var receiver = new ZmqPairReceiver(address, options, transcript, channel);
        receiver._connection = await ZmqConnection.OpenAsync(
            () => receiver._socket = new PairSocket { Options = { ReceiveHighWatermark = 2 } },
            address,
            options,
            receiver.OnReadable,
            receiver.OnLost,
            cancellationToken).ConfigureAwait(false);
        return receiver;
    }

    /// <summary>Waits for the next message; the caller disposes of it. One reader at a time.</summary>
    /// <exception cref="DeviceDisconnectedException">The peer closed the connection, and every message before that has been read.</exception>
    public async ValueTask<ZmqMessage> ReceiveAsync(CancellationToken cancellationToken)
    {
        ZmqMessage message;
        try
        {
            message = await _messages.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException end)
        {
            throw new DeviceDisconnectedException(
                _options.DeviceName, Address.Text, end.InnerException?.Message ?? "closed by its owner");
        }

        if (_paused)
        {
            _ = ZmqReactor.RunAsync(Resume);
        }

        return message;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await ZmqReactor.RunAsync(() =>
        {
            _connection?.Dispose();
            _messages.Writer.TryComplete();
        }).ConfigureAwait(false);
        while (_messages.Reader.TryRead(out var unread))
        {
            unread.Dispose();
        }
    }

    private void OnReadable(object? sender, NetMQSocketEventArgs e)
    {
        while (HasRoom() && TryTake(e.Socket))
        {
        }
    }

    private bool TryTake(NetMQSocket socket)
    {
        var frame = new Msg();
        frame.InitEmpty();
        if (!socket.TryReceive(ref frame, TimeSpan.Zero))
        {
            frame.Close();
            return false;
        }

        var message = new ZmqMessage(ref frame, _options.Time.GetUtcNow());
        _transcript?.Record(_channelName, sent: false, message.Data.Span);
        _messages.Writer.TryWrite(message);
        return true;
    }

    private bool HasRoom()
    {
        if (_messages.Reader.Count < _options.QueueLength)
        {
            return true;
        }

        _paused = true;
        // The reader may have taken one just before it could see that this side pauses.
        if (_messages.Reader.Count < _options.QueueLength)
        {
            _paused = false;
            return true;
        }

        Interlocked.Increment(ref _pauses);
        _connection!.Watched = false;
        return false;
    }

    private void Resume()
    {
        if (_paused)
        {
            _paused = false;
            _connection!.Watched = true;
        }
    }

    private void OnLost()
    {
        // What has arrived is still in the socket, a few messages at most: hand it out before the end.
        while (_socket is { } socket && TryTake(socket))
        {
        }

        _messages.Writer.TryComplete(new IOException("the other side closed the connection"));
        _connection?.Dispose();
    }
}
