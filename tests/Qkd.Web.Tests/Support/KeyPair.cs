using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys;

namespace Qkd.Web.Tests.Support;

/// <summary>Two key managers on real stores, each the other's peer, with blocks that a test puts into both.</summary>
internal sealed class KeyPair : IDisposable
{
    private readonly KeyStore[] _stores;
    private readonly KeyManager[] _managers;
    private long _block;

    public KeyPair(string folder, bool deliverLaboratoryKey = false)
    {
        var options = new KeyStoreOptions { FloorBits = 0, DeliverLaboratoryKey = deliverLaboratoryKey };
        _stores = [Open("alice", LinkEnd.Alice), Open("bob", LinkEnd.Bob)];
        _managers = [Manager(0, "kme-alice", "kme-bob"), Manager(1, "kme-bob", "kme-alice")];

        KeyStore Open(string name, LinkEnd end)
        {
            var path = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
            var masterFile = Path.Combine(path, "master.key");
            MasterKey.CreateFile(masterFile);
            using var master = MasterKey.FromFile(masterFile);
            return KeyStore.Open(Path.Combine(path, "store"), end, master, options, TimeProvider.System);
        }

        KeyManager Manager(int end, string own, string peer) =>
            new(_stores[end], null, new Peer(() => _managers![1 - end]), new KeyManagerOptions { KmeId = own, PeerKmeId = peer });
    }

    public IKeyDelivery Alice => _managers[0];

    public IKeyDelivery Bob => _managers[1];

    /// <summary>Both sides take the same block and settle it.</summary>
    public async Task MakeAsync(int bytes = 4096, KeyGrade grade = KeyGrade.Attested)
    {
        var key = RandomNumberGenerator.GetBytes(bytes);
        _block++;
        foreach (var manager in _managers)
        {
            manager.Accept(_block, key, [], new KeyProvenance(grade, Emulated: true)).Stored.ShouldBeTrue();
        }

        for (var round = 0; round < 3; round++)
        {
            foreach (var manager in _managers)
            {
                await manager.SettleAsync(TestContext.Current.CancellationToken);
            }
        }

        _stores.ShouldAllBe(store => store.StateOf(_block) == BlockState.Deliverable);
    }

    public void Dispose()
    {
        foreach (var manager in _managers)
        {
            manager.Dispose();
        }

        foreach (var store in _stores)
        {
            store.Dispose();
        }
    }

    private sealed class Peer(Func<KeyManager> other) : IKeyPeer
    {
        public ValueTask<ReadOnlyMemory<byte>> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
            other().HandleAsync(request, cancellationToken);
    }
}
