using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// A connection to Alice whose greeting was found authentic: only such a one becomes a session. Everybody else is turned away without
/// having cost key, or kept anyone waiting.
/// </summary>
public sealed class LinkCaller : IAsyncDisposable
{
    /// <summary>The same greeting on two connections at once: the second must find its pad used up.</summary>
    private static readonly Lock Checking = new();

    private LinkCaller(LinkConnection connection, TaggedChannel tagged, Handshake.Greeting greeting) =>
        (Connection, Tagged, Greeting) = (connection, tagged, greeting);

    /// <summary>The connection.</summary>
    public LinkConnection Connection { get; }

    internal TaggedChannel Tagged { get; }

    internal Handshake.Greeting Greeting { get; }

    /// <summary>Alice's side of a fresh connection: says that she is ready, reads the greeting and checks it.</summary>
    /// <exception cref="LinkException">The connection is lost, the caller says something else, or his tag does not fit.</exception>
    public static async ValueTask<LinkCaller> WelcomeAsync(LinkConnection connection, IAuthenticationKey key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        var tagged = new TaggedChannel(connection, key);
        try
        {
            await connection.SendAsync(
                new LinkMessage(MessageType.Welcome, 0, 0, 0, connection.NowMicroseconds, ReadOnlyMemory<byte>.Empty), cancellationToken);
            var message = await Handshake.ExpectAsync(connection, MessageType.Hello, cancellationToken);
            lock (Checking)
            {
                return new(connection, tagged, Handshake.Read(tagged.Open(message).Span));
            }
        }
        catch
        {
            tagged.Dispose();
            throw;
        }
    }

    /// <summary>Bob's side of a fresh connection: waits until Alice is ready. A greeting costs key, so he spends none where nobody would answer.</summary>
    /// <exception cref="LinkException">The connection is lost, or somebody else is there.</exception>
    public static async ValueTask AwaitWelcomeAsync(LinkConnection connection, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        await Handshake.ExpectAsync(connection, MessageType.Welcome, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Connection.DisposeAsync();
        Tagged.Dispose();
    }
}
