using System.Net.Sockets;
using System.Threading.Channels;
using Qkd.Link;
using Qkd.Link.Session;
using Qkd.Link.Wire;

namespace Qkd.Node.Nodes;

/// <summary>
/// Alice's door: welcomes everybody who connects, all at once, and lets in whose greeting is authentic. Strangers cost no key, keep nobody
/// waiting, and are shown out after a few seconds, or sooner where many of them stand there.
/// </summary>
internal sealed class Reception : IAsyncDisposable
{
    /// <summary>Callers who may stand at the door; the one who has stood there longest goes when one more comes.</summary>
    internal const int MostWaiting = 64;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly TcpListener _listener;
    private readonly IAuthenticationKey _key;
    private readonly ILinkMonitor _monitor;
    private readonly TimeProvider _time;
    private readonly TimeSpan _greeting;
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _gate = new();
    private readonly List<CancellationTokenSource> _waiting = [];
    private readonly HashSet<Task> _welcoming = [];
    private readonly Channel<LinkCaller> _callers;
    private readonly Task _accepting;

    /// <summary>Begins to accept.</summary>
    /// <param name="listener">A listener that listens. Not owned.</param>
    /// <param name="key">The key that greetings are checked with.</param>
    /// <param name="monitor">Is told of greetings that are not authentic.</param>
    /// <param name="time">Clock.</param>
    /// <param name="greeting">How long a caller may take for his greeting.</param>
    public Reception(TcpListener listener, IAuthenticationKey key, ILinkMonitor monitor, TimeProvider time, TimeSpan greeting)
    {
        (_listener, _key, _monitor, _time, _greeting) = (listener, key, monitor, time, greeting);

        // There is one true peer: whoever of him came last is the one that is there.
        _callers = Channel.CreateBounded<LinkCaller>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest }, static stale => _ = stale.DisposeAsync().AsTask());
        _accepting = AcceptAsync(_ending.Token);
    }

    /// <summary>The next caller.</summary>
    public ValueTask<LinkCaller> NextAsync(CancellationToken cancellationToken) => _callers.Reader.ReadAsync(cancellationToken);

    /// <summary>Ends when a caller is there.</summary>
    public Task ComingAsync(CancellationToken cancellationToken) => _callers.Reader.WaitToReadAsync(cancellationToken).AsTask();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _accepting.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        Task[] welcoming;
        lock (_gate)
        {
            welcoming = [.. _welcoming];
        }

        await Task.WhenAll(welcoming);
        while (_callers.Reader.TryRead(out var caller))
        {
            await caller.DisposeAsync();
        }

        _ending.Dispose();
    }

    private async Task AcceptAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                try
                {
                    var socket = await _listener.AcceptSocketAsync(cancellationToken);
                    Welcome(socket, cancellationToken);
                }
                catch (SocketException e)
                {
                    // A caller who is gone again, or a system without handles: neither is a reason to close the door.
                    _monitor.Alarm(AlarmKind.Link, $"a connection could not be accepted: {e.Message}");
                    await Task.Delay(Pause, _time, cancellationToken);
                }
            }
        }
        catch (Exception e)
        {
            _callers.Writer.TryComplete(e);
        }
    }

    private void Welcome(Socket socket, CancellationToken cancellationToken)
    {
        LinkConnection connection;
        try
        {
            connection = LinkConnection.FromSocket(socket, _time);
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
        {
            // He is gone already.
            socket.Dispose();
            return;
        }

        lock (_gate)
        {
            if (_waiting.Count >= MostWaiting)
            {
                _ = _waiting[0].CancelAsync();
                _waiting.RemoveAt(0);
            }

            var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _waiting.Add(limit);
            var welcoming = Task.Run(() => WelcomeAsync(connection, limit), CancellationToken.None);
            _welcoming.Add(welcoming);
            welcoming.ContinueWith(Forget, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task WelcomeAsync(LinkConnection connection, CancellationTokenSource limit)
    {
        using var slow = _time.CreateTimer(static state => ((CancellationTokenSource)state!).Cancel(), limit, _greeting, Timeout.InfiniteTimeSpan);
        try
        {
            await _callers.Writer.WriteAsync(await LinkCaller.WelcomeAsync(connection, _key, limit.Token), CancellationToken.None);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException or ChannelClosedException)
        {
            if (e is LinkAuthenticationException or LinkProtocolException)
            {
                _monitor.Alarm(AlarmKind.ClassicalChannel, $"a caller was turned away: {e.Message}");
            }

            await connection.DisposeAsync();
        }
        finally
        {
            lock (_gate)
            {
                _waiting.Remove(limit);
            }

            // The timer first: it must not ring for what is gone.
            await slow.DisposeAsync();
            limit.Dispose();
        }
    }

    private void Forget(Task welcoming)
    {
        lock (_gate)
        {
            _welcoming.Remove(welcoming);
        }
    }
}
