using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Storage;

namespace Qkd.Keys;

/// <summary>
/// The key of one side, at rest: blocks sealed with AES-256-GCM in a SQLite database, each under a data key that is overwritten when the
/// block has come to its end, and the state of every block and key. Every change is durable when its method returns. What the two sides
/// say to each other about it is the part of <see cref="KeyManager"/>. Thread-safe; one process a store.
/// </summary>
/// <remarks>docs/keys.md draws the states and says how each lost message is settled.</remarks>
public sealed partial class KeyStore : IDisposable
{
    /// <summary>Name of the database in the store's folder.</summary>
    public const string DatabaseName = "keys.db";

    /// <summary>Name of the file of data keys in the store's folder.</summary>
    public const string DataKeysName = "keys.slots";

    /// <summary>Block ids are made durable so many at a time; after a restart the rest of them is left out.</summary>
    private const int IdsReserved = 64;

    private const string NextIdName = "next_block";
    private const string AttemptsName = "attempts";
    private const string AttemptedName = "attempted_at";

    private const string Schema = """
        CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS blocks(
            block_id INTEGER PRIMARY KEY,
            state INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            attested INTEGER NOT NULL,
            emulated INTEGER NOT NULL,
            own_next INTEGER NOT NULL,
            own_end INTEGER NOT NULL,
            own_closed INTEGER NOT NULL,
            peer_closed INTEGER NOT NULL,
            slot INTEGER NOT NULL,
            ending INTEGER,
            reason TEXT,
            stored_at INTEGER NOT NULL,
            ended_at INTEGER);
        CREATE INDEX IF NOT EXISTS blocks_live ON blocks(state, own_closed, block_id, own_next, own_end, attested, emulated, bytes);
        CREATE INDEX IF NOT EXISTS blocks_closed ON blocks(block_id) WHERE own_closed = 1;
        CREATE TABLE IF NOT EXISTS sealed(block_id INTEGER PRIMARY KEY, box BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS keys(
            key_id BLOB PRIMARY KEY,
            assigned_here INTEGER NOT NULL,
            state INTEGER NOT NULL,
            block_id INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            length INTEGER NOT NULL,
            master_sae TEXT NOT NULL,
            purpose INTEGER NOT NULL,
            made_at INTEGER NOT NULL,
            ended_at INTEGER) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS keys_of_block ON keys(block_id, offset);
        CREATE INDEX IF NOT EXISTS keys_open ON keys(state) WHERE state <= 3;
        CREATE INDEX IF NOT EXISTS keys_ended ON keys(ended_at) WHERE ended_at IS NOT NULL;
        CREATE TABLE IF NOT EXISTS recipients(
            key_id BLOB NOT NULL, sae TEXT NOT NULL, delivered INTEGER NOT NULL, PRIMARY KEY(key_id, sae)) WITHOUT ROWID;
        """;

    private readonly Lock _gate = new();
    private readonly Database _database;
    private readonly DataKeyFile _dataKeys;
    private readonly BlockSeal _seal;
    private readonly TimeProvider _time;
    private readonly List<(int Slot, long BlockId)> _ended = [];
    private long _firstUnusedId;
    private long _firstUnreservedId;
    private bool _disposed;

    private KeyStore(string folder, LinkEnd end, Database database, DataKeyFile dataKeys, BlockSeal seal, KeyStoreOptions options, TimeProvider time) =>
        (Folder, End, _database, _dataKeys, _seal, Options, _time) = (folder, end, database, dataKeys, seal, options, time);

    /// <summary>Where the store is.</summary>
    public string Folder { get; }

    /// <summary>Which end of the link this store belongs to.</summary>
    public LinkEnd End { get; }

    /// <summary>The options it was opened with.</summary>
    public KeyStoreOptions Options { get; }

    /// <summary>Opens the store in a folder, or makes it there, readable by its owner alone.</summary>
    /// <param name="folder">The store's own folder.</param>
    /// <param name="end">Which end of the link this is: the two ends own different halves of each block.</param>
    /// <param name="masterKey">Wraps all that is stored. May be disposed afterwards.</param>
    /// <param name="options">How key is kept; defaults if null.</param>
    /// <param name="time">The clock; the system's if null.</param>
    /// <exception cref="MasterKeyException">The store was made with another master key.</exception>
    /// <exception cref="KeyStoreException">In use, made for the other end, damaged, or an option is out of range.</exception>
    public static KeyStore Open(string folder, LinkEnd end, MasterKey masterKey, KeyStoreOptions? options = null, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(masterKey);
        options ??= new();
        options.Validate();
        folder = Path.GetFullPath(folder);
        Database? database = null;
        DataKeyFile? dataKeys = null;
        BlockSeal? seal = null;
        try
        {
            OwnerOnlyFile.EnsureFolder(folder);
            database = new(Path.Combine(folder, DatabaseName), Schema);
            seal = Unlock(database, folder, end, masterKey);
            dataKeys = new(Path.Combine(folder, DataKeysName));
            var store = new KeyStore(folder, end, database, dataKeys, seal, options, time ?? TimeProvider.System);
            store.Recover();
            return store;
        }
        catch (Exception e)
        {
            seal?.Dispose();
            dataKeys?.Dispose();
            database?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
            {
                throw new KeyStoreException($"The key store in {folder} cannot be opened: {e.Message}", e);
            }

            throw;
        }
    }

    /// <summary>The first block id above all that this store has ever heard of, stored or not; ids begin with 1.</summary>
    public long NextBlockId => Read(() => Math.Max(_firstUnusedId, _database.Number("SELECT COALESCE(MAX(block_id), 0) + 1 FROM blocks")));

    /// <summary>How many sessions in a row have been begun without a block that both sides hold, and when the last of them was begun.</summary>
    public (int Count, DateTimeOffset Last) Attempts => Read(() => ((int)Counter(AttemptsName), DateTimeOffset.FromUnixTimeMilliseconds(Counter(AttemptedName))));

    /// <summary>
    /// A block with this id is about to be opened: whether or not it ever gets here, its id is never used again. Durable when it returns,
    /// which costs a write only once for many ids.
    /// </summary>
    public void UseBlockId(long blockId)
    {
        lock (_gate)
        {
            if (blockId >= _firstUnreservedId)
            {
                var reserved = blockId + IdsReserved;
                Change(() => Remember(NextIdName, reserved));
                _firstUnreservedId = reserved;
            }

            _firstUnusedId = Math.Max(_firstUnusedId, blockId + 1);
        }
    }

    /// <summary>Makes the number of fruitless sessions durable, with the time of now.</summary>
    public void RecordAttempts(int count) => Change(() =>
    {
        Remember(AttemptsName, count);
        return Remember(AttemptedName, _time.GetUtcNow().ToUnixTimeMilliseconds());
    });

    /// <summary>The state of a block; null if the store does not know it.</summary>
    public BlockState? StateOf(long blockId) => Read(() => Find(blockId)?.State);

    /// <summary>The state of a key; null if the store does not know it.</summary>
    public KeyState? StateOf(Guid keyId) => Read(() => FindKey(keyId)?.State);

    /// <summary>The state of the pool.</summary>
    public PoolStatus Status() => Read(() =>
    {
        var (held, blocks) = _database.Query("SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM blocks WHERE state <= 3", r => (r.GetInt64(0), r.GetInt32(1)))[0];
        var deliverable = Math.Max(0, (8 * DeliverableBytes(attestedOnly: !Options.DeliverLaboratoryKey)) - Options.FloorBits);
        return new PoolStatus
        {
            Level = LevelOf(deliverable),
            DeliverableBits = deliverable,
            FloorBits = Options.FloorBits,
            HeldBits = 8 * held,
            UnconfirmedBits = 8 * _database.Number("SELECT COALESCE(SUM(bytes), 0) FROM blocks WHERE state <= 2"),
            CapacityBits = Options.CapacityBits,
            Blocks = blocks,
            BlocksConfirmed = Counter("confirmed"),
            BlocksVoided = Counter("voided"),
            KeysDelivered = Counter("delivered"),
            KeysWaiting = (int)_database.Number("SELECT COUNT(*) FROM keys WHERE state = 3"),
        };
    });

    /// <summary>
    /// A keyed digest (HMAC-SHA256) of each block that is confirmed and still whole in this store, so that two stores in one process, or two
    /// reports made with the same key, can be compared. Throw the key away afterwards: a digest must not outlive the comparison.
    /// </summary>
    public IReadOnlyDictionary<long, string> Digests(ReadOnlySpan<byte> hmacKey)
    {
        var key = hmacKey.ToArray();
        try
        {
            return Read(() => _database
                .Query($"SELECT {BlockRow.Columns} FROM blocks WHERE state IN (2, 3) AND bytes > 0 ORDER BY block_id", BlockRow.Read)
                .ToDictionary(block => block.BlockId, block =>
                {
                    var plain = Unseal(block);
                    try
                    {
                        return Convert.ToHexString(HMACSHA256.HashData(key, plain));
                    }
                    finally
                    {
                        CryptographicOperations.ZeroMemory(plain);
                    }
                }));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Destroys what has grown too old, and forgets tombstones whose time is over.</summary>
    /// <returns>Ids of the blocks that were destroyed.</returns>
    public IReadOnlyList<long> Maintain() => Change(() =>
    {
        var now = _time.GetUtcNow();
        var old = _database.Query(
            $"SELECT {BlockRow.Columns} FROM blocks WHERE state <= 3 AND stored_at < $1 AND NOT EXISTS(SELECT 1 FROM keys WHERE keys.block_id = blocks.block_id AND keys.state = 1)",
            BlockRow.Read,
            (now - Options.KeyLifetime).ToUnixTimeMilliseconds());
        foreach (var block in old)
        {
            _database.Execute("UPDATE keys SET state = 5, ended_at = $2 WHERE block_id = $1 AND state = 3", block.BlockId, now.ToUnixTimeMilliseconds());
            EndBlock(block, BlockState.Expired, "too old");
        }

        var forget = (now - Options.TombstoneRetention).ToUnixTimeMilliseconds();
        _database.Execute("DELETE FROM recipients WHERE key_id IN (SELECT key_id FROM keys WHERE ended_at < $1)", forget);
        _database.Execute("DELETE FROM keys WHERE ended_at < $1", forget);

        // The last block stays for its id: none may come twice.
        _database.Execute("DELETE FROM blocks WHERE state > 3 AND ended_at < $1 AND own_closed <> 1 AND block_id < (SELECT MAX(block_id) FROM blocks)", forget);
        return (IReadOnlyList<long>)[.. old.Select(block => block.BlockId)];
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                _disposed = true;
                _database.Dispose();
                _dataKeys.Dispose();
                _seal.Dispose();
            }
        }
    }

    private static BlockSeal Unlock(Database database, string folder, LinkEnd end, MasterKey masterKey)
    {
        var meta = database.Query("SELECT name, value FROM meta", r => (Name: r.GetString(0), Value: (byte[])r.GetValue(1))).ToDictionary(m => m.Name, m => m.Value);
        if (meta.Count == 0)
        {
            var storeId = RandomNumberGenerator.GetBytes(16);
            var seal = new BlockSeal(masterKey, storeId);
            return database.Transact(() =>
            {
                database.Execute("INSERT INTO meta VALUES('version', $1), ('store', $2), ('end', $3), ('check', $4)", new byte[] { 1 }, storeId, new byte[] { (byte)end }, seal.Check());
                database.Execute("INSERT INTO counters VALUES('confirmed', 0), ('voided', 0), ('delivered', 0)");
                return seal;
            });
        }

        if (!meta.TryGetValue("version", out var version) || version is not [1] || !meta.TryGetValue("store", out var id) || !meta.TryGetValue("check", out var check) || !meta.TryGetValue("end", out var storedEnd))
        {
            throw new KeyStoreDamagedException($"The key store in {folder} is of an unknown version, or damaged.");
        }

        if (storedEnd is not [var which] || which != (byte)end)
        {
            throw new KeyStoreException($"The key store in {folder} belongs to the other end of the link, not to {end}.");
        }

        var unlocked = new BlockSeal(masterKey, id);
        if (!unlocked.Matches(check))
        {
            unlocked.Dispose();
            throw new MasterKeyException($"The key store in {folder} was made with another master key than the one from {masterKey.Origin}.");
        }

        return unlocked;
    }

    /// <summary>After a crash: keys whose assignment was under way are given up, data keys without a live block are overwritten.</summary>
    private void Recover()
    {
        _firstUnusedId = _firstUnreservedId = Counter(NextIdName);
        _database.Execute("UPDATE keys SET state = 2 WHERE state = 1");
        var live = _database.Query("SELECT block_id, slot FROM blocks WHERE state <= 3 AND slot >= 0", r => (r.GetInt64(0), r.GetInt32(1))).ToHashSet();
        _dataKeys.Destroy([.. _dataKeys.Occupied.Where(slot => !live.Contains((slot.Value, slot.Key))).Select(slot => slot.Key)]);
    }

    private T Read<T>(Func<T> work)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return work();
        }
    }

    /// <summary>One transaction. Only when it is durable are the data keys of blocks that ended in it overwritten; a crash between is mended on opening.</summary>
    private T Change<T>(Func<T> work)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _ended.Clear();
            var result = _database.Transact(work);
            _dataKeys.Destroy([.. _ended.Where(ended => _dataKeys.Occupied.TryGetValue(ended.Slot, out var owner) && owner == ended.BlockId).Select(ended => ended.Slot)]);
            return result;
        }
    }

    private BlockRow? Find(long blockId) =>
        _database.Query($"SELECT {BlockRow.Columns} FROM blocks WHERE block_id = $1", BlockRow.Read, blockId).FirstOrDefault();

    private KeyRow? FindKey(Guid keyId) =>
        _database.Query($"SELECT {KeyRow.Columns} FROM keys WHERE key_id = $1", KeyRow.Read, keyId).FirstOrDefault();

    private long Counter(string name) => _database.Number("SELECT value FROM counters WHERE name = $1", name);

    private int Remember(string name, long value) =>
        _database.Execute("INSERT INTO counters VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = $2", name, value);

    private void Count(string name, int more) => _database.Execute("UPDATE counters SET value = value + $2 WHERE name = $1", name, more);

    private long DeliverableBytes(bool attestedOnly) =>
        _database.Number("SELECT COALESCE(SUM(own_end - own_next), 0) FROM blocks WHERE state = 3 AND own_closed = 0 AND attested >= $1", attestedOnly ? 1 : 0);

    private PoolLevel LevelOf(long deliverableBits) =>
        deliverableBits == 0 ? PoolLevel.Empty
        : deliverableBits < Options.WarningBits ? PoolLevel.Charging
        : deliverableBits < Options.ReadyBits ? PoolLevel.Warning
        : PoolLevel.Ready;

    private byte[] Unseal(BlockRow block)
    {
        var box = _database.Query("SELECT box FROM sealed WHERE block_id = $1", r => (byte[])r.GetValue(0), block.BlockId).FirstOrDefault()
            ?? throw new KeyStoreDamagedException($"The sealed bytes of block {block.BlockId} are missing from the key store in {Folder}.");
        Span<byte> wrapped = stackalloc byte[BlockSeal.WrappedKeyLength];
        _dataKeys.Read(block.Slot, block.BlockId, wrapped);
        return _seal.Open(block.BlockId, box, wrapped);
    }
}
