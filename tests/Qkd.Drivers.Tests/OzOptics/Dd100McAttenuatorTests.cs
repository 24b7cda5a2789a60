using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Qkd.Devices;
using Qkd.Drivers.OzOptics;
using Qkd.Drivers.OzOptics.Dd100Mc;
using Qkd.Drivers.Tests.Support;
using Qkd.Transports.Transcripts;
using Shouldly;

namespace Qkd.Drivers.Tests.OzOptics;

/// <summary>The driver against conversations as the maker's manual gives them, and against peers that misbehave.</summary>
public sealed class Dd100McAttenuatorTests
{
    private static readonly (string, string) Shown = ("D\r", "DPos:2500\r\nATTEN:10.00\r\nDone\r\n\r\n");

    [Fact]
    public async Task Is_identified_by_the_form_of_its_answer_and_moves_nothing_on_opening()
    {
        await using var replay = Replay(Shown);
        await using var attenuator = await OpenAsync(replay);

        attenuator.Identity.ShouldBe(new("OZ Optics", "DD-100-MC", "", ""));
        attenuator.Name.ShouldBe("attenuator");
        attenuator.ShouldBeAssignableTo<IAttenuator>()!.MaximumDecibels.ShouldBe(60);
        await TestLimits.UntilAsync(() => replay.IsComplete);
    }

    [Fact]
    public async Task Sets_an_attenuation_and_returns_what_the_instrument_then_shows()
    {
        await using var replay = Replay(
            Shown,
            ("A12.50\r", "Pos:3125\r\nDone\r\n\r\n"),
            ("D\r", "DPos:3125\r\nATTEN:12.51\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);

        (await attenuator.SetAttenuationAsync(12.5, TestLimits.Token).WithinLimit()).ShouldBe(12.51);
        attenuator.Parameters.Single(parameter => parameter.Name == "attenuation").Last!.Value.Value.ShouldBe(12.51);
        attenuator.Parameters.Single(parameter => parameter.Name == "position").Last!.Value.Value.ShouldBe(3125L);
    }

    /// <summary>An answer that was late for the connection before this one: without a question of its own it must not shift all that follow.</summary>
    [Theory]
    [InlineData("Pos:9296\r\nDone\r\n\r\n")]
    [InlineData("DPos:9296\r\nATTEN:46.48\r\nDone\r\n\r\n")]
    [InlineData("Pos:9296\r\nDone\r\n\r\nDPos:9296\r\nATTEN:46.48\r\nDone\r\n\r\n")]
    public async Task Answers_that_came_late_for_an_earlier_connection_are_passed_over(string late)
    {
        await using var replay = Replay(
            ("D\r", late + Shown.Item2),
            ("A12.50\r", "Pos:3125\r\nDone\r\n\r\n"),
            ("D\r", "DPos:3125\r\nATTEN:12.51\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);
        (await attenuator.SetAttenuationAsync(12.5, TestLimits.Token).WithinLimit()).ShouldBe(12.51);
        attenuator.IsBroken.ShouldBeFalse();
    }

    [Theory]
    [InlineData(-0.01)]
    [InlineData(60.01)]
    [InlineData(double.NaN)]
    public async Task Refuses_what_is_outside_its_limits_before_anything_is_sent(double decibels)
    {
        await using var replay = Replay(Shown);
        await using var attenuator = await OpenAsync(replay);
        var error = await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await attenuator.SetAttenuationAsync(decibels, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("attenuator");
        error.Message.ShouldContain("0 to 60 dB");
        attenuator.IsBroken.ShouldBeFalse();
    }

    [Fact]
    public async Task Limits_come_from_the_options()
    {
        await using var replay = Replay(Shown);
        await using var attenuator = await OpenAsync(replay, ("MinimumDecibels", "1.5"), ("maximumdecibels", "40"));
        (attenuator.MinimumDecibels, attenuator.MaximumDecibels).ShouldBe((1.5, 40));
        await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await attenuator.SetAttenuationAsync(45, TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task An_instrument_that_ends_up_elsewhere_is_an_error()
    {
        await using var replay = Replay(
            Shown,
            ("A30.00\r", "Pos:7500\r\nDone\r\n\r\n"),
            ("D\r", "DPos:2500\r\nATTEN:10.00\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await attenuator.SetAttenuationAsync(30, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("A30.00");
        error.Message.ShouldContain("10 dB");
    }

    [Fact]
    public async Task An_instrument_that_does_not_know_where_it_is_is_homed_before_it_moves()
    {
        await using var replay = Replay(
            ("D\r", "DPos:0\r\nATTEN:unknown\r\nDone\r\n\r\n"),
            ("D\r", "DPos:0\r\nATTEN:unknown\r\nDone\r\n\r\n"),
            ("H\r", "HPos:0\r\nDone\r\n\r\n"),
            ("A5.00\r", "Pos:1250\r\nDone\r\n\r\n"),
            ("D\r", "DPos:1250\r\nATTEN:5.00\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);
        (await attenuator.SetAttenuationAsync(5, TestLimits.Token).WithinLimit()).ShouldBe(5);
    }

    [Fact]
    public async Task A_snapshot_holds_every_parameter_with_unit_and_limits()
    {
        await using var replay = Replay(
            Shown,
            Shown,
            Shown,
            ("CD\r", "DD-100-MC\r\nWavelength:1550\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);
        var snapshot = await attenuator.SnapshotAsync(TestLimits.Token).WithinLimit();
        snapshot.Parameters.Select(entry => (entry.Name, entry.Unit, entry.Value, entry.Minimum, entry.Maximum)).ShouldBe(
        [
            ("attenuation", "dB", 10.0, 0, 60),
            ("position", "steps", 2500L, null, null),
            ("configuration", "", "DD-100-MC; Wavelength:1550", null, null),
        ]);
    }

    [Fact]
    public async Task A_complaint_of_the_instrument_is_told()
    {
        await using var replay = Replay(Shown, ("A12.50\r", "Error-3\r\nDone\r\n\r\n"));
        await using var attenuator = await OpenAsync(replay);
        var error = await Should.ThrowAsync<DeviceRefusedException>(
            async () => await attenuator.SetAttenuationAsync(12.5, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("A12.50");
        error.Message.ShouldContain("Error-3");
    }

    [Theory]
    [InlineData("-113,\"Undefined header\"\r\n")]
    [InlineData("?")]
    [InlineData("Pos:12\r\nDone\r\n\r\n")]
    public async Task Another_instrument_at_the_address_is_the_wrong_one(string answer)
    {
        await using var peer = ScriptedPeer.Answering(answer);
        var error = await Should.ThrowAsync<WrongDeviceException>(
            async () => await OpenAsync(peer, ("TimeoutSeconds", "0.3")).WithinLimit());
        error.Message.ShouldContain("DD-100-MC");
        error.Message.ShouldContain(peer.Address.Text);
    }

    [Fact]
    public async Task A_silent_address_ends_in_a_time_out()
    {
        await using var peer = ScriptedPeer.Silent();
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await OpenAsync(peer, ("TimeoutSeconds", "0.2")).WithinLimit());
        error.Message.ShouldContain("no answer to D within 0.2 s");
    }

    [Fact]
    public async Task A_late_answer_is_not_taken_for_the_next_one()
    {
        var release = new TaskCompletionSource();
        await using var peer = new ScriptedPeer(async (line, token) =>
        {
            await line.ReadCommandAsync(token);
            await line.WriteAsync("DPos:0\r\nATTEN:0.00\r\nDone\r\n\r\n", token);
            (await line.ReadCommandAsync(token)).ShouldBe("A20.00");
            await release.Task.WaitAsync(token);
            (await line.ReadCommandAsync(token)).ShouldBe("D");
            await line.WriteAsync("Pos:5000\r\nDone\r\n\r\nDPos:5000\r\nATTEN:20.00\r\nDone\r\n\r\n", token);
            await line.ReadCommandAsync(token);
        });
        await using var attenuator = await OpenAsync(peer, ("MoveTimeoutSeconds", "0.1"), ("TimeoutSeconds", "20"));
        await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await attenuator.SetAttenuationAsync(20, TestLimits.Token).WithinLimit());
        release.SetResult();
        (await attenuator.GetAttenuationAsync(TestLimits.Token).WithinLimit()).ShouldBe(20);
    }

    [Fact]
    public async Task A_pulled_cable_is_told_at_once_and_ends_every_call()
    {
        await using var peer = new ScriptedPeer(async (line, token) =>
        {
            await line.ReadCommandAsync(token);
            await line.WriteAsync(Shown.Item2, token);
            await line.ReadCommandAsync(token);
        });
        await using var attenuator = await OpenAsync(peer);
        var told = new TaskCompletionSource<DeviceEvent>();
        using var subscription = attenuator.Events.Subscribe(happened => told.TrySetResult(happened));

        peer.HangUp();

        (await told.Task.WithinLimit()).Kind.ShouldBe(DeviceEventKind.Disconnected);
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await attenuator.GetAttenuationAsync(TestLimits.Token).WithinLimit());
    }

    [Theory]
    [InlineData("MaximumDecibel", "60", "MaximumDecibel")]
    [InlineData("MaximumDecibels", "a lot", "MaximumDecibels")]
    [InlineData("MaximumDecibels", "1000", "outside")]
    [InlineData("MinimumDecibels", "70", "MinimumDecibels")]
    [InlineData("TimeoutSeconds", "0", "TimeoutSeconds")]
    public async Task A_wrong_option_is_refused_by_name(string key, string value, string named)
    {
        await using var replay = Replay(Shown);
        var error = await Should.ThrowAsync<FormatException>(async () => await OpenAsync(replay, (key, value)).WithinLimit());
        error.Message.ShouldContain("attenuator");
        error.Message.ShouldContain(named);
    }

    [Fact]
    public void Is_found_among_the_services_once()
    {
        var services = new ServiceCollection().AddOzOpticsDrivers().AddOzOpticsDrivers();
        services.Select(service => ((IDeviceDriver)service.ImplementationFactory!(null!)).Id).ShouldBe(["ozoptics.dd100mc"]);
    }

    private static ReplayTransport Replay(params (string Sent, string Received)[] exchanges) => new(
        exchanges.SelectMany(exchange => new[]
        {
            new TranscriptRecord(DateTimeOffset.UnixEpoch, "control", true, Encoding.Latin1.GetBytes(exchange.Sent)),
            new TranscriptRecord(DateTimeOffset.UnixEpoch, "control", false, Encoding.Latin1.GetBytes(exchange.Received)),
        }),
        "control",
        "attenuator");

    private static async Task<Dd100McAttenuator> OpenAsync(ReplayTransport replay, params (string Key, string Value)[] options)
    {
        var driver = new Dd100McDriver((_, _, _, _, _) => ValueTask.FromResult<Qkd.Transports.IByteTransport>(replay));
        return (Dd100McAttenuator)await driver.OpenAsync(Request(replay.Address, options), TestLimits.Token).WithinLimit();
    }

    private static async Task<Dd100McAttenuator> OpenAsync(ScriptedPeer peer, params (string Key, string Value)[] options) =>
        (Dd100McAttenuator)await new Dd100McDriver().OpenAsync(Request(peer.Address, options), TestLimits.Token).WithinLimit();

    private static DeviceOpenRequest Request(DeviceAddress address, (string Key, string Value)[] options) => new()
    {
        Name = "attenuator",
        Address = address,
        Options = options.ToDictionary(option => option.Key, option => option.Value),
    };
}
