using System.Buffers.Binary;

namespace Qkd.Link.Wire;

/// <summary>Kinds of message between the two nodes. The numbers are on the wire: they are never given a new meaning.</summary>
public enum MessageType : byte
{
    /// <summary>Bob greets: version, agreement, nonce, positions in the authentication key. Tagged.</summary>
    Hello = 1,

    /// <summary>Alice answers the greeting. Tagged.</summary>
    HelloReply = 2,

    /// <summary>Bob proves that he has seen the answer. Tagged.</summary>
    HelloFinish = 3,

    /// <summary>Alice is ready for a greeting: until then a caller spends no key on one. Empty, not tagged.</summary>
    Welcome = 4,

    /// <summary>A request of the key stores. Tagged.</summary>
    Request = 8,

    /// <summary>The answer to a request. Tagged.</summary>
    Reply = 9,

    /// <summary>A request about light and keying. Numbered, not tagged: it can only destroy key, which any cut of the fibre can.</summary>
    Control = 10,

    /// <summary>The answer to a request about light and keying. Numbered, not tagged.</summary>
    ControlReply = 11,

    /// <summary>The sender is still there. Empty, not tagged.</summary>
    KeepAlive = 12,

    /// <summary>Alice opens a block: which frames, which parameters.</summary>
    BlockOpen = 16,

    /// <summary>Bob: slots and bases of all detections of a frame.</summary>
    Detections = 17,

    /// <summary>Alice: which of a frame's slots match, and the intensity of every detected slot.</summary>
    Matches = 18,

    /// <summary>Either end: its test-basis bits of the whole block.</summary>
    TestBits = 19,

    /// <summary>Either end: one round of reconciliation.</summary>
    Reconciliation = 20,

    /// <summary>Alice: hash key and tags of her corrected key; after that, tags of the parts that differ, and frames that she discloses.</summary>
    VerificationChallenge = 21,

    /// <summary>Bob: which tags differ, or, at the end, his error counts in the key basis.</summary>
    VerificationAnswer = 22,

    /// <summary>Alice: the secret length.</summary>
    SecretLength = 23,

    /// <summary>Bob: he agrees to the length.</summary>
    SecretLengthAccepted = 24,

    /// <summary>Alice: the seed of the privacy amplification.</summary>
    AmplificationSeed = 25,

    /// <summary>Bob: the tag over the block's transcript.</summary>
    TranscriptTagBob = 26,

    /// <summary>Alice: the tag over the block's transcript. The block's last message.</summary>
    TranscriptTagAlice = 27,

    /// <summary>Either end gives the block up. Not logged, not tagged: it can only destroy key, which any cut of the fibre can.</summary>
    BlockAbort = 31,
}

/// <summary>A message as it stands on the wire: a header of 32 bytes, little-endian, and a payload.</summary>
/// <remarks>
/// <c>u32 payload length; u8 type; u8 version (1); u16 zero; i64 block (0 outside blocks); u32 sequence; u32 last sequence seen from
/// the peer; i64 sender's time in microseconds since 1970</c>. Sequences count from 1 for each block and direction, and for each direction outside blocks.
/// </remarks>
/// <param name="Type">Kind of message.</param>
/// <param name="BlockId">The block it belongs to; 0 for none.</param>
/// <param name="Sequence">Number of this message in its block and direction, from 1.</param>
/// <param name="LastPeerSequence">The last number seen from the peer in this block, 0 for none.</param>
/// <param name="SentMicroseconds">The sender's clock when it was handed over.</param>
/// <param name="Payload">The content.</param>
public sealed record LinkMessage(
    MessageType Type, long BlockId, uint Sequence, uint LastPeerSequence, long SentMicroseconds, ReadOnlyMemory<byte> Payload)
{
    /// <summary>Length of the header in bytes.</summary>
    public const int HeaderLength = 32;

    /// <summary>Largest payload that is accepted, in bytes.</summary>
    public const int MaximumPayload = 16 * 1024 * 1024;

    /// <summary>Largest payload of a greeting: it is read before anybody is known.</summary>
    public const int MaximumGreeting = 64 * 1024;

    /// <summary>Largest payload of a message that carries no tag and belongs to no transcript.</summary>
    public const int MaximumControl = 4 * 1024;

    private const byte Version = 1;

    /// <summary>The local time of receipt in microseconds since 1970; 0 for a message that is being sent.</summary>
    public long ReceivedMicroseconds { get; init; }

    /// <summary>Writes the header.</summary>
    public void WriteHeader(Span<byte> header)
    {
        BinaryPrimitives.WriteInt32LittleEndian(header, Payload.Length);
        header[4] = (byte)Type;
        header[5] = Version;
        header[6] = header[7] = 0;
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], BlockId);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], LastPeerSequence);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], SentMicroseconds);
    }

    /// <summary>Reads a header; the payload is still missing.</summary>
    /// <param name="header">32 bytes.</param>
    /// <param name="payloadLength">Length of the payload that follows, in bytes.</param>
    /// <exception cref="LinkProtocolException">Not a header of this protocol.</exception>
    public static LinkMessage ReadHeader(ReadOnlySpan<byte> header, out int payloadLength)
    {
        payloadLength = BinaryPrimitives.ReadInt32LittleEndian(header);
        var type = (MessageType)header[4];
        if (header[5] != Version || header[6] != 0 || header[7] != 0)
        {
            throw new LinkProtocolException($"The peer speaks another protocol: version byte {header[5]} where {Version} is expected.");
        }

        if (!Enum.IsDefined(type))
        {
            throw new LinkProtocolException($"Unknown message type {header[4]} from the peer.");
        }

        var maximum = MaximumOf(type);
        if (payloadLength < 0 || payloadLength > maximum)
        {
            throw new LinkProtocolException($"A {type} message of {(uint)payloadLength} bytes is larger than the {maximum} allowed.");
        }

        return new(
            type,
            BinaryPrimitives.ReadInt64LittleEndian(header[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[20..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            ReadOnlyMemory<byte>.Empty);
    }

    /// <summary>Header and payload in one array, as they are logged and tagged.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[HeaderLength + Payload.Length];
        WriteHeader(bytes);
        Payload.Span.CopyTo(bytes.AsSpan(HeaderLength));
        return bytes;
    }

    private static int MaximumOf(MessageType type) => type switch
    {
        MessageType.Hello or MessageType.HelloReply or MessageType.HelloFinish => MaximumGreeting,
        MessageType.Control or MessageType.ControlReply or MessageType.BlockAbort => MaximumControl,
        MessageType.Welcome or MessageType.KeepAlive => 0,
        _ => MaximumPayload,
    };
}
