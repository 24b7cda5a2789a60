using CsCheck;
using Qkd.Devices;
using Qkd.Timing.Formats;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Timing.Tests.Recording;

public sealed class SessionRecordingTests
{
    private const int HeaderBytes = 64;

    [Fact]
    public void Every_kind_of_entry_comes_back_as_it_was_written()
    {
        var entries = RecordingSamples.OneOfEach;
        entries.Select(entry => entry.Kind).Distinct().Count().ShouldBe(Enum.GetValues<RecordingEntryKind>().Length);
        var (read, fault) = RecordingSamples.Read(RecordingSamples.Write(entries));
        fault.ShouldBeNull();
        read.Select(RecordingSamples.Content).ShouldBe(entries.Select(RecordingSamples.Content));
        var reception = read.OfType<ReceptionEntry>().Single();
        reception.Settings.Detectors.ShouldBe(RecordingSamples.Settings.Detectors);
        (reception.Settings with { Detectors = RecordingSamples.Settings.Detectors }).ShouldBe(RecordingSamples.Settings);
    }

    [Fact]
    public void Batches_of_any_numbers_come_back_bit_for_bit() =>
        Gen.Select(Gen.Long.Array[0, 40], Gen.Long.Array[0, 40], Gen.Int, Gen.Bool, Gen.Long.Nullable(), Gen.Enum<TagLossCause>()).Sample((times, indexes, channel, absolute, number, cause) =>
        {
            var batch = RecordingSamples.Batch(
                number ?? 3,
                [new(channel, times, indexes), new(2, indexes, Array.Empty<long>())],
                absolute ? TagTimeBase.Absolute : TagTimeBase.Referenced,
                number ?? 0,
                new TagLoss(cause, number, null),
                new TagLoss(cause, null, number));
            var read = RecordingSamples.Read(RecordingSamples.Write([new TagsEntry(batch)])).Entries.OfType<TagsEntry>().Single().Batch;
            (read.TimeBase, read.Acquisition, read.AcquisitionStartPicoseconds, read.EndsAcquisition, read.ReceivedAt)
                .ShouldBe((batch.TimeBase, batch.Acquisition, batch.AcquisitionStartPicoseconds, batch.EndsAcquisition, batch.ReceivedAt));
            read.LossesBefore.ShouldBe(batch.LossesBefore);
            read.Runs.Count.ShouldBe(2);
            read.Runs[0].Channel.ShouldBe(channel);
            read.Runs[0].TimesPicoseconds.ToArray().ShouldBe(times);
            read.Runs[0].ReferenceIndexes.ToArray().ShouldBe(indexes);
            read.Runs[1].TimesPicoseconds.ToArray().ShouldBe(indexes);
        });

    [Fact]
    public void Entries_larger_than_a_chunk_come_back_and_those_after_them()
    {
        var large = new byte[1_000_003];
        new Random(1).NextBytes(large);
        RecordingEntry[] entries = [new BlockReceivedEntry(1, 2, large), new BlockFeedEntry(1, 0), new BlockDrawEntry(1, large.AsMemory(0, 65_531))];
        var file = RecordingSamples.Write(entries);
        file.Length.ShouldBeLessThan(large.Length + 65_531 + 1000);
        RecordingSamples.Read(file).Entries.Select(RecordingSamples.Content).ShouldBe(entries.Select(RecordingSamples.Content));
    }

    [Fact]
    public void A_file_cut_off_at_any_byte_keeps_what_was_sound_before_it_and_says_where_it_ends()
    {
        var entries = RecordingSamples.OneOfEach;
        var whole = RecordingSamples.Write(entries, flushEach: true);
        var starts = Chunks(whole);
        starts.Count.ShouldBe(entries.Count + 1);
        for (var length = 0; length < whole.Length; length++)
        {
            var (read, fault) = RecordingSamples.Read(whole[..length]);
            fault.ShouldNotBeNull($"cut off at {length}");

            // An entry a chunk: as many are whole as chunks end before the cut.
            var sound = Math.Max(0, starts.Count(start => start <= length) - 1);
            read.Count.ShouldBe(Math.Min(sound, entries.Count));
            fault.ByteOffset.ShouldBe(length < HeaderBytes ? length : starts[sound]);
            fault.Message.ShouldContain(length < HeaderBytes ? "header" : "cut off");
        }

        RecordingSamples.Read(whole).Fault.ShouldBeNull();
    }

    [Fact]
    public void A_file_that_was_never_completed_is_readable_and_no_sound_one()
    {
        var (read, fault) = RecordingSamples.Read(RecordingSamples.Write(RecordingSamples.OneOfEach, complete: false, flushEach: true));
        read.Count.ShouldBe(RecordingSamples.OneOfEach.Count);
        fault!.Message.ShouldContain("no end");
    }

    [Fact]
    public void A_bit_turned_anywhere_is_found_at_its_chunk()
    {
        var whole = RecordingSamples.Write(RecordingSamples.OneOfEach, flushEach: true);
        var starts = Chunks(whole);
        for (var at = 0; at < whole.Length; at++)
        {
            var altered = whole.ToArray();
            altered[at] ^= (byte)(1 << (at % 8));
            var (read, fault) = RecordingSamples.Read(altered);
            fault.ShouldNotBeNull($"byte {at}");
            var chunk = starts.FindLastIndex(start => start <= at);

            // The header is authenticated with the first chunk; what names format and key is looked at before it.
            fault.ByteOffset.ShouldBeOneOf(at < HeaderBytes ? [0, 8, 10, 16, HeaderBytes] : [starts[chunk]]);
            read.Count.ShouldBe(Math.Max(0, chunk));
        }
    }

    [Fact]
    public void Chunks_left_out_doubled_exchanged_or_from_another_file_are_found()
    {
        var whole = RecordingSamples.Write(RecordingSamples.OneOfEach, flushEach: true);
        var other = RecordingSamples.Write(RecordingSamples.OneOfEach, flushEach: true);
        var starts = Chunks(whole);
        ReadOnlySpan<byte> Chunk(byte[] file, int i) => file.AsSpan(starts[i]..(i + 1 < starts.Count ? starts[i + 1] : file.Length));
        var (first, second) = (Chunk(whole, 1).ToArray(), Chunk(whole, 2).ToArray());
        var (head, tail) = (whole[..starts[1]], whole[starts[3]..]);
        foreach (var middle in new byte[][] { second, [.. first, .. first], [.. second, .. first], [.. first, .. Chunk(other, 2)], [.. first, .. second, .. Chunk(whole, starts.Count - 1)] })
        {
            var (read, fault) = RecordingSamples.Read([.. head, .. middle, .. tail]);
            fault.ShouldNotBeNull();
            read.Count.ShouldBeLessThanOrEqualTo(3);
        }

        // Without its last chunk it could be taken for whole; with something after it, for longer.
        RecordingSamples.Read(whole[..starts[^1]]).Fault!.ByteOffset.ShouldBe(starts[^1]);
        var (all, trailing) = RecordingSamples.Read([.. whole, 0]);
        all.Count.ShouldBe(RecordingSamples.OneOfEach.Count);
        trailing!.ByteOffset.ShouldBe(whole.Length);
    }

    [Fact]
    public void Another_key_is_told_as_such()
    {
        var file = RecordingSamples.Write(RecordingSamples.OneOfEach);
        var (read, fault) = RecordingSamples.Read(file, new byte[32]);
        read.ShouldBeEmpty();
        fault!.Message.ShouldContain("another key");
        Should.Throw<ArgumentException>(() => new SessionRecordingReader(new MemoryStream(file), new byte[16]));
        RecordingSamples.Read([.. "PQTTTR"u8, .. new byte[100]]).Fault!.Message.ShouldContain("not the recording");

        // Who does not know what kind of file it is learns that it is one that needs a key.
        TagFiles.Recognise(file).ShouldBe(TagFormat.Session);
        Should.Throw<ArgumentException>(() => TagFiles.OpenReader(new MemoryStream(file))).Message.ShouldContain("key");
    }

    [Fact]
    public void Nothing_of_an_entry_stands_in_the_file_openly()
    {
        var text = "a text that would be found"u8.ToArray();
        RecordingSamples.Write([new BlockDrawEntry(1, text)]).AsSpan().IndexOf(text).ShouldBe(-1);
        RecordingSamples.OneOfEach.ShouldAllBe(entry => entry.ToString() == entry.GetType().Name);
    }

    [Fact]
    public void An_entry_that_makes_no_sense_is_a_fault_and_takes_no_memory()
    {
        Faulty(200, []);
        Faulty((byte)RecordingEntryKind.Tags, Enumerable.Repeat((byte)0xFF, 60).ToArray());
        Faulty((byte)RecordingEntryKind.BlockFeed, new byte[13]);
        Faulty((byte)RecordingEntryKind.Configuration, [0xFF, 0xFF, 0xFF, 0x7F]);
        Faulty((byte)RecordingEntryKind.PreparedFrame, new byte[20]);

        // Two thousand million tags claimed in a few bytes.
        var tags = new System.Buffers.ArrayBufferWriter<byte>();
        new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 1 }, new long[] { 1 })])).WriteTo(tags);
        var bytes = tags.WrittenSpan.ToArray();
        bytes.AsSpan(^10..^6).Fill(0x7F);
        Faulty((byte)RecordingEntryKind.Tags, bytes);

        static void Faulty(byte kind, byte[] content)
        {
            var stream = new MemoryStream();
            using (var writer = new SessionRecordingWriter(stream, RecordingSamples.Key))
            {
                writer.Write(new BlockFeedEntry(1, 2));
                writer.Write((RecordingEntryKind)kind, content);
                writer.Complete();
            }

            var before = GC.GetAllocatedBytesForCurrentThread();
            var (read, fault) = RecordingSamples.Read(stream.ToArray());
            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(2_000_000);
            read.Count.ShouldBe(1);
            fault!.ByteOffset.ShouldBe(HeaderBytes);
        }
    }

    /// <summary>Where the chunks of a file begin.</summary>
    private static List<int> Chunks(byte[] file)
    {
        var starts = new List<int>();
        for (var at = HeaderBytes; at < file.Length; at += 4 + (BitConverter.ToInt32(file, at) & 0xFFFFFF) + 16)
        {
            starts.Add(at);
        }

        return starts;
    }
}
