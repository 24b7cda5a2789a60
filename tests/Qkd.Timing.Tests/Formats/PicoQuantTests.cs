using CsCheck;
using Qkd.Timing.Formats;
using Shouldly;

namespace Qkd.Timing.Tests.Formats;

public sealed class PicoQuantTests
{
    public static TheoryData<PicoQuantRecordType> Types => [.. PicoQuantLayout.All.Select(layout => layout.Type)];

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_record_type_reads_as_the_oracle_reads_it(PicoQuantRecordType type)
    {
        var layout = PicoQuantLayout.Of((long)type).ShouldNotBeNull();
        foreach (var (seed, share) in new[] { (1, 0.1), (2, 0.9), (3, 0.001), (4, 3.9) })
        {
            var records = TagSamples.Records(layout, 5000, seed, share);
            var oracle = new OracleDecoder(((uint)type).ToString("X8", System.Globalization.CultureInfo.InvariantCulture));
            var expected = oracle.Decode(records);
            var (events, fault, counts, info) = TagSamples.ReadAll(TagSamples.Ptu(layout, records));
            fault.ShouldBeNull();
            events.Select(e => OracleDecoder.Of(e.Time, e.Channel, e.Delay)).ShouldBe(expected);
            counts.Records.ShouldBe(records.Length);
            counts.Overflows.ShouldBe(oracle.Overflows);
            counts.Photons.ShouldBe(expected.Count(e => e.What.StartsWith("input", StringComparison.Ordinal)));
            counts.Markers.ShouldBe(expected.Count(e => e.What.StartsWith("marker", StringComparison.Ordinal)));
            counts.Syncs.ShouldBe(expected.Count(e => e.What == "sync"));
            info.RecordType.ShouldBe(layout.Name);
            info.HasDelays.ShouldBe(layout.IsT3);
            info.ResolutionSeconds.ShouldBe(layout.IsT3 ? 4e-12 : 1e-12, 1e-20);
        }
    }

    [Fact]
    public void Vectors_decode_what_the_plain_twin_decodes() =>
        Gen.Select(Gen.Int[0, PicoQuantLayout.All.Count - 1], Gen.UInt.Array[0, 90], Gen.Int[0, 3], Gen.Int[64, 80])
            .Sample((type, words, kind, capacity) =>
            {
                // Any words at all; no special ones; hardly any; overflows alone.
                var layout = PicoQuantLayout.All[type];
                var records = words.Select((word, i) => kind switch
                {
                    0 => word,
                    1 => word & 0x7FFF_FFFF,
                    2 => i % 13 == 5 ? word : word & 0x7FFF_FFFF,
                    _ => layout.IsPicoHarp ? 0xF000_0000 : 0xFE00_0000 | (word & 3),
                }).ToArray();
                var (fast, plain) = (new PicoQuantDecoder(layout), new PicoQuantDecoder(layout));
                var (fastBuffer, plainBuffer) = (new TagBuffer(capacity), new TagBuffer(capacity));
                var used = fast.Decode(records, fastBuffer, out var problem);
                plain.DecodePlainly(records, plainBuffer, out var plainProblem).ShouldBe(used);
                problem.ShouldBe(plainProblem);
                fastBuffer.Times.ToArray().ShouldBe(plainBuffer.Times.ToArray());
                fastBuffer.Channels.ToArray().ShouldBe(plainBuffer.Channels.ToArray());
                if (layout.IsT3)
                {
                    fastBuffer.Delays.ToArray().ShouldBe(plainBuffer.Delays.ToArray());
                }

                (fast.Base, fast.Overflows).ShouldBe((plain.Base, plain.Overflows));
            });

    [Fact]
    public void The_recording_of_a_HydraHarp_gives_its_known_counts()
    {
        Assert.SkipWhen(TagSamples.RecordingPath.Length == 0, "the recording is not beside the project");
        var (events, fault, counts, info) = TagSamples.ReadAll(File.ReadAllBytes(TagSamples.RecordingPath), capacity: 4096);
        fault.ShouldBeNull();
        (counts.Records, counts.Photons, counts.Overflows, counts.Markers, counts.Syncs).ShouldBe((435_319, 305_565, 129_754, 0, 0));
        counts.Channels.Count.ShouldBe(1);
        (info.RecordType, info.TickPicoseconds).ShouldBe(("HydraHarp V2 T2", 1.0));

        // Its header says 5000 ms.
        (events[^1].Time * 1e-12).ShouldBeInRange(4.9, 5.0);
        info.Header.ShouldContain(entry => entry.Key == "HW_Type" && entry.Value == "HydraHarp 400");
        info.Header.ShouldContain(entry => entry.Key == "File_CreatingTime" && entry.Value == "2017-05-15T10:26:25");
    }

    [Fact]
    public void A_file_cut_off_anywhere_gives_what_was_sound_and_says_where_it_ends()
    {
        var layout = PicoQuantLayout.Of((long)PicoQuantRecordType.HydraHarpV2T2)!;
        var file = TagSamples.Ptu(layout, TagSamples.Records(layout, 100, 5));
        var header = file.Length - 400;
        var whole = TagSamples.ReadAll(file).Events;
        for (var length = 0; length < file.Length; length++)
        {
            if (length < header)
            {
                var fault = Should.Throw<TagFormatException>(() => TagSamples.ReadAll(file[..length], TagFormat.Ptu));
                fault.ByteOffset.ShouldBeLessThanOrEqualTo(length);
                continue;
            }

            var (events, cut, counts, _) = TagSamples.ReadAll(file[..length]);
            cut.ShouldNotBeNull().ByteOffset.ShouldBe(header + (counts.Records * 4));
            counts.Records.ShouldBe((length - header) / 4);
            whole.Take(events.Count).ShouldBe(events);
        }
    }

    [Fact]
    public void A_record_that_means_nothing_ends_the_file_at_its_place()
    {
        var layout = PicoQuantLayout.Of((long)PicoQuantRecordType.GenericT2)!;
        uint[] records = [.. Enumerable.Range(0, 50).Select(i => (uint)i * 10), 0x8000_0000 | 40U << 25, 1000];
        var file = TagSamples.Ptu(layout, records);
        var (events, fault, _, _) = TagSamples.ReadAll(file);
        events.Count.ShouldBe(50);
        fault.ShouldNotBeNull().ByteOffset.ShouldBe(file.Length - 8);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(40)]
    [InlineData(90)]
    public void Time_that_runs_backwards_ends_the_file_at_its_place(int at)
    {
        var layout = PicoQuantLayout.Of((long)PicoQuantRecordType.HydraHarpV2T2)!;
        uint[] records = [.. Enumerable.Range(0, 100).Select(i => (uint)(1000 + (i * 10)))];
        records[at] = at == 0 ? records[0] : 5;
        records[at + 1] = at == 0 ? 5 : records[at + 1];
        var file = TagSamples.Ptu(layout, records);
        var (events, fault, counts, _) = TagSamples.ReadAll(file);
        var bad = Math.Max(at, 1);
        events.Count.ShouldBe(bad);
        counts.Records.ShouldBe(bad);
        fault.ShouldNotBeNull().ByteOffset.ShouldBe(file.Length - 400 + (4 * bad));
    }

    [Theory]
    [InlineData("TTResultFormat_TTTRRecType", 0x00010208)]
    [InlineData("TTResultFormat_TTTRRecType", -1)]
    [InlineData("TTResultFormat_BitsPerRecord", 64)]
    [InlineData("MeasDesc_GlobalResolution", 0)]
    [InlineData("MeasDesc_GlobalResolution", 0x7FF8000000000000)]
    public void A_header_that_makes_no_sense_is_refused(string name, long value)
    {
        var layout = PicoQuantLayout.All[4];
        var file = TagSamples.Ptu(layout, []);
        var at = file.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(name));
        BitConverter.TryWriteBytes(file.AsSpan(at + 40), value);
        Should.Throw<TagFormatException>(() => TagSamples.ReadAll(file)).Message.ShouldContain(name);
    }

    [Fact]
    public void A_header_that_announces_other_counts_is_believed_as_far_as_it_can_be()
    {
        var layout = PicoQuantLayout.All[4];
        uint[] records = [1, 2, 3, 4];
        TagSamples.ReadAll(TagSamples.Ptu(layout, records, declared: 0)).Events.Count.ShouldBe(4);
        TagSamples.ReadAll(TagSamples.Ptu(layout, records, declared: 3)).Events.Count.ShouldBe(3);
        var (events, fault, _, _) = TagSamples.ReadAll(TagSamples.Ptu(layout, records, declared: 5));
        events.Count.ShouldBe(4);
        fault.ShouldNotBeNull().Message.ShouldContain("4 of the 5");
    }

    [Fact]
    public void A_length_that_the_file_does_not_have_is_not_allocated()
    {
        var file = TagSamples.Ptu(PicoQuantLayout.All[4], [1, 2]);
        var at = file.AsSpan().IndexOf("UsrBlob"u8);
        foreach (var length in new[] { long.MaxValue, -1L, 1L << 40, 60L << 20 })
        {
            BitConverter.TryWriteBytes(file.AsSpan(at + 40), length);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Should.Throw<TagFormatException>(() => TagSamples.ReadAll(file)).ByteOffset.ShouldBe(at + 40);
            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(4 << 20);
        }
    }
}
