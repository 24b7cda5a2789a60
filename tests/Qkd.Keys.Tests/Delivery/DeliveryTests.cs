using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Delivery;

public sealed class DeliveryTests
{
    [Fact]
    public async Task The_status_tells_names_sizes_and_counts()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var status = pair.Alice.Manager.GetStatus("sae-alice", "sae-bob");
        (status.SourceKmeId, status.TargetKmeId, status.MasterSaeId, status.SlaveSaeId).ShouldBe(("kme-alice", "kme-bob", "sae-alice", "sae-bob"));
        (status.KeySizeBits, status.StoredKeyCount, status.MinimumKeySizeBits, status.MaximumKeySizeBits).ShouldBe((256, 8L, 64, 65_536));
        (status.MaximumKeysPerRequest, status.MaximumAdditionalSlaves).ShouldBe((128, 4));
        status.Provenances.ShouldBe([new KeyProvenance(KeyGrade.Attested, Emulated: true)]);
    }

    [Theory]
    [InlineData(12, 1, "size shall be a multiple of 8")]
    [InlineData(56, 1, "size shall be 64 to 65536")]
    [InlineData(65_544, 1, "size shall be 64 to 65536")]
    [InlineData(256, 0, "number shall be 1 to 128")]
    [InlineData(256, 129, "number shall be 1 to 128")]
    public async Task A_request_out_of_range_is_refused_and_takes_nothing(int bits, int number, string message)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        (await Should.ThrowAsync<KeyRequestException>(async () => await pair.Alice.DrawAsync(number, bits))).Message.ShouldBe(message);
        pair.Alice.Manager.GetStatus("a", "b").StoredKeyCount.ShouldBe(8);
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(null)]
    public void An_SAE_without_an_id_is_refused(string? id)
    {
        using var pair = new Pair();
        Should.Throw<KeyRequestException>(() => pair.Alice.Manager.GetStatus(id!, "sae-bob"));
        Should.Throw<KeyRequestException>(() => pair.Alice.Manager.GetStatus("sae-alice", new string('x', 257)));
    }

    [Fact]
    public async Task Keys_of_any_allowed_size_are_the_same_on_both_sides()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        foreach (var bits in (int[])[64, 128, 200, 512])
        {
            var keys = await pair.Alice.DrawAsync(2, bits);
            keys.ShouldAllBe(key => key.Bytes.Length == bits / 8);
            var fetched = await pair.Bob.FetchAsync([.. keys.Select(key => key.Id)]);
            fetched.Select(key => Convert.ToHexString(key.Bytes)).ShouldBe(keys.Select(key => Convert.ToHexString(key.Bytes)));
        }
    }

    [Fact]
    public async Task A_request_over_several_blocks_is_met_whole_or_not_at_all()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        await pair.MakeSettledAsync(2);
        (await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.DrawAsync(17))).Message.ShouldContain("4096 deliverable bits, 17 keys of 256 bits");
        var keys = await pair.Alice.DrawAsync(16);
        (await pair.Bob.FetchAsync([.. keys.Select(key => key.Id).Reverse()])).Select(key => Convert.ToHexString(key.Bytes))
            .ShouldBe(keys.Reverse().Select(key => Convert.ToHexString(key.Bytes)));
    }

    [Fact]
    public async Task Only_a_named_recipient_gets_the_key_and_each_of_them_once()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync(1, null, "sae-carol", "sae-bob")).Single();
        await Should.ThrowAsync<KeyAccessException>(async () => await pair.Bob.FetchAsync([key.Id], caller: "sae-mallory"));
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id], master: "sae-somebody"));
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id]));
        pair.Bob.Store.StateOf(key.Id).ShouldBe(KeyState.Deliverable);
        (await pair.Bob.FetchAsync([key.Id], caller: "sae-carol")).Single().Bytes.ShouldBe(key.Bytes);
        pair.Bob.Store.StateOf(key.Id).ShouldBe(KeyState.Delivered);
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id], caller: "sae-carol"));
    }

    [Fact]
    public async Task The_master_cannot_fetch_its_own_key_again_by_its_id()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Alice.FetchAsync([key.Id], caller: "sae-bob", master: "sae-alice"));
    }

    [Fact]
    public async Task One_unknown_id_among_others_delivers_none_and_uses_none_up()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var keys = await pair.Alice.DrawAsync(2);
        (await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([keys[0].Id, Guid.NewGuid(), keys[1].Id])))
            .Message.ShouldBe("one or more keys specified are not found on KME");
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([]));
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([keys[0].Id, keys[0].Id]));
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([.. Enumerable.Range(0, 129).Select(_ => Guid.NewGuid())]));
        (await pair.Bob.FetchAsync([.. keys.Select(key => key.Id)])).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Without_a_peer_no_key_is_delivered()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Connected = false;
        (await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.DrawAsync())).Message.ShouldContain("cannot be reached");
        await pair.ReconcileAsync();
        (await pair.Alice.DrawAsync(7)).Count.ShouldBe(7);
    }

    [Fact]
    public async Task Laboratory_key_is_refused_unless_the_configuration_allows_it_on_both_sides()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1, grade: KeyGrade.Laboratory);
        pair.Alice.Manager.Pool.DeliverableBits.ShouldBe(0);
        pair.Alice.Manager.GetStatus("a", "b").StoredKeyCount.ShouldBe(0);
        (await Should.ThrowAsync<KeyRefusedException>(async () => await pair.Alice.DrawAsync())).Message.ShouldContain("Keys:DeliverLaboratoryKey is false");

        // Allowed on one side only: the other refuses to hold it ready.
        pair.Alice.Options = pair.Alice.Options with { DeliverLaboratoryKey = true };
        pair.Alice.Restart();
        (await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.DrawAsync())).Message.ShouldContain("Laboratory");

        pair.Bob.Options = pair.Bob.Options with { DeliverLaboratoryKey = true };
        pair.Bob.Restart();
        var key = (await pair.Alice.DrawAsync()).Single();
        key.Provenance.Grade.ShouldBe(KeyGrade.Laboratory);

        // And it is asked again when the key is fetched.
        pair.Bob.Options = pair.Bob.Options with { DeliverLaboratoryKey = false };
        pair.Bob.Restart();
        await Should.ThrowAsync<KeyRefusedException>(async () => await pair.Bob.FetchAsync([key.Id]));
        pair.Bob.Options = pair.Bob.Options with { DeliverLaboratoryKey = true };
        pair.Bob.Restart();
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
    }

    [Fact]
    public async Task A_request_for_attested_key_passes_over_laboratory_key()
    {
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 0, DeliverLaboratoryKey = true });
        await pair.MakeSettledAsync(1, grade: KeyGrade.Laboratory);
        var request = new KeyRequest { MasterSaeId = "sae-alice", SlaveSaeId = "sae-bob", AttestedOnly = true };
        await Should.ThrowAsync<KeyRefusedException>(async () => await pair.Alice.Manager.GetKeysAsync(request, TestContext.Current.CancellationToken));
        await pair.MakeSettledAsync(2);
        var key = (await pair.Alice.Manager.GetKeysAsync(request, TestContext.Current.CancellationToken)).Single();
        key.Provenance.Grade.ShouldBe(KeyGrade.Attested);
    }

    [Fact]
    public async Task A_key_is_erased_on_dispose_and_never_printed()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        key.ToString().ShouldNotContain(Convert.ToHexString(key.Bytes[..4]), Case.Insensitive);
        key.ToString().ShouldNotContain(Convert.ToBase64String(key.Bytes)[..8]);
        key.Dispose();
        key.Bytes.ShouldAllBe(b => b == 0);
    }
}
