using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

/// <summary>
/// Everything that can be changed in a small transcript, one thing at a time, in either end's log: each is rejected when it is logged or
/// when the block is closed, and no end accepts.
/// </summary>
public sealed class TamperingTests
{
    private const long BlockId = 0x0123_4567_89AB_CDEF;

    /// <summary>Every message answers the one before it, so that no two can have crossed; of lengths about the hash's block.</summary>
    private static readonly Logged[] Honest = [.. new[] { 3, 16, 0, 17, 1 }.Select((length, i) => new Logged(
        (TranscriptDirection)(i & 1), (i / 2) + 1, (i + 1) / 2, [.. Enumerable.Range(1, length).Select(b => (byte)(37 * b * (i + 1)))], 1_000_000 + (10_000 * i)))];

    public static TheoryData<LinkEnd> Ends => [LinkEnd.Alice, LinkEnd.Bob];

    [Fact]
    public void The_untouched_transcript_is_accepted()
    {
        Outcome(LinkEnd.Bob, BlockId, Honest).ShouldBeNull();
        Outcome(LinkEnd.Alice, BlockId, Honest).ShouldBeNull();
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void Any_bit_of_any_message_counts(LinkEnd tampered) => EachRejected(
        tampered,
        from i in Indices
        from bit in Enumerable.Range(0, 8 * Honest[i].Bytes.Length)
        select With(i, Honest[i] with { Bytes = [.. Honest[i].Bytes.Select((b, at) => (byte)(at == bit / 8 ? b ^ 1 << (bit % 8) : b))] }),
        8 * 37);

    [Theory]
    [MemberData(nameof(Ends))]
    public void Any_length_counts(LinkEnd tampered) => EachRejected(
        tampered,
        from i in Indices
        from length in Enumerable.Range(0, 40)
        where length != Honest[i].Bytes.Length
        select With(i, Honest[i] with { Bytes = [.. Honest[i].Bytes.Concat(new byte[40]).Take(length)] }),
        5 * 39);

    [Theory]
    [MemberData(nameof(Ends))]
    public void Any_bit_of_sequence_and_last_peer_sequence_counts(LinkEnd tampered) => EachRejected(
        tampered,
        from i in Indices
        from bit in Enumerable.Range(0, 64)
        from changed in new[] { Honest[i] with { Sequence = Honest[i].Sequence ^ 1L << bit }, Honest[i] with { LastPeerSequence = Honest[i].LastPeerSequence ^ 1L << bit } }
        select With(i, changed),
        5 * 128);

    [Theory]
    [MemberData(nameof(Ends))]
    public void Any_bit_of_the_blocks_id_counts(LinkEnd tampered)
    {
        for (var bit = 0; bit < 64; bit++)
        {
            Outcome(tampered, BlockId ^ 1L << bit, Honest).ShouldBeOfType<TranscriptRejectedException>($"bit {bit}");
        }
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_direction_counts(LinkEnd tampered)
    {
        var turned = Indices.Select(i => With(i, Honest[i] with { Direction = 1 - Honest[i].Direction })).ToList();
        EachRejected(tampered, turned, 5);
        EachRejected(tampered, turned.Select(Renumbered), 5);
    }

    /// <summary>Truncation is the last message lost. Numbers are as they were, or made to fit.</summary>
    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_lost_message_is_missed(LinkEnd tampered)
    {
        var lost = Indices.Select(i => Honest.Where((_, at) => at != i).ToArray()).ToList();
        EachRejected(tampered, lost, 5);
        EachRejected(tampered, lost.Select(Renumbered), 5);
        EachRejected(tampered, Indices.Select(i => Honest[..i]), 5);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_replayed_or_inserted_message_is_seen(LinkEnd tampered)
    {
        var inserted = (
            from i in Indices
            from at in Enumerable.Range(0, Honest.Length + 1)
            from message in new[] { Honest[i], new(Honest[i].Direction, Honest[i].Sequence, Honest[i].LastPeerSequence, [], Honest[i].Time) }
            select (Logged[])[.. Honest[..at], message, .. Honest[at..]]).ToList();
        EachRejected(tampered, inserted, 5 * 6 * 2);
        EachRejected(tampered, inserted.Select(Renumbered), 5 * 6 * 2);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_other_order_is_seen(LinkEnd tampered)
    {
        var orders = Permutations(Honest).Where(order => !order.SequenceEqual(Honest)).ToList();
        EachRejected(tampered, orders, 119);
        EachRejected(tampered, orders.Select(Renumbered), 119);
    }

    /// <summary>A message that is logged as received before it was sent, by more than the clocks may disagree.</summary>
    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_impossible_time_is_seen(LinkEnd tampered) => EachRejected(
        tampered,
        Indices.Select(i =>
        {
            // Later at the sender, earlier at the receiver.
            var sender = Honest[i].Direction == TwoLogs.Direction(tampered);
            return With(i, Honest[i] with { Time = Honest[i].Time + (sender ? 1_001 : -1_001) });
        }),
        5);

    /// <summary>Whatever of 2^8 values stands in the fixed part of either tag message, only the honest one is accepted.</summary>
    [Theory]
    [MemberData(nameof(Ends))]
    public void Every_value_of_version_end_flag_and_count_counts(LinkEnd from)
    {
        for (var at = 0; at < 7; at++)
        {
            for (var change = 1; change < 256; change++)
            {
                var (alice, bob) = (Log(BlockId, Honest), Log(BlockId, Honest));
                byte[] Change(byte[] tag) => [.. tag[..at], (byte)(tag[at] ^ change), .. tag[(at + 1)..]];
                Should.Throw<DistillationException>(() => Close(alice, bob, tag => from == LinkEnd.Bob ? Change(tag) : tag, tag => from == LinkEnd.Alice ? Change(tag) : tag));
                (from == LinkEnd.Bob ? alice : bob).VerifiedPeer.ShouldBeNull();
            }
        }
    }

    private static IEnumerable<int> Indices => Enumerable.Range(0, Honest.Length);

    private static Logged[] With(int index, Logged changed) => [.. Honest[..index], changed, .. Honest[(index + 1)..]];

    /// <summary>Numbers as one who changes messages would set them: none is missing, each answers all before it.</summary>
    private static Logged[] Renumbered(Logged[] messages)
    {
        var counts = new long[2];
        return [.. messages.Select(message => message with { Sequence = ++counts[(int)message.Direction], LastPeerSequence = counts[1 - (int)message.Direction] })];
    }

    private static IEnumerable<Logged[]> Permutations(Logged[] rest) => rest.Length == 0
        ? [[]]
        : rest.SelectMany((first, i) => Permutations([.. rest[..i], .. rest[(i + 1)..]]).Select(order => (Logged[])[first, .. order]));

    private static void EachRejected(LinkEnd tampered, IEnumerable<Logged[]> variants, int count)
    {
        var tried = 0;
        foreach (var variant in variants)
        {
            tried++;
            Outcome(tampered, BlockId, variant).ShouldNotBeNull($"variant {tried}: {string.Join("; ", variant.Select(message => message.ToString()))}");
        }

        tried.ShouldBe(count);
    }

    /// <summary>What stopped the block; null if both ends accepted it.</summary>
    private static DistillationException? Outcome(LinkEnd tampered, long id, Logged[] messages)
    {
        try
        {
            var (touched, untouched) = (Log(id, messages), Log(BlockId, Honest));
            var (alice, bob) = tampered == LinkEnd.Alice ? (touched, untouched) : (untouched, touched);
            Close(alice, bob, tag => tag, tag => tag);
            return null;
        }
        catch (DistillationException e)
        {
            return e;
        }
    }

    private static BlockTranscript Log(long id, Logged[] messages)
    {
        var log = new BlockTranscript(id);
        foreach (var message in messages)
        {
            log.Record(message.Direction, message.Sequence, message.LastPeerSequence, message.Bytes, message.Time);
        }

        return log;
    }

    private static void Close(BlockTranscript alice, BlockTranscript bob, Func<byte[], byte[]> bobsTag, Func<byte[], byte[]> alicesTag)
    {
        var fromBob = bobsTag(BlockAuthentication.CreateTag(bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true));
        BlockAuthentication.Verify(alice, LinkEnd.Bob, TwoLogs.BobPad, fromBob, TwoLogs.Tolerance);
        var fromAlice = alicesTag(BlockAuthentication.CreateTag(alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: true));
        BlockAuthentication.Verify(bob, LinkEnd.Alice, TwoLogs.AlicePad, fromAlice, TwoLogs.Tolerance);
    }

    private sealed record Logged(TranscriptDirection Direction, long Sequence, long LastPeerSequence, byte[] Bytes, long Time);
}
