using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

public sealed class BlockAuthenticationTests
{
    [Fact]
    public void Two_ends_that_saw_the_same_accept()
    {
        var (alice, bob) = TwoLogs.Usual().Close();
        alice.Peer.ShouldBe(LinkEnd.Bob);
        bob.Peer.ShouldBe(LinkEnd.Alice);
        foreach (var transcript in new[] { alice, bob })
        {
            transcript.BlockId.ShouldBe(7);
            transcript.OwnAccept.ShouldBeTrue();
            transcript.PeerAccept.ShouldBeTrue();
            transcript.ForgeryProbability.ShouldBe(Math.Pow(2, -94));
        }
    }

    [Fact]
    public void A_block_without_a_message_can_be_closed() => new TwoLogs().Close().Bob.PeerAccept.ShouldBeTrue();

    /// <summary>Messages cross on their way in any manner that keeps each direction's order.</summary>
    [Fact]
    public void However_the_messages_crossed() => Gen.Select(Gen.Int[0, 3], Gen.Int[0, 60]).List[0, 200].Sample(steps =>
    {
        var logs = new TwoLogs();
        var onTheWay = new[] { new Queue<TwoLogs.Message>(), new Queue<TwoLogs.Message>() };
        long time = 1_700_000_000_000_000;
        foreach (var (what, size) in steps.Concat(Enumerable.Repeat((2, 0), 200)).Concat(Enumerable.Repeat((3, 0), 200)))
        {
            time += size;
            var queue = onTheWay[what & 1];
            if (what < 2)
            {
                queue.Enqueue(logs.Send((LinkEnd)what, new byte[size], time));
            }
            else if (queue.TryDequeue(out var message))
            {
                logs.Deliver(message, time);
            }
        }

        logs.Alice.Count.ShouldBe(logs.Bob.Count);
        logs.Close().Bob.OwnAccept.ShouldBeTrue();
    });

    [Theory]
    [InlineData(LinkEnd.Alice, 0)]
    [InlineData(LinkEnd.Alice, 2)]
    [InlineData(LinkEnd.Bob, 0)]
    [InlineData(LinkEnd.Bob, 1)]
    public void A_bit_altered_on_its_way_is_seen(LinkEnd from, int which)
    {
        var logs = new TwoLogs();
        var sent = 0;
        for (var i = 0; i < 6; i++)
        {
            var end = (LinkEnd)(i % 2);
            var message = logs.Send(end, [1, 2, 3], 10_000 * i);
            var altered = end == from && i / 2 == which;
            sent += altered ? 1 : 0;
            logs.Deliver(altered ? message with { Bytes = [1, 2, 3 ^ 0x10] } : message, (10_000 * i) + 1_000);
        }

        sent.ShouldBe(1);
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("does not fit");
    }

    [Fact]
    public void Bytes_moved_from_one_message_to_the_next_are_seen()
    {
        var logs = new TwoLogs();
        var (first, second) = (logs.Send(LinkEnd.Alice, new byte[16], 0), logs.Send(LinkEnd.Alice, new byte[16], 1));
        logs.Deliver(first with { Bytes = new byte[32] }, 10);
        logs.Deliver(second with { Bytes = [] }, 11);
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("does not fit");
    }

    [Fact]
    public void Zeros_at_the_end_of_a_message_are_seen()
    {
        var logs = new TwoLogs();
        var message = logs.Send(LinkEnd.Alice, [1, 2, 3], 0);
        logs.Deliver(message with { Bytes = [1, 2, 3, 0] }, 10);
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("does not fit");
    }

    [Fact]
    public void A_message_that_never_arrived_is_seen()
    {
        var logs = TwoLogs.Usual();
        logs.Send(LinkEnd.Alice, [1], 2_000_000);
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("messages");

        var crossed = TwoLogs.Usual();
        crossed.Send(LinkEnd.Alice, [1], 2_000_000);
        crossed.Send(LinkEnd.Bob, [1], 2_000_000);
        Should.Throw<TranscriptRejectedException>(() => crossed.Close()).Message.ShouldContain("messages");
    }

    [Theory]
    [InlineData(LinkEnd.Alice)]
    [InlineData(LinkEnd.Bob)]
    public void Any_bit_of_a_tag_message_turned_over_is_seen(LinkEnd from)
    {
        var bits = 8 * BlockAuthentication.CreateTag(TwoLogs.Usual().Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true).Length;
        bits.ShouldBeGreaterThan(8 * (7 + 5 + 16));
        for (var bit = 0; bit < bits; bit++)
        {
            byte[] Spoil(byte[] tag)
            {
                tag[bit / 8 % tag.Length] ^= (byte)(1 << (bit % 8));
                return tag;
            }

            var logs = TwoLogs.Usual();
            Should.Throw<DistillationException>(() => from == LinkEnd.Bob ? logs.Close(bobTag: Spoil) : logs.Close(aliceTag: Spoil), $"bit {bit}");
        }
    }

    [Fact]
    public void A_truncated_or_lengthened_tag_message_is_refused()
    {
        var length = BlockAuthentication.CreateTag(TwoLogs.Usual().Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true).Length;
        for (var left = 0; left < length; left++)
        {
            var logs = TwoLogs.Usual();
            Should.Throw<DistillationException>(() => logs.Close(bobTag: tag => tag[..left]));
        }

        Should.Throw<DistillationException>(() => TwoLogs.Usual().Close(bobTag: tag => [.. tag, 0]));
    }

    [Fact]
    public void Another_pad_or_another_block_does_not_fit()
    {
        var tag = BlockAuthentication.CreateTag(TwoLogs.Usual().Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        BlockAuthentication.Verify(TwoLogs.Usual().Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance).PeerAccept.ShouldBeTrue();
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(TwoLogs.Usual(8).Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance));
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(TwoLogs.Usual().Alice, LinkEnd.Bob, TwoLogs.AlicePad, tag, TwoLogs.Tolerance));
    }

    [Fact]
    public void A_tag_sent_back_to_its_maker_is_refused()
    {
        var logs = TwoLogs.Usual();
        var tag = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        Should.Throw<DistillationException>(() => BlockAuthentication.Verify(logs.Bob, LinkEnd.Alice, TwoLogs.BobPad, tag, TwoLogs.Tolerance));

        // Even with the end's byte changed to fit: it is part of what the tag covers.
        logs = TwoLogs.Usual();
        tag = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        tag[1] = (byte)LinkEnd.Alice;
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Bob, LinkEnd.Alice, TwoLogs.BobPad, tag, TwoLogs.Tolerance));
    }

    /// <summary>Someone who can guess a message delivers it before it was sent: only the times tell.</summary>
    [Theory]
    [InlineData(LinkEnd.Alice)]
    [InlineData(LinkEnd.Bob)]
    public void A_message_received_before_it_was_sent_is_refused(LinkEnd from)
    {
        var logs = TwoLogs.Usual();
        logs.Say(from, [1], sent: 2_000_000, received: 2_000_000 - 1_001);
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("before it was sent");
    }

    /// <summary>The one message with impossible times is seen by both ends: here by Bob, whom Alice's tag reaches though she never checked.</summary>
    [Fact]
    public void Each_end_checks_the_times_for_itself()
    {
        var logs = TwoLogs.Usual();
        logs.Say(LinkEnd.Alice, [1], sent: 2_000_000, received: 1_000_000);
        BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        var unchecked_ = BlockAuthentication.CreateTag(logs.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: false);
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Bob, LinkEnd.Alice, TwoLogs.AlicePad, unchecked_, TwoLogs.Tolerance))
            .Message.ShouldContain("before it was sent");
    }

    [Fact]
    public void Clocks_may_disagree_by_the_tolerance()
    {
        var logs = TwoLogs.Usual();
        logs.Say(LinkEnd.Alice, [1], sent: 2_000_000, received: 2_000_000 - 1_000);
        logs.Close().Bob.PeerAccept.ShouldBeTrue();
    }

    [Fact]
    public void Extreme_times_are_told_apart()
    {
        var logs = new TwoLogs();
        logs.Say(LinkEnd.Alice, [1], sent: -(1L << 60), received: 1L << 60);
        logs.Say(LinkEnd.Bob, [1], sent: -(1L << 60), received: 1L << 60);
        logs.Close().Bob.PeerAccept.ShouldBeTrue();

        logs = new TwoLogs();
        logs.Say(LinkEnd.Alice, [1], sent: 1L << 60, received: -(1L << 60));
        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("before it was sent");
    }

    /// <summary>Alice's second message says that she had seen nothing of Bob's, though her log has his message before it.</summary>
    [Fact]
    public void A_message_that_does_not_follow_what_its_sender_had_received_is_refused()
    {
        var logs = new TwoLogs();
        logs.Say(LinkEnd.Bob, [1], 0, 1_000);
        var lie = logs.Send(LinkEnd.Bob, [2], 1_500);
        logs.Deliver(lie, 2_000);
        foreach (var log in new[] { logs.Alice, logs.Bob })
        {
            log.Record(TranscriptDirection.AliceToBob, 1, lastPeerSequence: 1, [3], 3_000);
        }

        Should.Throw<TranscriptRejectedException>(() => logs.Close()).Message.ShouldContain("does not follow");
    }

    [Fact]
    public void Alice_cannot_accept_before_Bobs_tag_was_found_to_fit()
    {
        var logs = TwoLogs.Usual();
        Should.Throw<InvalidOperationException>(() => BlockAuthentication.CreateTag(logs.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: true));
        Should.Throw<DistillationException>(() => logs.Close(bobTag: tag => [.. tag[..^1], (byte)(tag[^1] ^ 1)]));
        Should.Throw<InvalidOperationException>(() => BlockAuthentication.CreateTag(logs.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: true));
    }

    [Fact]
    public void After_a_tag_that_did_not_fit_no_other_is_looked_at()
    {
        var logs = TwoLogs.Usual();
        var tag = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        byte[] spoiled = [.. tag[..^1], (byte)(tag[^1] ^ 1)];
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, spoiled, TwoLogs.Tolerance));
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance));
    }

    [Fact]
    public void A_tag_is_checked_once_and_made_once()
    {
        var logs = TwoLogs.Usual();
        var tag = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance);
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance));
        Should.Throw<InvalidOperationException>(() => BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true));
    }

    [Fact]
    public void A_refusal_of_either_end_ends_the_block()
    {
        var logs = TwoLogs.Usual();
        var refused = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: false);
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, refused, TwoLogs.Tolerance))
            .Message.ShouldContain("does not accept");
        var back = BlockAuthentication.CreateTag(logs.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: false);
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Bob, LinkEnd.Alice, TwoLogs.AlicePad, back, TwoLogs.Tolerance));

        // Bob refused, or has not said that he accepts: Alice's accepting tag, which fits, gives him nothing.
        foreach (bool? own in new bool?[] { false, null })
        {
            var (honest, other) = (TwoLogs.Usual(), TwoLogs.Usual());
            var tag = BlockAuthentication.CreateTag(honest.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
            BlockAuthentication.Verify(honest.Alice, LinkEnd.Bob, TwoLogs.BobPad, tag, TwoLogs.Tolerance);
            var accepting = BlockAuthentication.CreateTag(honest.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: true);
            if (own is false)
            {
                BlockAuthentication.CreateTag(other.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: false);
            }

            Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(other.Bob, LinkEnd.Alice, TwoLogs.AlicePad, accepting, TwoLogs.Tolerance))
                .Message.ShouldContain("This end has not accepted");
        }
    }

    [Fact]
    public void A_refusal_cannot_be_turned_into_acceptance()
    {
        var logs = TwoLogs.Usual();
        var refused = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: false);
        refused[2] = 1;
        Should.Throw<TranscriptRejectedException>(() => BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, refused, TwoLogs.Tolerance))
            .Message.ShouldContain("does not fit");
    }
}
