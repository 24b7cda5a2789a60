namespace Qkd.Transports.Framing;

/// <summary>
/// Joins replies to those who wait for them, by what a message is and never by the order of arrival: for protocols in which
/// unsolicited messages come between a request and its reply. Thread-safe.
/// </summary>
/// <typeparam name="TMessage">The protocol's message.</typeparam>
public sealed class PendingReplies<TMessage>
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Expectation> _waiting = [];
    private Exception? _failure;

    /// <summary>
    /// Announces a wait, before the request goes out. Dispose the expectation when done waiting, in time or not, so that a late
    /// reply finds nobody.
    /// </summary>
    /// <param name="matches">Tells the reply; must be quick and must not throw.</param>
    public Expectation Expect(Func<TMessage, bool> matches)
    {
        var expectation = new Expectation(this, matches);
        lock (_gate)
        {
            if (_failure is { } failure)
            {
                expectation.Fail(failure);
            }
            else
            {
                expectation.Node = _waiting.AddLast(expectation);
            }
        }

        return expectation;
    }

    /// <summary>Gives a message to the first that waits for such; false if nobody does.</summary>
    public bool Offer(TMessage message)
    {
        Expectation? taker = null;
        lock (_gate)
        {
            for (var node = _waiting.First; node is not null; node = node.Next)
            {
                if (node.Value.Matches(message))
                {
                    taker = node.Value;
                    _waiting.Remove(node);
                    taker.Node = null;
                    break;
                }
            }
        }

        taker?.Complete(message);
        return taker is not null;
    }

    /// <summary>Fails everyone who waits, and everyone who comes after: the connection is lost.</summary>
    public void FailAll(Exception failure)
    {
        Expectation[] present;
        lock (_gate)
        {
            _failure ??= failure;
            present = [.. _waiting];
            _waiting.Clear();
            foreach (var expectation in present)
            {
                expectation.Node = null;
            }
        }

        foreach (var expectation in present)
        {
            expectation.Fail(failure);
        }
    }

    /// <summary>One wait.</summary>
    public sealed class Expectation : IDisposable
    {
        private readonly PendingReplies<TMessage> _owner;
        private readonly TaskCompletionSource<TMessage> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal Expectation(PendingReplies<TMessage> owner, Func<TMessage, bool> matches) => (_owner, Matches) = (owner, matches);

        internal Func<TMessage, bool> Matches { get; }

        internal LinkedListNode<Expectation>? Node { get; set; }

        /// <summary>Waits for the reply.</summary>
        /// <exception cref="Exception">What <see cref="FailAll"/> was given.</exception>
        public Task<TMessage> WaitAsync(CancellationToken cancellationToken) => _reply.Task.WaitAsync(cancellationToken);

        /// <summary>Stops waiting.</summary>
        public void Dispose()
        {
            lock (_owner._gate)
            {
                if (Node is { } node)
                {
                    _owner._waiting.Remove(node);
                    Node = null;
                }
            }
        }

        internal void Complete(TMessage message) => _reply.TrySetResult(message);

        internal void Fail(Exception failure)
        {
            _reply.TrySetException(failure);
            // Whoever gave up waiting must not raise an unobserved exception.
            _ = _reply.Task.Exception;
        }
    }
}
