using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// The first three messages of a connection. Bob greets, Alice answers, Bob confirms; each is tagged with key that both hold, and each
/// answers the other's nonce, so that none can be an old recording. Both state what they take for agreed: a difference ends the session
/// before any light. Alice, who listens, welcomes everybody and answers nothing that is not properly tagged, so nobody can drain her key; Bob,
/// who connects, greets only where he is welcome, and limits his attempts.
/// </summary>
internal static class Handshake
{
    private const int NonceLength = 16;
    private const int DigestLength = 32;

    /// <summary>What a handshake settles.</summary>
    /// <param name="FirstBlockId">Blocks of this session have this id and the ones after it.</param>
    public sealed record Outcome(long FirstBlockId);

    /// <summary>Bob's side.</summary>
    public static async ValueTask<Outcome> ConnectAsync(
        LinkConnection connection, TaggedChannel tagged, IAuthenticationKey key, LinkAgreement agreement, long nextBlockId, CancellationToken cancellationToken)
    {
        var nonce = RandomNumberGenerator.GetBytes(NonceLength);
        await tagged.SendAsync(MessageType.Hello, Compose(nonce, default, agreement, nextBlockId, key), cancellationToken);
        var reply = Read(tagged.Open(await ExpectAsync(connection, MessageType.HelloReply, cancellationToken)).Span);
        if (!reply.Echo.AsSpan().SequenceEqual(nonce))
        {
            throw new LinkAuthenticationException("The peer's greeting answers another one: a replay.");
        }

        CheckAgreement(reply, agreement);
        key.Agree(reply.Positions);
        await tagged.SendAsync(MessageType.HelloFinish, reply.Nonce, cancellationToken);
        tagged.Established = true;
        return new(reply.NextBlockId);
    }

    /// <summary>Alice's side, once Bob's greeting was found authentic.</summary>
    public static async ValueTask<Outcome> AnswerAsync(
        LinkConnection connection,
        TaggedChannel tagged,
        Greeting hello,
        IAuthenticationKey key,
        LinkAgreement agreement,
        long nextBlockId,
        CancellationToken cancellationToken)
    {
        var nonce = RandomNumberGenerator.GetBytes(NonceLength);
        var first = Math.Max(nextBlockId, hello.NextBlockId);
        await tagged.SendAsync(MessageType.HelloReply, Compose(nonce, hello.Nonce, agreement, first, key), cancellationToken);

        // Told after the reply, so that Bob too can say what is wrong.
        CheckAgreement(hello, agreement);
        key.Agree(hello.Positions);
        var finish = tagged.Open(await ExpectAsync(connection, MessageType.HelloFinish, cancellationToken));
        if (!finish.Span.SequenceEqual(nonce))
        {
            throw new LinkAuthenticationException("The peer did not answer this greeting: a replay.");
        }

        tagged.Established = true;
        return new(first);
    }

    /// <summary>Digest of everything both nodes must agree on.</summary>
    public static byte[] Digest(LinkAgreement agreement) =>
        SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(agreement));

    /// <summary>The next message, which must be of one kind.</summary>
    public static async ValueTask<LinkMessage> ExpectAsync(LinkConnection connection, MessageType type, CancellationToken cancellationToken)
    {
        var message = await connection.ReceiveAsync(cancellationToken);
        return message.Type == type
            ? message
            : throw new LinkProtocolException($"In the handshake a {type} message was due, {message.Type} came from {connection.Peer}.");
    }

    private static byte[] Compose(ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> echo, LinkAgreement agreement, long nextBlockId, IAuthenticationKey key)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(agreement);
        var positions = key.DescribePositions();
        var bytes = new byte[(2 * NonceLength) + DigestLength + 8 + 4 + text.Length + positions.Length];
        var rest = bytes.AsSpan();
        nonce.CopyTo(rest);
        echo.CopyTo(rest[NonceLength..]);
        rest = rest[(2 * NonceLength)..];
        Digest(agreement).CopyTo(rest);
        rest = rest[DigestLength..];
        BinaryPrimitives.WriteInt64LittleEndian(rest, nextBlockId);
        BinaryPrimitives.WriteInt32LittleEndian(rest[8..], text.Length);
        text.CopyTo(rest[12..]);
        positions.CopyTo(rest[(12 + text.Length)..]);
        return bytes;
    }

    /// <summary>Reads the content of a greeting.</summary>
    public static Greeting Read(ReadOnlySpan<byte> bytes)
    {
        const int fixedLength = (2 * NonceLength) + DigestLength + 12;
        if (bytes.Length < fixedLength)
        {
            throw new LinkProtocolException("A greeting is truncated.");
        }

        var textLength = BinaryPrimitives.ReadInt32LittleEndian(bytes[(fixedLength - 4)..]);
        if (textLength < 0 || textLength > bytes.Length - fixedLength)
        {
            throw new LinkProtocolException("A greeting is malformed.");
        }

        return new(
            bytes[..NonceLength].ToArray(),
            bytes.Slice(NonceLength, NonceLength).ToArray(),
            bytes.Slice(2 * NonceLength, DigestLength).ToArray(),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[(fixedLength - 12)..]),
            Encoding.UTF8.GetString(bytes.Slice(fixedLength, textLength)),
            bytes[(fixedLength + textLength)..].ToArray());
    }

    private static void CheckAgreement(Greeting peer, LinkAgreement own)
    {
        if (!peer.Digest.AsSpan().SequenceEqual(Digest(own)))
        {
            throw new LinkException(
                $"The two nodes' section Bench:Protocol differ. Peer: {peer.Agreement}. Own: {JsonSerializer.Serialize(own)}.");
        }
    }

    /// <summary>What a greeting says.</summary>
    public sealed record Greeting(byte[] Nonce, byte[] Echo, byte[] Digest, long NextBlockId, string Agreement, byte[] Positions);
}
