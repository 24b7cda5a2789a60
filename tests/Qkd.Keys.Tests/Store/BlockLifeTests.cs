using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Store;

public sealed class BlockLifeTests
{
    [Fact]
    public async Task A_block_goes_from_reserved_over_confirmed_to_deliverable_and_no_key_leaves_before()
    {
        using var pair = new Pair();
        pair.Make(1);
        pair.StatesOf(1L).ShouldBe((BlockState.Reserved, BlockState.Reserved));
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.DrawAsync());
        pair.Alice.Manager.Pool.DeliverableBits.ShouldBe(0);
        pair.Alice.Manager.Pool.UnconfirmedBits.ShouldBe(8 * Pair.BlockBytes);

        await pair.Alice.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Deliverable, BlockState.Confirmed));
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Bob.DrawAsync());

        await pair.Bob.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        pair.Alice.Manager.Pool.DeliverableBits.ShouldBe(4 * Pair.BlockBytes);
        pair.Bob.Manager.Pool.DeliverableBits.ShouldBe(4 * Pair.BlockBytes);
        pair.Alice.Manager.Pool.UnconfirmedBits.ShouldBe(0);
    }

    [Fact]
    public async Task The_whole_block_is_delivered_once_on_each_side_the_same_under_the_same_id_and_then_gone()
    {
        using var pair = new Pair();
        var block = await pair.MakeSettledAsync(1);
        var drawn = new Dictionary<LinkEnd, List<DeliveredKey>> { [LinkEnd.Alice] = [], [LinkEnd.Bob] = [] };
        foreach (var end in drawn.Keys)
        {
            var (master, slave) = (pair.Side(end), pair.Side(1 - end));
            while (master.Manager.GetStatus(master.Sae, slave.Sae).StoredKeyCount > 0)
            {
                drawn[end].AddRange(await master.DrawAsync(4));
            }

            await Should.ThrowAsync<PoolExhaustedException>(async () => await master.DrawAsync());
            var fetched = await slave.FetchAsync([.. drawn[end].Select(key => key.Id)]);
            fetched.Select(key => key.Id).ShouldBe(drawn[end].Select(key => key.Id));
            fetched.Select(key => Convert.ToHexString(key.Bytes)).ShouldBe(drawn[end].Select(key => Convert.ToHexString(key.Bytes)));
            (await Should.ThrowAsync<KeyRequestException>(async () => await slave.FetchAsync([fetched[0].Id]))).Message
                .ShouldBe("one or more keys specified are not found on KME");
        }

        // Every byte of the block went out exactly once: Alice's half is the first in a block of odd id only for Bob.
        Convert.ToHexString([.. drawn[LinkEnd.Bob].Concat(drawn[LinkEnd.Alice]).SelectMany(key => key.Bytes)]).ShouldBe(Convert.ToHexString(block));
        await pair.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Delivered, BlockState.Delivered));
        pair.Alice.Manager.Pool.HeldBits.ShouldBe(0);
        pair.Alice.Manager.Pool.KeysDelivered.ShouldBe(16);
        pair.Bob.Manager.Pool.KeysDelivered.ShouldBe(16);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task The_two_sides_never_draw_the_same_bits(long blockId)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(blockId);
        var alice = await pair.Alice.DrawAsync(8);
        var bob = await pair.Bob.DrawAsync(8);
        alice.Concat(bob).Select(key => Convert.ToHexString(key.Bytes)).Distinct().Count().ShouldBe(16);
    }

    [Fact]
    public void A_block_is_stored_once()
    {
        using var pair = new Pair();
        pair.Make(1);
        Should.Throw<KeyStoreException>(() => pair.Alice.Accept(1, RandomNumberGenerator.GetBytes(64))).Message.ShouldContain("stored already");
    }

    [Fact]
    public async Task A_block_that_one_side_gave_a_final_word_on_is_void_on_the_other_whatever_comes_first()
    {
        using var pair = new Pair();
        pair.Alice.Accept(1, RandomNumberGenerator.GetBytes(64)).Stored.ShouldBeTrue();
        Pair.Bury(pair.Bob, 1);
        await pair.Alice.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Voided, BlockState.Voided));

        // And it cannot come later.
        var late = pair.Bob.Accept(1, RandomNumberGenerator.GetBytes(64));
        late.Stored.ShouldBeFalse();
        late.Reason.ShouldContain("Voided");
    }

    /// <summary>A block that was opened and given up never gets here; the transcript of another must not carry its id.</summary>
    [Fact]
    public void The_id_of_a_block_that_was_only_opened_never_comes_again_either()
    {
        using var pair = new Pair();
        pair.Alice.Store.UseBlockId(1);
        pair.Alice.Store.UseBlockId(2);
        pair.Alice.Store.NextBlockId.ShouldBe(3);
        pair.Alice.Restart();
        var first = pair.Alice.Store.NextBlockId;
        first.ShouldBeInRange(3, 3 + 64);
        pair.Alice.Store.UseBlockId(first);
        pair.Alice.Store.NextBlockId.ShouldBe(first + 1);

        // Also beyond what was put aside at once.
        for (var id = first; id < first + 1000; id++)
        {
            pair.Alice.Store.UseBlockId(id);
        }

        pair.Alice.Restart();
        pair.Alice.Store.NextBlockId.ShouldBeInRange(first + 1000, first + 1000 + 64);
    }

    [Fact]
    public void The_count_of_fruitless_sessions_survives_a_restart()
    {
        using var pair = new Pair();
        pair.Bob.Store.Attempts.ShouldBe((0, DateTimeOffset.UnixEpoch));
        pair.Bob.Store.RecordAttempts(7);
        pair.Bob.Restart();
        pair.Bob.Store.Attempts.ShouldBe((7, pair.Time.GetUtcNow()));
        pair.Bob.Store.RecordAttempts(0);
        pair.Bob.Store.Attempts.Count.ShouldBe(0);
    }

    [Fact]
    public void Block_ids_begin_with_one_and_never_come_again_not_even_after_the_tombstones_are_forgotten()
    {
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 0, KeyLifetime = TimeSpan.FromDays(1), TombstoneRetention = TimeSpan.FromDays(2) });
        pair.Alice.Store.NextBlockId.ShouldBe(1);
        pair.Make(7);
        pair.Alice.Store.NextBlockId.ShouldBe(8);
        Pair.Bury(pair.Alice, 9);
        pair.Alice.Store.NextBlockId.ShouldBe(10);
        pair.Alice.Restart();
        pair.Alice.Store.NextBlockId.ShouldBe(10);
        for (var day = 0; day < 10; day++)
        {
            pair.Time.Advance(TimeSpan.FromDays(1));
            pair.Alice.Store.Maintain();
        }

        pair.Alice.Store.NextBlockId.ShouldBe(10);
    }

    [Fact]
    public async Task A_block_that_only_the_peer_has_told_of_counts_for_the_next_id()
    {
        using var pair = new Pair();
        pair.Alice.Accept(5, RandomNumberGenerator.GetBytes(64));
        await pair.Alice.ReconcileAsync();
        pair.StatesOf(5L).ShouldBe((BlockState.Voided, BlockState.Voided));
        pair.Bob.Store.NextBlockId.ShouldBe(6);
    }

    [Fact]
    public async Task What_grows_too_old_is_destroyed_on_both_sides_with_the_keys_that_wait_in_it()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        pair.Time.Advance(pair.Alice.Options.KeyLifetime + TimeSpan.FromSeconds(1));
        await pair.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Expired, BlockState.Expired));
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id]));
        pair.Alice.Manager.Pool.HeldBits.ShouldBe(0);
    }

    [Fact]
    public async Task A_full_store_gives_up_the_oldest_block_and_the_peer_hears_of_it()
    {
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 0, CapacityBits = 2 * 8 * Pair.BlockBytes });
        await pair.MakeSettledAsync(1);
        await pair.MakeSettledAsync(2);
        await pair.MakeSettledAsync(3);
        pair.StatesOf(1L).ShouldBe((BlockState.Expired, BlockState.Expired));
        pair.StatesOf(2L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        pair.Alice.Accept(4, new byte[(2 * Pair.BlockBytes) + 1]).Stored.ShouldBeFalse();
    }

    [Fact]
    public async Task The_floor_is_never_delivered_to_applications()
    {
        // Half of the block is Alice's: 2048 bits; 1024 above the floor.
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 1024 });
        await pair.MakeSettledAsync(2);
        pair.Alice.Manager.Pool.DeliverableBits.ShouldBe(1024);
        pair.Alice.Manager.GetStatus("sae-alice", "sae-bob").StoredKeyCount.ShouldBe(4);
        await pair.Alice.DrawAsync(4);
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.DrawAsync());
        pair.Alice.Manager.Pool.Level.ShouldBe(PoolLevel.Empty);
    }

    [Fact]
    public async Task The_level_follows_the_thresholds()
    {
        // One half of every block is Alice's: 2048 bits.
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 0, WarningBits = 3000, ReadyBits = 5000 });
        pair.Alice.Manager.Pool.Level.ShouldBe(PoolLevel.Empty);
        await pair.MakeSettledAsync(1);
        pair.Alice.Manager.Pool.Level.ShouldBe(PoolLevel.Charging);
        await pair.MakeSettledAsync(2);
        pair.Alice.Manager.Pool.Level.ShouldBe(PoolLevel.Warning);
        await pair.MakeSettledAsync(3);
        pair.Alice.Manager.Pool.Level.ShouldBe(PoolLevel.Ready);
    }

    [Fact]
    public async Task Digests_compare_what_both_stores_hold()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.Alice.Accept(2, RandomNumberGenerator.GetBytes(64));
        var fresh = RandomNumberGenerator.GetBytes(32);
        pair.Alice.Store.Digests(fresh).ShouldBe(pair.Bob.Store.Digests(fresh));
        pair.Alice.Store.Digests(fresh).Keys.ShouldBe([1L]);
        pair.Alice.Store.Digests(fresh)[1].ShouldNotBe(pair.Alice.Store.Digests(RandomNumberGenerator.GetBytes(32))[1]);
    }
}
