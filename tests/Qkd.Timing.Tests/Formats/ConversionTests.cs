using Qkd.Timing.Formats;
using Shouldly;

namespace Qkd.Timing.Tests.Formats;

/// <summary>What is written is read back, in every format that can hold it.</summary>
public sealed class ConversionTests
{
    public static TheoryData<TagFormat> Formats => [TagFormat.Ptu, TagFormat.Ht2, TagFormat.S15A1, TagFormat.S15A1X, TagFormat.Tdc1, TagFormat.QuTag];

    [Theory]
    [MemberData(nameof(PicoQuantTests.Types), MemberType = typeof(PicoQuantTests))]
    public void Every_record_type_is_written_as_it_was_read(PicoQuantRecordType type)
    {
        var layout = PicoQuantLayout.Of((long)type)!;
        var first = TagSamples.ReadAll(TagSamples.Ptu(layout, TagSamples.Records(layout, 3000, 7), 2.5e-9));
        var options = new TagWriteOptions { Source = first.Info, RecordType = type };
        var file = TagSamples.Write(first.Events, TagFormat.Ptu, options, out var omitted);
        var second = TagSamples.ReadAll(file);
        second.Fault.ShouldBeNull();
        second.Events.ShouldBe(first.Events);
        omitted.ShouldBe(0);
        second.Info.DeclaredRecords.ShouldBe(second.Counts.Records);
        (second.Info.TickPicoseconds, second.Info.DelayTickPicoseconds).ShouldBe((first.Info.TickPicoseconds, first.Info.DelayTickPicoseconds));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Tags_of_four_detectors_survive_in_every_format(TagFormat format)
    {
        // Multiples of 2 ns are exact in all ticks; equal times on several detectors, long pauses.
        var random = new Random((int)format);
        var (events, time) = (new List<(long, byte, uint)>(), 0L);
        for (var i = 0; i < 2000; i++)
        {
            time += 2000 * (random.Next(20) == 0 ? random.NextInt64(0, 400_000_000) : random.Next(1, 5000));
            foreach (var detector in Enumerable.Range(1, 4).Where(_ => random.Next(3) == 0))
            {
                events.Add((time, (byte)detector, 0));
            }
        }

        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        var file = TagSamples.Write(events, format, new TagWriteOptions { Source = source }, out _);
        var read = TagSamples.ReadAll(file, format);
        read.Fault.ShouldBeNull();
        read.Events.Select(e => (long)Math.Round(e.Time * read.Info.TickPicoseconds)).ShouldBe(events.Select(e => e.Item1));
        read.Events.Select(e => e.Channel).ShouldBe(events.Select(e => e.Item2));

        // And from there as PTU.
        var ptu = TagSamples.Write(read.Events, TagFormat.Ptu, new TagWriteOptions { Source = read.Info, TickPicoseconds = 1 }, out _);
        TagSamples.ReadAll(ptu).Events.ShouldBe(events);
    }

    [Fact]
    public void One_channel_survives_as_ID_Quantique_timestamps()
    {
        (long, byte, uint)[] events = [(5, 1, 0), (5, 2, 0), (900, 1, 0), (1L << 50, 1, 0)];
        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        var file = TagSamples.Write(events, TagFormat.Idq, new TagWriteOptions { Source = source }, out var omitted);
        file.Length.ShouldBe(24);
        omitted.ShouldBe(1);
        TagSamples.ReadAll(file, TagFormat.Idq).Events.Select(e => e.Time).ShouldBe([5, 900, 1L << 50]);
    }

    [Fact]
    public void Times_after_a_reference_survive_as_T3_and_as_ID_Quantique_timestamps()
    {
        (long, byte, uint)[] events = [(1, 1, 40), (1, 1, 9000), (7, 1, 3), (70_000, 1, 4)];
        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 10_000_000, HasDelays = true, DelayTickPicoseconds = 1 };
        var idq = TagSamples.ReadAll(TagSamples.Write(events, TagFormat.IdqReferenced, new TagWriteOptions { Source = source }, out _), TagFormat.IdqReferenced);
        idq.Events.ShouldBe(events);
        double.IsNaN(idq.Info.TickPicoseconds).ShouldBeTrue("the file does not say how far its edges are apart");

        var known = TagSamples.ReadAll(TagSamples.Write(events, TagFormat.IdqReferenced, new TagWriteOptions { Source = source }, out _), TagFormat.IdqReferenced, referencePeriod: 10_000_000);
        foreach (var format in new[] { TagFormat.Ptu, TagFormat.Ht3 })
        {
            var read = TagSamples.ReadAll(TagSamples.Write(known.Events, format, new TagWriteOptions { Source = known.Info }, out _));
            read.Events.ShouldBe(events);
            read.Info.TickPicoseconds.ShouldBe(10_000_000, 1e-6);
        }

        var absolute = TagSamples.ReadAll(TagSamples.Write(known.Events, TagFormat.QuTag, new TagWriteOptions { Source = known.Info }, out _), TagFormat.QuTag);
        absolute.Events.Select(e => e.Time).ShouldBe(events.Select(e => (e.Item1 * 10_000_000) + e.Item3));
        Should.Throw<ArgumentException>(() => TagSamples.Write(idq.Events, TagFormat.QuTag, new TagWriteOptions { Source = idq.Info }, out _)).Message.ShouldContain("reference");
    }

    [Fact]
    public void Sync_pulses_of_a_T2_stream_become_the_syncs_of_T3()
    {
        (long, byte, uint)[] events = [(50, 1, 0), (100, 0, 0), (130, 2, 0), (200, 0, 0), (300, 0, 0), (399, 1, 0)];
        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        var options = new TagWriteOptions { Source = source, RecordType = PicoQuantRecordType.GenericT3, TickPicoseconds = 100 };
        var read = TagSamples.ReadAll(TagSamples.Write(events, TagFormat.Ptu, options, out var omitted));
        omitted.ShouldBe(1, "before the first sync there is nothing to count from");
        read.Events.ShouldBe([(1, 2, 30), (3, 1, 99)]);
    }

    [Fact]
    public void The_real_recording_survives_as_everything_that_can_hold_it()
    {
        Assert.SkipWhen(TagSamples.RecordingPath.Length == 0, "the recording is not beside the project");
        var real = TagSamples.ReadAll(File.ReadAllBytes(TagSamples.RecordingPath), capacity: 8192);
        foreach (var format in new[] { TagFormat.Ptu, TagFormat.Ht2, TagFormat.QuTag, TagFormat.Idq })
        {
            var read = TagSamples.ReadAll(TagSamples.Write(real.Events, format, new TagWriteOptions { Source = real.Info, Channel = real.Events[0].Channel }, out _), format, 8192);
            read.Events.Select(e => e.Time).ShouldBe(real.Events.Select(e => e.Time));
        }

        // In ticks of 1/256 ns times are rounded by two picoseconds at most.
        var a1 = TagSamples.ReadAll(TagSamples.Write(real.Events, TagFormat.S15A1, new TagWriteOptions { Source = real.Info }, out _), TagFormat.S15A1, 8192);
        a1.Events.Zip(real.Events).ShouldAllBe(pair => Math.Abs((pair.First.Time * 1000.0 / 256) - pair.Second.Time) <= 1.96);
    }

    [Fact]
    public void A_channel_that_a_format_cannot_hold_is_said()
    {
        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        Should.Throw<ArgumentException>(() => TagSamples.Write([(1, 9, 0)], TagFormat.S15A1, new TagWriteOptions { Source = source }, out _)).Message.ShouldContain("channel 9");
    }
}
