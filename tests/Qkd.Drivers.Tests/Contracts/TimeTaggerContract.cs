using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>
/// What every driver of a time tagger must do. The test plays the world: it records pulses at known times and lets time pass; what
/// comes out is compared with what must come out, worked out plainly.
/// </summary>
public abstract class TimeTaggerContract : DeviceContract
{
    private readonly Dictionary<int, List<long>> _pulses = [];
    private long _now;
    private long _began;

    /// <summary>Length of the sub-acquisitions asked for.</summary>
    protected virtual TimeSpan AcquisitionLength => TimeSpan.FromMilliseconds(200);

    /// <summary>A channel that may serve as the reference and is none of those read.</summary>
    protected abstract int ReferenceChannel { get; }

    /// <summary>For how long nothing is recorded between two sub-acquisitions, in picoseconds.</summary>
    protected abstract long GapPicoseconds { get; }

    /// <summary>Has the instrument see pulses.</summary>
    /// <param name="channel">On which channel.</param>
    /// <param name="picoseconds">When, ascending.</param>
    protected abstract void Record(int channel, long[] picoseconds);

    /// <summary>Lets time pass up to then; every pulse until then has been recorded.</summary>
    protected abstract void AdvanceTo(long picoseconds);

    /// <summary>Waits until the instrument records.</summary>
    protected abstract Task UntilRecordingAsync();

    /// <summary>Waits until the driver has noticed everything that the instrument has done so far.</summary>
    protected abstract Task UntilNoticedAsync();

    /// <summary>Opens the device; drivers whose notice is seen on the wire put a record of it here.</summary>
    protected virtual async Task<ITimeTagger> OpenTaggerAsync() => (ITimeTagger)await OpenAsync();

    [Fact]
    public async Task States_capabilities_that_make_sense()
    {
        var tagger = await OpenTaggerAsync();
        var capabilities = tagger.TaggerCapabilities;
        capabilities.Channels.ShouldNotBeEmpty();
        capabilities.Channels.ShouldBeUnique();
        capabilities.ReferenceChannels.ShouldContain(ReferenceChannel);
        capabilities.ResolutionPicoseconds.ShouldBePositive();
        capabilities.MaximumTagRateHertz.ShouldBePositive();
        capabilities.ThresholdVolts.Minimum.ShouldBeLessThan(capabilities.ThresholdVolts.Maximum);
    }

    [Fact]
    public async Task Sets_an_input_and_refuses_a_threshold_beyond_the_limits_or_a_channel_that_is_not_there()
    {
        var tagger = await OpenTaggerAsync();
        var channel = tagger.TaggerCapabilities.Channels[0];
        var limits = tagger.TaggerCapabilities.ThresholdVolts;
        foreach (var volts in new[] { limits.Minimum, limits.Maximum, limits.Minimum + (0.3 * (limits.Maximum - limits.Minimum)) })
        {
            await tagger.ConfigureInputAsync(new(channel, volts, EdgeSlope.Falling), TestLimits.Token).WithinLimit();
        }

        foreach (var wrong in new[] { limits.Maximum + 0.1, limits.Minimum - 0.1, double.NaN })
        {
            await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await tagger.ConfigureInputAsync(new(channel, wrong, EdgeSlope.Rising), TestLimits.Token).WithinLimit());
        }

        await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await tagger.ConfigureInputAsync(new(99, limits.Maximum, EdgeSlope.Rising), TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task Batches_come_while_nothing_does()
    {
        var tagger = await OpenTaggerAsync();
        await using var stream = await StartAsync(tagger, Request(tagger));
        for (var number = 0; number < 3; number++)
        {
            AdvanceToEndOf(number);
            using var batch = await NextAsync(stream);
            batch.Count.ShouldBe(0);
            batch.Runs.ShouldBeEmpty();
            (batch.Acquisition, batch.EndsAcquisition).ShouldBe((number, true));
            batch.LossesBefore.Count(loss => loss.Cause != TagLossCause.AcquisitionGap).ShouldBe(0);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_tag_comes_once_in_its_place(bool referenced)
    {
        var tagger = await OpenTaggerAsync();
        await using var stream = await StartAsync(tagger, Request(tagger, referenced));
        var random = new Random(referenced ? 1 : 2);
        for (var number = 0; number < 4; number++)
        {
            // From an odd tag to many messages' worth; the third has nothing on the last channel.
            var (start, length) = (StartOf(number), EndOf(number) - StartOf(number));
            RecordHere(ReferenceChannel, Enumerable.Range(0, 2000).Select(edge => start + (edge * (length / 2000)) + 17));
            foreach (var (channel, index) in tagger.TaggerCapabilities.Channels.Select((channel, index) => (channel, index)))
            {
                if (number != 2 || index != tagger.TaggerCapabilities.Channels.Count - 1)
                {
                    var count = number == 1 ? 1 + index : 100_000 >> index;
                    RecordHere(channel, Enumerable.Range(0, count).Select(_ => start + random.NextInt64(length)).Order());
                }
            }

            AdvanceToEndOf(number);
            using var batch = await NextAsync(stream);
            ShouldHold(batch, number, referenced, tagger.TaggerCapabilities.Channels);
        }
    }

    [Fact]
    public async Task Sub_acquisitions_start_anew_and_the_gap_between_them_is_told()
    {
        var tagger = await OpenTaggerAsync();
        await using var stream = await StartAsync(tagger, Request(tagger));
        var channel = tagger.TaggerCapabilities.Channels[0];
        for (var number = 0; number < 3; number++)
        {
            RecordHere(ReferenceChannel, [StartOf(number) + 1000, StartOf(number) + 3000]);
            RecordHere(channel, [StartOf(number) + 1000, StartOf(number) + 1500, StartOf(number) + 3500]);
            AdvanceToEndOf(number);
            using var batch = await NextAsync(stream);
            batch.TimeBase.ShouldBe(TagTimeBase.Referenced);
            var run = batch.Runs.ShouldHaveSingleItem();
            run.Channel.ShouldBe(channel);
            run.TimesPicoseconds.ToArray().ShouldBe([0, 500, 500]);
            run.ReferenceIndexes.ToArray().ShouldBe([1, 1, 2]);
            batch.LossesBefore.ShouldBe(number == 0 ? [] : [new(TagLossCause.AcquisitionGap, GapPicoseconds, null)]);
        }
    }

    [Fact]
    public async Task Only_the_channels_asked_for_come()
    {
        var tagger = await OpenTaggerAsync();
        var channels = tagger.TaggerCapabilities.Channels;
        var asked = channels[^1];
        await using var stream = await StartAsync(tagger, Request(tagger) with { Channels = [asked] });
        RecordHere(ReferenceChannel, [_began]);
        foreach (var channel in channels)
        {
            RecordHere(channel, [_began + 5]);
        }

        AdvanceToEndOf(0);
        using var batch = await NextAsync(stream);
        batch.Runs.ShouldHaveSingleItem().Channel.ShouldBe(asked);
    }

    [Fact]
    public async Task There_is_one_stream_at_a_time_and_another_one_after_it()
    {
        var tagger = await OpenTaggerAsync();
        await using (await StartAsync(tagger, Request(tagger)))
        {
            await using var second = tagger.ReadTagsAsync(Request(tagger), TestLimits.Token).GetAsyncEnumerator(TestLimits.Token);
            await Should.ThrowAsync<DeviceException>(async () => await second.MoveNextAsync().WithinLimit());
        }

        await using var third = await StartAsync(tagger, Request(tagger));
        AdvanceToEndOf(0);
        using var batch = await NextAsync(third);
        batch.Acquisition.ShouldBe(0);
    }

    [Fact]
    public async Task A_cancelled_stream_ends_and_can_be_started_again()
    {
        var tagger = await OpenTaggerAsync();
        using var impatient = new CancellationTokenSource();
        await using (var stream = await StartAsync(tagger, Request(tagger), impatient.Token))
        {
            await impatient.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(async () => await stream.Waiting.WithinLimit());
        }

        await using var again = await StartAsync(tagger, Request(tagger));
        AdvanceToEndOf(0);
        (await NextAsync(again)).Dispose();
    }

    [Fact]
    public async Task A_device_disposed_of_ends_its_stream()
    {
        var tagger = await OpenTaggerAsync();
        await using var stream = await StartAsync(tagger, Request(tagger));
        await tagger.DisposeAsync().AsTask().WithinLimit();
        await Should.ThrowAsync<ObjectDisposedException>(async () => await stream.Waiting.WithinLimit());
    }

    [Fact]
    public async Task A_request_that_makes_no_sense_is_refused()
    {
        var tagger = await OpenTaggerAsync();
        var good = Request(tagger);
        foreach (var bad in new[] { good with { Channels = [] }, good with { Channels = [1, 1] }, good with { Channels = [99] }, good with { ReferenceChannel = 99 } })
        {
            await using var stream = tagger.ReadTagsAsync(bad, TestLimits.Token).GetAsyncEnumerator(TestLimits.Token);
            await Should.ThrowAsync<DeviceException>(async () => await stream.MoveNextAsync().WithinLimit());
        }
    }

    [Fact]
    public async Task What_a_slow_reader_misses_is_told_to_the_last_tag()
    {
        // More in all than sockets and systems hold by themselves.
        const int acquisitions = 40;
        const int tags = 100_000;
        var tagger = await OpenTaggerAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = tagger.Events.Subscribe(events.Enqueue);
        var channel = tagger.TaggerCapabilities.Channels[0];
        await using var stream = await StartAsync(tagger, Request(tagger));
        for (var number = 0; number < acquisitions; number++)
        {
            var start = StartOf(number);
            RecordHere(ReferenceChannel, [start]);
            RecordHere(channel, Enumerable.Range(0, tags).Select(tag => start + (tag * 1000L)));
            AdvanceToEndOf(number);
            await UntilNoticedAsync();
        }

        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Overload));
        long received = 0;
        long lost = 0;
        for (var number = 0; number < acquisitions; number++)
        {
            using var batch = await NextAsync(stream);
            batch.Acquisition.ShouldBe(number);
            received += batch.Count;
            lost += batch.LossesBefore.Sum(loss => loss.Tags ?? 0);
            if (batch.Count > 0)
            {
                ShouldHold(batch, number, referenced: true, [channel]);
            }
        }

        received.ShouldBePositive();
        lost.ShouldBePositive();
        (received + lost).ShouldBe(acquisitions * tags);
    }

    [Theory]
    [InlineData(InstrumentFault.Silent)]
    [InlineData(InstrumentFault.Garbage)]
    [InlineData(InstrumentFault.Disconnect)]
    public async Task A_stream_that_breaks_off_says_so_and_names_the_device(InstrumentFault fault)
    {
        var tagger = await OpenTaggerAsync();
        await using var stream = await StartAsync(tagger, Request(tagger));
        Instrument.Inject(fault);
        var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
        error.Device.ShouldBe(tagger.Name);
    }

    /// <summary>All channels, with or without the reference.</summary>
    protected TagStreamRequest Request(ITimeTagger tagger, bool referenced = true) => new()
    {
        Channels = tagger.TaggerCapabilities.Channels,
        ReferenceChannel = referenced ? ReferenceChannel : null,
        AcquisitionLength = AcquisitionLength,
    };

    /// <summary>Starts to read and waits until the instrument records: the first sub-acquisition begins at the present time.</summary>
    protected async Task<RunningStream> StartAsync(ITimeTagger tagger, TagStreamRequest request, CancellationToken? cancellationToken = null)
    {
        var stream = new RunningStream(tagger.ReadTagsAsync(request, cancellationToken ?? TestLimits.Token));
        var recording = UntilRecordingAsync();
        if (await Task.WhenAny(recording, stream.Waiting) != recording)
        {
            await stream.Waiting;
        }

        await recording;
        _began = _now;
        return stream;
    }

    /// <summary>The next batch.</summary>
    protected static async Task<TagBatch> NextAsync(RunningStream stream) => await stream.NextAsync();

    /// <summary>When a sub-acquisition begins.</summary>
    protected long StartOf(int number) => _began + (number * (Length + GapPicoseconds));

    /// <summary>When it ends.</summary>
    protected long EndOf(int number) => StartOf(number) + Length;

    /// <summary>Lets time pass up to the end of a sub-acquisition.</summary>
    protected void AdvanceToEndOf(int number)
    {
        _now = EndOf(number);
        AdvanceTo(_now);
    }

    /// <summary>Records pulses and remembers them.</summary>
    protected void RecordHere(int channel, IEnumerable<long> picoseconds)
    {
        var times = picoseconds.ToArray();
        if (!_pulses.TryGetValue(channel, out var all))
        {
            _pulses[channel] = all = [];
        }

        all.AddRange(times);
        Record(channel, times);
    }

    /// <summary>Whether a batch holds what a sub-acquisition must give.</summary>
    protected void ShouldHold(TagBatch batch, int number, bool referenced, IReadOnlyList<int> channels)
    {
        (batch.Acquisition, batch.EndsAcquisition).ShouldBe((number, true));
        batch.TimeBase.ShouldBe(referenced ? TagTimeBase.Referenced : TagTimeBase.Absolute);
        foreach (var channel in channels)
        {
            var (times, indexes) = Expected(channel, number, referenced);
            var run = batch.Runs.SingleOrDefault(run => run.Channel == channel);
            run.TimesPicoseconds.Span.SequenceEqual(times).ShouldBeTrue($"times of channel {channel} in sub-acquisition {number}");
            run.ReferenceIndexes.Span.SequenceEqual(indexes).ShouldBeTrue($"indexes of channel {channel} in sub-acquisition {number}");
        }
    }

    private long Length => AcquisitionLength.Ticks * 100_000;

    private (long[] Times, long[] Indexes) Expected(int channel, int number, bool referenced)
    {
        var tags = Within(channel, number);
        if (!referenced)
        {
            return ([.. tags.Select(tag => tag - StartOf(number))], []);
        }

        var edges = Within(ReferenceChannel, number);
        var (times, indexes) = (new List<long>(), new List<long>());
        var seen = 0;
        foreach (var tag in tags)
        {
            while (seen < edges.Count && edges[seen] <= tag)
            {
                seen++;
            }

            if (seen > 0)
            {
                times.Add(tag - edges[seen - 1]);
                indexes.Add(seen);
            }
        }

        return ([.. times], [.. indexes]);
    }

    private List<long> Within(int channel, int number) =>
        [.. _pulses.GetValueOrDefault(channel, []).SkipWhile(time => time < StartOf(number)).TakeWhile(time => time < EndOf(number))];
}
