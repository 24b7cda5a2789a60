using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware.SingleQuantum;
using Shouldly;

namespace Qkd.Drivers.Tests.SingleQuantum;

/// <summary>The driver against conversations as the maker's program has them, and against peers that misbehave.</summary>
public sealed class WebSqDetectorsTests
{
    private const string End = WebSqPeer.End;
    private const string Off = """{"command":"DetectorEnable","value":false}""";
    private const string Zero = """{"command":"SetAllBiasCurrents","label":"BiasCurrent","value":[0,0]}""";

    [Fact]
    public async Task Says_what_the_maker_s_program_says_in_its_units()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await peer.NextAsync();

        await detectors.SetBiasCurrentsAsync(Each(12.0, 8.25), TestLimits.Token).WithinLimit();
        (await peer.NextAsync()).ShouldBe("""{"command":"SetAllBiasCurrents","label":"BiasCurrent","value":[12,8.25]}""");
        await detectors.SetTriggerLevelsAsync(Each(23.0, -24.5), TestLimits.Token).WithinLimit();
        (await peer.NextAsync()).ShouldBe("""{"command":"SetAllTriggerLevels","label":"TriggerLevel","value":[23,-24.5]}""");
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        (await peer.NextAsync()).ShouldBe("""{"command":"DetectorEnable","value":true}""");
        await detectors.SetEnabledAsync(false, TestLimits.Token).WithinLimit();
        (await peer.NextAsync()).ShouldBe(Off);
    }

    [Fact]
    public async Task A_parameter_of_one_channel_leaves_the_others_as_they_are()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await Parameter(detectors, "detector_2_bias_current").SetAsync(9.5, TestLimits.Token).WithinLimit();
        peer.Received[^1].ShouldBe("""{"command":"SetAllBiasCurrents","label":"BiasCurrent","value":[12.5,9.5]}""");
        await Parameter(detectors, "detector_1_trigger_level").SetAsync("25", TestLimits.Token).WithinLimit();
        peer.Received[^1].ShouldBe("""{"command":"SetAllTriggerLevels","label":"TriggerLevel","value":[25,24]}""");
    }

    [Fact]
    public async Task A_snapshot_holds_every_parameter_with_unit_and_limits()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await peer.CountAsync("1,5,6\n");
        var snapshot = await detectors.SnapshotAsync(TestLimits.Token).WithinLimit();
        snapshot.Parameters.Select(entry => (entry.Name, entry.Unit, entry.Value, entry.Minimum, entry.Maximum)).ShouldBe(
        [
            ("enabled", "", false, null, null),
            ("measurement_period", "ms", 100.0, 10, 10_000),
            ("detector_1_bias_current", "uA", 12.5, 0, 40),
            ("detector_2_bias_current", "uA", 8.0, 0, 40),
            ("detector_1_trigger_level", "mV", 23.0, -300, 300),
            ("detector_2_trigger_level", "mV", 24.0, -300, 300),
            ("detector_1_bias_voltage", "mV", 0.6, null, null),
            ("detector_2_bias_voltage", "mV", 0.4, null, null),
            ("detector_1_count_rate", "Hz", 50.0, null, null),
            ("detector_2_count_rate", "Hz", 60.0, null, null),
        ]);
    }

    [Fact]
    public async Task Not_one_value_a_detector_is_refused_before_anything_is_sent()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await Should.ThrowAsync<ArgumentException>(
            async () => await detectors.SetBiasCurrentsAsync(Each(1.0), TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<ArgumentException>(
            async () => await detectors.SetTriggerLevelsAsync(Each(1.0, 2, 3), TestLimits.Token).WithinLimit());
        peer.Received.Count.ShouldBe(1);
    }

    [Fact]
    public async Task An_error_of_the_instrument_is_told_as_a_refusal()
    {
        await using var peer = new WebSqPeer(message => message.Contains("SetAllBias", StringComparison.Ordinal) && !message.Contains("[0,0]", StringComparison.Ordinal)
            ? """{"label":"BiasError","value":"current too high"}""" + End
            : null);
        await using var detectors = await peer.OpenAsync();
        var error = await Should.ThrowAsync<DeviceRefusedException>(
            async () => await detectors.SetBiasCurrentsAsync(Each(12.0, 8), TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("SetAllBiasCurrents [12,8]");
        error.Message.ShouldContain("BiasError: current too high");
    }

    [Fact]
    public async Task An_error_that_nobody_waits_for_is_an_event()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        var events = Listen(detectors);
        await peer.TellAsync("""{"label":"TemperatureError","value":"detectors warm"}""" + End);
        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Fault));
        events.Single().Detail.ShouldBe("TemperatureError: detectors warm");
    }

    [Fact]
    public async Task An_instrument_that_sets_something_else_is_an_error()
    {
        await using var peer = new WebSqPeer(message => message.Contains("SetAllBias", StringComparison.Ordinal)
            ? """{"label":"BiasCurrent","value":[12,7]}""" + End
            : null);
        await using var detectors = await peer.OpenAsync(("TimeoutSeconds", "1"));
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await detectors.SetBiasCurrentsAsync(Each(12.0, 8.25), TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("SetAllBiasCurrents [12,8.25]");
        error.Message.ShouldContain("it reports BiasCurrent [12.5,8]");
    }

    [Fact]
    public async Task Steps_of_the_instrument_are_no_error()
    {
        await using var peer = new WebSqPeer(message => message.Contains("SetAllBias", StringComparison.Ordinal)
            ? """{"label":"BiasCurrent","value":[12.1,8.2]}""" + End
            : null);
        await using var detectors = await peer.OpenAsync(("TimeoutSeconds", "1"));
        await detectors.SetBiasCurrentsAsync(Each(12.0, 8.25), TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task An_instrument_that_does_not_tell_what_is_no_change_is_asked()
    {
        await using var peer = new WebSqPeer(message => message.Contains("SetAll", StringComparison.Ordinal) ? "" : null);
        await using var detectors = await peer.OpenAsync(("TimeoutSeconds", "2"));
        await detectors.SetBiasCurrentsAsync(Each(12.5, 8), TestLimits.Token).WithinLimit();
        peer.Received[^1].ShouldContain("labelProps");
    }

    [Fact]
    public async Task An_instrument_that_does_not_tell_whether_it_is_on_is_believed_when_it_goes_on_answering()
    {
        await using var peer = new WebSqPeer(message =>
            message.Contains("labelProps", StringComparison.Ordinal)
                ? WebSqPeer.Labels[..WebSqPeer.Labels.IndexOf("""{"label":"DetectorEnable""", StringComparison.Ordinal)] + End
                : message.Contains("DetectorEnable", StringComparison.Ordinal) ? "" : null);
        await using var detectors = await peer.OpenAsync(("TimeoutSeconds", "1"));
        await peer.CountAsync("1,5,6\n");
        foreach (var enabled in new[] { true, false, true })
        {
            await detectors.SetEnabledAsync(enabled, TestLimits.Token).WithinLimit();
            (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).Enabled.ShouldBe(enabled);
        }
    }

    [Fact]
    public async Task What_another_host_sets_is_seen()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        await peer.TellAsync("""{"label":"InptMeasurementPeriod","value":200}""" + End);
        await using var counts = detectors.ReadCountsAsync(TestLimits.Token).GetAsyncEnumerator(TestLimits.Token);
        await TestLimits.UntilAsync(async () =>
        {
            var next = counts.MoveNextAsync();
            await peer.CountAsync("1,5,6\n");
            await next.WithinLimit();
            return counts.Current.Period == TimeSpan.FromMilliseconds(200);
        });
        detectors.DetectorCapabilities.MeasurementPeriod.ShouldBe(TimeSpan.FromMilliseconds(100));
    }

    [Theory]
    [InlineData("""{"label":"BiasVoltage","value":[0.6]}""")]
    [InlineData("""{"label":"BiasVoltage","value":["x","y"]}""")]
    [InlineData("""{"label":"BiasVol""")]
    [InlineData("\u0080\u0081{{{")]
    public async Task An_answer_that_is_none_is_an_error_that_shows_it(string answer)
    {
        await using var peer = new WebSqPeer(message => message.Contains("BiasVoltage", StringComparison.Ordinal) ? answer + End : null);
        await using var detectors = await peer.OpenAsync();
        await peer.CountAsync("1,5,6\n");
        var error = await Should.ThrowAsync<DeviceProtocolException>(
            async () => await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit());
        error.Device.ShouldBe("detectors");
        error.Message.ShouldContain("BiasVoltage");
        detectors.IsBroken.ShouldBeFalse();
    }

    [Fact]
    public async Task Nonsense_that_nobody_waits_for_is_an_event_and_costs_nothing()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        var events = Listen(detectors);
        await peer.TellAsync("}}\u0001" + End);
        await TestLimits.UntilAsync(() => !events.IsEmpty);
        events.Single().Kind.ShouldBe(DeviceEventKind.Warning);
        events.Single().Detail.ShouldContain("}}\\x01");
        await peer.CountAsync("1,5,6\n");
        await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task Detectors_switched_on_without_any_bias_are_worth_a_warning()
    {
        await using var peer = new WebSqPeer();
        await using var detectors = await peer.OpenAsync();
        var events = Listen(detectors);
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        events.ShouldBeEmpty();
        await detectors.SetBiasCurrentsAsync(Each(0, 0), TestLimits.Token).WithinLimit();
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        events.Single().Kind.ShouldBe(DeviceEventKind.Warning);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Closing_switches_off_and_sets_the_bias_to_zero_unless_it_is_to_be_kept(bool keep)
    {
        await using var peer = new WebSqPeer();
        var detectors = await peer.OpenAsync(("KeepBiasOnClose", keep ? "true" : "false"));
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        var events = Listen(detectors);
        await detectors.DisposeAsync().AsTask().WithinLimit();
        peer.Received.Skip(2).ShouldBe(keep ? [Off] : [Off, Zero]);
        events.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_instrument_that_will_not_switch_off_gets_zero_bias_in_any_case(bool keep)
    {
        await using var peer = new WebSqPeer(message => message == Off ? """{"label":"Error","value":"no"}""" + End : null);
        var detectors = await peer.OpenAsync(("KeepBiasOnClose", keep ? "true" : "false"));
        var events = Listen(detectors);
        await detectors.DisposeAsync().AsTask().WithinLimit();
        peer.Received[^1].ShouldBe(Zero);
        events.Single().Kind.ShouldBe(DeviceEventKind.Warning);
        events.Single().Detail.ShouldContain("safe state");
    }

    [Fact]
    public async Task An_instrument_that_cannot_be_reached_any_more_is_told_not_to_be_in_its_safe_state()
    {
        await using var peer = new WebSqPeer();
        var detectors = await peer.OpenAsync();
        var events = Listen(detectors);
        peer.HangUpControl();
        await TestLimits.UntilAsync(() => detectors.IsBroken);
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit());
        await detectors.DisposeAsync().AsTask().WithinLimit();
        events.Select(happened => happened.Kind).ShouldBe([DeviceEventKind.Disconnected, DeviceEventKind.Warning]);
        events.Last().Detail.ShouldContain("safe state");
    }

    [Fact]
    public async Task Switching_off_waits_for_nobody()
    {
        await using var peer = new WebSqPeer(message => message.Contains("BiasVoltage", StringComparison.Ordinal) ? "" : null);
        await using var detectors = await peer.OpenAsync();
        var stuck = await StuckAsync(peer, detectors);

        await detectors.SetEnabledAsync(false, TestLimits.Token).WithinLimit();

        peer.Received[^1].ShouldBe(Off);
        stuck.IsCompleted.ShouldBeFalse();
        await peer.TellAsync("""{"label":"BiasVoltage","value":[0,0]}""" + End);
        await stuck.WithinLimit();
    }

    [Fact]
    public async Task Nothing_switches_on_again_what_is_being_closed()
    {
        await using var peer = new WebSqPeer(message => message == Off || message.Contains("BiasVoltage", StringComparison.Ordinal) ? "" : null);
        var detectors = await peer.OpenAsync();
        var stuck = await StuckAsync(peer, detectors);
        var queued = detectors.SetEnabledAsync(true, TestLimits.Token).AsTask();

        var closing = detectors.DisposeAsync().AsTask();
        await TestLimits.UntilAsync(() => peer.Received.Contains(Off));

        // Now the turn passes to the call that waits for it.
        await peer.TellAsync("""{"label":"BiasVoltage","value":[0,0]}""" + End);
        await Should.ThrowAsync<ObjectDisposedException>(async () => await queued.WithinLimit());
        await peer.TellAsync("""{"label":"DetectorEnable","value":false}""" + End);
        await closing.WithinLimit();
        await Should.ThrowAsync<ObjectDisposedException>(async () => await stuck.WithinLimit());

        peer.Received.ShouldNotContain("""{"command":"DetectorEnable","value":true}""");
        peer.Received[^1].ShouldBe(Zero);
    }

    [Fact]
    public async Task Finds_the_bias_in_the_dark_when_told_to()
    {
        await using var instrument = new WebSqEmulator(new() { DetectorCount = 2, DarkBiasMicroamperes = 18.5, CalibrationTime = TimeSpan.FromMilliseconds(100) });
        await instrument.StartAsync(TestLimits.Token).WithinLimit();
        await using var detectors = (WebSqDetectors)await new WebSqDriver().OpenAsync(
            new()
            {
                Name = "detectors",
                Address = DeviceAddress.Parse(instrument.Address),
                Options = new Dictionary<string, string> { ["Endpoints:Counts"] = instrument.Endpoints["Counts"] },
            },
            TestLimits.Token).WithinLimit();
        (await detectors.CalibrateBiasInTheDarkAsync(Each(100, 100), TestLimits.Token).WithinLimit()).ShouldBe([18.5, 18.5]);
        (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).BiasCurrentsMicroamperes.ShouldBe([18.5, 18.5]);
    }

    [Fact]
    public async Task A_search_that_is_cut_off_is_stopped()
    {
        await using var peer = new WebSqPeer(message => message.Contains("IV", StringComparison.Ordinal) || message.Contains("AutoCali", StringComparison.Ordinal)
            ? """{"label":"StartAutoIV","value":true}""" + End
            : null);
        await using var detectors = await peer.OpenAsync();
        using var impatient = new CancellationTokenSource();
        var search = detectors.CalibrateBiasInTheDarkAsync(Each(100, 50), impatient.Token).AsTask();
        await TestLimits.UntilAsync(() => peer.Received.Contains("""{"request":"StartAutoIV"}"""));
        peer.Received.Skip(1).Take(2).ShouldBe(
            ["""{"command":"DarkCountsAutoIV","value":[100,50]}""", """{"command":"AutoCaliBiasCurrents","value":true}"""]);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await search.WithinLimit());
        await TestLimits.UntilAsync(() => peer.Received[^1] == """{"command":"AutoCaliBiasCurrents","value":false}""");
    }

    /// <summary>A call that has its turn and waits for an answer.</summary>
    private static async Task<Task<DetectorStatus>> StuckAsync(WebSqPeer peer, WebSqDetectors detectors)
    {
        await peer.CountAsync("1,5,6\n");
        var stuck = detectors.GetDetectorStatusAsync(TestLimits.Token).AsTask();
        await TestLimits.UntilAsync(() => peer.Received.Any(message => message.Contains("BiasVoltage", StringComparison.Ordinal)));
        return stuck;
    }

    private static ReadOnlyMemory<double> Each(params double[] values) => values;

    private static IDeviceParameter Parameter(WebSqDetectors detectors, string name) =>
        detectors.Parameters.Single(parameter => parameter.Name == name);

    private static ConcurrentQueue<DeviceEvent> Listen(WebSqDetectors detectors)
    {
        var events = new ConcurrentQueue<DeviceEvent>();
        detectors.Events.Subscribe(events.Enqueue);
        return events;
    }
}
