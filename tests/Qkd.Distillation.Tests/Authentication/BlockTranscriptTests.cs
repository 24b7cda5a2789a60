using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

public sealed class BlockTranscriptTests
{
    private readonly BlockTranscript _log = new(3);

    [Fact]
    public void Messages_are_kept_byte_for_byte_in_their_order()
    {
        var random = new Random(4);
        var sent = new List<byte[]>();
        for (var i = 0; i < 400; i++)
        {
            var bytes = new byte[i % 7 == 0 ? 70_000 : random.Next(5_000)];
            random.NextBytes(bytes);
            sent.Add([.. bytes]);
            _log.Record(TranscriptDirection.AliceToBob, i + 1, 0, bytes, i);
            bytes.AsSpan().Clear();
        }

        _log.Count.ShouldBe(400);
        _log.Bytes.ShouldBe(sent.Sum(bytes => (long)bytes.Length));
        var kept = _log.Messages(TranscriptDirection.AliceToBob);
        for (var i = 0; i < 400; i++)
        {
            kept[i].Bytes.SequenceEqual(sent[i]).ShouldBeTrue($"message {i + 1}");
        }
    }

    /// <summary>A copy and the array itself are logged, checked and tagged alike.</summary>
    [Fact]
    public void Messages_handed_over_count_like_copies()
    {
        var owned = new BlockTranscript(3);
        foreach (var (log, handOver) in new[] { (_log, false), (owned, true) })
        {
            for (var i = 0; i < 6; i++)
            {
                var (direction, bytes) = ((TranscriptDirection)(i & 1), new byte[] { 1, 2, (byte)i });
                if (handOver)
                {
                    log.RecordOwned(direction, (i / 2) + 1, (i + 1) / 2, bytes, i);
                }
                else
                {
                    log.Record(direction, (i / 2) + 1, (i + 1) / 2, bytes, i);
                }
            }
        }

        Should.Throw<DistillationException>(() => owned.RecordOwned(TranscriptDirection.AliceToBob, 3, 3, [], 7));
        Should.Throw<DistillationException>(() => owned.RecordOwned(TranscriptDirection.AliceToBob, 4, 4, [], 7));
        owned.Bytes.ShouldBe(_log.Bytes);
        BlockAuthentication.CreateTag(owned, LinkEnd.Bob, TwoLogs.BobPad, accept: true)
            .ShouldBe(BlockAuthentication.CreateTag(_log, LinkEnd.Bob, TwoLogs.BobPad, accept: true));
        Should.Throw<InvalidOperationException>(() => owned.RecordOwned(TranscriptDirection.AliceToBob, 4, 3, [], 7));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_repeated_or_missing_number_is_refused(long sequence)
    {
        Record(TranscriptDirection.AliceToBob, 1, 0);
        Should.Throw<DistillationException>(() => Record(TranscriptDirection.AliceToBob, sequence, 0));
        Record(TranscriptDirection.AliceToBob, 2, 0);
    }

    [Fact]
    public void An_answer_to_what_was_never_sent_is_refused()
    {
        Record(TranscriptDirection.AliceToBob, 1, 0);
        Should.Throw<DistillationException>(() => Record(TranscriptDirection.BobToAlice, 1, 2));
        Should.Throw<DistillationException>(() => Record(TranscriptDirection.BobToAlice, 1, -1));
        Record(TranscriptDirection.BobToAlice, 1, 1);
    }

    [Fact]
    public void Nobody_forgets_what_he_has_seen()
    {
        Record(TranscriptDirection.AliceToBob, 1, 0);
        Record(TranscriptDirection.BobToAlice, 1, 1);
        Should.Throw<DistillationException>(() => Record(TranscriptDirection.BobToAlice, 2, 0));
    }

    [Fact]
    public void Nothing_follows_a_tag()
    {
        Record(TranscriptDirection.BobToAlice, 1, 0);
        BlockAuthentication.CreateTag(_log, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        _log.Closed.ShouldBeTrue();
        Should.Throw<InvalidOperationException>(() => Record(TranscriptDirection.BobToAlice, 2, 0));
    }

    [Fact]
    public void Nothing_follows_a_tag_that_was_checked_even_if_it_did_not_fit()
    {
        Should.Throw<DistillationException>(() => BlockAuthentication.Verify(_log, LinkEnd.Bob, TwoLogs.BobPad, [1, 2], TwoLogs.Tolerance));
        Should.Throw<InvalidOperationException>(() => Record(TranscriptDirection.BobToAlice, 1, 0));
    }

    [Fact]
    public void Times_beyond_what_a_tag_message_can_hold_are_refused()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => _log.Record(TranscriptDirection.AliceToBob, 1, 0, [], (1L << 60) + 1));
        Should.Throw<ArgumentException>(() => _log.Record(TranscriptDirection.AliceToBob, 1, 0, [], -(1L << 60) - 1));
        _log.Count.ShouldBe(0);
    }

    private void Record(TranscriptDirection direction, long sequence, long lastPeerSequence) =>
        _log.Record(direction, sequence, lastPeerSequence, [1, 2, 3], 1_000);
}
