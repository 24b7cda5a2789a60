using CsCheck;
using Qkd.Devices;
using Qkd.Timing.Formats;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Timing.Tests.Recording;

public sealed class SessionTagReaderTests
{
    private const long Interval = 10_000_000;

    private static readonly ReceptionEntry Reception = new(0, TagTimeBase.Referenced, RecordingSamples.Settings);

    [Fact]
    public void Tags_of_all_channels_come_in_order_of_time_on_the_marker_s_interval()
    {
        var tags = ReadAll(
            [
                RecordingSamples.OneOfEach[0],
                Reception,
                new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 5, 700 }, new long[] { 1, 3 }), new(4, new long[] { 5, 2 }, new long[] { 1, 2 })])),

                // The next acquisition goes on with the next marker; two intervals more were lost.
                new TagsEntry(RecordingSamples.Batch(1, [new(2, new long[] { 10 }, new long[] { 1 })], losses: new TagLoss(TagLossCause.AcquisitionGap, 2 * Interval, null))),
                new TagsEntry(RecordingSamples.Batch(2, [new(2, new long[] { 11 }, new long[] { 1 })], losses: new TagLoss(TagLossCause.AcquisitionGap, 40_000, null))),
            ],
            out var info);
        tags.ShouldBe([(5, 1), (5, 4), (Interval + 2, 4), ((2 * Interval) + 700, 1), ((5 * Interval) + 10, 2), ((6 * Interval) + 11, 2)]);
        info.Format.ShouldBe("session");
        info.TickPicoseconds.ShouldBe(1);
        info.Header.ShouldContain(new KeyValuePair<string, string>("Node", "Bob of the tests"));
    }

    [Fact]
    public void Absolute_times_go_on_from_the_start_of_their_acquisition() =>
        ReadAll(
            [
                new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 100, 200 }, Array.Empty<long>()), new(2, new long[] { 150 }, Array.Empty<long>())], TagTimeBase.Absolute)),
                new TagsEntry(RecordingSamples.Batch(1, [new(3, new long[] { 1 }, Array.Empty<long>())], TagTimeBase.Absolute, start: 1000)),
            ],
            out _).ShouldBe([(100, 1), (150, 2), (200, 1), (1001, 3)]);

    /// <summary>The plain twin puts everything into one list and sorts it.</summary>
    [Fact]
    public void The_merge_is_what_a_sort_of_all_tags_would_be() =>
        Gen.Select(Gen.Long[0, Interval - 1], Gen.Int[1, 50], Gen.Int[1, 4]).Array[0, 400].Array[1, 4].Sample(batches =>
        {
            var entries = new List<RecordingEntry> { Reception };
            var expected = new List<(long Time, int Channel)>();
            var first = 0L;
            for (var b = 0; b < batches.Length; b++)
            {
                var runs = batches[b]
                    .GroupBy(tag => tag.Item3)
                    .Select(group => (Channel: group.Key, Tags: group.OrderBy(tag => tag.Item2).ThenBy(tag => tag.Item1).ToArray()))
                    .Select(run => new TagRun(run.Channel, run.Tags.Select(tag => tag.Item1).ToArray(), run.Tags.Select(tag => (long)tag.Item2).ToArray()))
                    .ToList();
                entries.Add(new TagsEntry(RecordingSamples.Batch(b, runs)));
                var here = first;
                expected.AddRange(batches[b].Select(tag => (((here + tag.Item2 - 1) * Interval) + tag.Item1, tag.Item3)));
                first += batches[b].Select(tag => tag.Item2).DefaultIfEmpty(0).Max();
            }

            ReadAll(entries, out _, capacity: 64).ShouldBe(expected.OrderBy(tag => tag.Time).ThenBy(tag => tag.Channel));
        });

    [Fact]
    public void Times_of_many_days_are_exact_to_the_picosecond()
    {
        var markers = 200_000_000_000L;
        ReadAll(
            [Reception, new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 7 }, new long[] { markers + 1 })]))],
            out _).ShouldBe([((markers * Interval) + 7, 1)]);
    }

    [Fact]
    public void All_tags_before_a_fault_are_handed_out_before_it_is_told()
    {
        var batch = new TagsEntry(RecordingSamples.Batch(0, [new(1, Enumerable.Range(0, 1000).Select(i => (long)i).ToArray(), Enumerable.Repeat(1L, 1000).ToArray())]));
        var file = RecordingSamples.Write([Reception, batch, batch], flushEach: true);
        using var reader = new SessionTagReader(new MemoryStream(file[..^40]), RecordingSamples.Key);
        var buffer = new TagBuffer(300);
        var count = 0;
        var fault = Should.Throw<TagFormatException>(() =>
        {
            while (reader.Read(buffer))
            {
                count += buffer.Count;
            }
        });
        fault.Message.ShouldContain("cut off");
        count.ShouldBe(1000);
        reader.Counts.Records.ShouldBe(1000);
        reader.Counts.Photons.ShouldBe(1000);
    }

    [Theory]
    [InlineData(200, 1, 1)]
    [InlineData(1, long.MaxValue, 1)]
    [InlineData(1, 1, long.MaxValue)]
    [InlineData(1, long.MinValue, long.MinValue)]
    public void A_tag_that_no_stream_can_hold_is_a_fault(int channel, long time, long index) =>
        Should.Throw<TagFormatException>(() => ReadAll(
            [Reception, new TagsEntry(RecordingSamples.Batch(0, [new(channel, new[] { time }, new[] { index })]))], out _));

    [Fact]
    public void Tags_without_their_markers_or_without_an_interval_are_a_fault()
    {
        Should.Throw<TagFormatException>(() => ReadAll([Reception, new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 1 }, Array.Empty<long>())]))], out _));
        Should.Throw<TagFormatException>(() => ReadAll([new TagsEntry(RecordingSamples.Batch(0, [new(1, new long[] { 1 }, new long[] { 1 })]))], out _))
            .Message.ShouldContain("how far");
    }

    private static List<(long Time, int Channel)> ReadAll(IEnumerable<RecordingEntry> entries, out TagStreamInfo info, int capacity = TagBuffer.DefaultCapacity)
    {
        using var reader = new SessionTagReader(new MemoryStream(RecordingSamples.Write(entries)), RecordingSamples.Key);
        var buffer = new TagBuffer(capacity);
        var tags = new List<(long, int)>();
        while (reader.Read(buffer))
        {
            for (var i = 0; i < buffer.Count; i++)
            {
                tags.Add((buffer.Times[i], buffer.Channels[i]));
            }
        }

        info = reader.Info;
        reader.Counts.Records.ShouldBe(tags.Count);
        return tags;
    }
}
