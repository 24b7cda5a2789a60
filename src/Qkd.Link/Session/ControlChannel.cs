using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Sends the messages of requests and checks those that arrive.</summary>
internal interface IRequestTransport
{
    /// <summary>Sends a message outside any block.</summary>
    ValueTask SendAsync(MessageType type, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>Checks a message outside any block and returns its content.</summary>
    /// <exception cref="LinkException">It must not be acted upon.</exception>
    ReadOnlyMemory<byte> Open(LinkMessage message);
}

/// <summary>
/// Messages about light and keying: numbered within the session, without a tag. They are many where the polarization is being aligned, and
/// no key is made then that could pay for tags; whoever may alter them may as well cut the fibre.
/// </summary>
internal sealed class ControlChannel(LinkConnection connection) : IRequestTransport, IDisposable
{
    private readonly SemaphoreSlim _order = new(1, 1);
    private uint _sent;
    private uint _received;

    /// <inheritdoc/>
    public async ValueTask SendAsync(MessageType type, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await _order.WaitAsync(cancellationToken);
        try
        {
            await connection.SendAsync(new LinkMessage(type, 0, ++_sent, _received, connection.NowMicroseconds, content), cancellationToken);
        }
        finally
        {
            _order.Release();
        }
    }

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> Open(LinkMessage message)
    {
        if (message.Sequence != _received + 1)
        {
            throw new LinkProtocolException($"A {message.Type} message has number {message.Sequence}; {_received + 1} is next: replayed or reordered.");
        }

        _received = message.Sequence;
        return message.Payload;
    }

    public void Dispose() => _order.Dispose();
}
