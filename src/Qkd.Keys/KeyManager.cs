using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Distillation;
using Qkd.Keys.Settlement;
using Qkd.Keys.Storage;

namespace Qkd.Keys;

/// <summary>
/// The key management entity of one side: it takes finished blocks, settles with the peer which of them both hold, and delivers key from
/// them. It owns no thread and no timer: the node calls <see cref="RunAsync"/> (or <see cref="SettleAsync"/> as it sees fit),
/// <see cref="ReconcileAsync(CancellationToken)"/> when the peer is back, and passes the peer's questions to <see cref="HandleAsync"/>. Thread-safe.
/// </summary>
/// <remarks>
/// Intent is durable before a question is sent, acceptance before it is answered, consumption before a key is handed out. So a message lost at
/// any instant, or a crash, burns key at worst; it never lets the same key out twice, and the next contact settles what is open (docs/keys.md).
/// </remarks>
public sealed class KeyManager : IKeyDelivery, IDisposable
{
    private const int ItemsPerExchange = 1000;
    private const int Attempts = 2;
    private const int Redraws = 4;
    private const int MaximumSaeIdLength = 256;

    private readonly KeyStore _store;
    private readonly AuthenticationPool? _authentication;
    private readonly IKeyPeer _peer;
    private readonly KeyManagerOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SemaphoreSlim _settling = new(1, 1);
    private readonly SemaphoreSlim _wake = new(0, 1);

    /// <summary>Creates the entity of one side.</summary>
    /// <param name="store">This side's key store. Not owned.</param>
    /// <param name="authentication">The pool that is fed from the blocks; null if it is fed by nobody. Not owned.</param>
    /// <param name="peer">The way to the other side.</param>
    /// <param name="options">Names and limits.</param>
    /// <param name="time">The clock for time-outs; the system's if null.</param>
    /// <param name="logger">Where to log; nowhere if null. Key is never logged.</param>
    /// <exception cref="KeyStoreException">An option is out of range.</exception>
    public KeyManager(
        KeyStore store, AuthenticationPool? authentication, IKeyPeer peer, KeyManagerOptions options, TimeProvider? time = null, ILogger<KeyManager>? logger = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(peer);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _store = store;
        _authentication = authentication;
        _peer = peer;
        _options = options;
        _time = time ?? TimeProvider.System;
        _log = logger ?? NullLogger<KeyManager>.Instance;
        foreach (var path in authentication?.DamagedSegments ?? [])
        {
            Log.SegmentDamaged(_log, path);
        }

        SettleSegments();
    }

    /// <summary>The state of the pool.</summary>
    public PoolStatus Pool => _store.Status();

    /// <summary>Raised when a block is known to be held by both sides, on the thread that learnt it. Quick.</summary>
    public event Action? BlockConfirmed;

    /// <summary>
    /// Takes a finished block over: part of it goes to the authentication of the classical channel, the rest into the store. Durable when it
    /// returns; delivered to nobody before the peer is known to hold it too. The key is disposed.
    /// </summary>
    /// <param name="key">The block's key.</param>
    /// <param name="authenticationBits">
    /// How many of its bits feed the authentication pool: a multiple of 8, at most all. Both sides must say the same for the same block, or it is voided.
    /// </param>
    /// <param name="emulated">Whether any instrument behind it was emulated.</param>
    public BlockAcceptance Accept(SecretKey key, int authenticationBits, bool emulated)
    {
        ArgumentNullException.ThrowIfNull(key);
        using (key)
        {
            var (material, rest) = key.Divide(authenticationBits);
            using (material)
            using (rest)
            {
                var feed = new byte[material.LengthBytes];
                var bytes = new byte[rest.LengthBytes];
                try
                {
                    material.CopyTo(feed);
                    rest.CopyTo(bytes);
                    return Accept(rest.BlockId, bytes, feed, new(rest.Grade, emulated));
                }
                finally
                {
                    CryptographicOperations.ZeroMemory(feed);
                    CryptographicOperations.ZeroMemory(bytes);
                }
            }
        }
    }

    /// <summary>
    /// One round with the peer: tells what is stored and not settled, which halves are used up and which keys were given up. Does nothing if
    /// nothing is open.
    /// </summary>
    /// <returns>How many blocks and keys were told about.</returns>
    /// <exception cref="KeyPeerException">The peer could not be reached; what is open stays open.</exception>
    public async ValueTask<int> SettleAsync(CancellationToken cancellationToken)
    {
        await _settling.WaitAsync(cancellationToken);
        try
        {
            Discard(_store.Maintain());
            var told = 0;
            var claims = _store.PendingClaims(ItemsPerExchange);
            if (claims.Count > 0)
            {
                await ClaimAsync(claims, cancellationToken);
                told += claims.Count;
            }

            return told + await CancelAsync(cancellationToken);
        }
        finally
        {
            _settling.Release();
        }
    }

    /// <summary>
    /// After the connection was lost, or one side began anew: goes through all live blocks and settles each for good, held by both or void,
    /// and every key that was under way. To be called by both sides once blocks of the old connection can no longer arrive.
    /// </summary>
    /// <exception cref="KeyPeerException">The peer could not be reached; call again.</exception>
    public ValueTask ReconcileAsync(CancellationToken cancellationToken) => ReconcileAsync(_store.NextBlockId - 1, cancellationToken);

    /// <summary>The same up to a block: those after it are of the connection that is there now, and may still come on the other side.</summary>
    /// <exception cref="KeyPeerException">The peer could not be reached; call again.</exception>
    public async ValueTask ReconcileAsync(long lastBlockId, CancellationToken cancellationToken)
    {
        await _settling.WaitAsync(cancellationToken);
        try
        {
            var after = long.MinValue;
            while (_store.LiveClaims(after, lastBlockId, _options.ClaimsAfterConnecting) is { Count: > 0 } claims)
            {
                await ClaimAsync(claims, cancellationToken);
                after = claims[^1].BlockId;
            }

            await CancelAsync(cancellationToken);
        }
        finally
        {
            _settling.Release();
        }
    }

    /// <summary>
    /// Settles whenever a block has come, and every <paramref name="interval"/>, until cancelled. That the peer cannot be reached is logged
    /// and tried again after the interval.
    /// </summary>
    public async Task RunAsync(TimeSpan interval, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, _time);
        var tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
        var wake = _wake.WaitAsync(cancellationToken);
        var reachable = true;
        try
        {
            while (true)
            {
                // When the peer does not answer, a fresh block is no reason to ask him at once.
                if (!reachable || await Task.WhenAny(tick, wake) == tick)
                {
                    await tick;
                    tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
                }

                // One wait at a time: one left behind would swallow the next call.
                if (wake.IsCompleted)
                {
                    await wake;
                    wake = _wake.WaitAsync(cancellationToken);
                }

                try
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await SettleAsync(cancellationToken);
                    reachable = true;
                }
                catch (KeyPeerException e)
                {
                    reachable = false;
                    Log.PeerUnreachable(_log, e.Message);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to end.
        }
    }

    /// <summary>Answers a question of the peer's key store. A question that makes no sense is answered with an error; nothing has changed then.</summary>
    /// <exception cref="KeyStoreException">This side's store failed.</exception>
    public ValueTask<ReadOnlyMemory<byte>> HandleAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return new((ReadOnlyMemory<byte>)Handle(request));
        }
        catch (KeyPeerException e)
        {
            Log.PeerNotUnderstood(_log, e.Message);
            return new((ReadOnlyMemory<byte>)Wire.WriteError(e.Message));
        }
    }

    /// <summary>
    /// Draws key from the store for the authentication of the classical channel, below the floor if need be: for a link that makes no key
    /// at present and whose authentication key runs low.
    /// </summary>
    /// <param name="bits">How many bits; a multiple of 512, so that both directions get whole pads.</param>
    /// <param name="cancellationToken">Ends the wait for the peer.</param>
    /// <exception cref="PoolExhaustedException">Not even the floor holds so much in one block.</exception>
    /// <exception cref="KeyPeerException">The peer cannot be reached.</exception>
    public async ValueTask FeedAuthenticationAsync(int bits, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bits);
        ArgumentOutOfRangeException.ThrowIfNotEqual(bits % 512, 0, nameof(bits));
        var pool = _authentication ?? throw new InvalidOperationException("This side has no authentication pool.");
        var keys = await DrawAsync(
            () => _store.Reserve(1, bits / 8, "", [], attestedOnly: false, KeyPurpose.Authentication),
            assignments =>
            {
                var delivered = _store.Deliver(assignments);
                pool.Append(SegmentOf(delivered[0].Id), delivered[0].Bytes);
                pool.Confirm(SegmentOf(delivered[0].Id));
                return delivered;
            },
            cancellationToken);
        Erase(keys);
    }

    /// <inheritdoc/>
    public KeyDeliveryStatus GetStatus(string callerSaeId, string slaveSaeId)
    {
        CheckSaeId(callerSaeId);
        CheckSaeId(slaveSaeId);
        var bytes = _store.Options.KeySizeBits / 8;
        var (keys, provenances) = _store.CountDeliverable(bytes);
        return new()
        {
            SourceKmeId = _options.KmeId,
            TargetKmeId = _options.PeerKmeId,
            MasterSaeId = callerSaeId,
            SlaveSaeId = slaveSaeId,
            KeySizeBits = _store.Options.KeySizeBits,
            StoredKeyCount = keys,
            MaximumKeyCount = _store.Options.CapacityBits / 2 / _store.Options.KeySizeBits,
            MaximumKeysPerRequest = _options.MaximumKeysPerRequest,
            MaximumKeySizeBits = _options.MaximumKeySizeBits,
            MinimumKeySizeBits = _options.MinimumKeySizeBits,
            MaximumAdditionalSlaves = _options.MaximumAdditionalSlaves,
            Level = _store.Status().Level,
            Provenances = provenances,
        };
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeliveredKey>> GetKeysAsync(KeyRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var bytes = Check(request) / 8;
        string[] slaves = [request.SlaveSaeId, .. request.AdditionalSlaveSaeIds.Where(slave => slave != request.SlaveSaeId).Distinct(StringComparer.Ordinal)];
        var keys = await DrawAsync(
            () => _store.Reserve(request.Number, bytes, request.MasterSaeId, slaves, request.AttestedOnly, KeyPurpose.Application),
            _store.Deliver,
            cancellationToken);
        Log.KeysDelivered(_log, keys.Count, 8 * bytes, request.MasterSaeId, request.SlaveSaeId);
        return keys;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<DeliveredKey>> GetKeysByIdAsync(
        string callerSaeId, string masterSaeId, IReadOnlyList<Guid> keyIds, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keyIds);
        cancellationToken.ThrowIfCancellationRequested();
        CheckSaeId(callerSaeId);
        CheckSaeId(masterSaeId);
        if (keyIds.Count == 0)
        {
            throw new KeyRequestException("key_IDs shall name at least one key");
        }

        if (keyIds.Count > _options.MaximumKeysPerRequest)
        {
            throw new KeyRequestException(FormattableString.Invariant($"at most {_options.MaximumKeysPerRequest} keys are delivered in one request"));
        }

        if (keyIds.Distinct().Count() != keyIds.Count)
        {
            throw new KeyRequestException("key_IDs names a key more than once");
        }

        var keys = _store.Collect(callerSaeId, masterSaeId, keyIds);
        Log.KeysCollected(_log, keys.Count, callerSaeId, masterSaeId);
        return new(keys);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _settling.Dispose();
        _wake.Dispose();
    }

    /// <summary>Takes a block over as bytes; <see cref="Accept(SecretKey, int, bool)"/> is the only way from outside.</summary>
    internal BlockAcceptance Accept(long blockId, ReadOnlySpan<byte> key, ReadOnlySpan<byte> authenticationKey, KeyProvenance provenance)
    {
        // First the segment: a peer who hears that the block is stored here may use the segment at once.
        _authentication?.Append(blockId, authenticationKey);
        var acceptance = _store.Store(blockId, key, provenance);
        if (acceptance.Stored)
        {
            Log.BlockStored(_log, blockId, 8 * key.Length, provenance.Grade);
            Wake();
        }
        else
        {
            _authentication?.Discard(blockId);
            Log.BlockNotStored(_log, blockId, acceptance.Reason);
        }

        return acceptance;
    }

    /// <summary>The segment of key that was drawn from the store: below zero, where no block's id is.</summary>
    private static long SegmentOf(Guid keyId)
    {
        Span<byte> bytes = stackalloc byte[16];
        keyId.TryWriteBytes(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes) | long.MinValue;
    }

    private static void CheckSaeId(string saeId)
    {
        if (string.IsNullOrWhiteSpace(saeId) || saeId.Length > MaximumSaeIdLength)
        {
            throw new KeyRequestException(FormattableString.Invariant($"an SAE id has 1 to {MaximumSaeIdLength} characters"));
        }
    }

    private static void Erase(IEnumerable<DeliveredKey> keys)
    {
        foreach (var key in keys)
        {
            key.Dispose();
        }
    }

    private int Check(KeyRequest request)
    {
        CheckSaeId(request.MasterSaeId);
        CheckSaeId(request.SlaveSaeId);
        foreach (var slave in request.AdditionalSlaveSaeIds)
        {
            CheckSaeId(slave);
        }

        var bits = request.SizeBits ?? _store.Options.KeySizeBits;
        Require(bits % 8 == 0, "size shall be a multiple of 8");
        Require(
            bits >= _options.MinimumKeySizeBits && bits <= _options.MaximumKeySizeBits,
            FormattableString.Invariant($"size shall be {_options.MinimumKeySizeBits} to {_options.MaximumKeySizeBits}"));
        Require(
            request.Number >= 1 && request.Number <= _options.MaximumKeysPerRequest,
            FormattableString.Invariant($"number shall be 1 to {_options.MaximumKeysPerRequest}"));
        Require(
            request.AdditionalSlaveSaeIds.Count <= _options.MaximumAdditionalSlaves,
            FormattableString.Invariant($"at most {_options.MaximumAdditionalSlaves} additional_slave_SAE_IDs are allowed"));
        return bits;

        static void Require(bool holds, string message)
        {
            if (!holds)
            {
                throw new KeyRequestException(message);
            }
        }
    }

    /// <summary>Chooses bits, has the peer accept the keys, delivers. Every way out but the last leaves the keys given up.</summary>
    private async ValueTask<IReadOnlyList<DeliveredKey>> DrawAsync(
        Func<IReadOnlyList<Assignment>> reserve, Func<IReadOnlyList<Assignment>, IReadOnlyList<DeliveredKey>> deliver, CancellationToken cancellationToken)
    {
        for (var redraw = 0; ; redraw++)
        {
            var assignments = reserve();
            try
            {
                var verdict = await AssignAsync(assignments, cancellationToken);
                switch (verdict.Code)
                {
                    case AssignmentCode.Accepted:
                        return deliver(assignments);
                    case AssignmentCode.BlocksNotHeld when redraw < Redraws:
                        _store.GiveUp(assignments);
                        Settled(_store.CloseBlocks(verdict.BlocksNotHeld, "the peer does not hold it (any more)"));
                        continue;
                    case AssignmentCode.BlocksNotHeld:
                        throw new KeyPeerException("The peer's key store does not hold the blocks that key was drawn from.");
                    default:
                        throw new KeyPeerException($"The peer's key store refuses the key: {verdict.Reason}.");
                }
            }
            catch
            {
                _store.GiveUp(assignments);
                Wake();
                throw;
            }
        }
    }

    private async ValueTask<AssignmentVerdict> AssignAsync(IReadOnlyList<Assignment> assignments, CancellationToken cancellationToken)
    {
        var request = Wire.WriteAssignments(assignments);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // The same question again does no harm: the peer knows the keys by their ids.
                return Wire.ReadVerdict(await ExchangeAsync(request, cancellationToken));
            }
            catch (KeyPeerException e) when (attempt < Attempts)
            {
                Log.AskingAgain(_log, e.Message);
            }
        }
    }

    private async ValueTask ClaimAsync(IReadOnlyList<BlockClaim> claims, CancellationToken cancellationToken)
    {
        var answer = await ExchangeAsync(Wire.WriteClaims(claims), cancellationToken);
        Settled(_store.ApplyVerdicts(claims, Wire.ReadVerdicts(answer, claims)));
    }

    private async ValueTask<int> CancelAsync(CancellationToken cancellationToken)
    {
        var told = 0;
        while (_store.PendingCancellations(ItemsPerExchange) is { Count: > 0 } ids)
        {
            var answer = await ExchangeAsync(Wire.WriteIds(Wire.Cancel, ids), cancellationToken);
            var reader = WireReader.Answer(answer, Wire.Cancel);
            reader.End();
            _store.ApplyCancellations(ids);
            told += ids.Count;
        }

        return told;
    }

    private async ValueTask<ReadOnlyMemory<byte>> ExchangeAsync(byte[] request, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_options.ExchangeTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await _peer.ExchangeAsync(request, both.Token).AsTask().WaitAsync(both.Token);
        }
        catch (Exception e) when (e is not KeyPeerException && !cancellationToken.IsCancellationRequested)
        {
            throw limit.IsCancellationRequested
                ? new KeyPeerException(FormattableString.Invariant($"The peer's key store did not answer within {_options.ExchangeTimeout.TotalSeconds:0.#} s."), e)
                : new KeyPeerException($"The peer's key store cannot be reached: {e.Message}", e);
        }
    }

    private byte[] Handle(ReadOnlyMemory<byte> request)
    {
        var reader = new WireReader(request);
        switch (reader.Type)
        {
            case Wire.Claims:
                var outcome = _store.ReceiveClaims(Wire.ReadClaims(ref reader));
                Settled(outcome);
                return Wire.WriteVerdicts(outcome.Verdicts);
            case Wire.Assign:
                return Wire.WriteVerdict(AcceptAssignments(Wire.ReadAssignments(ref reader)));
            case Wire.Cancel:
                var ids = Wire.ReadIds(ref reader);
                _store.ReceiveCancellations(ids);
                foreach (var id in ids)
                {
                    _authentication?.Discard(SegmentOf(id));
                }

                return new WireWriter(Wire.Cancel | Wire.Answer).ToArray();
            default:
                throw new KeyPeerException($"The peer's key store asked a question of unknown type {reader.Type}.");
        }
    }

    private AssignmentVerdict AcceptAssignments(List<Assignment> assignments)
    {
        var authentication = assignments.Where(assignment => assignment.Purpose == KeyPurpose.Authentication).ToList();
        if (authentication.Count > 0 && _authentication is null)
        {
            return AssignmentVerdict.Refuse("this side has no authentication pool");
        }

        var verdict = _store.Accept(assignments);
        if (verdict.Code == AssignmentCode.Accepted && authentication.Count > 0)
        {
            foreach (var assignment in authentication.Where(a => _store.StateOf(a.KeyId) == KeyState.Deliverable))
            {
                var copies = _store.Copy([assignment]);
                _authentication!.Append(SegmentOf(assignment.KeyId), copies[0].Bytes);
                Erase(copies);
            }

            _store.FinishAuthentication(authentication);
        }

        return verdict;
    }

    private void Settled(ClaimsOutcome outcome)
    {
        foreach (var blockId in outcome.Confirmed)
        {
            _authentication?.Confirm(blockId);
            Log.BlockConfirmed(_log, blockId);
            BlockConfirmed?.Invoke();
        }

        foreach (var blockId in outcome.Voided)
        {
            Log.BlockVoided(_log, blockId);
        }

        // A voided block that was confirmed once keeps its segment: the peer held it, and positions are agreed on at each connection.
        Discard([.. outcome.Voided.Where(blockId => _authentication?.PendingSegments.Contains(blockId) == true)]);
    }

    private void Discard(IReadOnlyList<long> blockIds)
    {
        if (_authentication is { } pool && blockIds.Count > 0)
        {
            foreach (var blockId in pool.PendingSegments.Intersect(blockIds))
            {
                pool.Discard(blockId);
            }
        }
    }

    /// <summary>After a crash the pool may lag behind the store: segments of settled blocks are confirmed, those of blocks that never came discarded.</summary>
    private void SettleSegments()
    {
        foreach (var segment in _authentication?.PendingSegments.Where(segment => segment > 0) ?? [])
        {
            switch (_store.StateOf(segment))
            {
                case BlockState.Confirmed or BlockState.Deliverable or BlockState.Delivered:
                    _authentication!.Confirm(segment);
                    break;
                case BlockState.Reserved:
                    break;
                default:
                    _authentication!.Discard(segment);
                    break;
            }
        }
    }

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // It is awake already, or will not be again.
        }
    }
}
