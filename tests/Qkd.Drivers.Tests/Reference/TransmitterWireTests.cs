using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;
using static Qkd.Drivers.Tests.Reference.TransmitterOpeningTests;

namespace Qkd.Drivers.Tests.Reference;

/// <summary>Replies that are late, broken, missing or not asked for.</summary>
public sealed class TransmitterWireTests
{
    [Fact]
    public async Task Requests_overlap_and_one_that_is_not_answered_holds_up_no_other()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var first = new TaskCompletionSource<TransmitterPeer.Message>();
        peer.Override = message =>
        {
            var isFirst = message.Type == TransmitterPeer.Stop;
            return Task.FromResult(isFirst && first.TrySetResult(message));
        };

        var stopping = device.StopAsync(TestLimits.Token).AsTask();
        var held = await first.Task.WithinLimit();
        await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit();

        stopping.IsCompleted.ShouldBeFalse();
        await peer.ReplyAsync(held);
        await stopping.WithinLimit();
    }

    [Fact]
    public async Task A_late_reply_is_not_taken_for_the_next_one()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "0.3"));
        var late = default(TransmitterPeer.Message);
        peer.Override = message =>
        {
            late = message;
            return Task.FromResult(true);
        };
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("STATUS within 0.3 s");

        peer.Override = async message =>
        {
            await peer.ReplyAsync(late!, TransmitterPeer.StatusOf(1, 0, 1));
            await peer.AnswerAsync(message);
            return true;
        };
        (await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        device.IsBroken.ShouldBeFalse();
    }

    [Fact]
    public async Task A_reply_of_wrong_form_is_an_error_that_shows_request_and_reply_and_the_next_one_is_understood()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var good = peer.StatusPayload;
        foreach (var (payload, problem) in new[] { (good[..5], "ends after 5 bytes"), ([.. good, 9, 9], "2 bytes too many"), ([], "ends after 0 bytes") })
        {
            peer.StatusPayload = payload;
            var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await device.GetModulatorStatusAsync(TestLimits.Token).WithinLimit());
            error.Message.ShouldContain("STATUS");
            error.Message.ShouldContain(problem);
            error.Message.ShouldContain("0x" + Convert.ToHexString(payload));
        }

        peer.StatusPayload = good;
        await device.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_reply_to_something_else_is_an_error()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        peer.Override = async message =>
        {
            await peer.SendAsync(TransmitterPeer.Frame(0x93, message.Sequence));
            return true;
        };
        var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await device.StopAsync(TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("STOP");
        error.Message.ShouldContain("0x93");
    }

    [Fact]
    public async Task A_refusal_is_an_error_that_shows_request_code_and_words()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        peer.Override = async message =>
        {
            if (message.Type == TransmitterPeer.Start)
            {
                await peer.RefuseAsync(message, 4, "the laser is off");
            }

            return message.Type == TransmitterPeer.Start;
        };
        var error = await Should.ThrowAsync<DeviceRefusedException>(async () => await device.StartAsync(6400, TestLimits.Token).WithinLimit());
        foreach (var part in new[] { "transmitter", peer.Address.Text, "START at slot 6400", "error 4", "the laser is off" })
        {
            error.Message.ShouldContain(part);
        }
    }

    [Theory]
    [InlineData("00540100000000000000000000")]
    [InlineData("515402830000000000000000")]
    [InlineData("515401830000000001000001")]
    [InlineData("51540170000000000300000001020300")]
    [InlineData("5154017100000000010000000100")]
    [InlineData("51540170000000000800000000000000000000FF")]
    public async Task A_message_that_breaks_the_protocol_ends_the_connection_and_every_call(string hex)
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);
        peer.Override = async _ =>
        {
            await peer.SendAsync(Convert.FromHexString(hex));
            return true;
        };

        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit());

        device.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.StartEmissionAsync(TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.LoadSymbolsAsync(new ulong[4], TestLimits.Token).WithinLimit());
        events.Count(happened => happened.Kind == DeviceEventKind.Disconnected).ShouldBe(1);
        peer.ReceivedOf(TransmitterPeer.LaserOn).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(5)]
    [InlineData(20)]
    public async Task A_connection_that_ends_within_a_message_is_lost(int bytes)
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "20"));
        peer.Override = async message =>
        {
            await peer.SendAsync(TransmitterPeer.Frame(0x83, message.Sequence, peer.StatusPayload)[..bytes]);
            peer.HangUp();
            return true;
        };
        var error = await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("transmitter");
    }

    [Fact]
    public async Task What_the_instrument_tells_unasked_is_told_on()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);

        foreach (var (kind, text) in new[] { (1, "loop open"), (2, "slot 640"), (3, "diode"), (4, "not renewed"), (5, "loop closed"), (77, "new kind") })
        {
            await peer.SendEventAsync((byte)kind, text);
        }

        await TestLimits.UntilAsync(() => events.Count == 6);
        events.Select(happened => happened.Kind).ShouldBe(
            [DeviceEventKind.Interlock, DeviceEventKind.Warning, DeviceEventKind.Fault, DeviceEventKind.Interlock, DeviceEventKind.Healthy, DeviceEventKind.Warning]);
        events.Select(happened => happened.Detail).ShouldBe(
            ["loop open", "underrun: slot 640", "diode", "the emission lease has lapsed: not renewed", "loop closed", "event 77: new kind"]);
        events.ShouldAllBe(happened => happened.Device == "transmitter");
    }

    [Theory]
    [InlineData(0, InterlockState.Closed)]
    [InlineData(3, InterlockState.KeySwitchOff | InterlockState.LoopOpen)]
    [InlineData(32, InterlockState.Fault)]
    public async Task Interlocks_are_read_and_an_unknown_one_never_reads_as_closed(byte bits, InterlockState expected)
    {
        await using var peer = new TransmitterPeer { StatusPayload = TransmitterPeer.StatusOf(0, bits, 0) };
        await using var device = await OpenAsync(peer.Address);
        (await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Interlock.ShouldBe(expected);
    }

    [Fact]
    public async Task Parameters_hold_what_the_status_says()
    {
        await using var peer = new TransmitterPeer { StatusPayload = TransmitterPeer.StatusOf(1, 2, 1, 64_000, 128, uint.MaxValue, "diode") };
        await using var device = await OpenAsync(peer.Address);
        var snapshot = await device.SnapshotAsync(TestLimits.Token).WithinLimit();
        snapshot.Parameters.ToDictionary(entry => entry.Name, entry => entry.Value).ShouldBe(
            new Dictionary<string, object?>
            {
                ["emitting"] = true,
                ["interlock"] = "LoopOpen",
                ["laser_temperature"] = 25.0,
                ["running"] = true,
                ["next_slot"] = 64_000L,
                ["buffered_slots"] = 128L,
                ["underruns"] = (long)uint.MaxValue,
                ["fault"] = "diode",
            });
    }
}
