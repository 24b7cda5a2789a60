using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>What both ends of a session share: the receive loop, requests, and the blocks' channels.</summary>
internal sealed class SessionCore : IDisposable
{
    /// <summary>Signs of life that must be missing before a peer is taken for lost.</summary>
    private const int QuietTicks = 5;

    private const int LongestText = 200;

    private readonly ConcurrentDictionary<long, BlockChannel> _blocks = new();
    private readonly IAuthenticationKey _key;
    private readonly ControlChannel _controlMessages;
    private readonly RequestChannel _control;
    private readonly RequestChannel _requests;
    private volatile bool _waiting;
    private LinkException? _lost;

    public SessionCore(
        LinkEnd end, LinkConnection connection, TaggedChannel tagged, IAuthenticationKey key, ILinkRequestHandler handler, LinkTimeouts timeouts)
    {
        (End, Connection, Tagged, Timeouts, _key) = (end, connection, tagged, timeouts, key);
        _controlMessages = new ControlChannel(connection);
        _control = new RequestChannel(_controlMessages, handler, timeouts.Request, control: true, answers: end == LinkEnd.Alice);
        _requests = new RequestChannel(tagged, handler, timeouts.Request, control: false, answers: true);
    }

    public LinkEnd End { get; }

    public LinkConnection Connection { get; }

    public TaggedChannel Tagged { get; }

    public LinkTimeouts Timeouts { get; }

    /// <summary>Called with each block that the peer opens, before any other message of it is taken.</summary>
    public Func<LinkMessage, BlockChannel, ValueTask>? BlockOpened { get; set; }

    /// <summary>Called first thing when the receive loop ends, before it waits for anybody: to switch light off.</summary>
    public Func<Task>? Ending { get; init; }

    /// <summary>What a peer says, short enough for a log: it may be anybody's words.</summary>
    public static string Shorten(string text) => text.Length <= LongestText ? text : text[..LongestText];

    /// <summary>Asks the peer and waits for the answer.</summary>
    /// <exception cref="LinkException">The peer refuses, does not answer in time, or the connection is lost.</exception>
    public ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        (RequestChannel.IsControl(topic) ? _control : _requests).RequestAsync(topic, request, cancellationToken);

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
            await Connection.SendAsync(channel.Next(MessageType.BlockAbort, Encoding.UTF8.GetBytes(Shorten(reason))), cancellationToken);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException)
        {
            // The connection is gone: the peer gives the block up by itself.
        }
    }

    /// <summary>Sends the tag that closes a block for this end.</summary>
    public ValueTask SendBlockTagAsync(
        BlockChannel channel, MessageType type, Func<AuthenticationPad, byte[]> makeTag, CancellationToken cancellationToken) =>
        Tagged.SendWithPadAsync(
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

    /// <summary>Checks the peer's tag over a block; fitting or not, its pad is used up.</summary>
    /// <exception cref="DistillationException">The tag does not fit, or the peer's log cannot be.</exception>
    public AuthenticatedTranscript CheckBlockTag(BlockChannel channel, LinkEnd peer, BlockChannel.Arrival arrival)
    {
        using var pad = arrival.Pad!;
        try
        {
            // The message ends with what BlockAuthentication made; before it stands the pad's place.
            var authenticated = BlockAuthentication.Verify(
                channel.Transcript, peer, pad.Bytes, arrival.Message.Payload.Span[16..], Timeouts.ClockTolerance);
            _key.UseUp(pad);
            return authenticated;
        }
        catch (DistillationException)
        {
            _key.Forfeit(pad);
            throw;
        }
    }

    /// <summary>
    /// Receives until the connection ends, the peer falls silent or the token is cancelled; then every open block and request fails.
    /// </summary>
    public async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        Exception? reason = null;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] beside = [KeepAliveAsync(ending.Token), WatchAsync(ending.Token), _control.AnswerInOrderAsync(ending.Token)];
        try
        {
            while (true)
            {
                _waiting = true;
                var message = await Connection.ReceiveAsync(cancellationToken);
                _waiting = false;
                await DispatchAsync(message, cancellationToken);
            }
        }
        catch (LinkException e) when (_lost is { } lost)
        {
            reason = e;
            throw lost;
        }
        catch (Exception e)
        {
            reason = e;
            throw;
        }
        finally
        {
            var failure = _lost ?? reason as LinkException ?? new LinkException("The session ended.", reason);
            _control.Fail(failure);
            _requests.Fail(failure);
            foreach (var block in _blocks.Values)
            {
                block.Inbox.Writer.TryComplete(failure);
            }

            // What still answers a request may hold an instrument: nobody may think the session over before it has let go.
            await ending.CancelAsync();
            await (Ending?.Invoke() ?? Task.CompletedTask);
            await Task.WhenAll([.. beside, _requests.FinishAsync()]).ContinueWith(
                static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public void Dispose()
    {
        Tagged.Dispose();
        _controlMessages.Dispose();
    }

    /// <summary>Sends a sign of life again and again, whatever the session is doing.</summary>
    private async Task KeepAliveAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var timer = new PeriodicTimer(Timeouts.KeepAlive, Connection.Time);
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                await Connection.SendAsync(
                    new LinkMessage(MessageType.KeepAlive, 0, 0, 0, Connection.NowMicroseconds, ReadOnlyMemory<byte>.Empty), cancellationToken);
            }
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException)
        {
            // The connection has ended, which the receive loop tells.
        }
    }

    /// <summary>
    /// Ends the connection to a peer of whom not a byte has come for as long as <see cref="LinkTimeouts.Silence"/>. Counted in ticks and
    /// only while nothing else keeps this end from reading, so that a process that was held up itself does not take its peer for lost.
    /// </summary>
    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var timer = new PeriodicTimer(Timeouts.Silence / QuietTicks, Connection.Time);
            var heard = -1L;
            for (var quiet = 0; quiet < QuietTicks;)
            {
                await timer.WaitForNextTickAsync(cancellationToken);
                quiet = _waiting && Connection.BytesReceived == heard ? quiet + 1 : 0;
                heard = Connection.BytesReceived;
            }

            _lost = new LinkException($"Nothing has come from {Connection.Peer} for {Timeouts.Silence.TotalSeconds:0.#} s.");
            await Connection.DisposeAsync();
        }
        catch (OperationCanceledException)
        {
            // The session has ended.
        }
    }

    private async ValueTask DispatchAsync(LinkMessage message, CancellationToken cancellationToken)
    {
        switch (message.Type)
        {
            case MessageType.Request or MessageType.Reply:
                _requests.Receive(message, cancellationToken);
                break;

            case MessageType.Control or MessageType.ControlReply:
                _control.Receive(message, cancellationToken);
                break;

            case MessageType.KeepAlive:
                break;

            case MessageType.Welcome or MessageType.Hello or MessageType.HelloReply or MessageType.HelloFinish:
                throw new LinkProtocolException($"A {message.Type} message came after the handshake.");

            case MessageType.BlockOpen when End == LinkEnd.Bob:
                var opened = Open(message.BlockId);
                await opened.Inbox.Writer.WriteAsync(new(message, null), cancellationToken);
                await BlockOpened!(message, opened);
                break;

            case MessageType.BlockAbort:
                if (_blocks.TryGetValue(message.BlockId, out var given))
                {
                    given.GivenUp?.Invoke($"the peer gave the block up: {Shorten(Encoding.UTF8.GetString(message.Payload.Span))}");
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
            pad = _key.Take(BinaryPrimitives.ReadInt64LittleEndian(place), BinaryPrimitives.ReadInt64LittleEndian(place[8..]), BlockAuthentication.PadBytes);
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
