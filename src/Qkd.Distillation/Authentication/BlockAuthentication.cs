using System.Buffers;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// One tag a direction over a block's whole transcript, at its end. Bob tags first, then Alice. Each end checks that the other logged the
/// same messages in an order that fits, and that no message was received before it was sent: a message that an attacker can guess
/// could otherwise be delivered early.
/// </summary>
/// <remarks>
/// Tag message: <c>u8 version (1); u8 end; u8 accept; u32 entries; for each entry, in the tagging end's order, a number that is
/// (time less the time before) zigzag-coded, doubled, plus the direction, 7 bits a byte; tag (16 bytes)</c>. The tag covers, in blocks of 16
/// bytes, the block's id, end, flag and entry count; for each entry direction, sequence, last peer sequence, time, length and bytes; and the total length.
/// </remarks>
public static class BlockAuthentication
{
    /// <summary>Bytes of one pad: 16 of hash key, 16 that cover the tag. A fresh one for each tag.</summary>
    public const int PadBytes = MessageAuthentication.PadBytes;

    /// <summary>
    /// Bound on the probability that a forged tag is accepted in either direction: 2 x 2^33 / 2^128, since no transcript that is hashed has more
    /// than 2^33 blocks of 16 bytes.
    /// </summary>
    public static readonly double ForgeryProbability = Math.Pow(2, 34 - 128);

    private const byte Version = 1;

    /// <summary>Closes the transcript and makes this end's tag message.</summary>
    /// <param name="transcript">This end's log.</param>
    /// <param name="end">This end.</param>
    /// <param name="pad"><see cref="PadBytes"/> fresh secret bytes.</param>
    /// <param name="accept">Whether this end accepts the block. Alice can accept only after Bob's tag was found to fit.</param>
    public static byte[] CreateTag(BlockTranscript transcript, LinkEnd end, ReadOnlySpan<byte> pad, bool accept)
    {
        ArgumentNullException.ThrowIfNull(transcript);
        MessageAuthentication.CheckPad(pad);
        if (transcript.OwnAccept is not null)
        {
            throw new InvalidOperationException($"Block {transcript.BlockId} has been tagged already.");
        }

        if (accept && (transcript.Rejected || (end == LinkEnd.Alice && transcript.VerifiedPeer != LinkEnd.Bob)))
        {
            throw new InvalidOperationException($"Block {transcript.BlockId} cannot be accepted: the peer's tag has not been found to fit.");
        }

        transcript.Close(accept);
        var message = new ArrayBufferWriter<byte>(64 + (4 * transcript.Count));
        message.WriteByte(Version);
        message.WriteByte((byte)end);
        message.WriteByte(accept ? (byte)1 : (byte)0);
        message.WriteUInt32((uint)transcript.Count);
        var log = PeerLog.Own(transcript);
        log.Write(message);
        var tag = message.GetSpan(MessageAuthentication.TagBytes)[..MessageAuthentication.TagBytes];
        Tag(transcript, log, end, accept, pad).Write(tag);
        message.Advance(tag.Length);
        return message.WrittenSpan.ToArray();
    }

    /// <summary>Closes the transcript and checks the peer's tag message against it.</summary>
    /// <param name="transcript">This end's log.</param>
    /// <param name="peer">The end that made the tag.</param>
    /// <param name="pad">The pad that the peer used.</param>
    /// <param name="tagMessage">What the peer's <see cref="CreateTag"/> made.</param>
    /// <param name="clockTolerance">By how much the two ends' clocks may disagree.</param>
    /// <returns>The proof that releases the key.</returns>
    /// <exception cref="TranscriptRejectedException">The tag does not fit, the order or the times are impossible, or an end does not accept.</exception>
    public static AuthenticatedTranscript Verify(
        BlockTranscript transcript, LinkEnd peer, ReadOnlySpan<byte> pad, ReadOnlySpan<byte> tagMessage, TimeSpan clockTolerance)
    {
        ArgumentNullException.ThrowIfNull(transcript);
        MessageAuthentication.CheckPad(pad);
        transcript.Close();
        try
        {
            return Check(transcript, peer, pad, tagMessage, clockTolerance);
        }
        catch (DistillationException)
        {
            transcript.Rejected = true;
            throw;
        }
    }

    private static AuthenticatedTranscript Check(
        BlockTranscript transcript, LinkEnd peer, ReadOnlySpan<byte> pad, ReadOnlySpan<byte> tagMessage, TimeSpan clockTolerance)
    {
        if (transcript.Rejected || transcript.VerifiedPeer is not null)
        {
            throw new TranscriptRejectedException($"A tag over block {transcript.BlockId} has been checked already.");
        }

        var reader = new MessageReader(tagMessage, "tag over a block");
        var (version, end, flag) = (reader.ReadByte(), reader.ReadByte(), reader.ReadByte());
        if (version != Version || end != (byte)peer || flag > 1)
        {
            throw reader.Malformed($"it begins with {version}, {end}, {flag}");
        }

        var count = reader.ReadUInt32();
        if (count != (uint)transcript.Count)
        {
            throw new TranscriptRejectedException($"The peer logged {count} messages of block {transcript.BlockId}, this end {transcript.Count}.");
        }

        var log = PeerLog.Read(ref reader, transcript);
        Span<byte> own = stackalloc byte[MessageAuthentication.TagBytes];
        Tag(transcript, log, peer, flag == 1, pad).Write(own);
        var fits = CryptographicOperations.FixedTimeEquals(own, reader.Take(MessageAuthentication.TagBytes));
        reader.End();
        if (!fits)
        {
            throw new TranscriptRejectedException($"The peer's tag over block {transcript.BlockId} does not fit: a message was altered, or the two ends hold different keys.");
        }

        log.CheckOrder(transcript, peer);
        log.CheckTimes(transcript, peer, clockTolerance);
        if (flag != 1)
        {
            throw new TranscriptRejectedException($"The peer does not accept block {transcript.BlockId}.");
        }

        // Bob accepts by his own tag, which comes first; Alice by going on after this.
        if (transcript.OwnAccept is false || (peer == LinkEnd.Alice && transcript.OwnAccept is null))
        {
            throw new TranscriptRejectedException($"This end has not accepted block {transcript.BlockId}.");
        }

        transcript.VerifiedPeer = peer;
        return new(transcript.BlockId, peer, ownAccept: true, peerAccept: true, ForgeryProbability);
    }

    private static Gf128 Tag(BlockTranscript transcript, PeerLog log, LinkEnd end, bool accept, ReadOnlySpan<byte> pad)
    {
        var hash = new PolynomialHash(Gf128.Read(pad));
        hash.AppendBlock(new((ulong)transcript.BlockId, (uint)transcript.Count | (ulong)end << 32 | (accept ? 1UL << 40 : 0) | (ulong)Version << 48));
        log.AppendTo(ref hash, transcript);
        hash.AppendLength(hash.Blocks);
        var tag = hash.Value ^ Gf128.Read(pad[16..]);
        hash.Erase();
        return tag;
    }
}
