using System.Buffers.Binary;
using System.Collections.Concurrent;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// Messages that carry a tag of their own: the handshake, requests and replies, and the tags that close a block. A pad is reserved and
/// its message sent under one lock, so that pads are used on the wire in the order of their positions; the receiver takes them in that
/// order too, as the messages arrive.
/// </summary>
/// <remarks>
/// A tagged message ends with <c>i64 segment; i64 offset; tag (16 bytes)</c>. The tag covers the header (with the whole payload's length)
/// and everything before it in the payload, the pad's place included.
/// </remarks>
internal sealed class TaggedChannel(LinkConnection connection, IAuthenticationKey key) : IDisposable
{
    /// <summary>Bytes that a tagged message has after its content.</summary>
    public const int TrailerLength = 32;

    private readonly SemaphoreSlim _order = new(1, 1);
    private uint _sent;
    private uint _received;

    /// <summary>Tags a message outside any block and sends it.</summary>
    public async ValueTask SendAsync(MessageType type, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await _order.WaitAsync(cancellationToken);
        try
        {
            using var pad = key.Reserve(MessageAuthentication.PadBytes);
            var payload = new byte[content.Length + TrailerLength];
            content.CopyTo(payload);
            BinaryPrimitives.WriteInt64LittleEndian(payload.AsSpan(content.Length), pad.Segment);
            BinaryPrimitives.WriteInt64LittleEndian(payload.AsSpan(content.Length + 8), pad.Offset);
            var message = new LinkMessage(type, 0, ++_sent, _received, connection.NowMicroseconds, payload);
            MessageAuthentication.Tag(pad.Bytes, message.ToBytes().AsSpan(..^16), payload.AsSpan(^16..));
            await connection.SendAsync(message, cancellationToken);
        }
        finally
        {
            _order.Release();
        }
    }

    /// <summary>Reserves a pad, lets <paramref name="build"/> make a block's closing message with it, and sends that.</summary>
    public async ValueTask SendWithPadAsync(int padBytes, Func<AuthenticationPad, LinkMessage> build, CancellationToken cancellationToken)
    {
        await _order.WaitAsync(cancellationToken);
        try
        {
            using var pad = key.Reserve(padBytes);
            await connection.SendAsync(build(pad), cancellationToken);
        }
        finally
        {
            _order.Release();
        }
    }

    /// <summary>Checks a tagged message outside any block and returns its content.</summary>
    /// <exception cref="LinkAuthenticationException">The tag does not fit, or the message is a replay.</exception>
    public ReadOnlyMemory<byte> Open(LinkMessage message)
    {
        if (message.Payload.Length < TrailerLength)
        {
            throw new LinkProtocolException($"A {message.Type} message of {message.Payload.Length} bytes has no tag.");
        }

        if (message.Sequence != _received + 1)
        {
            throw new LinkAuthenticationException($"A {message.Type} message has number {message.Sequence}; {_received + 1} is next: replayed or reordered.");
        }

        var trailer = message.Payload.Span[^TrailerLength..];
        var segment = BinaryPrimitives.ReadInt64LittleEndian(trailer);
        var offset = BinaryPrimitives.ReadInt64LittleEndian(trailer[8..]);
        using var pad = key.Take(segment, offset, MessageAuthentication.PadBytes);
        if (!MessageAuthentication.Verify(pad.Bytes, message.ToBytes().AsSpan(..^16), trailer[16..]))
        {
            throw new LinkAuthenticationException($"The tag of a {message.Type} message does not fit: another pre-shared key, or an attack.");
        }

        key.UseUp(pad);
        _received = message.Sequence;
        return message.Payload[..^TrailerLength];
    }

    public void Dispose() => _order.Dispose();
}

/// <summary>Requests and replies outside blocks, both ways.</summary>
internal sealed class RequestChannel(TaggedChannel tagged, ILinkRequestHandler handler, TimeSpan timeout)
{
    private readonly ConcurrentDictionary<uint, TaskCompletionSource<ReadOnlyMemory<byte>>> _pending = new();
    private uint _lastId;

    /// <summary>Asks the peer and waits for the answer.</summary>
    /// <exception cref="LinkException">The peer refuses, or does not answer in time.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<ReadOnlyMemory<byte>>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answer;
        try
        {
            var content = new byte[5 + body.Length];
            BinaryPrimitives.WriteUInt32LittleEndian(content, id);
            content[4] = (byte)topic;
            body.CopyTo(content.AsMemory(5));
            await tagged.SendAsync(MessageType.Request, content, cancellationToken);
            return await answer.Task.WaitAsync(timeout, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new LinkException($"The peer did not answer the request {topic} within {timeout.TotalSeconds:0.#} s.", e);
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    /// <summary>Takes a checked request or reply. Requests are answered on the thread pool.</summary>
    public void Receive(MessageType type, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (content.Length < 5)
        {
            throw new LinkProtocolException($"A {type} message is too short.");
        }

        var id = BinaryPrimitives.ReadUInt32LittleEndian(content.Span);
        var code = content.Span[4];
        var body = content[5..];
        if (type == MessageType.Reply)
        {
            if (_pending.TryGetValue(id, out var pending))
            {
                if (code == 0)
                {
                    pending.TrySetResult(body);
                }
                else
                {
                    pending.TrySetException(new LinkException($"The peer refuses: {System.Text.Encoding.UTF8.GetString(body.Span)}"));
                }
            }

            return;
        }

        var topic = (LinkTopic)code;
        if (!Enum.IsDefined(topic))
        {
            throw new LinkProtocolException($"Unknown request {code} from the peer.");
        }

        _ = Task.Run(() => AnswerAsync(id, topic, body, cancellationToken), cancellationToken);
    }

    /// <summary>The connection is gone: nobody will answer any more.</summary>
    public void Fail(Exception reason)
    {
        foreach (var pending in _pending.Values)
        {
            pending.TrySetException(reason);
        }
    }

    private async Task AnswerAsync(uint id, LinkTopic topic, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        try
        {
            byte code = 0;
            ReadOnlyMemory<byte> answer;
            try
            {
                answer = await handler.HandleAsync(topic, body, cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                code = 1;
                answer = System.Text.Encoding.UTF8.GetBytes(e.Message);
            }

            var content = new byte[5 + answer.Length];
            BinaryPrimitives.WriteUInt32LittleEndian(content, id);
            content[4] = code;
            answer.CopyTo(content.AsMemory(5));
            await tagged.SendAsync(MessageType.Reply, content, cancellationToken);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection ended while answering; the session's receive loop reports it.
        }
    }
}
