using System.Net.Sockets;

namespace Qkd.Link.Wire;

/// <summary>
/// The TCP connection between the two nodes: whole messages in, whole messages out. Sending is thread-safe; there is one reader.
/// A fault closes the connection, and every later call throws.
/// </summary>
public sealed class LinkConnection : IAsyncDisposable
{
    private readonly Stream _stream;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly byte[] _receivedHeader = new byte[LinkMessage.HeaderLength];
    private byte[] _sendBuffer = new byte[256 * 1024];
    private long _bytesReceived;

    /// <summary>Takes over a connected stream.</summary>
    public LinkConnection(Stream stream, string peer, TimeProvider time)
    {
        _stream = stream;
        _time = time;
        Peer = peer;
    }

    /// <summary>The peer's address, for messages.</summary>
    public string Peer { get; }

    /// <summary>A message that the peer does not take for so long ends the connection.</summary>
    public TimeSpan SendLimit { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>The clock of the headers and time-outs.</summary>
    public TimeProvider Time => _time;

    /// <summary>Bytes sent so far, headers included.</summary>
    public long BytesSent { get; private set; }

    /// <summary>Bytes received so far, headers and parts of messages included.</summary>
    public long BytesReceived => Interlocked.Read(ref _bytesReceived);

    /// <summary>The local clock in microseconds since 1970, as it stands in headers.</summary>
    public long NowMicroseconds => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>Takes over a connected socket.</summary>
    public static LinkConnection FromSocket(Socket socket, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(socket);
        socket.NoDelay = true;

        // Beside the session's own: a peer that vanished is noticed also before there is a session.
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        var peer = socket.RemoteEndPoint?.ToString() ?? "?";
        return new(new NetworkStream(socket, ownsSocket: true), peer, time);
    }

    /// <summary>Sends a message.</summary>
    /// <exception cref="LinkException">The connection is lost.</exception>
    public async ValueTask SendAsync(LinkMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            var length = LinkMessage.HeaderLength + message.Payload.Length;
            if (_sendBuffer.Length < length)
            {
                _sendBuffer = new byte[length];
            }

            message.WriteHeader(_sendBuffer);
            message.Payload.CopyTo(_sendBuffer.AsMemory(LinkMessage.HeaderLength));

            // A message is sent whole or the connection is of no more use: cancelling halfway would break the framing.
            using var limit = new CancellationTokenSource(SendLimit, _time);
            await _stream.WriteAsync(_sendBuffer.AsMemory(0, length), limit.Token);
            BytesSent += length;
        }
        catch (OperationCanceledException e)
        {
            await _stream.DisposeAsync();
            throw new LinkException($"The peer {Peer} took no {message.Type} message within {SendLimit.TotalSeconds:0.#} s.", e);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw new LinkException($"The connection to {Peer} is lost while sending {message.Type}: {e.Message}", e);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Receives the next message.</summary>
    /// <exception cref="LinkProtocolException">It is unknown, truncated or too large.</exception>
    /// <exception cref="LinkException">The connection is lost.</exception>
    public async ValueTask<LinkMessage> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            var got = await ReadAsync(_receivedHeader, cancellationToken);
            if (got == 0)
            {
                throw new LinkException($"The peer {Peer} has closed the connection.");
            }

            if (got < LinkMessage.HeaderLength)
            {
                throw new LinkProtocolException($"The peer {Peer} broke off within a message header ({got} of {LinkMessage.HeaderLength} bytes).");
            }

            var header = LinkMessage.ReadHeader(_receivedHeader, out var length);
            var payload = length == 0 ? [] : GC.AllocateUninitializedArray<byte>(length);
            got = await ReadAsync(payload, cancellationToken);
            if (got < length)
            {
                throw new LinkProtocolException($"A {header.Type} message from {Peer} is truncated: {got} of {length} bytes.");
            }

            return header with { Payload = payload, ReceivedMicroseconds = NowMicroseconds };
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw new LinkException($"The connection to {Peer} is lost: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await _stream.DisposeAsync();

    /// <summary>Fills the buffer, or less at the end of the stream. Every piece counts as a sign of life.</summary>
    private async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var got = 0;
        while (got < buffer.Length)
        {
            var more = await _stream.ReadAsync(buffer[got..], cancellationToken);
            if (more == 0)
            {
                break;
            }

            got += more;
            Interlocked.Add(ref _bytesReceived, more);
        }

        return got;
    }
}
