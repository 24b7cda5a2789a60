using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Settlement;
using Qkd.Keys.Storage;

namespace Qkd.Keys;

public sealed partial class KeyStore
{
    /// <summary>
    /// Master's side, step 1: chooses bits from this side's halves, oldest block first, and makes the choice durable. Nothing else will ever
    /// be given these bits, whatever becomes of the keys.
    /// </summary>
    internal IReadOnlyList<Assignment> Reserve(int number, int bytes, string master, IReadOnlyList<string> slaves, bool attestedOnly, KeyPurpose purpose) => Change(() =>
    {
        var authentication = purpose == KeyPurpose.Authentication;
        attestedOnly |= !authentication && !Options.DeliverLaboratoryKey;
        var available = DeliverableBytes(attestedOnly);
        if (!authentication)
        {
            available -= Options.FloorBits / 8;
        }

        var chosen = new List<Assignment>(number);
        if (available >= (long)number * bytes)
        {
            foreach (var block in _database.Query(
                $"SELECT {BlockRow.Columns} FROM blocks WHERE state = 3 AND own_closed = 0 AND own_end - own_next >= $1 AND attested >= $2 ORDER BY block_id LIMIT $3",
                BlockRow.Read,
                bytes,
                attestedOnly ? 1 : 0,
                number))
            {
                Draw(block, number - chosen.Count);
                if (chosen.Count == number)
                {
                    return (IReadOnlyList<Assignment>)chosen;
                }
            }
        }

        throw TooLittle(number, bytes, attestedOnly, available);

        void Draw(BlockRow block, int most)
        {
            var take = Math.Min(most, (block.OwnEnd - block.OwnNext) / bytes);
            for (var i = 0; i < take; i++)
            {
                var assignment = new Assignment(Guid.NewGuid(), block.BlockId, block.OwnNext + (i * bytes), bytes, master, slaves, purpose);
                InsertKey(assignment, here: true, KeyState.Reserved);
                chosen.Add(assignment);
            }

            var next = block.OwnNext + (take * bytes);
            var closed = block.OwnEnd - next < Options.KeySizeBits / 8;
            _database.Execute("UPDATE blocks SET own_next = $2, own_closed = $3 WHERE block_id = $1", block.BlockId, next, closed ? HalfState.Closed : HalfState.Open);
        }
    });

    /// <summary>Slave's side: takes the peer's keys over, all or none, and makes that durable before it is answered.</summary>
    internal AssignmentVerdict Accept(IReadOnlyList<Assignment> assignments) => Change(() =>
    {
        var fresh = new List<Assignment>();
        var notHeld = new SortedSet<long>();
        foreach (var assignment in assignments)
        {
            if (FindKey(assignment.KeyId) is { } known)
            {
                if (known.AssignedHere || known.State is KeyState.Voided or KeyState.Expired || (known.BlockId, known.Offset, known.Length) != (assignment.BlockId, assignment.Offset, assignment.Length))
                {
                    return AssignmentVerdict.Refuse($"key {assignment.KeyId} is {known.State} here");
                }

                continue;
            }

            var block = Find(assignment.BlockId);
            if (block is not { IsLive: true, Ending: null })
            {
                notHeld.Add(assignment.BlockId);
                continue;
            }

            var (start, end) = BlockHalves.Of(BlockHalves.Peer(End), block.BlockId, block.Bytes);
            if (assignment.Length <= 0 || assignment.Offset < start || assignment.Offset > end - assignment.Length)
            {
                return AssignmentVerdict.Refuse($"key {assignment.KeyId} lies outside the peer's half of block {block.BlockId}");
            }

            if (fresh.Any(other => other.BlockId == assignment.BlockId && other.Offset < assignment.Offset + assignment.Length && assignment.Offset < other.Offset + other.Length)
                || _database.Number(
                    "SELECT EXISTS(SELECT 1 FROM keys WHERE block_id = $1 AND offset < $3 AND offset + length > $2)", assignment.BlockId, assignment.Offset, assignment.Offset + assignment.Length) != 0)
            {
                return AssignmentVerdict.Refuse($"key {assignment.KeyId} shares bits of block {block.BlockId} with another key");
            }

            if (assignment.Purpose == KeyPurpose.Application && block.Provenance.Grade != KeyGrade.Attested && !Options.DeliverLaboratoryKey)
            {
                return AssignmentVerdict.Refuse($"block {block.BlockId} is Laboratory key, which this side does not deliver");
            }

            fresh.Add(assignment);
        }

        if (notHeld.Count > 0)
        {
            return new(AssignmentCode.BlocksNotHeld, [.. notHeld], "");
        }

        foreach (var assignment in fresh)
        {
            // The peer draws from a block only when he knows that both hold it.
            _database.Execute("UPDATE blocks SET state = 3 WHERE block_id = $1 AND state < 3", assignment.BlockId);
            InsertKey(assignment, here: false, KeyState.Deliverable);
        }

        return AssignmentVerdict.Accepted;
    });

    /// <summary>Master's side, last step: marks the keys as delivered, durably, and only then hands them out.</summary>
    internal IReadOnlyList<DeliveredKey> Deliver(IReadOnlyList<Assignment> assignments)
    {
        lock (_gate)
        {
            CloseUnreadable(assignments);
            var keys = Copy(assignments);
            try
            {
                Change(() =>
                {
                    foreach (var assignment in assignments)
                    {
                        Finish(assignment.KeyId, assignment.BlockId, KeyState.Reserved);
                    }

                    Count("delivered", assignments[0].Purpose == KeyPurpose.Application ? assignments.Count : 0);
                    return 0;
                });
                return keys;
            }
            catch
            {
                Erase(keys);
                throw;
            }
        }
    }

    /// <summary>Copies the bits of accepted or reserved keys out; for authentication key, which is made durable elsewhere before it is marked.</summary>
    internal IReadOnlyList<DeliveredKey> Copy(IReadOnlyList<Assignment> assignments) => Read(() => Cut([.. assignments.Select(a => (a.KeyId, a.BlockId, a.Offset, a.Length))]));

    /// <summary>Slave's side: marks authentication keys as used.</summary>
    internal void FinishAuthentication(IReadOnlyList<Assignment> assignments) => Change(() =>
    {
        foreach (var assignment in assignments)
        {
            if (FindKey(assignment.KeyId) is { State: KeyState.Deliverable })
            {
                Finish(assignment.KeyId, assignment.BlockId, KeyState.Deliverable);
            }
        }

        return 0;
    });

    /// <summary>Master's side: gives keys up. Their bits stay used; the peer is told until he has answered.</summary>
    internal void GiveUp(IReadOnlyList<Assignment> assignments) => Change(() =>
    {
        foreach (var assignment in assignments)
        {
            _database.Execute("UPDATE keys SET state = 2 WHERE key_id = $1 AND state = 1", assignment.KeyId);
            Complete(assignment.BlockId);
        }

        return 0;
    });

    /// <summary>Keys that the peer has to be told are given up.</summary>
    internal IReadOnlyList<Guid> PendingCancellations(int limit) =>
        Read(() => (IReadOnlyList<Guid>)_database.Query("SELECT key_id FROM keys WHERE state = 2 LIMIT $1", r => new Guid((byte[])r.GetValue(0), bigEndian: true), limit));

    /// <summary>Slave's side: the peer has given keys up. Those that came are void, those that did not get a tombstone, so that they cannot come later.</summary>
    internal void ReceiveCancellations(IReadOnlyList<Guid> keyIds) => Change(() =>
    {
        foreach (var keyId in keyIds)
        {
            if (FindKey(keyId) is not { } key)
            {
                _database.Execute(
                    "INSERT INTO keys VALUES($1, 0, 6, 0, 0, 0, '', 0, $2, $2)", keyId, _time.GetUtcNow().ToUnixTimeMilliseconds());
            }
            else if (key is { AssignedHere: false, State: KeyState.Deliverable })
            {
                SetEnded(keyId, KeyState.Voided);
                Complete(key.BlockId);
            }
        }

        return 0;
    });

    /// <summary>Master's side: the peer knows that the keys are given up.</summary>
    internal void ApplyCancellations(IReadOnlyList<Guid> keyIds) => Change(() =>
    {
        foreach (var keyId in keyIds)
        {
            if (FindKey(keyId) is { State: KeyState.Cancelling })
            {
                SetEnded(keyId, KeyState.Voided);
            }
        }

        return 0;
    });

    /// <summary>Slave's side: a recipient fetches keys by their ids, all or none.</summary>
    internal IReadOnlyList<DeliveredKey> Collect(string caller, string master, IReadOnlyList<Guid> keyIds)
    {
        lock (_gate)
        {
            var found = Read(() => FindForRecipient(caller, master, keyIds));
            var keys = Read(() => Cut([.. found.Select(key => (key.KeyId, key.BlockId, key.Offset, key.Length))]));
            try
            {
                if (!Options.DeliverLaboratoryKey && keys.Any(key => key.Provenance.Grade != KeyGrade.Attested))
                {
                    throw new KeyRefusedException("the key is of Laboratory grade, and Keys:DeliverLaboratoryKey is false");
                }

                Change(() =>
                {
                    foreach (var key in found)
                    {
                        _database.Execute("UPDATE recipients SET delivered = 1 WHERE key_id = $1 AND sae = $2", key.KeyId, caller);
                        if (_database.Number("SELECT EXISTS(SELECT 1 FROM recipients WHERE key_id = $1 AND delivered = 0)", key.KeyId) == 0)
                        {
                            Finish(key.KeyId, key.BlockId, KeyState.Deliverable);
                        }
                    }

                    Count("delivered", found.Count);
                    return 0;
                });
                return keys;
            }
            catch
            {
                Erase(keys);
                throw;
            }
        }
    }

    /// <summary>Keys of one size that can be delivered now, and what is in the pool.</summary>
    internal (long Keys, IReadOnlyList<KeyProvenance> Provenances) CountDeliverable(int bytes) => Read(() =>
    {
        var attested = Options.DeliverLaboratoryKey ? 0 : 1;
        var fitting = _database.Number("SELECT COALESCE(SUM((own_end - own_next) / $1), 0) FROM blocks WHERE state = 3 AND own_closed = 0 AND attested >= $2", bytes, attested);
        var overFloor = Math.Max(0, DeliverableBytes(attested != 0) - (Options.FloorBits / 8)) / bytes;
        var provenances = _database.Query(
            "SELECT DISTINCT attested, emulated FROM blocks WHERE state = 3 AND own_closed = 0",
            r => new KeyProvenance(r.GetInt32(0) != 0 ? KeyGrade.Attested : KeyGrade.Laboratory, r.GetInt32(1) != 0));
        return (Math.Min(fitting, overFloor), (IReadOnlyList<KeyProvenance>)provenances);
    });

    private static void Erase(IEnumerable<DeliveredKey> keys)
    {
        foreach (var key in keys)
        {
            key.Dispose();
        }
    }

    /// <summary>Draws no more from blocks that cannot be opened, so that one spoiled block does not fail every request to come.</summary>
    private void CloseUnreadable(IReadOnlyList<Assignment> assignments)
    {
        foreach (var blockId in assignments.Select(assignment => assignment.BlockId).Distinct())
        {
            try
            {
                if (Find(blockId) is { IsLive: true } block)
                {
                    CryptographicOperations.ZeroMemory(Unseal(block));
                }
            }
            catch (KeyStoreDamagedException)
            {
                CloseBlocks([blockId], "it cannot be opened");
                throw;
            }
        }
    }

    private List<KeyRow> FindForRecipient(string caller, string master, IReadOnlyList<Guid> keyIds)
    {
        var found = new List<KeyRow>(keyIds.Count);
        foreach (var keyId in keyIds)
        {
            if (FindKey(keyId) is not { AssignedHere: false, Purpose: KeyPurpose.Application } key || key.MasterSaeId != master)
            {
                continue;
            }

            var delivered = _database.Query("SELECT delivered FROM recipients WHERE key_id = $1 AND sae = $2", r => r.GetInt32(0) != 0, keyId, caller);
            if (delivered.Count == 0 && key.State != KeyState.Voided)
            {
                throw new KeyAccessException($"{caller} was not named as a recipient of key {keyId}");
            }

            if (key.State == KeyState.Deliverable && delivered is [false])
            {
                found.Add(key);
            }
        }

        return found.Count == keyIds.Count ? found : throw new KeyRequestException("one or more keys specified are not found on KME");
    }

    /// <summary>Cuts keys out of their blocks; each block is opened once.</summary>
    private List<DeliveredKey> Cut(IReadOnlyList<(Guid KeyId, long BlockId, int Offset, int Length)> places)
    {
        var keys = new DeliveredKey[places.Count];
        try
        {
            foreach (var group in places.Index().GroupBy(place => place.Item.BlockId))
            {
                var block = Find(group.Key) is { IsLive: true } live ? live : throw new KeyRequestException("one or more keys specified are not found on KME");
                var plain = Unseal(block);
                try
                {
                    foreach (var (index, place) in group)
                    {
                        keys[index] = new(place.KeyId, plain.AsSpan(place.Offset, place.Length).ToArray(), block.Provenance);
                    }
                }
                finally
                {
                    CryptographicOperations.ZeroMemory(plain);
                }
            }

            return [.. keys];
        }
        catch
        {
            Erase(keys.Where(key => key is not null));
            throw;
        }
    }

    private void InsertKey(Assignment assignment, bool here, KeyState state)
    {
        _database.Execute(
            "INSERT INTO keys VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)",
            assignment.KeyId,
            here ? 1 : 0,
            state,
            assignment.BlockId,
            assignment.Offset,
            assignment.Length,
            assignment.MasterSaeId,
            assignment.Purpose,
            _time.GetUtcNow().ToUnixTimeMilliseconds());
        if (!here)
        {
            foreach (var slave in assignment.SlaveSaeIds)
            {
                _database.Execute("INSERT INTO recipients VALUES($1, $2, 0)", assignment.KeyId, slave);
            }
        }
    }

    /// <summary>The one way to <see cref="KeyState.Delivered"/>: it works once.</summary>
    private void Finish(Guid keyId, long blockId, KeyState from)
    {
        if (_database.Execute(
            "UPDATE keys SET state = 4, ended_at = $3 WHERE key_id = $1 AND state = $2", keyId, from, _time.GetUtcNow().ToUnixTimeMilliseconds()) != 1)
        {
            throw new KeyRequestException("one or more keys specified are not found on KME");
        }

        Complete(blockId);
    }

    private void SetEnded(Guid keyId, KeyState state) =>
        _database.Execute("UPDATE keys SET state = $2, ended_at = $3 WHERE key_id = $1", keyId, state, _time.GetUtcNow().ToUnixTimeMilliseconds());

    private KeyStoreException TooLittle(int number, int bytes, bool attestedOnly, long available)
    {
        if (attestedOnly && DeliverableBytes(attestedOnly: false) - (Options.FloorBits / 8) >= (long)number * bytes)
        {
            return new KeyRefusedException(Options.DeliverLaboratoryKey
                ? "the pool holds enough key, but not of Attested grade"
                : "the pool holds enough key only with that of Laboratory grade, and Keys:DeliverLaboratoryKey is false");
        }

        return new PoolExhaustedException(
            FormattableString.Invariant($"the pool holds {Math.Max(0, 8 * available)} deliverable bits, {number} keys of {8 * bytes} bits were asked for"));
    }
}
