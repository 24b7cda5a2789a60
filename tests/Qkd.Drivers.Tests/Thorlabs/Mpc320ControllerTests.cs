using Microsoft.Extensions.DependencyInjection;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Drivers.Thorlabs;
using Qkd.Drivers.Thorlabs.Mpc320;
using Shouldly;

namespace Qkd.Drivers.Tests.Thorlabs;

public sealed class Mpc320ControllerTests
{
    [Fact]
    public async Task Is_identified_and_neither_enabled_nor_moved_on_opening()
    {
        await using var peer = new AptPeer();
        await using var controller = await OpenAsync(peer);
        controller.Identity.ShouldBe(new("Thorlabs", "MPC320", "38000123", "1.0.7"));
        controller.PositionsKnown.ShouldBeTrue();
        peer.ReceivedOf("1002").ShouldBeEmpty();
        peer.ReceivedOf("5304").ShouldBeEmpty();
        peer.ReceivedOf("4304").ShouldBeEmpty();
    }

    [Fact]
    public async Task Another_model_is_refused()
    {
        await using var peer = new AptPeer { Model = "K10CR1" };
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await OpenAsync(peer));
        error.Message.ShouldContain("MPC320");
        error.Message.ShouldContain("K10CR1");
    }

    [Fact]
    public async Task Another_serial_number_is_refused()
    {
        await using var peer = new AptPeer();
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await OpenAsync(peer, ("SerialNumber", "38000124")));
        error.Message.ShouldContain("38000124");
        error.Message.ShouldContain("38000123");
    }

    [Fact]
    public async Task Something_that_does_not_speak_the_protocol_is_the_wrong_instrument()
    {
        await using var peer = ScriptedPeer.Answering("ERROR\r\n");
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await OpenAsync(peer.Address, ("TimeoutSeconds", "0.3")));
        error.Message.ShouldContain("APT");
        error.Message.ShouldContain(Convert.ToHexString("ERROR"u8));
    }

    [Fact]
    public async Task A_silent_address_ends_in_a_time_out()
    {
        await using var peer = ScriptedPeer.Silent();
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await OpenAsync(peer.Address, ("TimeoutSeconds", "0.2")));
        error.Message.ShouldContain("hardware information");
        error.Message.ShouldContain("0.2 s");
    }

    [Fact]
    public async Task All_paddles_are_enabled_once_and_sent_off_together()
    {
        await using var peer = new AptPeer();
        var sent = new List<byte[]>();
        peer.Override = async frame =>
        {
            if (frame is not [0x53, 0x04, ..])
            {
                return false;
            }

            sent.Add(frame);
            if (sent.Count == 3)
            {
                // They arrive in another order than they left in, among status messages of their way.
                foreach (var move in sent.AsEnumerable().Reverse())
                {
                    await peer.SendStatusAsync(AptPeer.ChannelOf(move), 0x8000_0510);
                    peer.Arrive(AptPeer.ChannelOf(move), AptPeer.TargetOf(move));
                    await peer.SendCompletedAsync(AptPeer.ChannelOf(move), AptPeer.TargetOf(move));
                }

                sent.Clear();
            }

            return true;
        };
        await using var controller = await OpenAsync(peer);

        await controller.MoveAsync(Degrees(0.0, 85.0, 170.0), TestLimits.Token).WithinLimit();
        await controller.MoveAsync(Degrees(42.0, 0.0, 10.0), TestLimits.Token).WithinLimit();

        peer.Positions.ShouldBe([338, 0, 81]);
        peer.ReceivedOf("1002").ShouldBe(["100207015001"]);
        (await controller.GetPositionsAsync(TestLimits.Token).WithinLimit()).ShouldBe([338 * 170 / 1370.0, 0, 81 * 170 / 1370.0]);
    }

    [Theory]
    [InlineData(-0.1, 0, 0)]
    [InlineData(0, 170.1, 0)]
    [InlineData(0, 0, double.NaN)]
    public async Task Refuses_positions_outside_the_travel_and_moves_nothing(double first, double second, double third)
    {
        await using var peer = new AptPeer();
        await using var controller = await OpenAsync(peer);
        var error = await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await controller.MoveAsync(Degrees(first, second, third), TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("0 to 170 deg");
        peer.ReceivedOf("5304").ShouldBeEmpty();
        peer.ReceivedOf("1002").ShouldBeEmpty();
    }

    [Fact]
    public async Task A_wrong_number_of_positions_is_refused()
    {
        await using var peer = new AptPeer();
        await using var controller = await OpenAsync(peer);
        await Should.ThrowAsync<ArgumentException>(
            async () => await controller.MoveAsync(Degrees(1.0, 2.0), TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task A_movement_to_where_the_paddle_stands_may_end_without_a_word()
    {
        await using var peer = new AptPeer { Override = frame => Task.FromResult(frame is [0x53, 0x04, ..]) };
        await using var controller = await OpenAsync(peer);
        await controller.MoveAsync(Degrees(0.0, 0.0, 0.0), TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task The_end_of_an_earlier_movement_is_not_taken_for_that_of_a_later_one()
    {
        await using var peer = new AptPeer();
        peer.Override = async frame =>
        {
            if (frame is not [0x53, 0x04, ..])
            {
                return false;
            }

            var (channel, target) = (AptPeer.ChannelOf(frame), AptPeer.TargetOf(frame));
            await peer.SendCompletedAsync(channel, 1000);
            peer.Arrive(channel, target);
            await peer.SendCompletedAsync(channel, target);
            return true;
        };
        await using var controller = await OpenAsync(peer);
        await controller.MovePaddleAsync(1, 20, TestLimits.Token).WithinLimit();
        peer.Positions[1].ShouldBe(161);
    }

    /// <summary>On a slow line a status may end a movement before the instrument's own word for it; the next movement may be to a place a count away.</summary>
    [Fact]
    public async Task What_is_still_said_of_an_earlier_movement_does_not_end_the_next()
    {
        await using var peer = new AptPeer();
        var moves = 0;
        peer.Override = async frame =>
        {
            if (frame is not [0x53, 0x04, ..])
            {
                return false;
            }

            var (channel, target) = (AptPeer.ChannelOf(frame), AptPeer.TargetOf(frame));
            if (moves++ == 0)
            {
                peer.Arrive(channel, target);
                await peer.SendStatusAsync(channel);
            }
            else
            {
                await peer.SendCompletedAsync(channel, 161);
                await Task.Delay(50, TestLimits.Token);
                peer.Arrive(channel, target);
                await peer.SendCompletedAsync(channel, target);
            }

            return true;
        };
        await using var controller = await OpenAsync(peer);
        await controller.MovePaddleAsync(1, 161 * 170.0 / 1370, TestLimits.Token).WithinLimit();
        await controller.MovePaddleAsync(1, 162 * 170.0 / 1370, TestLimits.Token).WithinLimit();
        peer.Positions[1].ShouldBe(162);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_motion_error_is_an_error_that_says_where_the_paddle_stopped(bool asMoveCompleted)
    {
        await using var peer = new AptPeer();
        peer.Override = async frame =>
        {
            if (frame is not [0x53, 0x04, ..])
            {
                return false;
            }

            peer.Arrive(2, 137);
            peer.StatusBits = 0x8000_4500;
            await (asMoveCompleted ? peer.SendCompletedAsync(2, 137) : peer.SendStatusAsync(2));
            return true;
        };
        await using var controller = await OpenAsync(peer);
        var events = new System.Collections.Concurrent.ConcurrentQueue<DeviceEvent>();
        using var subscription = controller.Events.Subscribe(events.Enqueue);

        var error = await Should.ThrowAsync<DeviceException>(
            async () => await controller.MovePaddleAsync(1, 90, TestLimits.Token).WithinLimit());

        error.Message.ShouldContain("motion error of paddle 2");
        error.Message.ShouldContain("17.00 deg");
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Fault);
    }

    [Fact]
    public async Task Cancelling_a_movement_stops_the_paddles()
    {
        await using var peer = new AptPeer();
        var moving = new TaskCompletionSource();
        peer.Override = frame =>
        {
            if (frame is not [0x53, 0x04, ..])
            {
                return Task.FromResult(false);
            }

            moving.TrySetResult();
            return Task.FromResult(true);
        };
        await using var controller = await OpenAsync(peer);
        using var impatient = new CancellationTokenSource();
        var movement = controller.MovePaddleAsync(2, 100, impatient.Token);
        await moving.Task.WithinLimit();
        await impatient.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(async () => await movement.WithinLimit());
        peer.ReceivedOf("6504").ShouldBe(["650404025001"]);

        peer.Override = _ => Task.FromResult(false);
        await controller.MovePaddleAsync(2, 50, TestLimits.Token).WithinLimit();
        peer.Positions[2].ShouldBe(403);
    }

    [Fact]
    public async Task A_movement_that_does_not_end_is_stopped_and_told_after_its_time()
    {
        await using var peer = new AptPeer();
        peer.StatusBits = 0x8000_0510;
        peer.Override = frame => Task.FromResult(frame is [0x53, 0x04, ..]);
        await using var controller = await OpenAsync(peer, ("MoveTimeoutSeconds", "0.2"));
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await controller.MovePaddleAsync(0, 100, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("moving paddle 1 to 100");
        peer.ReceivedOf("6504").ShouldBe(["650401025001"]);
    }

    [Fact]
    public async Task Homing_makes_positions_known()
    {
        await using var peer = new AptPeer { StatusBits = 0x8000_0100 };
        await using var controller = await OpenAsync(peer);
        controller.PositionsKnown.ShouldBeFalse();
        peer.StatusBits = 0x8000_0500;

        await controller.HomeAsync(TestLimits.Token).WithinLimit();

        controller.PositionsKnown.ShouldBeTrue();
        peer.ReceivedOf("4304").ShouldBe(["430401005001", "430402005001", "430404005001"]);
    }

    [Fact]
    public async Task A_snapshot_holds_every_parameter_with_unit_and_limits()
    {
        await using var peer = new AptPeer();
        peer.Positions[1] = 685;
        await using var controller = await OpenAsync(peer);
        var snapshot = await controller.SnapshotAsync(TestLimits.Token).WithinLimit();

        snapshot.Parameters.Select(entry => entry.Name).ShouldBe(controller.Parameters.Select(parameter => parameter.Name));
        snapshot.Parameters.Count.ShouldBe(18);
        var angle = snapshot.Parameters.Single(entry => entry.Name == "paddle_2_angle");
        (angle.Unit, angle.Value, angle.Minimum, angle.Maximum).ShouldBe(("deg", 85.0, 0, 170));
        var velocity = snapshot.Parameters.Single(entry => entry.Name == "velocity");
        (velocity.Unit, velocity.Value, velocity.Minimum, velocity.Maximum).ShouldBe(("%", 50.0, 10, 100));
        snapshot.Parameters.Single(entry => entry.Name == "paddle_1_current").Value.ShouldBe(30.0);
        snapshot.Parameters.Single(entry => entry.Name == "enabled").Value.ShouldBe(false);
    }

    [Fact]
    public async Task Parameters_are_set_from_text_and_read_back()
    {
        await using var peer = new AptPeer();
        await using var controller = await OpenAsync(peer);

        await Parameter("velocity").SetAsync("75", TestLimits.Token).WithinLimit();
        await Parameter("home_angle").SetAsync(17, TestLimits.Token).WithinLimit();
        await Parameter("paddle_3_angle").SetAsync(34, TestLimits.Token).WithinLimit();
        await Parameter("enabled").SetAsync(true, TestLimits.Token).WithinLimit();

        Convert.ToHexString(peer.PolarizerParameters).ShouldBe("00004B008900190019001900");
        peer.Positions[2].ShouldBe(274);
        (await Parameter("velocity").GetAsync(TestLimits.Token).WithinLimit()).Value.ShouldBe(75.0);
        (await Parameter("enabled").GetAsync(TestLimits.Token).WithinLimit()).Value.ShouldBe(true);
        await Parameter("enabled").SetAsync("false", TestLimits.Token).WithinLimit();
        peer.Mask.ShouldBe((byte)0);
        await Should.ThrowAsync<SettingOutOfRangeException>(
            async () => await Parameter("velocity").SetAsync(5, TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<NotSupportedException>(
            async () => await Parameter("paddle_1_homed").SetAsync(true, TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<FormatException>(
            async () => await Parameter("velocity").SetAsync("fast", TestLimits.Token).WithinLimit());

        IDeviceParameter Parameter(string name) => controller.Parameters.Single(parameter => parameter.Name == name);
    }

    [Fact]
    public async Task A_setting_that_the_instrument_does_not_keep_is_told()
    {
        await using var peer = new AptPeer { Override = frame => Task.FromResult(frame is [0x30, 0x05, ..]) };
        await using var controller = await OpenAsync(peer);
        var error = await Should.ThrowAsync<DeviceRefusedException>(async () => await controller.Parameters
            .Single(parameter => parameter.Name == "velocity").SetAsync(80, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("velocity");
    }

    [Fact]
    public async Task Status_updates_are_started_acknowledged_noted_and_stopped()
    {
        await using var peer = new AptPeer();
        await using (var controller = await OpenAsync(peer))
        {
            await TestLimits.UntilAsync(() => peer.ReceivedOf("1100").Count() == 1);
            await TestLimits.UntilAsync(() => peer.ReceivedOf("9204").Any());
            peer.Arrive(4, 500);
            await peer.SendStatusAsync(4, 0x8000_0100);
            await TestLimits.UntilAsync(() => !controller.PositionsKnown);
            controller.Parameters.Single(parameter => parameter.Name == "paddle_3_angle").Last!.Value.Value.ShouldBe(500 * 170 / 1370.0);
        }

        await TestLimits.UntilAsync(() => peer.ReceivedOf("1200").Any());
    }

    [Fact]
    public async Task A_pulled_cable_is_told_at_once_and_ends_every_call()
    {
        await using var peer = new AptPeer();
        await using var controller = await OpenAsync(peer);
        var told = new TaskCompletionSource<DeviceEvent>();
        using var subscription = controller.Events.Subscribe(happened => told.TrySetResult(happened));

        peer.HangUp();

        (await told.Task.WithinLimit()).Kind.ShouldBe(DeviceEventKind.Disconnected);
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await controller.GetPositionsAsync(TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task An_unknown_option_is_refused_by_name()
    {
        await using var peer = new AptPeer();
        var error = await Should.ThrowAsync<FormatException>(async () => await OpenAsync(peer, ("Serial", "1")));
        error.Message.ShouldContain("paddles: option Serial is not known");
        error.Message.ShouldContain("SerialNumber");
    }

    [Fact]
    public void Is_found_among_the_services_once()
    {
        var services = new ServiceCollection().AddThorlabsDrivers().AddThorlabsDrivers();
        services.Select(service => ((IDeviceDriver)service.ImplementationFactory!(null!)).Id).ShouldBe(["thorlabs.mpc320"]);
    }

    private static ReadOnlyMemory<double> Degrees(params double[] positions) => positions;

    private static Task<Mpc320Controller> OpenAsync(AptPeer peer, params (string Key, string Value)[] options) => OpenAsync(peer.Address, options);

    private static async Task<Mpc320Controller> OpenAsync(DeviceAddress address, params (string Key, string Value)[] options) =>
        (Mpc320Controller)await new Mpc320Driver().OpenAsync(
            new()
            {
                Name = "paddles",
                Address = address,
                Options = options.ToDictionary(option => option.Key, option => option.Value),
            },
            TestLimits.Token).WithinLimit();
}
