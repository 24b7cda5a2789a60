using System.Threading.Channels;
using Qkd.Distillation;
using Qkd.Link.Recording;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// One block's side of the connection: numbers its messages, keeps its transcript, and holds what has arrived for it. Used by one task at a
/// time, the block's own.
/// </summary>
internal sealed class BlockChannel : IBlockMessages
{
    /// <summary>What is in the inbox: a message of the peer, with the pad that was taken for it if it closes the block.</summary>
    public readonly record struct Arrival(LinkMessage Message, AuthenticationPad? Pad);

    private readonly LinkConnection _connection;
    private readonly TimeSpan _timeout;
    private readonly LinkEnd _end;
    private uint _sent;
    private uint _received;

    public BlockChannel(long blockId, LinkEnd end, LinkConnection connection, TimeSpan timeout)
    {
        BlockId = blockId;
        _end = end;
        _connection = connection;
        _timeout = timeout;
        Transcript = new BlockTranscript(blockId);
    }

    /// <summary>The block.</summary>
    public long BlockId { get; }

    /// <summary>Every message of the block so far, as this end saw it.</summary>
    public BlockTranscript Transcript { get; }

    /// <summary>Arrivals in order. The bound is more than a block has messages in flight; the connection waits when it is full.</summary>
    public Channel<Arrival> Inbox { get; } = Channel.CreateBounded<Arrival>(new BoundedChannelOptions(512) { SingleReader = true, SingleWriter = false });

    /// <summary>Takes down what is said.</summary>
    public IBlockRecorder Recorder { get; set; } = NoRecording.Instance;

    public bool HasArrived => Inbox.Reader.TryPeek(out _);

    /// <summary>Called with the reason when the peer gives the block up, so that what waits for something else hears of it.</summary>
    public Action<string>? GivenUp { get; set; }

    /// <summary>Makes the next message without sending it: for the message that a tag is part of.</summary>
    public LinkMessage Next(MessageType type, ReadOnlyMemory<byte> payload) =>
        new(type, BlockId, ++_sent, _received, _connection.NowMicroseconds, payload);

    /// <summary>Logs a message and sends it.</summary>
    public async ValueTask SendAsync(MessageType type, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var message = Next(type, payload);
        Transcript.Record(Sending, message.Sequence, message.LastPeerSequence, message.ToBytes(), message.SentMicroseconds);
        Recorder.Sent(type, payload);
        await _connection.SendAsync(message, cancellationToken);
    }

    /// <summary>Waits for the next message, which must be of one kind, and logs it.</summary>
    /// <exception cref="LinkException">The peer gave the block up, sent something else, or nothing in time.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> ExpectAsync(MessageType type, CancellationToken cancellationToken)
    {
        var arrival = await ReceiveAsync(cancellationToken);
        Accept(arrival, type);
        return arrival.Message.Payload;
    }

    /// <summary>Waits for the peer's closing message. It is not part of the transcript that it tags.</summary>
    public async ValueTask<Arrival> ExpectTagAsync(MessageType type, CancellationToken cancellationToken)
    {
        var arrival = await ReceiveAsync(cancellationToken);
        CheckOrder(arrival.Message, type);
        return arrival.Pad is not null ? arrival : throw new LinkProtocolException($"A {type} message came without a pad.");
    }

    /// <summary>Waits for the next arrival of any kind.</summary>
    public async ValueTask<Arrival> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Inbox.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(_timeout, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new LinkException($"Nothing arrived for block {BlockId} within {_timeout.TotalSeconds:0.#} s.", e);
        }
        catch (ChannelClosedException e)
        {
            throw e.InnerException as LinkException ?? new LinkException("The connection ended.", e);
        }
    }

    /// <summary>Checks an arrival's kind and number and logs it.</summary>
    public void Accept(Arrival arrival, MessageType type)
    {
        var message = arrival.Message;
        CheckOrder(message, type);
        Transcript.Record(Receiving, message.Sequence, message.LastPeerSequence, message.ToBytes(), message.ReceivedMicroseconds);
        Recorder.Received(type, message.Payload);
    }

    private TranscriptDirection Sending => _end == LinkEnd.Alice ? TranscriptDirection.AliceToBob : TranscriptDirection.BobToAlice;

    private TranscriptDirection Receiving => _end == LinkEnd.Alice ? TranscriptDirection.BobToAlice : TranscriptDirection.AliceToBob;

    private void CheckOrder(LinkMessage message, MessageType type)
    {
        if (message.Type != type)
        {
            throw new LinkProtocolException($"In block {BlockId} a {type} message was due, {message.Type} came.");
        }

        if (message.Sequence != _received + 1)
        {
            throw new LinkProtocolException($"In block {BlockId} message {message.Sequence} came where {_received + 1} was due.");
        }

        _received = message.Sequence;
    }
}
