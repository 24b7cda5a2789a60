using System.Collections.Concurrent;
using System.Text.Json;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Sim.Optics;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

public sealed class LightTests
{
    [Fact]
    public async Task Throttled_bench_time_waits_for_symbols_without_underrun()
    {
        await using var bench = await TestBench.StartAsync();
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await Waits.UntilAsync(() => bench.Emitted() == TestBench.FrameSlots, "the first frame has left");

        await Task.Delay(TimeSpan.FromMilliseconds(100), Waits.Token);
        var halted = bench.Bench.BenchTime;
        bench.Bench.Truth.EmissionIntervals().ShouldHaveSingleItem().ToPicoseconds.ShouldBe(halted.Ticks * 100_000);
        await Task.Delay(TimeSpan.FromMilliseconds(100), Waits.Token);
        bench.Bench.BenchTime.ShouldBe(halted);

        await host.SendFramesAsync(3);
        await Waits.UntilAsync(() => bench.Emitted() == 4 * TestBench.FrameSlots, "the others have left");
        host.Events.ShouldBeEmpty();

        // No gap between them: it was only the clock that waited.
        var run = bench.Bench.Truth.EmissionIntervals().ShouldHaveSingleItem();
        (run.ToPicoseconds - run.FromPicoseconds).ShouldBe(run.SlotCount * 100_000);
        bench.Bench.LostTime.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_throttled_bench_does_not_wait_for_ever()
    {
        await using var bench = await TestBench.StartAsync(
            TestBench.Small with { Transmitter = TestBench.Small.Transmitter with { HostPatienceSeconds = 0.2 } });
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await Waits.UntilAsync(() => HasUnderrun(host), "the host hears of the underrun");
        var dark = bench.Bench.BenchTime;
        await Waits.UntilAsync(() => bench.Bench.BenchTime > dark, "bench time goes on in the dark");
    }

    [Fact]
    public async Task In_real_time_a_symbol_that_is_late_is_an_underrun()
    {
        await using var bench = await TestBench.StartAsync(TestBench.Small with { Clock = BenchClockMode.RealTime });
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await Waits.UntilAsync(() => HasUnderrun(host), "the host hears of the underrun");
        bench.Emitted().ShouldBe(TestBench.FrameSlots);
        var dark = bench.Bench.BenchTime;
        await Waits.UntilAsync(() => bench.Bench.BenchTime > dark, "bench time goes on in the dark");
    }

    [Fact]
    public async Task Throttled_bench_time_waits_for_a_host_that_does_not_take_its_tags()
    {
        await using var bench = await TestBench.StartAsync();
        using var control = bench.ConnectTagger();
        using var service = bench.ConnectTagger(service: true);
        StartStreams(bench, control, service, channels: 1, width: 200_000_000_000);
        TestBench.Ask(control, "REC:PLAY").ShouldBe("Done");

        // Sub-acquisitions pile up with nobody there.
        await Waits.UntilAsync(() => bench.Bench.LostTime > TimeSpan.FromSeconds(0.2), "bench time has waited");
        var halted = bench.Bench.BenchTime;
        using var stream = ConnectStream(bench, 1);
        await Waits.UntilAsync(
            () => stream.TryReceiveFrameBytes(out _) && bench.Bench.BenchTime > halted + TimeSpan.FromSeconds(0.1), "bench time goes on");
    }

    [Fact]
    public async Task Every_click_is_stamped_and_counted()
    {
        // The marker comes half a slot early, so that no click of slot 0 precedes it.
        await using var bench = await TestBench.StartAsync(TestBench.Small with { Tagger = new() { MarkerDelayPicoseconds = -50_000 } });
        await bench.BiasDetectorsAsync();
        using var counts = TestBench.Connect(bench.Find("detectors").Endpoints["Counts"]);
        using var control = bench.ConnectTagger();
        using var service = bench.ConnectTagger(service: true);
        var streams = OpenStreams(bench, control, service);
        try
        {
            using var host = bench.ConnectTransmitter();
            await host.LightUpAsync(TestBench.MarkerDivisor);
            await host.SendFramesAsync(9);
            await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "all has left");
            await host.StopAsync();

            // Let the last light arrive, and the record end.
            var stopped = bench.Bench.BenchTime;
            await Waits.UntilAsync(() => bench.Bench.BenchTime > stopped + TimeSpan.FromSeconds(0.5), "the record ends");
            TestBench.Ask(control, "REC:STOP");
            var (payload, pilots) = (bench.Bench.Truth.Payload(), bench.Bench.Truth.Pilots());
            var clicks = payload.Clicks(ClickCause.Signal) + pilots.Clicks(ClickCause.Signal);
            clicks.ShouldBeGreaterThan(10_000);

            var tags = 0L;
            var lastIndex = 0UL;
            foreach (var stream in streams)
            {
                while (stream.TryReceiveFrameBytes(TimeSpan.FromMilliseconds(500), out var message))
                {
                    tags += message!.Length / 16;
                    if (message.Length > 0)
                    {
                        lastIndex = Math.Max(lastIndex, BitConverter.ToUInt64(message, message.Length - 8));
                    }
                }
            }

            tags.ShouldBe(clicks);
            lastIndex.ShouldBeLessThanOrEqualTo((ulong)(host.SentSlots / TestBench.MarkerDivisor));
            (await CountedAsync(counts, clicks)).ShouldBe(clicks);
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
        }
    }

    [Fact]
    public async Task Without_bias_nothing_clicks()
    {
        await using var bench = await TestBench.StartAsync();
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "all has left");
        bench.Bench.Truth.Payload().Clicks(ClickCause.Signal).ShouldBe(0);
    }

    [Fact]
    public async Task Same_seed_and_symbols_give_the_same_clicks_whenever_the_light_begins()
    {
        var first = await ClicksAsync(seed: 5);
        var again = await ClicksAsync(seed: 5);
        var other = await ClicksAsync(seed: 6);
        first.Count.ShouldBeGreaterThan(10_000);
        again.ShouldBe(first);
        other.ShouldNotBe(first);

        static async Task<List<(long Slot, int Detector, long Picoseconds)>> ClicksAsync(ulong seed)
        {
            await using var bench = await TestBench.StartAsync(TestBench.Small with { Seed = seed });
            var clicks = new ConcurrentQueue<LoggedClick>();
            bench.Bench.Truth.ClickLog = clicks.Enqueue;
            await bench.BiasDetectorsAsync();
            using var host = bench.ConnectTransmitter(seed: 3);
            await host.LightUpAsync(TestBench.MarkerDivisor);
            await host.SendFramesAsync(3);
            await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "all has left");
            await host.StopAsync();
            var stopped = bench.Bench.BenchTime;
            await Waits.UntilAsync(() => bench.Bench.BenchTime > stopped, "the last light has arrived");
            var start = bench.Bench.Truth.EmissionIntervals()[0].FromPicoseconds;
            return [.. clicks.Select(click => (click.Slot, click.Detector, click.Picoseconds - start)).Order()];
        }
    }

    [Fact]
    public async Task An_eavesdropper_comes_and_goes_while_light_passes()
    {
        await using var bench = await TestBench.StartAsync();
        await bench.BiasDetectorsAsync();
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await host.SendFramesAsync(4);
        await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "the light without her has left");
        var quiet = bench.Bench.Truth.Payload();

        bench.Bench.Apply(new() { Kind = EavesdropperKind.InterceptResend, Fraction = 1 });
        await host.SendFramesAsync(10);
        await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "the light that she intercepts has left");
        var heard = bench.Bench.Truth.Payload();

        bench.Bench.Apply(EavesdropperSettings.None);
        await host.SendFramesAsync(1);
        await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "the last light has left");

        quiet.Clicks(ClickCause.Resent).ShouldBe(0);
        heard.Clicks(ClickCause.Resent).ShouldBeGreaterThan(10_000);

        // What she sent and what had been under way to the detectors may still click in the slots after.
        (bench.Bench.Truth.Payload().Clicks(ClickCause.Resent) - heard.Clicks(ClickCause.Resent)).ShouldBeLessThan(100);
        for (var basis = 0; basis < 2; basis++)
        {
            ErrorRate(quiet, null, basis).ShouldBeLessThan(0.02);

            // A quarter at least; single detectors' clicks, of which a bright pulse gives two, count more. Five sigma of 10 000 clicks are 0.022.
            ErrorRate(heard, quiet, basis).ShouldBeInRange(0.22, 0.40);
        }

        Should.Throw<ArgumentException>(() => bench.Bench.Apply(new() { Kind = EavesdropperKind.InterceptResend, Fraction = 1.5 }));
    }

    [Fact]
    public async Task An_eavesdropper_of_the_settings_begins_at_her_time_after_the_first_light()
    {
        await using var bench = await TestBench.StartAsync(TestBench.Small with
        {
            Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend, Fraction = 0.5, StartAfterSeconds = 0.02 },
        });
        await bench.BiasDetectorsAsync();
        bench.Bench.Eavesdropper.ShouldBe(EavesdropperSettings.None);
        var clicks = new ConcurrentQueue<LoggedClick>();
        bench.Bench.Truth.ClickLog = clicks.Enqueue;
        using var host = bench.ConnectTransmitter();
        await host.LightUpAsync(TestBench.MarkerDivisor);
        await host.SendFramesAsync(7);
        await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "all has left");

        bench.Bench.Eavesdropper.Fraction.ShouldBe(0.5);
        var begin = bench.Bench.Truth.EmissionIntervals()[0].FromPicoseconds + bench.Bench.Optics.Channel.DelayPicoseconds;
        var resent = clicks.Where(click => click.Cause == ClickCause.Resent).ToList();
        resent.Min(click => click.Picoseconds).ShouldBeGreaterThan(begin + 20_000_000_000 - 1_000_000);
        resent.Count.ShouldBeGreaterThan(1000);
    }

    [Fact]
    public async Task The_truth_is_written_down_as_bench_time_goes_on()
    {
        await using var bench = await TestBench.StartAsync(
            TestBench.Small with { Truth = TestBench.Small.Truth with { PeriodSeconds = 0.05 } });
        await bench.BiasDetectorsAsync();
        using (var host = bench.ConnectTransmitter())
        {
            await host.LightUpAsync(TestBench.MarkerDivisor);
            await host.SendFramesAsync(3);
            await Waits.UntilAsync(() => bench.Emitted() == host.SentSlots, "all has left");
            await host.StopAsync();
        }

        var stopped = bench.Bench.BenchTime;
        await Waits.UntilAsync(() => bench.Bench.BenchTime > stopped + TimeSpan.FromSeconds(0.2), "some lines are written");
        await bench.Bench.DisposeAsync();

        var lines = (await File.ReadAllLinesAsync(Path.Combine(bench.Folder, "ground-truth.jsonl"), Waits.Token))
            .Select(line => JsonDocument.Parse(line).RootElement).ToList();
        lines.Count.ShouldBeGreaterThan(3);
        lines.Select(line => line.GetProperty("bench_time_s").GetDouble()).ShouldBeInOrder();
        var last = lines[^1];
        var payload = bench.Bench.Truth.Payload();
        last.GetProperty("payload").GetProperty("signal_clicks").GetInt64().ShouldBe(payload.Clicks(ClickCause.Signal));
        var brightest = last.GetProperty("payload").GetProperty("symbols")[0];
        brightest.GetProperty("basis").GetString().ShouldBe("Z");
        brightest.GetProperty("emitted").GetInt64().ShouldBe(payload.Emitted(0, 0));
        brightest.GetProperty("wrong_clicks").GetInt64().ShouldBe(payload.Errors(0, 0));
        last.GetProperty("latest_emission").GetProperty("slot_count").GetInt64().ShouldBe(4 * TestBench.FrameSlots);
        last.GetProperty("eavesdropper").GetProperty("kind").GetString().ShouldBe("none");
    }

    private static bool HasUnderrun(TransmitterHost host)
    {
        lock (host.Events)
        {
            return host.Events.Contains(2);
        }
    }

    private static double ErrorRate(TruthCounters now, TruthCounters? before, int basis) =>
        (double)(now.Errors(0, basis) - (before?.Errors(0, basis) ?? 0)) / (now.Matched(0, basis) - (before?.Matched(0, basis) ?? 0));

    private static List<PairSocket> OpenStreams(TestBench bench, RequestSocket control, RequestSocket service)
    {
        StartStreams(bench, control, service, channels: 4, width: 10_000_000_000_000);
        List<PairSocket> streams = [.. Enumerable.Range(1, 4).Select(channel => ConnectStream(bench, channel))];
        TestBench.Ask(control, "REC:PLAY").ShouldBe("Done");
        return streams;
    }

    private static void StartStreams(TestBench bench, RequestSocket control, RequestSocket service, int channels, long width)
    {
        foreach (var command in (string[])["STAR:ENAB ON", "REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:NUM INF", $"REC:PWID {width};PPER {width + 40_000}"])
        {
            TestBench.Ask(control, command);
        }

        var port = int.Parse(bench.Find("tagger").Options["StreamPort"]);
        for (var channel = 1; channel <= channels; channel++)
        {
            TestBench.Ask(control, $"INPU{channel}:ENAB ON");
            TestBench.Ask(control, $"RAW{channel}:REF:LINK STAR");
            TestBench.Ask(service, $"start-stream --address 127.0.0.1 --channel {channel} --stream-port {port + channel - 1} --with-ref-index").ShouldContain("id");
            TestBench.Ask(control, $"RAW{channel}:SEND ON");
        }
    }

    private static PairSocket ConnectStream(TestBench bench, int channel)
    {
        var stream = new PairSocket();
        stream.Options.Linger = TimeSpan.Zero;
        stream.Connect($"tcp://127.0.0.1:{int.Parse(bench.Find("tagger").Options["StreamPort"]) + channel - 1}");
        return stream;
    }

    /// <summary>Sums the lines of the counts port until they reach what is expected.</summary>
    private static async Task<long> CountedAsync(System.Net.Sockets.TcpClient counts, long expected)
    {
        using var reader = new StreamReader(counts.GetStream());
        var sum = 0L;
        while (sum < expected)
        {
            var line = await reader.ReadLineAsync(Waits.Token).AsTask().WaitAsync(Waits.Patience);
            sum += line!.Split(',').Skip(1).Sum(long.Parse);
        }

        return sum;
    }
}
