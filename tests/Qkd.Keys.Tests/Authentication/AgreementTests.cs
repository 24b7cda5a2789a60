using System.Buffers.Binary;
using Qkd.Distillation;

namespace Qkd.Keys.Tests.Authentication;

/// <summary>What both ends do with each other's positions in a handshake.</summary>
public sealed class AgreementTests
{
    /// <summary>Messages were lost, each end is ahead in what it sent.</summary>
    [Fact]
    public void Both_ends_go_to_the_further_position_of_each_direction()
    {
        using var pools = new PoolPair();
        pools.Alice.Reserve(96).Dispose();
        pools.Bob.Reserve(160).Dispose();
        pools.Agree();
        PoolPair.Send(pools.Alice, pools.Bob).Offset.ShouldBe(96);
        PoolPair.Send(pools.Bob, pools.Alice).Offset.ShouldBe(160);
        pools.Alice.Status.PreSharedSendBits.ShouldBe(pools.Bob.Status.PreSharedReceiveBits);
        pools.Alice.Status.PreSharedReceiveBits.ShouldBe(pools.Bob.Status.PreSharedSendBits);
    }

    [Fact]
    public void An_agreed_position_survives_a_kill()
    {
        using var pools = new PoolPair();
        pools.Bob.Reserve(160).Dispose();
        pools.Agree();
        using var alice = pools.Killed(LinkEnd.Alice);
        Should.Throw<AuthenticationKeyException>(() => alice.Take(0, 159, 32)).Message.ShouldContain("replay");
        alice.Take(0, 160, 32).Dispose();
    }

    /// <summary>A peer who tells an older position, from a recording or a copied file, does not bring this end back.</summary>
    [Fact]
    public void Old_positions_of_the_peer_never_take_an_end_back()
    {
        using var pools = new PoolPair();
        var old = pools.Bob.DescribePositions();
        PoolPair.Send(pools.Alice, pools.Bob);
        PoolPair.Send(pools.Bob, pools.Alice);
        pools.Alice.DescribePositions();
        pools.Alice.Agree(old);
        pools.Alice.Reserve(32).Offset.ShouldBe(32);
        Should.Throw<AuthenticationKeyException>(() => pools.Alice.Take(0, 0, 32));
    }

    [Fact]
    public void Another_pre_shared_key_is_a_clear_error()
    {
        using var pools = new PoolPair();
        using var others = new PoolPair();
        Should.Throw<AuthenticationKeyException>(() => pools.Alice.Agree(others.Bob.DescribePositions())).Message.ShouldContain("another pre-shared key");
    }

    [Fact]
    public void Malformed_positions_are_refused_and_change_nothing()
    {
        using var pools = new PoolPair();
        pools.Feed(3, 1024);
        var good = pools.Bob.DescribePositions();
        for (var length = 0; length < good.Length; length++)
        {
            Should.Throw<AuthenticationKeyException>(() => pools.Alice.Agree(good.AsSpan(0, length)));
        }

        var counted = good.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(counted.AsSpan(16), -1);
        Should.Throw<AuthenticationKeyException>(() => pools.Alice.Agree(counted));
        PoolPair.Send(pools.Alice, pools.Bob).ToString().ShouldBe("pad 3:0 (32 bytes)");
    }

    [Fact]
    public void A_segment_that_both_hold_is_confirmed_by_the_agreement()
    {
        using var pools = new PoolPair();
        pools.Feed(3, 1024, confirmed: false);
        pools.Agree();
        pools.Alice.PendingSegments.ShouldBeEmpty();
        PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(3);
    }

    /// <summary>Only one end holds it: confirmed, it is of no use any more; not yet confirmed, its block is still to be settled.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_segment_that_only_one_end_holds_is_not_used(bool confirmed)
    {
        using var pools = new PoolPair();
        pools.Alice.Append(3, new byte[1024]);
        if (confirmed)
        {
            pools.Alice.Confirm(3);
        }

        pools.Agree();
        pools.Alice.Status.FedSendBits.ShouldBe(0);
        PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(0);
        Directory.GetFiles(pools.Segments(LinkEnd.Alice)).Length.ShouldBe(confirmed ? 0 : 1);
    }

    /// <summary>
    /// The peer has lost his distilled segments, so he cannot even check the greeting: the next attempt greets with the pre-shared key.
    /// </summary>
    [Fact]
    public void After_an_attempt_without_agreement_the_next_greeting_comes_from_the_other_source()
    {
        using var pools = new PoolPair();
        pools.Alice.Append(3, new byte[1024]);
        pools.Alice.Confirm(3);
        pools.Alice.BeginSession();
        pools.Alice.Reserve(32).Segment.ShouldBe(3);
        pools.Alice.BeginSession();
        PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(0);
        pools.Agree();
        pools.Alice.BeginSession();
        pools.Feed(4, 1024);
        pools.Alice.Reserve(32).Segment.ShouldBe(4);
    }

    [Fact]
    public void The_end_of_the_key_is_found_at_the_agreement()
    {
        using var pools = new PoolPair();
        while (pools.Alice.Status.PreSharedSendBits > 0)
        {
            pools.Alice.Reserve(1024).Dispose();
        }

        var alice = pools.Alice.DescribePositions();
        Should.Throw<AuthenticationKeyExhaustedException>(() => pools.Bob.Agree(alice)).Message.ShouldContain("new pre-shared key");
    }
}
