using System.Runtime.Versioning;
using System.Security.Cryptography;
using Qkd.Distillation;

namespace Qkd.Keys.Tests.Authentication;

/// <summary>Files that are cut off, changed, or not there, and segments that come and go.</summary>
public sealed class SegmentTests
{
    [Fact]
    public void A_pre_shared_key_that_is_missing_says_how_one_is_made()
    {
        using var pools = new PoolPair();
        pools.Alice.Dispose();
        File.Delete(pools.PreShared(LinkEnd.Alice));
        Should.Throw<AuthenticationKeyException>(() => AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice)).Message.ShouldContain("qkd init");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(5000)]
    [InlineData(-1)]
    public void A_pre_shared_key_that_is_cut_off_is_refused_and_left_as_it_is(int length)
    {
        using var pools = new PoolPair();
        pools.Alice.Dispose();
        var content = File.ReadAllBytes(pools.PreShared(LinkEnd.Alice));
        File.WriteAllBytes(pools.PreShared(LinkEnd.Alice), content[..(length < 0 ? content.Length + length : length)]);
        Should.Throw<AuthenticationKeyException>(() => AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice)).Message.ShouldContain("preshared.key");
        File.Exists(pools.PreShared(LinkEnd.Alice)).ShouldBeTrue();
    }

    /// <summary>Any one bit changed: either the change is noticed, or it lies where nothing is read any more.</summary>
    [Fact]
    public void A_changed_bit_never_gives_another_pad_than_the_peers()
    {
        using var pools = new PoolPair();
        pools.Alice.Reserve(40).Dispose();
        pools.Alice.Dispose();
        var content = File.ReadAllBytes(pools.PreShared(LinkEnd.Alice));
        var random = new Random(3);
        var noticed = 0;
        for (var i = 0; i < 400; i++)
        {
            var changed = content.ToArray();
            var at = i < 250 ? i : random.Next(content.Length);
            changed[at] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(pools.PreShared(LinkEnd.Alice), changed);
            try
            {
                using var alice = AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice);
                var pad = alice.Reserve(600);
                pad.Offset.ShouldBeGreaterThanOrEqualTo(40);
                pools.Bob.Take(0, pad.Offset, 600).Bytes.AsSpan(256).SequenceEqual(pad.Bytes.AsSpan(256)).ShouldBeTrue($"byte {at}");
            }
            catch (AuthenticationKeyException)
            {
                noticed++;
            }
        }

        noticed.ShouldBeGreaterThan(200);
    }

    [Fact]
    public void A_pre_shared_key_is_never_overwritten()
    {
        using var pools = new PoolPair();
        Should.Throw<AuthenticationKeyException>(() => AuthenticationPool.CreatePreShared(pools.Files["alice"], pools.Files["carol"])).Message.ShouldContain("not overwritten");
        Directory.Exists(pools.Files["carol"]).ShouldBeFalse();
        Should.Throw<ArgumentOutOfRangeException>(() => AuthenticationPool.CreatePreShared(pools.Files["c"], pools.Files["d"], AuthenticationPool.MinimumPreSharedBits - 8));
    }

    [Fact]
    public void A_pool_that_is_open_is_not_opened_a_second_time()
    {
        using var pools = new PoolPair();
        Should.Throw<AuthenticationKeyException>(() => AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice));
        PoolPair.Send(pools.Alice, pools.Bob);
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void Every_file_is_its_owners_alone_and_another_mode_is_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "No modes there.");
        using var pools = new PoolPair();
        pools.Feed(1, 128);
        foreach (var file in Directory.EnumerateFiles(pools.Folder(LinkEnd.Alice), "*", SearchOption.AllDirectories))
        {
            File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite, file);
        }

        var segment = Directory.GetFiles(pools.Segments(LinkEnd.Alice)).Single();
        File.SetUnixFileMode(segment, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Should.Throw<AuthenticationKeyException>(pools.Reopen).Message.ShouldContain("0600");
        File.Exists(segment).ShouldBeTrue();
    }

    /// <summary>A distilled segment is worth less than the link: the pre-shared key carries on.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(140)]
    [InlineData(-1)]
    public void A_distilled_segment_that_is_cut_off_is_erased_and_both_ends_carry_on_without_it(int length)
    {
        using var pools = new PoolPair();
        var key = pools.Feed(5, 1024);
        pools.Alice.Reserve(32).Segment.ShouldBe(5);
        pools.Alice.Dispose();
        var path = Directory.GetFiles(pools.Segments(LinkEnd.Alice)).Single();
        var content = File.ReadAllBytes(path);
        File.WriteAllBytes(path, content[..(length < 0 ? content.Length + length : length)]);
        pools.Reopen();
        pools.Alice.DamagedSegments.ShouldBe([path]);
        File.Exists(path).ShouldBeFalse();
        pools.Files.Holds(pools.Folder(LinkEnd.Alice), key.AsSpan(200, 16)).ShouldBeFalse();
        pools.Agree();
        PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(0);
        PoolPair.Send(pools.Bob, pools.Alice).Segment.ShouldBe(0);
        Directory.GetFiles(pools.Segments(LinkEnd.Bob)).ShouldBeEmpty();
    }

    /// <summary>The process was killed while it wrote a segment: its block never came into the store.</summary>
    [Fact]
    public void A_segment_that_was_cut_off_while_it_was_made_leaves_no_key_behind()
    {
        using var pools = new PoolPair();
        var key = RandomNumberGenerator.GetBytes(300);
        OwnerOnlyFile.Create(Path.Combine(pools.Segments(LinkEnd.Alice), "0000000000000005.key.new"), key);
        pools.Reopen();
        Directory.GetFiles(pools.Segments(LinkEnd.Alice)).ShouldBeEmpty();
        pools.Alice.DamagedSegments.ShouldBeEmpty();
    }

    [Fact]
    public void A_segment_is_used_for_sending_only_when_the_peer_is_known_to_hold_it()
    {
        using var pools = new PoolPair();
        pools.Feed(3, 1024, confirmed: false);
        pools.Alice.PendingSegments.ShouldBe([3L]);
        pools.Alice.Reserve(32).Segment.ShouldBe(0);

        // Bob hears of the settlement first and uses it: Alice knows by his first message that fits.
        pools.Bob.Confirm(3);
        PoolPair.Send(pools.Bob, pools.Alice).Segment.ShouldBe(3);
        pools.Alice.PendingSegments.ShouldBeEmpty();
        pools.Alice.Reserve(32).Segment.ShouldBe(3);
    }

    [Fact]
    public void A_forged_message_with_a_place_in_it_proves_nothing()
    {
        using var pools = new PoolPair();
        pools.Feed(3, 1024, confirmed: false);
        pools.Alice.Take(3, 0, 32).Dispose();
        pools.Alice.PendingSegments.ShouldBe([3L]);
    }

    [Fact]
    public void Distilled_segments_go_first_and_vanish_when_they_are_used_up()
    {
        using var pools = new PoolPair();
        pools.Feed(3, 128);
        pools.Alice.Status.FedSendBits.ShouldBe(512);
        for (var i = 0; i < 2; i++)
        {
            PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(3);
            PoolPair.Send(pools.Bob, pools.Alice).Segment.ShouldBe(3);
        }

        PoolPair.Send(pools.Alice, pools.Bob).Segment.ShouldBe(0);
        Directory.GetFiles(pools.Segments(LinkEnd.Alice)).ShouldBeEmpty();
        Directory.GetFiles(pools.Segments(LinkEnd.Bob)).ShouldBeEmpty();
    }

    [Fact]
    public void A_discarded_segment_leaves_no_file_and_the_pre_shared_key_is_never_discarded()
    {
        using var pools = new PoolPair();
        var key = pools.Feed(3, 1024, confirmed: false);
        pools.Alice.Discard(3);
        pools.Alice.Discard(AuthenticationPool.PreSharedSegment);
        pools.Files.Holds(pools.Folder(LinkEnd.Alice), key.AsSpan(100, 16)).ShouldBeFalse();
        pools.Alice.Reserve(32).Segment.ShouldBe(0);
    }

    /// <summary>A fresh pre-shared key is not low although nothing was distilled yet; three quarters of it used up is, in either direction.</summary>
    [Theory]
    [InlineData(LinkEnd.Alice)]
    [InlineData(LinkEnd.Bob)]
    public void The_pool_is_low_below_a_quarter_of_the_pre_shared_key_until_segments_make_up_for_it(LinkEnd sender)
    {
        using var pools = new PoolPair();
        var from = sender == LinkEnd.Alice ? pools.Alice : pools.Bob;
        pools.Alice.Status.IsLow.ShouldBeFalse();
        var quarter = AuthenticationPool.MinimumPreSharedBits / 2 / 4;
        while (from.Status.PreSharedSendBits > quarter)
        {
            from.Status.IsLow.ShouldBeFalse();
            from.Reserve(64).Dispose();
        }

        from.Reserve(32).Dispose();
        pools.Agree();
        pools.Alice.Status.IsLow.ShouldBeTrue();
        pools.Bob.Status.IsLow.ShouldBeTrue();

        // A segment that the peer is not known to hold cannot be sent with.
        pools.Feed(3, 1024, confirmed: false);
        from.Status.IsLow.ShouldBeTrue();
        pools.Agree();
        pools.Alice.Status.IsLow.ShouldBeFalse();
        pools.Bob.Status.IsLow.ShouldBeFalse();
    }

    [Fact]
    public void The_pool_says_how_much_it_wants_until_it_has_it()
    {
        using var pools = new PoolPair();
        pools.Alice.Dispose();
        using var alice = AuthenticationPool.Open(pools.Folder(LinkEnd.Alice), LinkEnd.Alice, levelBits: 10_000);
        alice.Status.WantedBits.ShouldBe(10_240);
        alice.Append(1, RandomNumberGenerator.GetBytes(1000));
        alice.Status.WantedBits.ShouldBe(2048);
        alice.Append(2, RandomNumberGenerator.GetBytes(256));
        alice.Status.WantedBits.ShouldBe(0);
    }
}
