using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Status;

public sealed class NodeMonitorTests
{
    private static readonly DateTimeOffset Start = new ManualTime().GetUtcNow();

    private readonly ManualTime _time = new();
    private readonly NodeMonitor _monitor;

    public NodeMonitorTests() => _monitor = Make.Monitor(_time);

    [Fact]
    public void A_node_that_has_just_started_has_seen_nothing()
    {
        var status = _monitor.Snapshot();
        status.State.ShouldBe(SessionState.Disconnected);
        status.Totals.ShouldBe(new NodeTotals(0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        status.Totals.QberZ.ShouldBe(double.NaN);
        status.Totals.QberX.ShouldBe(double.NaN);
        status.PilotErrorRate.ShouldBe(double.NaN);
        status.DetectionRateHertz.ShouldBe(0);
        status.SecretRateBps.ShouldBe(0);
        status.LastBlock.ShouldBeNull();
        status.FirstKeyAt.ShouldBeNull();
        status.FirstLightAt.ShouldBeNull();
        status.Alarms.ShouldBeEmpty();
        status.Devices.ShouldBeEmpty();
        status.Pool.Level.ShouldBe("EMPTY");
    }

    [Fact]
    public void The_state_is_the_last_one_told()
    {
        _monitor.StateChanged(SessionState.Handshake, "hello");
        _monitor.StateChanged(SessionState.Aligning, "turning paddles");
        var status = _monitor.Snapshot();
        status.State.ShouldBe(SessionState.Aligning);
        status.StateDetail.ShouldBe("turning paddles");
    }

    [Fact]
    public void Frames_count_pulses_and_detections()
    {
        _monitor.FrameReceived(Make.Frame(1, 30));
        _monitor.FrameReceived(Make.Frame(2, 12));
        var totals = _monitor.Snapshot().Totals;
        totals.Pulses.ShouldBe(2 * Make.FrameSlots);
        totals.Detections.ShouldBe(42);
    }

    [Fact]
    public void The_detection_rate_is_that_of_the_last_ten_seconds()
    {
        for (var i = 0; i < 400; i++)
        {
            // Twenty seconds at 20 frames a second, then as long at twice the rate.
            _time.Advance(0.05);
            _monitor.FrameReceived(Make.Frame(i, 50));
        }

        _monitor.Snapshot().DetectionRateHertz.ShouldBe(1000, 10);
        for (var i = 0; i < 400; i++)
        {
            _time.Advance(0.05);
            _monitor.FrameReceived(Make.Frame(400 + i, 100));
        }

        _monitor.Snapshot().DetectionRateHertz.ShouldBe(2000, 20);
        _time.Advance(11);
        _monitor.Snapshot().DetectionRateHertz.ShouldBe(0);
    }

    [Fact]
    public void Rates_of_blocks_are_not_exaggerated_by_the_first_ones()
    {
        // Light from 0 s; a block of 400 000 secret bits every 4 s gives 100 000 a second, also after the first one, and the second.
        _monitor.EmissionStarted();
        for (var block = 1; block <= 2; block++)
        {
            _time.Advance(4);
            _monitor.BlockAccepted(Make.Block(block, secretBits: 400_000));
            _monitor.Snapshot().SecretRateBps.ShouldBe(100_000, 1);
        }
    }

    [Fact]
    public void Error_rates_are_those_of_all_blocks_together()
    {
        _monitor.BlockAccepted(Make.Block(1, secretBits: 1000));
        _monitor.BlockDiscarded(Make.Block(2), "phase error too high");
        var totals = _monitor.Snapshot().Totals;
        totals.KeyBits.ShouldBe(20_000);
        totals.KeyErrors.ShouldBe(200);
        totals.QberZ.ShouldBe(0.01, 1e-12);
        totals.TestBits.ShouldBe(2000);
        totals.QberX.ShouldBe(0.02, 1e-12);
        totals.SiftedBits.ShouldBe(22_000);
        totals.SecretBits.ShouldBe(1000);
        totals.BlocksAccepted.ShouldBe(1);
        totals.BlocksDiscarded.ShouldBe(1);
    }

    [Fact]
    public void Key_bits_whose_errors_stayed_unknown_are_no_measure_of_the_error_rate()
    {
        _monitor.BlockDiscarded(Make.Block(1) with { KeyErrors = [] }, "cut off");
        var totals = _monitor.Snapshot().Totals;
        totals.KeyBits.ShouldBe(0);
        totals.QberZ.ShouldBe(double.NaN);
        totals.QberX.ShouldBe(0.02, 1e-12);
    }

    [Fact]
    public void The_pilots_error_rate_forgets_in_about_a_second()
    {
        for (var i = 0; i < 500; i++)
        {
            _monitor.FrameReceived(Make.Frame(i, pilot: Make.PilotWithErrors(99, 1)));
        }

        _monitor.Snapshot().PilotErrorRate.ShouldBe(0.01, 1e-9);
        for (var i = 0; i < 500; i++)
        {
            _monitor.FrameReceived(Make.Frame(i, pilot: Make.PilotWithErrors(75, 25)));
        }

        // What is left of the first is (1 - 1/100)^500 = 0.7 % of it.
        _monitor.Snapshot().PilotErrorRate.ShouldBe(0.25, 0.003);
    }

    [Fact]
    public void First_light_and_first_key_keep_their_times()
    {
        _time.Advance(1);
        _monitor.EmissionStarted();
        _time.Advance(2);
        _monitor.FrameReceived(Make.Frame(1));
        _monitor.BlockAccepted(Make.Block(1, secretBits: 1));
        _time.Advance(3);
        _monitor.BlockAccepted(Make.Block(2, secretBits: 1));
        var status = _monitor.Snapshot();
        status.FirstLightAt.ShouldBe(Start.AddSeconds(1));
        status.FirstKeyAt.ShouldBe(Start.AddSeconds(3));
        status.LastBlock!.BlockId.ShouldBe(2);
    }

    [Fact]
    public void Totals_go_on_over_sessions_and_start_anew_with_the_node()
    {
        _monitor.BlockAccepted(Make.Block(1, secretBits: 500));
        _monitor.StateChanged(SessionState.Disconnected, "link lost");
        _monitor.StateChanged(SessionState.Handshake, "again");
        _monitor.BlockAccepted(Make.Block(2, secretBits: 500));
        _monitor.Snapshot().Totals.SecretBits.ShouldBe(1000);

        Make.Monitor(_time).Snapshot().Totals.SecretBits.ShouldBe(0);
    }

    [Theory]
    [InlineData(AlarmKind.Qber, "qber")]
    [InlineData(AlarmKind.Alignment, "alignment")]
    [InlineData(AlarmKind.Synchronisation, "synchronisation")]
    [InlineData(AlarmKind.MultiClick, "multi_click")]
    [InlineData(AlarmKind.NoKey, "no_key")]
    [InlineData(AlarmKind.ClassicalChannel, "classical_channel")]
    [InlineData(AlarmKind.Link, "link")]
    [InlineData(AlarmKind.Device, "device")]
    [InlineData(AlarmKind.TagLoss, "tag_loss")]
    [InlineData(AlarmKind.AuthenticationKey, "authentication_key")]
    public void Each_kind_of_alarm_has_its_name(AlarmKind kind, string name)
    {
        _monitor.Alarm(kind, "something");
        var alarm = _monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(kind);
        alarm.KindName.ShouldBe(name);
        alarm.Node.ShouldBe("Bob");
        alarm.Detail.ShouldBe("something");
    }

    [Fact]
    public void The_same_trouble_again_and_again_is_one_alarm_every_five_seconds()
    {
        for (var frame = 0; frame < 1000; frame++)
        {
            _monitor.Alarm(AlarmKind.Qber, $"pilot error rate {frame % 7 + 6}.3 % over frames {frame} to {frame + 7}");
            _time.Advance(0.01);
        }

        _monitor.Snapshot().Alarms.Count.ShouldBe(2);
    }

    [Fact]
    public void Another_trouble_of_the_same_kind_is_an_alarm_of_its_own()
    {
        _monitor.Alarm(AlarmKind.Device, "paddles: connection lost");
        _monitor.Alarm(AlarmKind.Device, "detectors: detector 2 counts 3E+07 a second");
        _monitor.Alarm(AlarmKind.Qber, "pilot error rate 7 %");
        _monitor.Snapshot().Alarms.Select(alarm => alarm.Detail).ShouldBe(
            ["pilot error rate 7 %", "detectors: detector 2 counts 3E+07 a second", "paddles: connection lost"]);
    }

    [Fact]
    public void Of_many_alarms_the_newest_thousand_are_kept()
    {
        for (var i = 0; i < 1010; i++)
        {
            _monitor.Alarm(AlarmKind.Link, $"{i}");
            _time.Advance(6);
        }

        var alarms = _monitor.Snapshot().Alarms;
        alarms.Count.ShouldBe(1000);
        alarms[0].Detail.ShouldBe("1009");
        alarms[^1].Detail.ShouldBe("10");
    }

    [Fact]
    public void Five_measured_blocks_in_a_row_without_key_are_an_alarm()
    {
        for (var block = 1; block <= 4; block++)
        {
            _monitor.BlockDiscarded(Make.Block(block), "no secret bits");

            // What was cut off before it was measured says nothing.
            _monitor.BlockDiscarded(Make.Block(100 + block, measured: false), "link lost");
        }

        _monitor.Snapshot().Alarms.ShouldBeEmpty();
        _monitor.BlockDiscarded(Make.Block(5), "no secret bits");
        var alarm = _monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(AlarmKind.NoKey);
        alarm.Detail.ShouldContain("5 measured blocks");
        alarm.Detail.ShouldContain("no secret bits");
    }

    [Fact]
    public void Key_in_between_begins_the_count_anew()
    {
        for (var block = 1; block <= 4; block++)
        {
            _monitor.BlockDiscarded(Make.Block(block), "no secret bits");
        }

        _monitor.BlockAccepted(Make.Block(5, secretBits: 1));
        _monitor.BlockDiscarded(Make.Block(6), "no secret bits");
        _monitor.Snapshot().Alarms.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(DeviceEventKind.Fault, true)]
    [InlineData(DeviceEventKind.Overload, true)]
    [InlineData(DeviceEventKind.Disconnected, true)]
    [InlineData(DeviceEventKind.Interlock, true)]
    [InlineData(DeviceEventKind.Warning, false)]
    [InlineData(DeviceEventKind.Healthy, false)]
    public void An_instruments_trouble_shows_in_its_health_and_the_serious_is_an_alarm(DeviceEventKind kind, bool alarms)
    {
        _monitor.DeviceChanged(new("tagger", "idquantique.id900", "TCPIP0::h::1::SOCKET", null, DeviceEventKind.Healthy, "open", _time.GetUtcNow()));
        _time.Advance(9);
        _monitor.DeviceReported(new("tagger", kind, "input 3", _time.GetUtcNow()));
        var status = _monitor.Snapshot();
        var health = status.Devices.ShouldHaveSingleItem();
        health.Kind.ShouldBe(kind);
        health.Detail.ShouldBe("input 3");
        health.Since.ShouldBe(Start.AddSeconds(9));
        status.Alarms.Select(alarm => alarm.Detail).ShouldBe(alarms ? ["tagger: input 3"] : []);
    }

    [Fact]
    public void Whoever_watches_is_told_of_blocks_alarms_and_states()
    {
        var told = 0;
        _monitor.Changed += () => told++;
        _monitor.StateChanged(SessionState.Handshake, "");
        _monitor.BlockAccepted(Make.Block(1, secretBits: 1));
        _monitor.Alarm(AlarmKind.Link, "lost");
        told.ShouldBe(3);
    }

    [Fact]
    public async Task It_can_be_told_from_several_threads()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            for (var i = 0; i < 2000; i++)
            {
                _monitor.FrameReceived(Make.Frame(i, 5));
                _monitor.Snapshot().Totals.Detections.ShouldBeGreaterThan(0);
                _monitor.BlockDiscarded(Make.Block(i), "no secret bits");
            }
        }))).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        var totals = _monitor.Snapshot().Totals;
        totals.Detections.ShouldBe(40_000);
        totals.BlocksDiscarded.ShouldBe(8000);
    }
}
