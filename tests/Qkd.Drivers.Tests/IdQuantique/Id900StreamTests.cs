using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Qkd.Devices;
using Qkd.Drivers.IdQuantique;
using Qkd.Drivers.IdQuantique.Id900;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware.IdQuantique;
using Qkd.Transports.Zmq;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

/// <summary>The ID900's own ways, beyond what every time tagger must do, against the emulated instrument.</summary>
public sealed class Id900StreamTests : IAsyncLifetime
{
    private const long Width = 200_000_000_000;
    private const long Period = Width + 40_000;

    private readonly WireLog _wire = new();
    private readonly List<IAsyncDisposable> _opened = [];
    private Id900Emulator? _emulator;

    private Id900Emulator Emulator => _emulator!;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var opened in _opened)
        {
            await opened.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
        }

        if (_emulator is not null)
        {
            await _emulator.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
        }
    }

    [Fact]
    public void Registers_its_driver_once()
    {
        var services = new ServiceCollection().AddIdQuantiqueDrivers().AddIdQuantiqueDrivers();
        services.ShouldHaveSingleItem().ServiceType.ShouldBe(typeof(IDeviceDriver));
    }

    [Fact]
    public async Task Many_sub_acquisitions_at_once_are_told_apart_silent_ones_included()
    {
        await using var stream = await StartAsync(await OpenAsync(new() { OverflowAcquisitions = 1000 }));
        var random = new Random(3);
        var expected = new List<long[]>();
        for (var number = 0; number < 60; number++)
        {
            // Full, nearly empty and silent ones in any order, with no time for the driver to ask in between. The edges are many, so
            // that the first index of one is lower than the last of the one before.
            var start = number * Period;
            var count = random.Next(3) switch { 0 => 0, 1 => 2, _ => 20_000 };
            var times = Enumerable.Range(0, count).Select(tag => start + 1000 + (tag * (Width - 2000) / Math.Max(1, count - 1))).ToArray();
            Emulator.RecordReferenceEdges(start, Width / 1000, 1000);
            Emulator.RecordClicks(1, times);
            Emulator.RecordClicks(3, times);
            Emulator.AdvanceTo(start + Width);
            expected.Add(times);
        }

        for (var number = 0; number < expected.Count; number++)
        {
            using var batch = await stream.NextAsync();
            batch.Acquisition.ShouldBe(number);
            batch.Runs.Select(run => (run.Channel, run.Count))
                .ShouldBe(expected[number].Length == 0 ? [] : [(1, expected[number].Length), (3, expected[number].Length)]);
            foreach (var run in batch.Runs)
            {
                Absolute(run, number * Period).ShouldBe(expected[number]);
            }
        }
    }

    [Theory]
    [InlineData(16)]
    [InlineData(1600)]
    public async Task Sub_acquisitions_in_many_messages_are_whole(int longestMessage)
    {
        await using var stream = await StartAsync(await OpenAsync(new() { MaxMessageBytes = longestMessage }));
        for (var number = 0; number < 3; number++)
        {
            var start = number * Period;
            var times = Enumerable.Range(0, 3000).Select(tag => start + 7 + (tag * 60_000_000L)).ToArray();
            Emulator.RecordReferenceEdges(start, Width / 1000, 1000);
            for (var input = 1; input <= 4; input++)
            {
                Emulator.RecordClicks(input, times);
            }

            Emulator.AdvanceTo(start + Width);
            using var batch = await stream.NextAsync();
            batch.Runs.Count.ShouldBe(4);
            foreach (var run in batch.Runs)
            {
                Absolute(run, start).ShouldBe(times);
            }
        }
    }

    [Fact]
    public async Task A_reader_who_is_behind_has_the_instrument_wait_and_then_gets_every_tag()
    {
        var tagger = await OpenAsync(new() { HostPatience = TimeSpan.FromMinutes(1), OverflowAcquisitions = 1000 });
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = tagger.Events.Subscribe(events.Enqueue);
        await using var stream = await StartAsync(tagger);
        var recorded = 0;
        await TestLimits.UntilAsync(async () =>
        {
            var start = recorded++ * Period;
            Emulator.RecordReferenceEdges(start, Width / 1000, 1000);
            Emulator.RecordClicks(4, Clicks(start));
            Emulator.AdvanceTo(start + Width);
            await Id900World.UntilNoticedAsync(_wire);
            return Emulator.Backlogged;
        });

        // Not at once: a reader that is late for a moment is nobody's trouble.
        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Overload && happened.Detail.Contains("batches behind", StringComparison.Ordinal)));

        for (var number = 0; number < recorded; number++)
        {
            using var batch = await stream.NextAsync();
            batch.Acquisition.ShouldBe(number);
            batch.LossesBefore.Count.ShouldBe(number == 0 ? 0 : 1);
            Absolute(batch.Runs.ShouldHaveSingleItem(), number * Period).AsSpan().SequenceEqual(Clicks(number * Period)).ShouldBeTrue();
        }

        await TestLimits.UntilAsync(() => !Emulator.Backlogged && events.Any(happened => happened.Kind == DeviceEventKind.Healthy));

        // More than sockets and systems hold by themselves.
        static long[] Clicks(long start) => [.. Enumerable.Range(0, 100_000).Select(tag => start + (tag * (Width / 100_000)))];
    }

    [Fact]
    public async Task Tags_that_come_too_fast_end_the_stream_and_another_one_starts()
    {
        var tagger = await OpenAsync(new() { MaximumTagRateHertz = 1000 });
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = tagger.Events.Subscribe(events.Enqueue);
        await using (var stream = await StartAsync(tagger))
        {
            Emulator.RecordReferenceEdges(0, 1000, 1);
            Emulator.RecordClicks(2, [.. Enumerable.Range(0, 300).Select(tag => 10L + tag)]);
            Emulator.AdvanceTo(Width);
            var error = await Should.ThrowAsync<DeviceException>(async () => await stream.Waiting.WithinLimit());
            error.Message.ShouldContain("1000 timestamps/s");
            events.ShouldContain(happened => happened.Kind == DeviceEventKind.Overload);
        }

        (await ReadAsync(tagger, "input_2_error")).ShouldBe(1001L);
        await using var again = await StartAsync(tagger);
        (await ReadAsync(tagger, "input_2_error")).ShouldBe(0L);
        Emulator.AdvanceTo(2 * Width);
        using var batch = await again.NextAsync();
        batch.Acquisition.ShouldBe(0);
    }

    [Fact]
    public async Task A_stream_that_somebody_left_running_is_stopped_and_told()
    {
        var tagger = await OpenAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = tagger.Events.Subscribe(events.Enqueue);
        await using (var service = await ConnectAsync(Emulator.Endpoints["Stream"]))
        {
            var answer = await service.RequestAsync(
                $"start-stream --address 127.0.0.1 --channel 2 --stream-port {Emulator.Options["StreamPort"]}", TestLimits.Longest, TestLimits.Token);
            answer.ShouldContain("127.0.0.1:5557");
        }

        await using var stream = await StartAsync(tagger);
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Warning && happened.Detail.Contains("127.0.0.1:5557"));
        Emulator.AdvanceTo(Width);
        (await stream.NextAsync()).Dispose();
    }

    [Fact]
    public async Task Stopping_leaves_neither_records_nor_streams_behind()
    {
        var tagger = await OpenAsync();
        await (await StartAsync(tagger)).DisposeAsync();
        await using var control = await ConnectAsync(Emulator.Address);
        await using var service = await ConnectAsync(Emulator.Endpoints["Stream"]);
        (await control.RequestAsync("REC:STAGe?;:RAW1:SEND?;:RAW4:SEND?", TestLimits.Longest, TestLimits.Token)).ShouldBe("STOPPED\nOFF\nOFF");
        (await service.RequestAsync("list", TestLimits.Longest, TestLimits.Token)).ShouldBe("[]");
    }

    [Fact]
    public async Task Inputs_are_set_as_asked_and_a_delay_moves_their_tags()
    {
        var tagger = await OpenAsync();
        await tagger.ConfigureInputAsync(new(0, 0.75, EdgeSlope.Rising), TestLimits.Token).WithinLimit();
        await tagger.ConfigureInputAsync(new(1, -0.4, EdgeSlope.Falling, 2500), TestLimits.Token).WithinLimit();
        (await ReadAsync(tagger, "start_threshold")).ShouldBe(0.75);
        (await ReadAsync(tagger, "start_edge")).ShouldBe("rising");
        (await ReadAsync(tagger, "input_1_threshold")).ShouldBe(-0.4);
        (await ReadAsync(tagger, "input_1_edge")).ShouldBe("falling");
        (await ReadAsync(tagger, "input_1_enabled")).ShouldBe(true);
        (await ReadAsync(tagger, "input_1_delay")).ShouldBe(2500L);

        await using (var stream = await StartAsync(tagger))
        {
            Emulator.RecordReferenceEdges(1000, 1000, 1);
            Emulator.RecordClicks(1, [2000]);
            Emulator.AdvanceTo(Width);
            using var batch = await stream.NextAsync();
            batch.Runs.ShouldHaveSingleItem().TimesPicoseconds.ToArray().ShouldBe([3500]);
        }

        await tagger.ConfigureInputAsync(new(1, -0.4, EdgeSlope.Falling), TestLimits.Token).WithinLimit();
        (await ReadAsync(tagger, "input_1_delay")).ShouldBe(0L);
    }

    [Fact]
    public async Task Parameters_are_set_by_name()
    {
        var tagger = await OpenAsync();
        foreach (var (name, value) in new (string, object)[] { ("input_3_threshold", 0.125), ("input_3_edge", "falling"), ("input_3_enabled", true), ("start_delay", 77L) })
        {
            var parameter = tagger.Parameters.Single(parameter => parameter.Name == name);
            await parameter.SetAsync(value, TestLimits.Token).WithinLimit();
            (await parameter.GetAsync(TestLimits.Token).WithinLimit()).Value.ShouldBe(value);
        }

        var edge = tagger.Parameters.Single(parameter => parameter.Name == "input_3_edge");
        await Should.ThrowAsync<FormatException>(async () => await edge.SetAsync("sideways", TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task A_sub_acquisition_shorter_than_the_instrument_s_shortest_is_refused()
    {
        var tagger = await OpenAsync();
        await using var stream = new RunningStream(tagger.ReadTagsAsync(
            new() { Channels = [1], AcquisitionLength = TimeSpan.FromMilliseconds(199) }, TestLimits.Token));
        await Should.ThrowAsync<SettingOutOfRangeException>(async () => await stream.Waiting.WithinLimit());
    }

    [Fact]
    public async Task The_settings_can_be_read_while_tags_stream()
    {
        var tagger = await OpenAsync();
        await using var stream = await StartAsync(tagger);
        var snapshot = await tagger.SnapshotAsync(TestLimits.Token).WithinLimit();
        snapshot.Parameters.Single(entry => entry.Name == "record_stage").Value.ShouldBe("PLAYING");
        Emulator.AdvanceTo(Width);
        (await stream.NextAsync()).Dispose();
    }

    private static long[] Absolute(TagRun run, long start)
    {
        var times = run.TimesPicoseconds.Span;
        var indexes = run.ReferenceIndexes.Span;
        var absolute = new long[times.Length];
        for (var i = 0; i < times.Length; i++)
        {
            absolute[i] = start + ((indexes[i] - 1) * (Width / 1000)) + times[i];
        }

        return absolute;
    }

    private static ValueTask<ZmqRequestTransport> ConnectAsync(string address) =>
        ZmqRequestTransport.ConnectAsync(DeviceAddress.Parse(address), new() { DeviceName = "test" }, null, "test", TestLimits.Token);

    private static async Task<object> ReadAsync(ITimeTagger tagger, string parameter) =>
        (await tagger.Parameters.Single(candidate => candidate.Name == parameter).GetAsync(TestLimits.Token).WithinLimit()).Value;

    private async Task<ITimeTagger> OpenAsync(Qkd.Sim.Firmware.IdQuantique.Id900Settings? settings = null)
    {
        _emulator = new(settings);
        await _emulator.StartAsync(TestLimits.Token).WithinLimit();
        var device = await new Id900Driver().OpenAsync(
            new()
            {
                Name = "under test",
                Address = DeviceAddress.Parse(_emulator.Address),
                Options = new Dictionary<string, string>
                {
                    ["Endpoints:Stream"] = _emulator.Endpoints["Stream"],
                    ["StreamPort"] = _emulator.Options["StreamPort"],
                },
                Transcript = _wire,
            },
            TestLimits.Token).WithinLimit();
        _opened.Add(device);
        return (ITimeTagger)device;
    }

    private async Task<RunningStream> StartAsync(ITimeTagger tagger)
    {
        var stream = new RunningStream(tagger.ReadTagsAsync(
            new() { Channels = [1, 2, 3, 4], ReferenceChannel = 0, AcquisitionLength = TimeSpan.FromMilliseconds(200) }, TestLimits.Token));
        await Id900World.UntilRecordingAsync(_wire);
        return stream;
    }
}
