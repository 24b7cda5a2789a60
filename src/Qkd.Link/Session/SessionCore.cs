using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>What both ends of a session share: the receive loop, requests, and the blocks' channels.</summary>
internal sealed class SessionCore(
    LinkEnd end, LinkConnection connection, IAuthenticationKey key, ILinkRequestHandler handler, LinkTimeouts timeouts) : IDisposable
{
    private readonly ConcurrentDictionary<long, BlockChannel> _blocks = new();
    private readonly TaggedChannel _tagged = new(connection, key);
    private RequestChannel? _requests;

    public LinkEnd End { get; } = end;

    public LinkConnection Connection { get; } = connection;

    public TaggedChannel Tagged => _tagged;

    public LinkTimeouts Timeouts { get; } = timeouts;

    /// <summary>Called with each block that the peer opens, before any other message of it is taken.</summary>
    public Func<LinkMessage, BlockChannel, ValueTask>? BlockOpened { get; set; }

    public RequestChannel Requests => _requests ??= new(_tagged, handler, Timeouts.Request);

    /// <summary>Registers a block that this end opens.</summary>
    public BlockChannel Open(long blockId)
    {
        var channel = new BlockChannel(blockId, End, Connection, Timeouts.Block);
        if (!_blocks.TryAdd(blockId, channel))
        {
            throw new LinkProtocolException($"Block {blockId} is already open.");
        }

        return channel;
    }

    /// <summary>The block has ended: what still arrives for it is thrown away.</summary>
    public void Close(BlockChannel channel)
    {
        _blocks.TryRemove(channel.BlockId, out _);
        channel.Inbox.Writer.TryComplete();
    }

    /// <summary>Tells the peer that this end gives the block up. Best effort.</summary>
    public async ValueTask AbortAsync(BlockChannel channel, string reason, CancellationToken cancellationToken)
    {
        try
        {
            await Connection.SendAsync(channel.Next(MessageType.BlockAbort, Encoding.UTF8.GetBytes(reason)), cancellationToken);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException)
        {
            // The connection is gone: the peer gives the block up by itself.
        }
    }

    /// <summary>Sends the tag that closes a block for this end.</summary>
    public ValueTask SendBlockTagAsync(
        BlockChannel channel, MessageType type, Func<AuthenticationPad, byte[]> makeTag, CancellationToken cancellationToken) =>
        _tagged.SendWithPadAsync(
            BlockAuthentication.PadBytes,
            pad =>
            {
                var tag = makeTag(pad);
                var payload = new byte[16 + tag.Length];
                BinaryPrimitives.WriteInt64LittleEndian(payload, pad.Segment);
                BinaryPrimitives.WriteInt64LittleEndian(payload.AsSpan(8), pad.Offset);
                tag.CopyTo(payload.AsSpan(16));
                return channel.Next(type, payload);
            },
            cancellationToken);

    /// <summary>The tag in a message that <see cref="SendBlockTagAsync"/> made.</summary>
    public static ReadOnlyMemory<byte> TagOf(LinkMessage message) => message.Payload[16..];

    /// <summary>Receives until the connection ends or the token is cancelled; then every open block and request fails.</summary>
    public async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        Exception? reason = null;
        try
        {
            while (true)
            {
                await DispatchAsync(await Connection.ReceiveAsync(cancellationToken), cancellationToken);
            }
        }
        catch (Exception e)
        {
            reason = e;
            throw;
        }
        finally
        {
            var failure = reason as LinkException ?? new LinkException("The session ended.", reason);
            Requests.Fail(failure);
            foreach (var block in _blocks.Values)
            {
                block.Inbox.Writer.TryComplete(failure);
            }
        }
    }

    public void Dispose() => _tagged.Dispose();

    private async ValueTask DispatchAsync(LinkMessage message, CancellationToken cancellationToken)
    {
        switch (message.Type)
        {
            case MessageType.Request or MessageType.Reply:
                Requests.Receive(message.Type, _tagged.Open(message), cancellationToken);
                break;

            case MessageType.Hello or MessageType.HelloReply or MessageType.HelloFinish:
                throw new LinkProtocolException($"A {message.Type} message came after the handshake.");

            case MessageType.BlockOpen when End == LinkEnd.Bob:
                var opened = Open(message.BlockId);
                await opened.Inbox.Writer.WriteAsync(new(message, null), cancellationToken);
                await BlockOpened!(message, opened);
                break;

            case MessageType.BlockAbort:
                if (_blocks.TryGetValue(message.BlockId, out var given))
                {
                    given.GivenUp?.Invoke($"the peer gave the block up: {Encoding.UTF8.GetString(message.Payload.Span)}");
                }

                break;

            default:
                // A block that this end has given up may still have messages on the way.
                if (_blocks.TryGetValue(message.BlockId, out var channel))
                {
                    await DeliverAsync(channel, message, cancellationToken);
                }

                break;
        }
    }

    private async ValueTask DeliverAsync(BlockChannel channel, LinkMessage message, CancellationToken cancellationToken)
    {
        AuthenticationPad? pad = null;
        if (message.Type is MessageType.TranscriptTagAlice or MessageType.TranscriptTagBob)
        {
            if (message.Payload.Length < 16)
            {
                throw new LinkProtocolException($"A {message.Type} message is truncated.");
            }

            // Taken here and not by the block, so that pads are taken in the order in which their messages were sent.
            var place = message.Payload.Span;
            pad = key.Take(BinaryPrimitives.ReadInt64LittleEndian(place), BinaryPrimitives.ReadInt64LittleEndian(place[8..]), BlockAuthentication.PadBytes);
        }

        try
        {
            await channel.Inbox.Writer.WriteAsync(new(message, pad), cancellationToken);
        }
        catch (System.Threading.Channels.ChannelClosedException)
        {
            pad?.Dispose();
        }
    }
}
