using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Authentication;

/// <summary>Authentication key from blocks and from the store.</summary>
public sealed class FeedTests
{
    [Fact]
    public async Task The_head_of_a_block_feeds_both_pools_once_the_block_is_settled()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1, authentication: RandomNumberGenerator.GetBytes(256));
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        pair.Bob.Pool.PendingSegments.ShouldBeEmpty();
        PoolPair.Send(pair.Alice.Pool, pair.Bob.Pool).Segment.ShouldBe(1);
        PoolPair.Send(pair.Bob.Pool, pair.Alice.Pool).Segment.ShouldBe(1);
    }

    [Fact]
    public async Task A_block_all_of_whose_bits_went_into_authentication_is_settled_like_the_others()
    {
        using var pair = new Pair();
        pair.Make(1, bytes: 0, authentication: RandomNumberGenerator.GetBytes(256));
        await pair.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Delivered, BlockState.Delivered));
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        pair.Bob.Pool.PendingSegments.ShouldBeEmpty();
        pair.Alice.Pool.Status.FedSendBits.ShouldBe(1024);
    }

    [Fact]
    public async Task The_segment_of_a_void_block_is_destroyed()
    {
        using var pair = new Pair();
        pair.Alice.Accept(1, new byte[64], RandomNumberGenerator.GetBytes(256));
        await pair.ReconcileAsync();
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Voided);
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        Directory.GetFiles(Path.Combine(pair.Alice.Folder, "segments")).ShouldBeEmpty();
    }

    [Fact]
    public void A_block_that_is_not_stored_feeds_nothing()
    {
        using var pair = new Pair();
        Pair.Bury(pair.Alice, 1);
        pair.Alice.Accept(1, new byte[64], RandomNumberGenerator.GetBytes(256)).Stored.ShouldBeFalse();
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
    }

    /// <summary>The process is killed between the two stores: the segment was written, the block not; or the block is settled, the segment not marked.</summary>
    [Fact]
    public async Task After_a_crash_between_pool_and_store_the_pool_follows_the_store()
    {
        using var pair = new Pair();
        var segment = RandomNumberGenerator.GetBytes(256);
        pair.Alice.Pool.Append(7, segment);
        pair.Alice.Restart();
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        Directory.GetFiles(Path.Combine(pair.Alice.Folder, "segments")).ShouldBeEmpty();

        pair.Make(1, authentication: segment);
        pair.Alice.Store.ApplyVerdicts(pair.Alice.Store.PendingClaims(10), [new(1, Keys.Settlement.VerdictCode.Held, new(KeyGrade.Attested, true))]);
        pair.Alice.Pool.PendingSegments.ShouldBe([1L]);
        pair.Alice.Restart();
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        await pair.SettleAsync();
        PoolPair.Send(pair.Alice.Pool, pair.Bob.Pool).Segment.ShouldBe(1);
    }

    [Fact]
    public async Task A_pool_that_runs_low_draws_from_the_store_below_the_floor()
    {
        // Half of the block is Alice's: 2048 bits, all of it floor.
        using var pair = new Pair(new KeyStoreOptions { FloorBits = 2048 });
        await pair.MakeSettledAsync(1);
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.DrawAsync());
        await pair.Alice.Manager.FeedAuthenticationAsync(1024, TestContext.Current.CancellationToken);
        pair.Alice.Pool.Status.FedSendBits.ShouldBe(512);
        PoolPair.Send(pair.Alice.Pool, pair.Bob.Pool).Segment.ShouldBeLessThan(0);
        PoolPair.Send(pair.Bob.Pool, pair.Alice.Pool).Segment.ShouldBeLessThan(0);
        await pair.Alice.Manager.FeedAuthenticationAsync(1024, TestContext.Current.CancellationToken);
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.Manager.FeedAuthenticationAsync(512, TestContext.Current.CancellationToken));
        pair.Alice.Manager.Pool.KeysDelivered.ShouldBe(0);
    }

    /// <summary>The peer's answer is lost: neither end goes on to use that key.</summary>
    [Fact]
    public async Task Drawing_for_authentication_without_an_answer_leaves_no_segment_at_either_end()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.LoseAnswer = _ => true;
        await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.Manager.FeedAuthenticationAsync(1024, TestContext.Current.CancellationToken));
        pair.Bob.Pool.PendingSegments.Count.ShouldBe(1);
        pair.ToBob.LoseAnswer = _ => false;
        await pair.SettleAsync();
        pair.Alice.Pool.PendingSegments.ShouldBeEmpty();
        pair.Bob.Pool.PendingSegments.ShouldBeEmpty();
        PoolPair.Send(pair.Alice.Pool, pair.Bob.Pool).Segment.ShouldBe(0);
    }

    /// <summary>The key of the stages is divided the same way at both ends, and erased.</summary>
    [Fact]
    public async Task A_secret_key_is_divided_into_authentication_and_store()
    {
        using var pair = new Pair();
        var bytes = RandomNumberGenerator.GetBytes(640);
        foreach (var side in (Side[])[pair.Alice, pair.Bob])
        {
            var key = Secret(1, bytes);
            side.Manager.Accept(key, 1024, emulated: true).Stored.ShouldBeTrue();
            Should.Throw<ObjectDisposedException>(() => key.CopyTo(new byte[640]));
        }

        await pair.SettleAsync();
        using (var pad = pair.Alice.Pool.Reserve(64))
        {
            pad.Segment.ShouldBe(1);
            pad.Bytes.ShouldBe(bytes[..64]);
        }

        // In block 1 the second half is Alice's.
        (await pair.Alice.DrawAsync()).Single().Bytes.ShouldBe(bytes[(128 + 256)..(128 + 256 + 32)]);

        // A division that is none erases the key all the same.
        var refused = Secret(2, bytes);
        Should.Throw<ArgumentOutOfRangeException>(() => pair.Alice.Manager.Accept(refused, 12, emulated: true));
        Should.Throw<ObjectDisposedException>(() => refused.CopyTo(new byte[640]));
        pair.Alice.Store.StateOf(2L).ShouldBeNull();
    }

    private static SecretKey Secret(long blockId, byte[] bytes)
    {
        var bits = new BitString(8 * bytes.Length);
        bytes.CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(bits.Words));
        return new SecretKey(blockId, KeyGrade.Attested, 1e-10, bits);
    }
}
