using Qkd.Distillation;
using Qkd.Keys.Settlement;
using Qkd.Keys.Storage;

namespace Qkd.Keys;

public sealed partial class KeyStore
{
    /// <summary>Makes a block durable, in state <see cref="BlockState.Reserved"/>.</summary>
    internal BlockAcceptance Store(long blockId, ReadOnlySpan<byte> key, KeyProvenance provenance)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            switch (Find(blockId))
            {
                case { IsLive: true }:
                    throw new KeyStoreException($"Block {blockId} is stored already.");
                case { } ended:
                    return new(false, $"block {blockId} was {ended.State} before it came");
            }

            if (8L * key.Length > Options.CapacityBits)
            {
                return new(false, $"block {blockId} is larger than the whole store may grow");
            }

            var slot = -1;
            byte[]? box = null;
            if (!key.IsEmpty)
            {
                Span<byte> wrapped = stackalloc byte[BlockSeal.WrappedKeyLength];
                box = _seal.Seal(blockId, key, wrapped);
                slot = _dataKeys.Write(blockId, wrapped);
            }

            var bytes = key.Length;
            try
            {
                return Change(() =>
                {
                    MakeRoom(bytes);
                    Insert(blockId, bytes, provenance, slot);
                    if (box is not null)
                    {
                        _database.Execute("INSERT INTO sealed VALUES($1, $2)", blockId, box);
                    }

                    return new BlockAcceptance(true, "");
                });
            }
            catch when (slot >= 0)
            {
                _dataKeys.Destroy([slot]);
                throw;
            }
        }
    }

    /// <summary>What the peer has to be told: unsettled blocks, and halves that are used up.</summary>
    internal IReadOnlyList<BlockClaim> PendingClaims(int limit)
    {
        var final = (_time.GetUtcNow() - Options.ConfirmationTimeout).ToUnixTimeMilliseconds();
        return Read(() => (IReadOnlyList<BlockClaim>)
        [
            .. _database.Query($"SELECT {BlockRow.Columns} FROM blocks WHERE state <= 2 ORDER BY block_id LIMIT $1", BlockRow.Read, limit)
                .Concat(_database.Query($"SELECT {BlockRow.Columns} FROM blocks WHERE own_closed = 1 AND state > 2 ORDER BY block_id LIMIT $1", BlockRow.Read, limit))
                .Select(block => Claim(block, block.StoredAt.ToUnixTimeMilliseconds() < final)),
        ]);
    }

    /// <summary>All live blocks after an id and up to another, in order, each to be settled for good.</summary>
    internal IReadOnlyList<BlockClaim> LiveClaims(long after, long last, int limit) => Read(() => (IReadOnlyList<BlockClaim>)
    [
        .. _database.Query(
            $"SELECT {BlockRow.Columns} FROM blocks WHERE block_id > $1 AND block_id <= $2 AND (state <= 3 OR own_closed = 1) ORDER BY block_id LIMIT $3",
            BlockRow.Read,
            after,
            last,
            limit)
            .Select(block => Claim(block, final: true)),
    ]);

    /// <summary>The peer says what he holds: takes note of it, durably, and answers for each block.</summary>
    internal ClaimsOutcome ReceiveClaims(IReadOnlyList<BlockClaim> claims) => Change(() =>
    {
        var outcome = new ClaimsOutcome();
        foreach (var claim in claims)
        {
            outcome.Verdicts.Add(Receive(claim, outcome));
        }

        return outcome;
    });

    /// <summary>The peer has answered: settles what he said.</summary>
    internal ClaimsOutcome ApplyVerdicts(IReadOnlyList<BlockClaim> claims, IReadOnlyList<BlockVerdict> verdicts) => Change(() =>
    {
        var outcome = new ClaimsOutcome();
        foreach (var (claim, verdict) in claims.Zip(verdicts))
        {
            if (Find(claim.BlockId) is not { } block)
            {
                continue;
            }

            if (claim.HalfClosed && block.Own == HalfState.Closed && verdict.Code != VerdictCode.Unknown)
            {
                block = block with { Own = HalfState.Acknowledged };
                _database.Execute("UPDATE blocks SET own_closed = 2 WHERE block_id = $1", block.BlockId);
            }

            if (!block.IsLive)
            {
                continue;
            }

            if (verdict.Code == VerdictCode.Held)
            {
                Settle(block, BlockState.Deliverable, verdict.Provenance, peerClosed: false, outcome);
            }
            else if (verdict.Code == VerdictCode.Void)
            {
                Close(block, BlockState.Voided, "the peer does not hold it", outcome);
            }
        }

        return outcome;
    });

    /// <summary>The peer has refused keys of these blocks because he does not hold them: they are of no use any more.</summary>
    internal ClaimsOutcome CloseBlocks(IReadOnlyList<long> blockIds, string reason) => Change(() =>
    {
        var outcome = new ClaimsOutcome();
        foreach (var blockId in blockIds)
        {
            if (Find(blockId) is { IsLive: true } block)
            {
                Close(block, BlockState.Voided, reason, outcome);
            }
        }

        return outcome;
    });

    private static BlockClaim Claim(BlockRow block, bool final) =>
        new(block.BlockId, block.Bytes, block.Provenance, block.State, final, block.Own != HalfState.Open);

    private BlockVerdict Receive(BlockClaim claim, ClaimsOutcome outcome)
    {
        var block = Find(claim.BlockId);
        if (block is null)
        {
            // Not here. It may still come, unless the peer asks for a final word, or knows that it was here once.
            if (!claim.Final && claim.State == BlockState.Reserved)
            {
                return new(claim.BlockId, VerdictCode.Unknown, claim.Provenance);
            }

            if (claim.State <= BlockState.Deliverable)
            {
                Bury(claim.BlockId, "the peer held it, this side did not");
                Count("voided", 1);
                outcome.Voided.Add(claim.BlockId);
            }

            return new(claim.BlockId, VerdictCode.Void, claim.Provenance);
        }

        if (!block.IsLive)
        {
            return new(claim.BlockId, block.State == BlockState.Delivered ? VerdictCode.Held : VerdictCode.Void, block.Provenance);
        }

        if (block.Bytes != claim.Bytes)
        {
            Close(block, BlockState.Voided, $"this side holds {block.Bytes} bytes of it, the peer {claim.Bytes}", outcome);
            return new(claim.BlockId, VerdictCode.Void, block.Provenance);
        }

        if (block.Ending is not null || claim.State is BlockState.Expired or BlockState.Voided)
        {
            Close(block, BlockState.Voided, "the peer holds it no longer", outcome);
            return new(claim.BlockId, VerdictCode.Void, block.Provenance);
        }

        var settled = Settle(block, claim.State == BlockState.Reserved ? BlockState.Confirmed : BlockState.Deliverable, claim.Provenance, claim.HalfClosed, outcome);
        return new(claim.BlockId, VerdictCode.Held, settled);
    }

    /// <summary>The peer holds the block too. The lower of both grades counts. Returns what counts now.</summary>
    private KeyProvenance Settle(BlockRow block, BlockState state, KeyProvenance peer, bool peerClosed, ClaimsOutcome outcome)
    {
        var settled = new KeyProvenance(
            block.Provenance.Grade == KeyGrade.Attested && peer.Grade == KeyGrade.Attested ? KeyGrade.Attested : KeyGrade.Laboratory,
            block.Provenance.Emulated || peer.Emulated);
        if (block.State == BlockState.Reserved)
        {
            Count("confirmed", 1);
            outcome.Confirmed.Add(block.BlockId);
        }

        if (state > block.State || settled != block.Provenance || (peerClosed && !block.PeerClosed))
        {
            _database.Execute(
                "UPDATE blocks SET state = MAX(state, $2), attested = $3, emulated = $4, peer_closed = MAX(peer_closed, $5) WHERE block_id = $1",
                block.BlockId,
                state,
                settled.Grade == KeyGrade.Attested ? 1 : 0,
                settled.Emulated ? 1 : 0,
                peerClosed ? 1 : 0);
            Complete(block.BlockId);
        }

        return settled;
    }

    /// <summary>Draws no more from a block. Keys that wait in it for their slaves stay until they are fetched or grow too old.</summary>
    private void Close(BlockRow block, BlockState ending, string reason, ClaimsOutcome? outcome)
    {
        if (block.Ending is null)
        {
            Count("voided", ending == BlockState.Voided ? 1 : 0);
            outcome?.Voided.Add(block.BlockId);
        }

        if (HasOpenKeys(block.BlockId))
        {
            _database.Execute(
                "UPDATE blocks SET ending = $2, reason = $3, own_closed = MAX(own_closed, 1), peer_closed = 1 WHERE block_id = $1", block.BlockId, ending, reason);
        }
        else
        {
            EndBlock(block, ending, reason);
        }
    }

    /// <summary>Ends a block whose two halves are used up and in which no key waits.</summary>
    private void Complete(long blockId)
    {
        if (Find(blockId) is { State: BlockState.Deliverable, Own: not HalfState.Open, PeerClosed: true } block && !HasOpenKeys(blockId))
        {
            EndBlock(block, block.Ending ?? BlockState.Delivered, null);
        }
    }

    private bool HasOpenKeys(long blockId) => _database.Number("SELECT EXISTS(SELECT 1 FROM keys WHERE block_id = $1 AND state IN (1, 3))", blockId) != 0;

    private void EndBlock(BlockRow block, BlockState state, string? reason)
    {
        // A half that was open counts as closed from now on, so that the peer is told.
        _database.Execute(
            "UPDATE blocks SET state = $2, slot = -1, own_closed = MAX(own_closed, 1), ended_at = $3, reason = COALESCE($4, reason) WHERE block_id = $1",
            block.BlockId,
            state,
            _time.GetUtcNow().ToUnixTimeMilliseconds(),
            reason);
        _database.Execute("DELETE FROM sealed WHERE block_id = $1", block.BlockId);
        if (block.Slot >= 0)
        {
            _ended.Add((block.Slot, block.BlockId));
        }
    }

    private void Insert(long blockId, int bytes, KeyProvenance provenance, int slot)
    {
        // A block whose bits all went into authentication is stored without any, so that it is settled like the others.
        var (start, end) = BlockHalves.Of(End, blockId, bytes);
        _database.Execute(
            $"INSERT INTO blocks({BlockRow.Columns}) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11)",
            blockId,
            BlockState.Reserved,
            bytes,
            provenance.Grade == KeyGrade.Attested ? 1 : 0,
            provenance.Emulated ? 1 : 0,
            start,
            end,
            start == end ? HalfState.Closed : HalfState.Open,
            bytes == 0 ? 1 : 0,
            slot,
            _time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    private void Bury(long blockId, string reason)
    {
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        _database.Execute(
            "INSERT INTO blocks(block_id, state, bytes, attested, emulated, own_next, own_end, own_closed, peer_closed, slot, reason, stored_at, ended_at) VALUES($1, 6, 0, 0, 0, 0, 0, 2, 1, -1, $2, $3, $3)",
            blockId,
            reason,
            now);
    }

    private void MakeRoom(int bytes)
    {
        var excess = (8 * (_database.Number("SELECT COALESCE(SUM(bytes), 0) FROM blocks WHERE state <= 3") + bytes)) - Options.CapacityBits;
        if (excess <= 0)
        {
            return;
        }

        foreach (var block in _database.Query($"SELECT {BlockRow.Columns} FROM blocks WHERE state <= 3 AND bytes > 0 ORDER BY block_id LIMIT 1000", BlockRow.Read))
        {
            if (excess <= 0)
            {
                return;
            }

            if (!HasOpenKeys(block.BlockId))
            {
                EndBlock(block, BlockState.Expired, "the store was full");
                excess -= 8L * block.Bytes;
            }
        }
    }
}
