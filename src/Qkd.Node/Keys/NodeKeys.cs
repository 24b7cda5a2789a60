using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Status;

namespace Qkd.Node.Keys;

/// <summary>
/// One node's keys, joined to the link: takes finished blocks, settles them with the peer's store over whatever session is running, hands out
/// the authentication key, and delivers to applications.
/// </summary>
public sealed class NodeKeys : IBlockSink, ILinkRequestHandler, IKeyPeer, IAsyncDisposable
{
    private static readonly TimeSpan SettleInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long no block may have come before a low authentication key is fed from the store, and how often that is tried.</summary>
    private static readonly TimeSpan FeedInterval = TimeSpan.FromMinutes(1);

    /// <summary>Bits drawn for authentication at once. Less would hardly pay for the question and its answer.</summary>
    private static readonly int[] FeedBits = [32_768, 8_192, 4_096, 2_048];

    private readonly KeyStore _store;
    private readonly AuthenticationPool _pool;
    private readonly KeyManager _manager;
    private readonly NodeMonitor _monitor;
    private readonly LinkEnd _end;
    private readonly bool _emulated;
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _settling;
    private readonly Task _feeding;
    private IPeerRequests? _session;
    private int _confirmed;
    private bool _toldLow;
    private bool _disposed;

    private NodeKeys(
        KeyStore store, AuthenticationPool pool, KeyManagerOptions options, bool emulated, LinkEnd end, NodeMonitor monitor, TimeProvider time, ILoggerFactory loggers)
    {
        _store = store;
        _pool = pool;
        _end = end;
        _emulated = emulated;
        _monitor = monitor;
        _manager = new KeyManager(store, pool, this, options, time, loggers.CreateLogger<KeyManager>());
        Authentication = new AuthenticationKey(pool, this);
        _manager.BlockConfirmed += () =>
        {
            Interlocked.Increment(ref _confirmed);
            BlockConfirmed?.Invoke();
        };
        _settling = Task.Run(() => _manager.RunAsync(SettleInterval, _ending.Token));
        _feeding = FeedAsync(time, _ending.Token);
    }

    /// <summary>Raised when a block is known to be held by both sides. Quick.</summary>
    public event Action? BlockConfirmed;

    /// <summary>The key for tags.</summary>
    public IAuthenticationKey Authentication { get; }

    /// <summary>Delivery to applications.</summary>
    public IKeyDelivery Delivery => _manager;

    /// <summary>Opens master key, store and authentication key of a node.</summary>
    /// <param name="folder">The node's folder.</param>
    /// <param name="end">Which end it is.</param>
    /// <param name="options">The node's settings.</param>
    /// <param name="emulated">Whether any instrument behind its key is emulated: said of every key it makes.</param>
    /// <param name="monitor">Is told of trouble.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes loggers.</param>
    /// <exception cref="KeyStoreException">Something is missing, damaged or open to others; the message names the file.</exception>
    public static NodeKeys Open(
        NodeKeyFolder folder, LinkEnd end, KeysOptions options, bool emulated, NodeMonitor monitor, TimeProvider time, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(options);
        using var master = MasterKey.FromFile(folder.MasterKeyFile);
        var pool = AuthenticationPool.Open(folder.AuthenticationFolder, end);
        try
        {
            var store = KeyStore.Open(
                folder.StoreFolder,
                end,
                master,
                new KeyStoreOptions
                {
                    KeySizeBits = options.KeySizeBits,
                    CapacityBits = options.CapacityBits,
                    DeliverLaboratoryKey = options.DeliverLaboratoryKey,
                },
                time);
            var names = new KeyManagerOptions { KmeId = options.KmeId, PeerKmeId = options.PeerKmeId };
            return new NodeKeys(store, pool, names, emulated, end, monitor, time, loggers);
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    /// <summary>The first block id that this node has never used.</summary>
    public long NextBlockId() => _store.NextBlockId;

    /// <summary>Makes it durable that a block id is used.</summary>
    /// <exception cref="LinkException">It cannot be made durable.</exception>
    public void UseBlockId(long blockId) => Durably(() => _store.UseBlockId(blockId));

    /// <summary>How many sessions in a row were begun without a confirmed block, and when the last was.</summary>
    public (int Count, DateTimeOffset Last) Attempts => _store.Attempts;

    /// <summary>Makes that number durable, with the time of now.</summary>
    /// <exception cref="LinkException">It cannot be made durable.</exception>
    public void RecordAttempts(int count) => Durably(() => _store.RecordAttempts(count));

    /// <summary>Whether the authentication key runs low.</summary>
    public bool AuthenticationIsLow => _pool.Status.IsLow;

    /// <summary>
    /// Settles over this session until the returned token is disposed; what the session before left open is settled as soon as its handshake is
    /// done.
    /// </summary>
    public IDisposable Attach(IPeerRequests session)
    {
        _pool.BeginSession();
        var attachment = new Attachment(this, session);
        _ = ReconcileAsync(session, _store.NextBlockId - 1, _ending.Token);
        return attachment;
    }

    /// <inheritdoc/>
    public ValueTask AcceptAsync(SecretKey key, int authenticationBits, BlockReport report, CancellationToken cancellationToken)
    {
        var acceptance = _manager.Accept(key, authenticationBits, _emulated);
        return acceptance.Stored
            ? ValueTask.CompletedTask
            : throw new LinkException($"Block {report.BlockId} was not stored: {acceptance.Reason}");
    }

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>> HandleAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        topic == LinkTopic.KeyStore
            ? await _manager.HandleAsync(request, cancellationToken)
            : throw new LinkProtocolException($"{_end} does not answer requests about {topic}.");

    /// <inheritdoc/>
    async ValueTask<ReadOnlyMemory<byte>> IKeyPeer.ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        await ExchangeAsync(request, cancellationToken);

    /// <summary>Figures of pool and authentication key.</summary>
    public PoolFigures Figures()
    {
        var pool = _manager.Pool;
        var authentication = _pool.Status;
        return new PoolFigures(
            pool.Level.ToString().ToUpperInvariant(),
            pool.DeliverableBits,
            pool.UnconfirmedBits,
            pool.KeysDelivered,
            authentication.PreSharedSendBits + authentication.PreSharedReceiveBits + authentication.FedSendBits + authentication.FedReceiveBits,
            _emulated ? "Emulated bench: instruments behind this key are emulated. It is not for use." : "");
    }

    /// <summary>
    /// Whether the confirmed keys that both stores actually hold are the same, bit by bit: digests under a fresh key are compared. Null if
    /// there is no block that both hold, which proves nothing; false if one store has confirmed a block that the other does not hold.
    /// </summary>
    public static bool? HoldSameKeys(NodeKeys a, NodeKeys b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        var fresh = RandomNumberGenerator.GetBytes(32);
        return Same(a._store.Digests(fresh), b._store.Digests(fresh), a._store.StateOf, b._store.StateOf);
    }

    /// <summary>The comparison itself: digests of the blocks that each side holds, and the state of any block at each side.</summary>
    internal static bool? Same(
        IReadOnlyDictionary<long, string> left, IReadOnlyDictionary<long, string> right, Func<long, BlockState?> leftState, Func<long, BlockState?> rightState)
    {
        if (left.Keys.Except(right.Keys).Any(block => rightState(block) != BlockState.Reserved)
            || right.Keys.Except(left.Keys).Any(block => leftState(block) != BlockState.Reserved))
        {
            return false;
        }

        var common = left.Keys.Intersect(right.Keys).ToList();
        return common.Count == 0 ? null : common.All(block => left[block] == right[block]);
    }

    /// <summary>Asks once more for whatever is not settled.</summary>
    public async Task SettleAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _manager.SettleAsync(cancellationToken);
        }
        catch (Exception e) when (e is KeyStoreException or OperationCanceledException)
        {
            // The connection has ended; the next contact settles it.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        await _ending.CancelAsync();
        await Task.WhenAll(_settling, _feeding).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        _manager.Dispose();
        _store.Dispose();
        _pool.Dispose();
        _ending.Dispose();
    }

    private static void Durably(Action change)
    {
        try
        {
            change();
        }
        catch (KeyStoreException e)
        {
            throw new LinkException(e.Message, e);
        }
    }

    private async Task ReconcileAsync(IPeerRequests session, long lastBlockId, CancellationToken cancellationToken)
    {
        try
        {
            await session.Ready.WaitAsync(cancellationToken);
            _session = session;
            await _manager.ReconcileAsync(lastBlockId, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // No handshake, or the node ends.
        }
        catch (KeyStoreException e)
        {
            // Not lost: the settle loop asks again.
            _monitor.Alarm(AlarmKind.Link, $"key stores not settled yet: {e.Message}");
        }
    }

    /// <summary>
    /// Where the link makes no block that would feed the authentication key and that runs low, it is fed from the store. Either end begins,
    /// with key of its own halves; the other takes the same key by the question it is asked.
    /// </summary>
    private async Task FeedAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(FeedInterval, time);
        try
        {
            var before = 0;
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                TellIfLow();
                var confirmed = Volatile.Read(ref _confirmed);
                if (confirmed == before && _session is not null && _pool.Status.IsLow)
                {
                    await FeedOnceAsync(cancellationToken);
                }

                before = confirmed;
            }
        }
        catch (OperationCanceledException)
        {
            // The node ends.
        }
    }

    private async Task FeedOnceAsync(CancellationToken cancellationToken)
    {
        foreach (var bits in FeedBits)
        {
            try
            {
                await _manager.FeedAuthenticationAsync(bits, cancellationToken);
                return;
            }
            catch (PoolExhaustedException)
            {
                // Less may do: no block of the store has so much left.
            }
            catch (KeyStoreException e)
            {
                _monitor.Alarm(AlarmKind.AuthenticationKey, $"the authentication key could not be fed from the store: {e.Message}");
                return;
            }
        }
    }

    /// <summary>One alarm when the authentication key begins to run low, and the next only after it has recovered.</summary>
    private void TellIfLow()
    {
        var status = _pool.Status;
        if (status.IsLow && !_toldLow)
        {
            var send = (status.PreSharedSendBits + status.FedSendBits) / 256;
            var receive = (status.PreSharedReceiveBits + status.FedReceiveBits) / 256;
            _monitor.Alarm(AlarmKind.AuthenticationKey, $"the authentication key runs low: {send} tags to send and {receive} to receive are left");
        }

        _toldLow = status.IsLow;
    }

    private async ValueTask<ReadOnlyMemory<byte>> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        if (_session is not { } session)
        {
            throw new KeyPeerException("There is no connection to the peer.");
        }

        try
        {
            return await session.RequestAsync(LinkTopic.KeyStore, request, cancellationToken);
        }
        catch (LinkException e)
        {
            throw new KeyPeerException(e.Message, e);
        }
    }

    private sealed class Attachment(NodeKeys keys, IPeerRequests session) : IDisposable
    {
        public void Dispose() => Interlocked.CompareExchange(ref keys._session, null, session);
    }

    /// <summary>The link's port to the authentication pool.</summary>
    private sealed class AuthenticationKey(AuthenticationPool pool, NodeKeys keys) : IAuthenticationKey
    {
        public int WantedBits => pool.Status.WantedBits;

        public AuthenticationPad Reserve(int bytes)
        {
            try
            {
                var pad = pool.Reserve(bytes);
                keys.TellIfLow();
                return new(pad.Segment, pad.Offset, pad.Bytes);
            }
            catch (AuthenticationKeyExhaustedException e)
            {
                keys._monitor.Alarm(AlarmKind.AuthenticationKey, e.Message);
                throw new LinkException(e.Message, e);
            }
            catch (AuthenticationKeyException e)
            {
                throw new LinkAuthenticationException(e.Message, e);
            }
        }

        public AuthenticationPad Take(long segment, long offset, int bytes)
        {
            try
            {
                var pad = pool.Take(segment, offset, bytes);
                return new(pad.Segment, pad.Offset, pad.Bytes);
            }
            catch (AuthenticationKeyException e)
            {
                throw new LinkAuthenticationException(e.Message, e);
            }
        }

        public void UseUp(AuthenticationPad pad)
        {
            try
            {
                pool.UseUp(new Pad(pad.Segment, pad.Offset, pad.Bytes));
            }
            catch (AuthenticationKeyException e)
            {
                throw new LinkException(e.Message, e);
            }
        }

        public void Forfeit(AuthenticationPad pad)
        {
            try
            {
                pool.Forfeit(new Pad(pad.Segment, pad.Offset, pad.Bytes));
            }
            catch (AuthenticationKeyException e)
            {
                throw new LinkException(e.Message, e);
            }
        }

        public byte[] DescribePositions() => pool.DescribePositions();

        public void Agree(ReadOnlySpan<byte> peerPositions)
        {
            try
            {
                pool.Agree(peerPositions);
            }
            catch (AuthenticationKeyException e)
            {
                throw new LinkAuthenticationException(e.Message, e);
            }
        }
    }
}
