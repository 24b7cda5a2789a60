using System.Security.Cryptography;
using Qkd.Distillation;

namespace Qkd.Keys.Tests.Support;

/// <summary>One side as a node has it: store, authentication pool, manager, on real files.</summary>
internal sealed class Side : IDisposable
{
    private readonly string _masterKeyFile;
    private readonly ManualTime _time;
    private readonly IKeyPeer _peer;

    public Side(string folder, LinkEnd end, ManualTime time, IKeyPeer peer, KeyStoreOptions options)
    {
        (Folder, End, _time, _peer, Options) = (folder, end, time, peer, options);
        _masterKeyFile = Path.Combine(folder, "master.key");
        MasterKey.CreateFile(_masterKeyFile);
        Open();
    }

    public string Folder { get; }

    public string StoreFolder => Path.Combine(Folder, "store");

    public LinkEnd End { get; }

    public string Sae => $"sae-{End.ToString().ToLowerInvariant()}";

    public KeyStoreOptions Options { get; set; }

    public KeyStore Store { get; private set; } = null!;

    public AuthenticationPool Pool { get; private set; } = null!;

    public KeyManager Manager { get; private set; } = null!;

    /// <summary>Ends what is in memory and begins anew from the files. Nothing is written at an end, so this is what a crash leaves too.</summary>
    public void Restart()
    {
        Dispose();
        Open();
    }

    public BlockAcceptance Accept(long blockId, byte[] key, byte[]? authentication = null, KeyGrade grade = KeyGrade.Attested) =>
        Manager.Accept(blockId, key, authentication ?? [], new KeyProvenance(grade, Emulated: true));

    public ValueTask<IReadOnlyList<DeliveredKey>> DrawAsync(int number = 1, int? bits = null, params string[] more) => Manager.GetKeysAsync(
        new KeyRequest
        {
            MasterSaeId = Sae,
            SlaveSaeId = End == LinkEnd.Alice ? "sae-bob" : "sae-alice",
            AdditionalSlaveSaeIds = more,
            Number = number,
            SizeBits = bits,
        },
        TestContext.Current.CancellationToken);

    public ValueTask<IReadOnlyList<DeliveredKey>> FetchAsync(IReadOnlyList<Guid> ids, string? caller = null, string? master = null) => Manager.GetKeysByIdAsync(
        caller ?? Sae, master ?? (End == LinkEnd.Alice ? "sae-bob" : "sae-alice"), ids, TestContext.Current.CancellationToken);

    public async Task SettleAsync() => await Manager.SettleAsync(TestContext.Current.CancellationToken);

    public async Task ReconcileAsync() => await Manager.ReconcileAsync(TestContext.Current.CancellationToken);

    public void Dispose()
    {
        Manager.Dispose();
        Store.Dispose();
        Pool.Dispose();
    }

    private void Open()
    {
        using var master = MasterKey.FromFile(_masterKeyFile);
        Store = KeyStore.Open(StoreFolder, End, master, Options, _time);
        Pool = AuthenticationPool.Open(Folder, End);
        var names = End == LinkEnd.Alice ? ("kme-alice", "kme-bob") : ("kme-bob", "kme-alice");
        Manager = new KeyManager(Store, Pool, _peer, new KeyManagerOptions { KmeId = names.Item1, PeerKmeId = names.Item2, ClaimsAfterConnecting = 1000 }, _time);
    }
}

/// <summary>Two sides, each the other's peer.</summary>
internal sealed class Pair : IDisposable
{
    public const int BlockBytes = 512;

    public Pair(KeyStoreOptions? options = null)
    {
        options ??= new KeyStoreOptions { FloorBits = 0 };
        AuthenticationPool.CreatePreShared(Files["alice"], Files["bob"], AuthenticationPool.MinimumPreSharedBits);
        ToBob = new MemoryPeer(() => Bob!.Manager);
        ToAlice = new MemoryPeer(() => Alice!.Manager);
        Alice = new Side(Files["alice"], LinkEnd.Alice, Time, ToBob, options);
        Bob = new Side(Files["bob"], LinkEnd.Bob, Time, ToAlice, options);
    }

    public TempFolder Files { get; } = new();

    public ManualTime Time { get; } = new();

    public Side Alice { get; }

    public Side Bob { get; }

    /// <summary>Carries Alice's questions.</summary>
    public MemoryPeer ToBob { get; }

    /// <summary>Carries Bob's questions.</summary>
    public MemoryPeer ToAlice { get; }

    public Side Side(LinkEnd end) => end == LinkEnd.Alice ? Alice : Bob;

    /// <summary>Both sides make the same block.</summary>
    public byte[] Make(long blockId, int bytes = BlockBytes, KeyGrade grade = KeyGrade.Attested, byte[]? authentication = null)
    {
        var key = RandomNumberGenerator.GetBytes(bytes);
        Alice.Accept(blockId, key, authentication, grade).Stored.ShouldBeTrue();
        Bob.Accept(blockId, key, authentication, grade).Stored.ShouldBeTrue();
        return key;
    }

    /// <summary>Both sides make the same block and settle it.</summary>
    public async Task<byte[]> MakeSettledAsync(long blockId, int bytes = BlockBytes, KeyGrade grade = KeyGrade.Attested, byte[]? authentication = null)
    {
        var key = Make(blockId, bytes, grade, authentication);
        await SettleAsync();
        StatesOf(blockId).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        return key;
    }

    /// <summary>As many rounds as it takes: one side tells, then the other.</summary>
    public async Task SettleAsync()
    {
        for (var round = 0; round < 3; round++)
        {
            await Alice.SettleAsync();
            await Bob.SettleAsync();
        }
    }

    /// <summary>A side is asked for its final word on a block that it does not hold: from then on it never will.</summary>
    public static void Bury(Side side, long blockId) =>
        side.Store.ReceiveClaims([new(blockId, 64, new(KeyGrade.Attested, true), BlockState.Reserved, Final: true, HalfClosed: false)])
            .Verdicts.Single().Code.ShouldBe(Keys.Settlement.VerdictCode.Void);

    /// <summary>What both sides do after a connection was made anew.</summary>
    public async Task ReconcileAsync()
    {
        ToBob.Connected = ToAlice.Connected = true;
        await Alice.ReconcileAsync();
        await Bob.ReconcileAsync();
        await SettleAsync();
    }

    public (BlockState? Alice, BlockState? Bob) StatesOf(long blockId) => (Alice.Store.StateOf(blockId), Bob.Store.StateOf(blockId));

    public (KeyState? Alice, KeyState? Bob) StatesOf(Guid keyId) => (Alice.Store.StateOf(keyId), Bob.Store.StateOf(keyId));

    public void Dispose()
    {
        Alice.Dispose();
        Bob.Dispose();
        Files.Dispose();
    }
}
