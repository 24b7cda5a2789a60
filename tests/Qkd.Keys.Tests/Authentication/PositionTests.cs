using Qkd.Distillation;

namespace Qkd.Keys.Tests.Authentication;

public sealed class PositionTests
{
    private const int DirectionBytes = AuthenticationPool.MinimumPreSharedBits / 16;

    [Fact]
    public void Both_ends_get_the_same_pads_in_each_direction_and_never_one_twice()
    {
        using var pools = new PoolPair();
        var seen = new HashSet<string>();
        for (var i = 0; i < 20; i++)
        {
            seen.Add(Convert.ToHexString(PoolPair.Send(pools.Alice, pools.Bob).Bytes)).ShouldBeTrue();
            seen.Add(Convert.ToHexString(PoolPair.Send(pools.Bob, pools.Alice).Bytes)).ShouldBeTrue();
        }
    }

    /// <summary>The process is killed right after a pad was handed out: what is on the disk then never gives it out again.</summary>
    [Fact]
    public void A_position_is_on_the_disk_before_its_pad_is_handed_out()
    {
        using var pools = new PoolPair();
        var used = new List<byte[]>();
        for (var i = 0; i < 5; i++)
        {
            var pad = pools.Alice.Reserve(PoolPair.PadBytes);
            used.Add(pad.Bytes);
            using var killed = pools.Killed(LinkEnd.Alice);
            var next = killed.Reserve(PoolPair.PadBytes);
            next.Offset.ShouldBe(pad.Offset + PoolPair.PadBytes);
            used.Select(Convert.ToHexString).ShouldNotContain(Convert.ToHexString(next.Bytes));
        }
    }

    [Fact]
    public void A_received_position_is_on_the_disk_once_it_is_used_up_and_a_replay_is_refused_even_after_a_kill()
    {
        using var pools = new PoolPair();
        var pad = PoolPair.Send(pools.Alice, pools.Bob);
        using var killed = pools.Killed(LinkEnd.Bob);
        foreach (var bob in (AuthenticationPool[])[pools.Bob, killed])
        {
            Should.Throw<AuthenticationKeyException>(() => bob.Take(pad.Segment, pad.Offset, PoolPair.PadBytes)).Message.ShouldContain("replay");
        }
    }

    /// <summary>The slot of a position is cut off in the middle of its writing: the one before it counts, whose pad was never handed out.</summary>
    [Fact]
    public void A_position_torn_in_its_writing_falls_back_to_the_one_before_and_no_further()
    {
        using var pools = new PoolPair();
        pools.Alice.Reserve(PoolPair.PadBytes);
        pools.Alice.Reserve(PoolPair.PadBytes);
        var before = Snapshot(pools);
        pools.Alice.Reserve(PoolPair.PadBytes);
        var after = Snapshot(pools);
        pools.Alice.Dispose();
        for (var torn = 1; torn < 16; torn++)
        {
            // Of the slots of Alice's direction the one that has changed, written in part.
            var content = before.ToArray();
            var at = Enumerable.Range(4, 2).Select(i => 16 * i).Single(slot => !before.AsSpan(slot, 16).SequenceEqual(after.AsSpan(slot, 16)));
            after.AsSpan(at, torn).CopyTo(content.AsSpan(at));
            File.WriteAllBytes(pools.PreShared(LinkEnd.Alice), content);
            using var opened = AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice);
            var pad = opened.Reserve(PoolPair.PadBytes);
            pad.Offset.ShouldBeGreaterThanOrEqualTo(2 * PoolPair.PadBytes);
            pad.Offset.ShouldBeLessThanOrEqualTo(3 * PoolPair.PadBytes);
        }
    }

    /// <summary>A position is durable before the key behind it is overwritten: a crash between the two is made good on opening.</summary>
    [Fact]
    public void Used_key_is_overwritten_in_the_file_at_once_or_on_the_next_opening()
    {
        using var pools = new PoolPair();
        var untouched = Snapshot(pools);
        var pad = pools.Alice.Reserve(64);
        var used = pad.Bytes.ToArray();
        untouched.AsSpan().IndexOf(used).ShouldBeGreaterThan(0);
        Snapshot(pools).AsSpan().IndexOf(used.AsSpan(0, 16)).ShouldBe(-1);

        pools.Alice.Dispose();
        var content = File.ReadAllBytes(pools.PreShared(LinkEnd.Alice));
        used.CopyTo(content.AsSpan(untouched.AsSpan().IndexOf(used)));
        File.WriteAllBytes(pools.PreShared(LinkEnd.Alice), content);
        using (AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice))
        {
        }

        File.ReadAllBytes(pools.PreShared(LinkEnd.Alice)).AsSpan().IndexOf(used.AsSpan(0, 16)).ShouldBe(-1);
    }

    /// <summary>A message from anybody, with a place far ahead: the key before it must still be there for the true peer.</summary>
    [Fact]
    public void A_forged_place_far_ahead_costs_no_key()
    {
        using var pools = new PoolPair();
        for (var i = 0; i < 100; i++)
        {
            pools.Bob.Take(AuthenticationPool.PreSharedSegment, DirectionBytes - PoolPair.PadBytes, PoolPair.PadBytes).Dispose();
        }

        PoolPair.Send(pools.Alice, pools.Bob).Offset.ShouldBe(0);
        using var killed = pools.Killed(LinkEnd.Bob);
        killed.Status.PreSharedReceiveBits.ShouldBe(8 * (DirectionBytes - PoolPair.PadBytes));
    }

    [Fact]
    public void A_pad_that_is_used_up_takes_all_before_it_and_one_used_up_late_changes_nothing()
    {
        using var pools = new PoolPair();
        using var first = pools.Bob.Take(0, 0, 32);
        using var second = pools.Bob.Take(0, 64, 32);
        pools.Bob.UseUp(second);
        pools.Bob.UseUp(first);
        Should.Throw<AuthenticationKeyException>(() => pools.Bob.Take(0, 64, 32));
        pools.Bob.Take(0, 96, 32).Dispose();
    }

    /// <summary>The tag of a message in a session did not fit: whatever its place, there is no second attempt with that pad.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(32)]
    [InlineData(3200)]
    public void A_forfeited_pad_is_never_taken_again_and_costs_no_other(long offset)
    {
        using var pools = new PoolPair();
        using (var spoilt = pools.Bob.Take(0, offset, 32))
        {
            pools.Bob.Forfeit(spoilt);
            pools.Bob.Forfeit(spoilt);
        }

        foreach (var at in (long[])[offset, offset + 31, Math.Max(0, offset - 31)])
        {
            Should.Throw<AuthenticationKeyException>(() => pools.Bob.Take(0, at, 32));
        }

        pools.Bob.Take(0, offset + 32, 32).Dispose();
        if (offset >= 32)
        {
            pools.Bob.Take(0, offset - 32, 32).Dispose();
            PoolPair.Send(pools.Alice, pools.Bob).Offset.ShouldBe(0);
        }

        pools.Bob.Status.PreSharedReceiveBits.ShouldBe(8 * (DirectionBytes - 32));
    }

    /// <summary>An altered message carries the place of a true one, the next: that is on the disk.</summary>
    [Fact]
    public void The_next_pad_is_forfeited_for_good()
    {
        using var pools = new PoolPair();
        using var spoilt = pools.Bob.Take(0, 0, 32);
        pools.Bob.Forfeit(spoilt);
        using var killed = pools.Killed(LinkEnd.Bob);
        Should.Throw<AuthenticationKeyException>(() => killed.Take(0, 0, 32)).Message.ShouldContain("replay");
    }

    [Theory]
    [InlineData(0, -1)]
    [InlineData(0, DirectionBytes - 31)]
    [InlineData(0, long.MaxValue)]
    [InlineData(7, 0)]
    public void Places_that_do_not_exist_are_refused(long segment, long offset)
    {
        using var pools = new PoolPair();
        Should.Throw<AuthenticationKeyException>(() => pools.Bob.Take(segment, offset, 32));
        PoolPair.Send(pools.Alice, pools.Bob).Offset.ShouldBe(0);
    }

    [Fact]
    public void Many_at_once_get_different_pads()
    {
        using var pools = new PoolPair();
        var pads = new System.Collections.Concurrent.ConcurrentBag<Pad>();
        Parallel.For(0, 100, _ => pads.Add(pools.Alice.Reserve(32)));
        pads.Select(pad => pad.Offset).Order().ShouldBe(Enumerable.Range(0, 100).Select(i => 32L * i));
        pads.Select(pad => Convert.ToHexString(pad.Bytes)).Distinct().Count().ShouldBe(100);
    }

    [Fact]
    public void When_nothing_is_left_the_error_says_what_to_do()
    {
        using var pools = new PoolPair();
        while (pools.Alice.Status.PreSharedSendBits > 0)
        {
            pools.Alice.Reserve(1024).Dispose();
        }

        var error = Should.Throw<AuthenticationKeyExhaustedException>(() => pools.Alice.Reserve(32));
        error.Message.ShouldContain(pools.Folder(LinkEnd.Alice));
        error.Message.ShouldContain("new pre-shared key");
        pools.Reopen();
        Should.Throw<AuthenticationKeyExhaustedException>(() => pools.Alice.Reserve(32));
        Should.Throw<AuthenticationKeyExhaustedException>(pools.Agree);
    }

    [Fact]
    public void A_pad_is_erased_on_dispose_and_never_printed()
    {
        using var pools = new PoolPair();
        var pad = pools.Alice.Reserve(32);
        pad.ToString().ShouldBe("pad 0:0 (32 bytes)");
        pad.Dispose();
        pad.Bytes.ShouldAllBe(b => b == 0);
    }

    private static byte[] Snapshot(PoolPair pools)
    {
        var copy = pools.Files[$"snapshot-{Guid.NewGuid():N}"];
        Support.TempFolder.CopyAsTheyAre(pools.Folder(LinkEnd.Alice), copy);
        return File.ReadAllBytes(Path.Combine(copy, AuthenticationPool.PreSharedName));
    }
}
