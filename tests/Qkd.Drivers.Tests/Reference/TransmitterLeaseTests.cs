using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;
using static Qkd.Drivers.Tests.Reference.TransmitterOpeningTests;

namespace Qkd.Drivers.Tests.Reference;

/// <summary>What switches the light on and off, seen on the wire.</summary>
public sealed class TransmitterLeaseTests
{
    [Fact]
    public async Task A_lease_is_LASER_ON_then_RENEW_then_LASER_OFF_and_nothing_renews_by_itself()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        peer.Received.Clear();
        var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        await lease.RenewAsync(TestLimits.Token).WithinLimit();
        await lease.RenewAsync(TestLimits.Token).WithinLimit();
        await lease.DisposeAsync().AsTask().WithinLimit();
        await lease.DisposeAsync().AsTask().WithinLimit();
        await device.DisposeAsync().AsTask().WithinLimit();
        peer.Received.Select(message => message.Type).ShouldBe(
            [TransmitterPeer.LaserOn, TransmitterPeer.Renew, TransmitterPeer.Renew, TransmitterPeer.LaserOff]);
    }

    [Fact]
    public async Task A_second_lease_is_refused_while_one_holds_the_light_on()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        await using (await device.StartEmissionAsync(TestLimits.Token).WithinLimit())
        {
            await Should.ThrowAsync<DeviceRefusedException>(async () => await device.StartEmissionAsync(TestLimits.Token).WithinLimit());
            peer.ReceivedOf(TransmitterPeer.LaserOn).Count().ShouldBe(1);
            peer.ReceivedOf(TransmitterPeer.LaserOff).ShouldBeEmpty();
        }

        await using var next = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_LASER_ON_whose_answer_nobody_saw_is_taken_back(bool cancelled)
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", cancelled ? "20" : "0.3"));
        var asked = new TaskCompletionSource();
        peer.Override = message =>
        {
            if (message.Type == TransmitterPeer.LaserOn)
            {
                asked.TrySetResult();
            }

            return Task.FromResult(message.Type == TransmitterPeer.LaserOn);
        };
        using var impatient = new CancellationTokenSource();
        var starting = device.StartEmissionAsync(impatient.Token).AsTask();
        await asked.Task.WithinLimit();
        if (cancelled)
        {
            await impatient.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(async () => await starting.WithinLimit());
        }
        else
        {
            (await Should.ThrowAsync<DeviceTimeoutException>(async () => await starting.WithinLimit())).Message.ShouldContain("LASER ON");
        }

        peer.ReceivedOf(TransmitterPeer.LaserOff).Count().ShouldBe(1);
        peer.Override = _ => Task.FromResult(false);
        await using var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_LASER_OFF_that_is_not_answered_is_told_and_tried_again_with_the_end_of_the_device()
    {
        await using var peer = new TransmitterPeer();
        var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "0.3"));
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);
        var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        peer.Override = message => Task.FromResult(message.Type == TransmitterPeer.LaserOff);

        await lease.DisposeAsync().AsTask().WithinLimit();

        events.Single().Kind.ShouldBe(DeviceEventKind.Warning);
        events.Single().Detail.ShouldContain("lease of 1 s");
        events.Single().Detail.ShouldContain("LASER OFF");
        await device.DisposeAsync().AsTask().WithinLimit();
        peer.ReceivedOf(TransmitterPeer.LaserOff).Count().ShouldBe(2);
    }

    [Fact]
    public async Task A_lapse_is_final_and_no_LASER_ON_follows_it()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);
        await using var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();

        peer.StatusPayload = TransmitterPeer.StatusOf(0, 8, 0);
        await peer.SendEventAsync(4, "not renewed for 1 s");
        await TestLimits.UntilAsync(() => !events.IsEmpty);

        for (var attempt = 0; attempt < 2; attempt++)
        {
            (await RenewalErrorAsync(lease)).State.ShouldBe(InterlockState.LeaseLapsed);
        }

        peer.ReceivedOf(TransmitterPeer.LaserOn).Count().ShouldBe(1);
        peer.ReceivedOf(TransmitterPeer.Renew).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(5, 8, InterlockState.LeaseLapsed)]
    [InlineData(5, 2, InterlockState.LoopOpen)]
    [InlineData(4, 0, InterlockState.LeaseLapsed)]
    [InlineData(6, 16, InterlockState.Fault)]
    public async Task A_refused_renewal_ends_the_lease_with_the_interlocks_that_the_instrument_names(ushort code, byte bits, InterlockState expected)
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        await using var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        peer.StatusPayload = TransmitterPeer.StatusOf(0, bits, 0);
        peer.Override = async message =>
        {
            if (message.Type == TransmitterPeer.Renew)
            {
                await peer.RefuseAsync(message, code, "dark");
            }

            return message.Type == TransmitterPeer.Renew;
        };

        (await RenewalErrorAsync(lease)).State.ShouldBe(expected);
        (await RenewalErrorAsync(lease)).State.ShouldBe(expected);

        peer.ReceivedOf(TransmitterPeer.Renew).Count().ShouldBe(1);
        peer.ReceivedOf(TransmitterPeer.LaserOn).Count().ShouldBe(1);
    }

    [Fact]
    public async Task An_open_interlock_forbids_light_and_is_named()
    {
        await using var peer = new TransmitterPeer { StatusPayload = TransmitterPeer.StatusOf(0, 3, 0) };
        await using var device = await OpenAsync(peer.Address);
        peer.Override = async message =>
        {
            if (message.Type == TransmitterPeer.LaserOn)
            {
                await peer.RefuseAsync(message, 5, "open");
            }

            return message.Type == TransmitterPeer.LaserOn;
        };
        var error = await Should.ThrowAsync<InterlockException>(async () => await device.StartEmissionAsync(TestLimits.Token).WithinLimit());
        error.State.ShouldBe(InterlockState.KeySwitchOff | InterlockState.LoopOpen);
        error.Message.ShouldContain(peer.Address.Text);

        peer.StatusPayload = TransmitterPeer.StatusOf(0, 0, 0);
        (await Should.ThrowAsync<DeviceRefusedException>(async () => await device.StartEmissionAsync(TestLimits.Token).WithinLimit()))
            .Message.ShouldContain("LASER ON");
    }

    [Fact]
    public async Task A_renewal_that_is_not_answered_may_be_tried_again()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "0.3"));
        await using var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        peer.Override = message => Task.FromResult(message.Type == TransmitterPeer.Renew);
        await Should.ThrowAsync<DeviceTimeoutException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());
        peer.Override = _ => Task.FromResult(false);
        await lease.RenewAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_device_disposed_of_switches_off_even_if_its_lease_is_still_held()
    {
        await using var peer = new TransmitterPeer();
        var device = await OpenAsync(peer.Address);
        var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        await device.DisposeAsync().AsTask().WithinLimit();
        peer.ReceivedOf(TransmitterPeer.LaserOff).Count().ShouldBe(1);
        await lease.DisposeAsync().AsTask().WithinLimit();
    }

    [Fact]
    public async Task A_lost_connection_ends_renewals_and_the_end_of_the_lease_is_quiet()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();
        peer.HangUp();
        await TestLimits.UntilAsync(() => device.IsBroken);
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());
        await lease.DisposeAsync().AsTask().WithinLimit();
    }

    private static Task<InterlockException> RenewalErrorAsync(IEmissionLease lease) =>
        Should.ThrowAsync<InterlockException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());
}
