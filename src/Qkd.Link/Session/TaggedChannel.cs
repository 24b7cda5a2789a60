using System.Buffers.Binary;
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
internal sealed class TaggedChannel(LinkConnection connection, IAuthenticationKey key) : IRequestTransport, IDisposable
{
    /// <summary>Bytes that a tagged message has after its content.</summary>
    public const int TrailerLength = 32;

    private readonly SemaphoreSlim _order = new(1, 1);
    private uint _sent;
    private uint _received;

    /// <summary>
    /// Whether the handshake is done. Before it anyone may have sent a message, and a tag that does not fit costs nothing; afterwards it
    /// uses its pad up.
    /// </summary>
    public bool Established { get; set; }

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
            if (Established)
            {
                key.Forfeit(pad);
            }

            throw new LinkAuthenticationException($"The tag of a {message.Type} message does not fit: another pre-shared key, or an attack.");
        }

        key.UseUp(pad);
        _received = message.Sequence;
        return message.Payload[..^TrailerLength];
    }

    public void Dispose() => _order.Dispose();
}
