using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>What every driver of a light source must do: light only under a lease, and never again by itself once it went out.</summary>
public abstract class SinglePhotonSourceContract : DeviceContract
{
    /// <summary>Whether light leaves the instrument now.</summary>
    protected abstract bool TrueLight { get; }

    /// <summary>The interlocks that the test can open.</summary>
    protected virtual IReadOnlyList<InterlockState> Interlocks { get; } =
        [InterlockState.KeySwitchOff, InterlockState.LoopOpen, InterlockState.TemperatureOutOfRange];

    /// <summary>Opens or closes one of <see cref="Interlocks"/> at the instrument.</summary>
    protected abstract void SetInterlock(InterlockState interlock, bool open);

    /// <summary>Gives the instrument a fault that puts the light out, or mends it with an empty text.</summary>
    protected abstract void SetFault(string text);

    /// <summary>Lets the instrument's time pass, in which leases lapse.</summary>
    protected abstract void PassTime(TimeSpan time);

    /// <summary>What it takes beyond a lease for light to leave: a modulator may have to be set going. By default nothing.</summary>
    protected virtual Task BeginPulsesAsync(ISinglePhotonSource source) => Task.CompletedTask;

    [Fact]
    public async Task Opening_lights_nothing()
    {
        var source = await OpenSourceAsync();
        TrueLight.ShouldBeFalse();
        var status = await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit();
        (status.Emitting, status.Interlock, status.Fault).ShouldBe((false, InterlockState.Closed, ""));
    }

    [Fact]
    public async Task States_source_capabilities_that_make_sense()
    {
        var capabilities = (await OpenSourceAsync()).SourceCapabilities;
        capabilities.RepetitionRateHertz.ShouldBePositive();
        capabilities.LeaseDuration.ShouldBeInRange(TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(1));
        capabilities.OutputPhotonsPerPulse.Count.ShouldBeInRange(1, 4);
        capabilities.OutputPhotonsPerPulse.ShouldAllBe(mean => mean >= 0 && double.IsFinite(mean));
        capabilities.OutputPhotonsPerPulse.ShouldBe(capabilities.OutputPhotonsPerPulse.OrderDescending());
    }

    [Fact]
    public async Task Light_is_on_under_a_lease_and_off_when_the_lease_is_disposed_of()
    {
        var source = await OpenSourceAsync();
        for (var round = 0; round < 2; round++)
        {
            await using (await LightAsync(source))
            {
                (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeTrue();
            }

            TrueLight.ShouldBeFalse();
            (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        }
    }

    [Fact]
    public async Task A_lease_that_is_renewed_holds_the_light_on()
    {
        var source = await OpenSourceAsync();
        await using var lease = await LightAsync(source);
        for (var renewal = 0; renewal < 8; renewal++)
        {
            PassTime(source.SourceCapabilities.LeaseDuration * 0.75);
            TrueLight.ShouldBeTrue();
            await lease.RenewAsync(TestLimits.Token).WithinLimit();
        }
    }

    [Fact]
    public async Task A_lease_that_is_not_renewed_lapses_and_only_a_new_one_brings_the_light_back()
    {
        var source = await OpenSourceAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = source.Events.Subscribe(events.Enqueue);
        await using var lease = await LightAsync(source);

        PassTime(source.SourceCapabilities.LeaseDuration * 1.01);

        TrueLight.ShouldBeFalse();
        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Interlock));
        var status = await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit();
        (status.Emitting, status.Interlock).ShouldBe((false, InterlockState.LeaseLapsed));
        for (var attempt = 0; attempt < 2; attempt++)
        {
            (await RenewalErrorAsync(lease)).State.ShouldBe(InterlockState.LeaseLapsed);
            TrueLight.ShouldBeFalse();
        }

        await using var next = await LightAsync(source);
        await RenewalErrorAsync(lease);
        await lease.DisposeAsync();
        TrueLight.ShouldBeTrue("the end of an old lease is not that of a new one");
        await next.RenewAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task An_open_interlock_puts_the_light_out_is_told_by_name_and_forbids_light_until_closed()
    {
        var source = await OpenSourceAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = source.Events.Subscribe(events.Enqueue);
        foreach (var interlock in Interlocks)
        {
            await using var lease = await LightAsync(source);
            events.Clear();

            SetInterlock(interlock, open: true);

            TrueLight.ShouldBeFalse();
            await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Interlock));
            (await RenewalErrorAsync(lease)).State.ShouldBe(interlock);
            var status = await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit();
            (status.Emitting, status.Interlock).ShouldBe((false, interlock));
            var refusal = await Should.ThrowAsync<InterlockException>(
                async () => await source.StartEmissionAsync(TestLimits.Token).WithinLimit());
            refusal.State.ShouldBe(interlock);
            refusal.Device.ShouldBe(source.Name);

            SetInterlock(interlock, open: false);

            await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Healthy));
            (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Interlock.ShouldBe(InterlockState.Closed);
            await RenewalErrorAsync(lease);
            TrueLight.ShouldBeFalse();
            (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        }
    }

    [Fact]
    public async Task A_fault_puts_the_light_out_and_is_told_in_the_instruments_words()
    {
        var source = await OpenSourceAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = source.Events.Subscribe(events.Enqueue);
        await using var lease = await LightAsync(source);

        SetFault("diode worn out");

        TrueLight.ShouldBeFalse();
        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Fault));
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Fault && happened.Detail.Contains("diode worn out"));
        (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Fault.ShouldBe("diode worn out");
        await RenewalErrorAsync(lease);
        await Should.ThrowAsync<DeviceException>(async () => await source.StartEmissionAsync(TestLimits.Token).WithinLimit());

        SetFault("");

        await TestLimits.UntilAsync(() => events.Any(happened => happened.Kind == DeviceEventKind.Healthy));
        (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        await using var next = await LightAsync(source);
    }

    [Fact]
    public async Task A_device_disposed_of_leaves_the_light_off_whoever_holds_a_lease()
    {
        var source = await OpenSourceAsync();
        var lease = await LightAsync(source);

        await source.DisposeAsync().AsTask().WithinLimit();

        TrueLight.ShouldBeFalse();
        await Should.ThrowAsync<ObjectDisposedException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<ObjectDisposedException>(async () => await source.StartEmissionAsync(TestLimits.Token).WithinLimit());
        await lease.DisposeAsync().AsTask().WithinLimit();
        (await (await OpenSourceAsync()).GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
    }

    [Fact]
    public async Task A_lease_disposed_of_cannot_be_renewed_and_is_disposed_of_only_once()
    {
        var source = await OpenSourceAsync();
        var lease = await LightAsync(source);
        await lease.DisposeAsync().AsTask().WithinLimit();
        await Should.ThrowAsync<ObjectDisposedException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());

        await using var next = await LightAsync(source);
        await lease.DisposeAsync().AsTask().WithinLimit();
        TrueLight.ShouldBeTrue();
    }

    [Fact]
    public async Task A_pulled_cable_ends_the_lease_and_opening_again_lights_nothing()
    {
        var source = await OpenSourceAsync();
        var lease = await LightAsync(source);

        Instrument.Inject(InstrumentFault.Disconnect);
        PassTime(source.SourceCapabilities.LeaseDuration * 1.01);

        await TestLimits.UntilAsync(() => !TrueLight);
        await Should.ThrowAsync<DeviceDisconnectedException>(async () =>
        {
            // Whoever does not listen all the time notices when it is used.
            await lease.RenewAsync(TestLimits.Token).WithinLimit();
            await lease.RenewAsync(TestLimits.Token).WithinLimit();
        });
        await lease.DisposeAsync().AsTask().WithinLimit();
        await source.DisposeAsync().AsTask().WithinLimit();
        Instrument.Inject(InstrumentFault.None);
        var again = await OpenSourceAsync();
        (await again.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        TrueLight.ShouldBeFalse();
    }

    [Fact]
    public async Task A_silent_instrument_is_no_reason_to_hang_in_the_end_of_a_lease()
    {
        var source = await OpenSourceAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = source.Events.Subscribe(events.Enqueue);
        var lease = await LightAsync(source);

        Instrument.Inject(InstrumentFault.Silent);

        await Should.ThrowAsync<DeviceTimeoutException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());
        await lease.DisposeAsync().AsTask().WithinLimit();
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Warning);
        PassTime(source.SourceCapabilities.LeaseDuration * 1.01);
        TrueLight.ShouldBeFalse();
    }

    [Fact]
    public async Task A_start_that_nobody_waits_for_leaves_no_light_without_a_lease()
    {
        var source = await OpenSourceAsync();
        using var impatient = new CancellationTokenSource();
        var starting = source.StartEmissionAsync(impatient.Token);
        await impatient.CancelAsync();
        try
        {
            await (await starting.WithinLimit()).DisposeAsync();
        }
        catch (OperationCanceledException)
        {
            // Unless it was quicker.
        }

        (await source.GetSourceStatusAsync(TestLimits.Token).WithinLimit()).Emitting.ShouldBeFalse();
        await using var lease = await LightAsync(source);
    }

    private static Task<InterlockException> RenewalErrorAsync(IEmissionLease lease) =>
        Should.ThrowAsync<InterlockException>(async () => await lease.RenewAsync(TestLimits.Token).WithinLimit());

    private async Task<ISinglePhotonSource> OpenSourceAsync() => (ISinglePhotonSource)await OpenAsync();

    private async Task<IEmissionLease> LightAsync(ISinglePhotonSource source)
    {
        var lease = await source.StartEmissionAsync(TestLimits.Token).WithinLimit();
        await BeginPulsesAsync(source).WithinLimit();
        TrueLight.ShouldBeTrue();
        return lease;
    }
}
