using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>Which way a message went.</summary>
public enum TranscriptDirection
{
    /// <summary>From Alice to Bob.</summary>
    AliceToBob = 0,

    /// <summary>From Bob to Alice.</summary>
    BobToAlice = 1,
}

/// <summary>
/// One end's log of everything that was said about a block, in the order in which this end sent and received it. It is closed by the first
/// tag that is made or checked over it: nothing about the block may follow.
/// </summary>
/// <param name="blockId">The block.</param>
public sealed class BlockTranscript(long blockId)
{
    /// <summary>Most bytes that the messages of a block may have together: the bound on forgeries counts on it.</summary>
    public const long MaximumBytes = 1L << 36;

    /// <summary>Most messages that a block may have.</summary>
    public const int MaximumMessages = 1 << 28;

    // Below the size from which an array is a large object, which only a full collection frees.
    private const int ChunkBytes = 64 * 1024;

    private readonly List<Entry>[] _messages = [[], []];
    private readonly List<TranscriptDirection> _order = [];
    private byte[] _chunk = [];
    private int _used;

    /// <summary>The block.</summary>
    public long BlockId { get; } = blockId;

    /// <summary>Messages in either direction.</summary>
    public int Count => _order.Count;

    /// <summary>Bytes in either direction.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether a tag has been made or checked.</summary>
    public bool Closed { get; private set; }

    /// <summary>Whether this end's own tag says that it accepts the block; null before it is made.</summary>
    internal bool? OwnAccept { get; private set; }

    /// <summary>Which end's tag was found to fit; null before.</summary>
    internal LinkEnd? VerifiedPeer { get; set; }

    /// <summary>Whether a tag over this log did not fit: it can never be accepted.</summary>
    internal bool Rejected { get; set; }

    /// <summary>Logs a message when it is handed over to be sent, or when it was received.</summary>
    /// <param name="direction">Which way it went.</param>
    /// <param name="sequence">Its number among the block's messages in its direction, from 1, without a gap.</param>
    /// <param name="lastPeerSequence">The last number its sender had seen from the other end; 0 for none.</param>
    /// <param name="bytes">The message as it stood on the wire. Copied.</param>
    /// <param name="unixMicroseconds">This end's clock when it was sent or received, in microseconds since 1970.</param>
    /// <exception cref="DistillationException">Its number is not the next one, or it answers a message that was never sent.</exception>
    /// <exception cref="InvalidOperationException">The transcript is closed.</exception>
    public void Record(TranscriptDirection direction, long sequence, long lastPeerSequence, ReadOnlySpan<byte> bytes, long unixMicroseconds)
    {
        Check(direction, sequence, lastPeerSequence, bytes.Length, unixMicroseconds);
        var (kept, start) = Keep(bytes);
        Add(direction, new(kept, start, bytes.Length, lastPeerSequence, unixMicroseconds));
    }

    /// <summary>Logs a message like <see cref="Record"/>, without a copy of its bytes.</summary>
    /// <param name="direction">Which way it went.</param>
    /// <param name="sequence">Its number among the block's messages in its direction, from 1, without a gap.</param>
    /// <param name="lastPeerSequence">The last number its sender had seen from the other end; 0 for none.</param>
    /// <param name="bytes">The message as it stood on the wire. Handed over: nobody may change it any more.</param>
    /// <param name="unixMicroseconds">This end's clock when it was sent or received, in microseconds since 1970.</param>
    /// <exception cref="DistillationException">Its number is not the next one, or it answers a message that was never sent.</exception>
    /// <exception cref="InvalidOperationException">The transcript is closed.</exception>
    public void RecordOwned(TranscriptDirection direction, long sequence, long lastPeerSequence, byte[] bytes, long unixMicroseconds)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        Check(direction, sequence, lastPeerSequence, bytes.Length, unixMicroseconds);
        Add(direction, new(bytes, 0, bytes.Length, lastPeerSequence, unixMicroseconds));
    }

    /// <summary>The order in which this end logged its messages.</summary>
    internal ReadOnlySpan<TranscriptDirection> Order => CollectionsMarshal.AsSpan(_order);

    /// <summary>The messages of one direction, by sequence number.</summary>
    internal ReadOnlySpan<Entry> Messages(TranscriptDirection direction) => CollectionsMarshal.AsSpan(_messages[(int)direction]);

    internal void Close(bool? ownAccept = null)
    {
        Closed = true;
        OwnAccept ??= ownAccept;
    }

    private void Check(TranscriptDirection direction, long sequence, long lastPeerSequence, int length, long unixMicroseconds)
    {
        if (Closed)
        {
            throw new InvalidOperationException($"The transcript of block {BlockId} is closed: nothing may follow its tag.");
        }

        var sent = _messages[(int)direction];
        var other = _messages[1 - (int)direction];
        if (sequence != sent.Count + 1)
        {
            throw new DistillationException($"Message {sequence} came where {sent.Count + 1} is due in block {BlockId}: lost, replayed or reordered.");
        }

        if (lastPeerSequence < (sent.Count == 0 ? 0 : sent[^1].LastPeerSequence) || lastPeerSequence > other.Count)
        {
            throw new DistillationException($"Message {sequence} of block {BlockId} answers message {lastPeerSequence} of {other.Count}.");
        }

        if (Bytes + length > MaximumBytes || Count == MaximumMessages)
        {
            throw new DistillationException($"Block {BlockId} has more messages than its tag can cover.");
        }

        // Times are coded with two more bits.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Math.Abs(unixMicroseconds), 1L << 60);
    }

    private void Add(TranscriptDirection direction, Entry entry)
    {
        _messages[(int)direction].Add(entry);
        _order.Add(direction);
        Bytes += entry.Length;
    }

    private (byte[] Bytes, int Start) Keep(ReadOnlySpan<byte> bytes)
    {
        // Many small messages share a chunk; a large one has its own.
        if (bytes.Length > _chunk.Length - _used)
        {
            if (bytes.Length > ChunkBytes / 4)
            {
                return (bytes.ToArray(), 0);
            }

            _chunk = GC.AllocateUninitializedArray<byte>(ChunkBytes);
            _used = 0;
        }

        var start = _used;
        bytes.CopyTo(_chunk.AsSpan(start));
        _used += bytes.Length;
        return (_chunk, start);
    }

    /// <summary>A logged message.</summary>
    internal readonly struct Entry(byte[] bytes, int start, int length, long lastPeerSequence, long unixMicroseconds)
    {
        public ReadOnlySpan<byte> Bytes => bytes.AsSpan(start, length);

        public int Length => length;

        public long LastPeerSequence => lastPeerSequence;

        public long UnixMicroseconds => unixMicroseconds;
    }
}
