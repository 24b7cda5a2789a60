using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Replay;
using Qkd.Link.Wire;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Link.Tests.Recording;

[Collection(RecordedSessions.Name)]
public sealed class SessionReplayTests
{
    private static readonly Lazy<Task<RecordedLink>> Shared = new(() => RecordedLink.RunAsync(static () => new LdpcReconciler()));

    public enum Correction
    {
        Cascade,
        Ldpc,
        Auto,
    }

    [Theory]
    [InlineData(Correction.Cascade)]
    [InlineData(Correction.Ldpc)]
    [InlineData(Correction.Auto)]
    public async Task A_session_recorded_at_both_ends_is_replayed_at_each_to_the_same_keys_bit_for_bit(Correction correction)
    {
        var link = correction == Correction.Ldpc
            ? await Shared.Value
            : await RecordedLink.RunAsync(() => correction == Correction.Cascade
                ? new CascadeReconciler()
                : AdaptiveReconciler.Create(ReconciliationMethod.Auto, OperatingSystemRandomness.Instance));
        await ShouldGiveBothAsync(link);
    }

    [Theory]
    [InlineData(TagTimeBase.Referenced, true)]
    [InlineData(TagTimeBase.Absolute, false)]
    public async Task So_is_a_session_that_lost_its_alignment_in_between_and_one_without_a_marker(TagTimeBase timeBase, bool interrupted) =>
        await ShouldGiveBothAsync(await RecordedLink.RunAsync(static () => new CascadeReconciler(), 1, timeBase, interrupted));

    [Fact]
    public async Task The_key_that_was_made_stands_in_no_recording_and_every_kind_of_entry_of_alice_does()
    {
        var link = await Shared.Value;
        using var reader = new SessionRecordingReader(new MemoryStream(link.Alice), RecordedLink.Key);
        var kinds = new HashSet<RecordingEntryKind>();
        var content = new System.Buffers.ArrayBufferWriter<byte>();
        while (reader.Read() is { } entry)
        {
            kinds.Add(entry.Kind);
            content.ResetWrittenCount();
            entry.WriteTo(content);
            foreach (var key in link.AliceKeys.Values)
            {
                content.WrittenSpan.IndexOf(key.AsSpan(0, 16)).ShouldBe(-1);
            }
        }

        kinds.ShouldBe(
            [
                RecordingEntryKind.Session, RecordingEntryKind.BlockOpened, RecordingEntryKind.BlockReceived, RecordingEntryKind.BlockSent, RecordingEntryKind.PreparedFrame,
                RecordingEntryKind.BlockDraw, RecordingEntryKind.BlockConditions, RecordingEntryKind.BlockFeed, RecordingEntryKind.BlockAccepted, RecordingEntryKind.BlockDiscarded,
                RecordingEntryKind.Ended,
            ],
            ignoreOrder: true);
    }

    [Fact]
    public async Task One_tag_moved_by_a_slot_is_seen()
    {
        var link = await Shared.Value;
        var batches = 0;
        var altered = RecordedLink.Rewrite(link.Bob, entry => entry is TagsEntry tags && tags.Batch.Count > 0 && ++batches == 8 ? Moved(tags) : entry);
        await ShouldDifferAsync(altered, link.BobKeys, "Detections");

        static TagsEntry Moved(TagsEntry tags)
        {
            // Within the first frame, behind its pilot.
            var run = tags.Batch.Runs[0];
            var at = run.ReferenceIndexes.Span.IndexOf(run.ReferenceIndexes.ToArray().First(index => index > 30));
            var times = run.TimesPicoseconds.ToArray();
            times[at] += times[at] < 5_000_000 ? 10_000 : -10_000;
            return new(new TagBatch
            {
                TimeBase = tags.Batch.TimeBase,
                Acquisition = tags.Batch.Acquisition,
                Runs = [run with { TimesPicoseconds = times }, .. tags.Batch.Runs.Skip(1)],
                EndsAcquisition = tags.Batch.EndsAcquisition,
                ReceivedAt = tags.Batch.ReceivedAt,
            });
        }
    }

    [Fact]
    public async Task Random_bits_of_the_receiver_that_are_turned_are_seen()
    {
        var link = await Shared.Value;
        var altered = RecordedLink.Rewrite(link.Bob, static entry => entry is ReceiverDrawEntry draw ? new ReceiverDrawEntry(draw.Bytes.ToArray().Select(value => (byte)~value).ToArray()) : entry);
        await ShouldDifferAsync(altered, link.BobKeys, "");
    }

    [Fact]
    public async Task One_random_bit_of_the_receiver_that_is_turned_is_seen()
    {
        // The bits go to double clicks in their order; many of these are in slots that Alice threw away, or in dark frames before the first block.
        var link = await Shared.Value;
        for (var bit = 0; bit < 400; bit += 25)
        {
            var draws = 0;
            var altered = RecordedLink.Rewrite(link.Bob, entry =>
            {
                if (entry is not ReceiverDrawEntry draw || ++draws != 1)
                {
                    return entry;
                }

                var bytes = draw.Bytes.ToArray();
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                return new ReceiverDrawEntry(bytes);
            });
            var (blocks, _) = await RecordedLink.ReplayAsync(altered);
            if (blocks.Any(block => block.Outcome == ReplayOutcome.Different))
            {
                return;
            }
        }

        throw new InvalidOperationException("None of the bits made a difference.");
    }

    [Theory]
    [InlineData(RecordingEntryKind.BlockDraw)]
    [InlineData(RecordingEntryKind.PreparedFrame)]
    [InlineData(RecordingEntryKind.BlockReceived)]
    [InlineData(RecordingEntryKind.BlockFeed)]
    [InlineData(RecordingEntryKind.BlockAccepted)]
    [InlineData(RecordingEntryKind.BlockSent)]
    [InlineData(RecordingEntryKind.BlockConditions)]
    public async Task What_was_altered_or_left_out_of_alice_s_recording_is_seen(RecordingEntryKind kind)
    {
        var link = await Shared.Value;
        var first = link.AliceKeys.Keys.Min();
        var seen = 0;
        RecordingEntry? Change(RecordingEntry entry) => entry switch
        {
            BlockDrawEntry draw when draw.BlockId == first => draw with { Bytes = Turned(draw.Bytes) },
            PreparedFrameEntry frame when frame.BlockId == first => frame with { Symbols = frame.Symbols.ToArray().Select(word => ~word).ToArray() },
            BlockReceivedEntry { Type: (byte)MessageType.TestBits } message when message.BlockId == first => message with { Payload = Turned(message.Payload) },
            BlockFeedEntry feed => feed with { AuthenticationBits = feed.AuthenticationBits + 512 },
            BlockAcceptedEntry accepted => accepted with { KeySha256 = Turned(accepted.KeySha256) },
            BlockSentEntry sent => sent with { Sha256 = Turned(sent.Sha256) },
            BlockConditionsEntry conditions => conditions with { ErrorRate = 0.11 },
            _ => entry,
        };

        var altered = RecordedLink.Rewrite(link.Alice, entry => entry.Kind == kind ? Change(entry) : entry);
        await ShouldDifferAsync(altered, link.AliceKeys, "", only: first);
        var leftOut = RecordedLink.Rewrite(link.Alice, entry => entry is BlockEntry block && block.BlockId == first && block.Kind == kind && ++seen == 1 ? null : entry);
        var (blocks, _) = await RecordedLink.ReplayAsync(leftOut);
        blocks.Single(block => block.BlockId == first).Outcome.ShouldBe(kind == RecordingEntryKind.BlockAccepted ? ReplayOutcome.Unfinished : ReplayOutcome.Different);
    }

    [Fact]
    public async Task Of_a_recording_that_was_cut_off_the_blocks_before_it_are_replayed_and_the_others_said_to_be_unfinished()
    {
        var link = await Shared.Value;

        // Cut off behind the first block's end: outcomes are flushed, so a chunk ends there, and of the next one only the beginning is left.
        using var reader = new SessionRecordingReader(new MemoryStream(link.Bob), RecordedLink.Key);
        RecordingEntry? entry;
        do
        {
            entry = reader.Read();
        }
        while (entry is not BlockAcceptedEntry);

        var (blocks, replay) = await RecordedLink.ReplayAsync(link.Bob[..(int)(reader.Position + 10)]);
        replay.Fault!.Message.ShouldContain("cut off");
        replay.EndReason.ShouldBeNull();
        blocks[0].Outcome.ShouldBe(ReplayOutcome.Same);
        blocks.Skip(1).ShouldAllBe(block => block.Outcome == ReplayOutcome.Unfinished);
        blocks.Count.ShouldBeGreaterThan(1);
    }

    [Fact]
    public async Task A_recording_that_contradicts_itself_is_a_fault_and_no_crash()
    {
        var link = await Shared.Value;
        await FaultyAsync(entry => entry is SessionEntry ? null : entry, "before the session");
        await FaultyAsync(entry => entry is SessionEntry session ? session with { AgreementJson = "{" } : entry, "agreed");
        await FaultyAsync(entry => entry is SessionEntry session ? session with { End = "Eve" } : entry, "Eve");
        await FaultyAsync(entry => entry is ReceptionEntry ? null : entry, "before there is a receiver");
        await FaultyAsync(entry => entry is ReceptionEntry reception ? reception with { Settings = reception.Settings with { MarkerDivisor = 0 } } : entry, "receiver");
        await FaultyAsync(entry => entry is BlockOpenedEntry opened ? opened with { ParametersJson = "{}" } : entry, "parameters");
        await FaultyAsync(entry => entry is BlockOpenedEntry ? null : entry, "not open");

        async Task FaultyAsync(Func<RecordingEntry, RecordingEntry?> change, string problem)
        {
            var (_, replay) = await RecordedLink.ReplayAsync(RecordedLink.Rewrite(link.Bob, change));
            replay.Fault!.Message.ShouldContain(problem);
        }
    }

    private static async Task ShouldGiveBothAsync(RecordedLink link)
    {
        await ShouldGiveAsync(link.Alice, link.AliceKeys, "Alice");
        await ShouldGiveAsync(link.Bob, link.BobKeys, "Bob");
    }

    private static async Task ShouldGiveAsync(byte[] file, IReadOnlyDictionary<long, byte[]> keys, string end)
    {
        var (blocks, replay) = await RecordedLink.ReplayAsync(file);
        replay.Fault.ShouldBeNull();
        replay.ReceiverDiffers.ShouldBeFalse();
        replay.Session!.End.ShouldBe(end);
        replay.EndReason.ShouldBe("the session ended");
        var same = blocks.Where(block => block.Outcome == ReplayOutcome.Same).ToList();
        same.Select(block => block.BlockId).ShouldBe(keys.Keys, ignoreOrder: true);
        foreach (var block in same)
        {
            block.Key!.IsSameAs(keys[block.BlockId]).ShouldBeTrue();
            block.Key.LengthBits.ShouldBe(8 * keys[block.BlockId].Length);
            block.KeyBits.ShouldBe(block.Key.LengthBits);
            block.MessagesCompared.ShouldBeGreaterThan(60);
            block.Report.SecretBits.ShouldBe(block.KeyBits);

            // Another key is not taken for it.
            var other = keys[block.BlockId].ToArray();
            other[^1] ^= 1;
            block.Key.IsSameAs(other).ShouldBeFalse();
        }

        // The session was ended in the middle of others.
        blocks.Except(same).ShouldAllBe(block => block.Outcome == ReplayOutcome.Discarded && block.KeyBits == 0);
    }

    private static async Task ShouldDifferAsync(byte[] file, IReadOnlyDictionary<long, byte[]> keys, string detail, long? only = null)
    {
        var (blocks, replay) = await RecordedLink.ReplayAsync(file);
        replay.Fault.ShouldBeNull();
        var different = blocks.Where(block => block.Outcome == ReplayOutcome.Different).ToList();
        different.ShouldContain(block => keys.ContainsKey(block.BlockId) && block.Detail.Contains(detail, StringComparison.Ordinal), string.Join("; ", blocks.Select(block => $"{block.Outcome} {block.Detail}")));
        different.ShouldAllBe(block => block.Detail.Length > 0);
        if (only is { } block)
        {
            different.ShouldContain(other => other.BlockId == block);
        }
    }

    private static byte[] Turned(ReadOnlyMemory<byte> bytes)
    {
        var turned = bytes.ToArray();
        turned[0] ^= 1;
        return turned;
    }
}
