using Qkd.Link.Wire;
using Qkd.Timing;
using Shouldly;

namespace Qkd.Link.Tests.Session;

public sealed class SessionTests
{
    [Fact]
    public async Task Both_ends_make_the_same_key_block_after_block()
    {
        await using var link = new TestLink();
        await link.StartAsync();
        await link.UntilAsync(() => link.Alice.Keys.Count >= 3 && link.Bob.Keys.Count >= 3, "three blocks of key");
        await link.StopAsync();
        ShouldAgree(link, atLeast: 3);
        link.Alice.Alarms.ShouldBeEmpty();
        link.Bob.Alarms.ShouldBeEmpty();

        // The two ends tell the same figures, and the key is what the bound allows.
        var bob = link.Bob.Accepted.ToDictionary(report => report.BlockId);
        foreach (var report in link.Alice.Accepted)
        {
            report.SecretBits.ShouldBeGreaterThan(0);
            report.SecretBits.ShouldBe(8 * link.Alice.Keys[report.BlockId].Length);
            if (bob.TryGetValue(report.BlockId, out var other))
            {
                (other.SecretBits, other.LeakedBits, other.SiftedBits).ShouldBe((report.SecretBits, report.LeakedBits, report.SiftedBits));
                report.QberX.ShouldBe(0.01, 5 * Math.Sqrt(0.01 / report.TestCounts.Sum()));
            }
        }

        link.Light.Emitting.ShouldBeFalse();
    }

    [Fact]
    public async Task Raw_bits_are_erased_once_a_frame_is_done_with_and_at_the_end_all_of_them()
    {
        // One block is given up on the way: it leaves frames behind that it never looked at, and frames come for which there is no block.
        await using var link = new TestLink();
        await link.StartAsync();
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "a first block");
        link.Bob.Frames.ShouldContain(frame => frame.Slots.Length > 0 && frame.Outcomes.IsEmpty);
        link.Keeper.IsAligned = false;
        await link.UntilAsync(() => link.Bob.Discarded.Any(d => d.Reason.Contains("turned it away", StringComparison.Ordinal)), "a block given up");
        await link.StopAsync();
        link.Bob.Frames.Count.ShouldBeGreaterThan(60);
        link.Bob.Frames.ShouldAllBe(frame => frame.Outcomes.IsEmpty);
    }

    [Fact]
    public async Task Bob_alone_reports_what_his_gate_did_and_no_message_tells_it()
    {
        await using var link = new TestLink();
        await link.StartAsync();
        await link.UntilAsync(() => !link.Bob.Accepted.IsEmpty && !link.Alice.Accepted.IsEmpty, "a block");
        await link.StopAsync();
        var report = link.Bob.Accepted.First();
        var gate = link.Bob.Frames
            .Where(frame => frame.Frame >= report.FirstFrame && frame.Frame < report.FirstFrame + report.FrameCount)
            .Aggregate(default(GateCounts), (sum, frame) => sum.Plus(frame.Gate));
        gate.Clicks.ShouldBeGreaterThan(0);
        report.Gate.ShouldBe(gate);
        link.Alice.Accepted.ShouldAllBe(block => block.Gate == null);
    }

    [Fact]
    public async Task Another_pre_shared_key_ends_the_handshake_before_any_light()
    {
        await using var link = new TestLink(sameAuthenticationKey: false);
        await link.StartAsync();
        await link.EndedAsync();
        link.Alice.Ended.ShouldBeOfType<LinkAuthenticationException>();
        link.Bob.Ended.ShouldNotBeNull();
        link.Light.Emitting.ShouldBeFalse();
        link.Alice.Keys.ShouldBeEmpty();
        link.Bob.Keys.ShouldBeEmpty();
    }

    [Fact]
    public async Task An_error_rate_that_jumps_is_an_alarm_and_no_more_key()
    {
        await using var link = new TestLink();
        await link.StartAsync();
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "a first block");
        link.Light.ErrorRate = 0.255;
        await link.UntilAsync(() => link.Bob.Alarms.Any(alarm => alarm.Kind == AlarmKind.Qber), "an alarm at Bob");
        var blocks = link.Alice.Keys.Count;
        await Task.Delay(300, TestContext.Current.CancellationToken);

        // A block whose last frame came before may still have been under way.
        link.Alice.Keys.Count.ShouldBeLessThanOrEqualTo(blocks + 2);
        await link.StopAsync();
        ShouldAgree(link, atLeast: 1);
        link.Alice.Accepted.Concat(link.Bob.Accepted).ShouldAllBe(report => report.QberX < 0.06);
    }

    [Fact]
    public async Task Lost_alignment_gives_open_blocks_up_and_key_making_goes_on_after_it()
    {
        await using var link = new TestLink();
        await link.StartAsync();
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "a first block");
        link.Keeper.IsAligned = false;
        await link.UntilAsync(() => link.Bob.Discarded.Any(d => d.Reason.Contains("turned it away", StringComparison.Ordinal)), "a block given up");
        link.Bob.Alarms.ShouldContain(alarm => alarm.Kind == AlarmKind.Alignment);
        link.Keeper.IsAligned = true;
        var before = link.Bob.Keys.Count;
        await link.UntilAsync(() => link.Bob.Keys.Count > before + 1, "key after it");
        await link.StopAsync();
        ShouldAgree(link, atLeast: 3);
    }

    [Fact]
    public async Task A_cut_connection_ends_both_sessions_with_the_light_off_and_stores_no_unfinished_block()
    {
        await using var link = new TestLink();
        await link.StartAsync();
        var cut = 0;
        link.Tamper = (from, message) =>
            message.Type == MessageType.Detections && message.BlockId >= 2 && Interlocked.Increment(ref cut) > 20
                ? throw new LinkException("cut")
                : message;
        await link.EndedAsync();
        link.Alice.Ended.ShouldBeAssignableTo<LinkException>();
        link.Bob.Ended.ShouldBeAssignableTo<LinkException>();
        link.Light.Emitting.ShouldBeFalse();
        link.Alice.Discarded.ShouldNotBeEmpty();
        ShouldAgree(link, atLeast: 0);
        link.Bob.Keys.Keys.ShouldAllBe(block => block < 2);
    }

    /// <summary>One bit flipped in each kind of message in turn, in the header's time or the payload's first, middle or last byte.</summary>
    [Theory]
    [InlineData(MessageType.BlockOpen)]
    [InlineData(MessageType.Detections)]
    [InlineData(MessageType.Matches)]
    [InlineData(MessageType.TestBits)]
    [InlineData(MessageType.Reconciliation)]
    [InlineData(MessageType.VerificationChallenge)]
    [InlineData(MessageType.VerificationAnswer)]
    [InlineData(MessageType.SecretLength)]
    [InlineData(MessageType.AmplificationSeed)]
    [InlineData(MessageType.TranscriptTagBob)]
    [InlineData(MessageType.TranscriptTagAlice)]
    public async Task A_bit_flipped_on_the_way_never_makes_two_different_keys(MessageType type)
    {
        await using var link = new TestLink();
        var flipped = new HashSet<long>();
        link.Tamper = (_, message) =>
        {
            // Every other block is left alone: key making goes on where the session does.
            lock (flipped)
            {
                if (message.Type != type || message.BlockId % 2 == 1 || !flipped.Add(message.BlockId))
                {
                    return message;
                }
            }

            var payload = message.Payload.ToArray();
            payload[(int)(message.BlockId / 2 % 3) * (payload.Length - 1) / 2] ^= 4;
            return message with { Payload = payload };
        };
        await link.StartAsync();
        await link.UntilAsync(
            () => link.Alice.Ended is not null || link.Bob.Ended is not null || (flipped.Count >= 2 && link.Alice.Discarded.Count + link.Bob.Discarded.Count >= 2),
            "a tampered block");
        await link.StopAsync();
        flipped.ShouldNotBeEmpty();

        // Alice may hold one more: the tag that tells Bob was spoilt. Her copy is never delivered without his word.
        link.Bob.Keys.Keys.ShouldAllBe(block => !flipped.Contains(block));
        ShouldAgree(link, atLeast: 0);
        if (type != MessageType.TranscriptTagAlice)
        {
            link.Alice.Keys.Keys.ShouldAllBe(block => !flipped.Contains(block));
        }
    }

    [Theory]
    [InlineData(MessageType.Matches)]
    [InlineData(MessageType.Reconciliation)]
    [InlineData(MessageType.AmplificationSeed)]
    public async Task A_message_that_is_truncated_ends_the_block_with_a_reason(MessageType type)
    {
        await using var link = new TestLink();
        link.Tamper = (_, message) => message.Type == type && message.BlockId == 1 && message.Payload.Length > 3
            ? message with { Payload = message.Payload[..(message.Payload.Length / 2)] }
            : message;
        await link.StartAsync();
        await link.UntilAsync(() => link.Alice.Discarded.Concat(link.Bob.Discarded).Any(d => d.Report.BlockId == 1), "a discarded block");
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "key after it");
        await link.StopAsync();
        link.Alice.Keys.Keys.ShouldNotContain(1);
        link.Bob.Keys.Keys.ShouldNotContain(1);
        ShouldAgree(link, atLeast: 1);
    }

    private static void ShouldAgree(TestLink link, int atLeast)
    {
        var common = link.Alice.Keys.Keys.Intersect(link.Bob.Keys.Keys).ToList();
        common.Count.ShouldBeGreaterThanOrEqualTo(atLeast);
        foreach (var block in common)
        {
            link.Alice.Keys[block].ShouldBe(link.Bob.Keys[block]);
        }

        link.Bob.Keys.Keys.Except(link.Alice.Keys.Keys).ShouldBeEmpty();
    }
}
