using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>
/// What every driver must do, shown against an emulated instrument at the wire. A driver's test derives from the contract of its
/// role, which derives from this, and says how to make the instrument and what it is.
/// </summary>
public abstract class DeviceContract : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _opened = [];
    private IEmulatedInstrument? _instrument;

    /// <summary>The driver under test.</summary>
    protected abstract IDeviceDriver Driver { get; }

    /// <summary>What the instrument must say it is; an empty field is not judged.</summary>
    protected abstract DeviceIdentity ExpectedIdentity { get; }

    /// <summary>Options that make the driver's time-outs short, so that the tests of silence are quick.</summary>
    protected virtual IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>
    {
        ["ConnectTimeoutSeconds"] = "2",
        ["TimeoutSeconds"] = "0.3",
    };

    /// <summary>The instrument at the other end of the wire.</summary>
    protected IEmulatedInstrument Instrument => _instrument!;

    /// <summary>Makes a fresh instrument, quick in its movements; it is started by the contract.</summary>
    protected abstract IEmulatedInstrument CreateInstrument();

    /// <summary>Starts something that answers on the same transport, but is not this instrument.</summary>
    protected abstract (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor();

    public async ValueTask InitializeAsync()
    {
        _instrument = CreateInstrument();
        await _instrument.StartAsync(TestLimits.Token).WithinLimit();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var opened in _opened)
        {
            await opened.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
        }

        await Instrument.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
    }

    [Fact]
    public async Task Implements_the_roles_that_its_driver_declares()
    {
        Driver.Id.ShouldBe(Instrument.DriverId);
        Driver.Description.ShouldNotBeNullOrWhiteSpace();
        Driver.Roles.ShouldNotBeEmpty();
        Driver.AddressExamples.ShouldAllBe(example => DeviceAddress.Parse(example).Kind != DeviceAddressKind.Simulated);
        var device = await OpenAsync();
        foreach (var role in Driver.Roles)
        {
            role.IsInstanceOfType(device).ShouldBeTrue(role.Name);
        }
    }

    [Fact]
    public async Task Says_what_it_is_and_where()
    {
        var device = await OpenAsync();
        device.Name.ShouldBe(DeviceName);
        device.Address.Text.ShouldBe(Instrument.Address);
        var (expected, identity) = (ExpectedIdentity, device.Identity);
        identity.Vendor.ShouldBe(expected.Vendor);
        identity.Model.ShouldBe(expected.Model);
        if (expected.SerialNumber.Length > 0)
        {
            identity.SerialNumber.ShouldBe(expected.SerialNumber);
        }

        if (expected.FirmwareVersion.Length > 0)
        {
            identity.FirmwareVersion.ShouldBe(expected.FirmwareVersion);
        }
    }

    [Fact]
    public async Task A_snapshot_holds_every_parameter_within_its_limits()
    {
        var device = await OpenAsync();
        var snapshot = await device.SnapshotAsync(TestLimits.Token).WithinLimit();

        snapshot.Device.ShouldBe(DeviceName);
        snapshot.Identity.ShouldBe(device.Identity);
        snapshot.Parameters.Select(entry => entry.Name).ShouldBe(device.Parameters.Select(parameter => parameter.Name));
        snapshot.Parameters.Select(entry => entry.Name).ShouldBeUnique();
        foreach (var (entry, parameter) in snapshot.Parameters.Zip(device.Parameters))
        {
            entry.Name.ShouldMatch("^[a-z][a-z0-9]*(_[a-z0-9]+)*$");
            entry.Unit.ShouldBe(parameter.Unit);
            (entry.Minimum, entry.Maximum).ShouldBe((parameter.Minimum, parameter.Maximum));
            entry.Value.ShouldNotBeNull(entry.Name);
            (entry.Value is double or long or bool or string).ShouldBeTrue(entry.Name);
            parameter.Last.ShouldNotBeNull(entry.Name);
            if (entry.Value is double or long)
            {
                var value = Convert.ToDouble(entry.Value, System.Globalization.CultureInfo.InvariantCulture);
                value.ShouldBeInRange(entry.Minimum ?? double.MinValue, entry.Maximum ?? double.MaxValue, entry.Name);
            }
        }
    }

    [Fact]
    public async Task A_parameter_outside_its_limits_is_refused_and_stays_as_it_was()
    {
        var device = await OpenAsync();
        foreach (var parameter in device.Parameters.Where(parameter => parameter.CanSet && (parameter.Minimum ?? parameter.Maximum) is not null))
        {
            var before = (await parameter.GetAsync(TestLimits.Token).WithinLimit()).Value;
            foreach (var outside in new[] { parameter.Minimum - 1, parameter.Maximum + 1, double.NaN })
            {
                if (outside is { } value && before is double)
                {
                    var error = await Should.ThrowAsync<SettingOutOfRangeException>(
                        async () => await parameter.SetAsync(value, TestLimits.Token).WithinLimit(), parameter.Name);
                    error.Device.ShouldBe(DeviceName);
                }
            }

            (await parameter.GetAsync(TestLimits.Token).WithinLimit()).Value.ShouldBe(before, parameter.Name);
        }
    }

    [Fact]
    public async Task A_parameter_that_can_only_be_read_says_so()
    {
        var device = await OpenAsync();
        foreach (var parameter in device.Parameters.Where(parameter => !parameter.CanSet))
        {
            var value = (await parameter.GetAsync(TestLimits.Token).WithinLimit()).Value;
            await Should.ThrowAsync<NotSupportedException>(
                async () => await parameter.SetAsync(value, TestLimits.Token).WithinLimit(), parameter.Name);
        }
    }

    [Fact]
    public async Task Disposing_ends_it_once_and_for_all_and_it_can_be_opened_again()
    {
        var device = await OpenAsync();
        var ended = new Ending();
        using var subscription = device.Events.Subscribe(ended);

        await device.DisposeAsync().AsTask().WithinLimit();
        await device.DisposeAsync().AsTask().WithinLimit();

        ended.Completed.ShouldBeTrue();
        await Should.ThrowAsync<ObjectDisposedException>(async () => await device.SnapshotAsync(TestLimits.Token).WithinLimit());
        var again = await OpenAsync();
        await again.SnapshotAsync(TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_silent_instrument_ends_a_call_with_a_time_out_that_names_it_and_is_heard_again_when_it_speaks()
    {
        var device = await OpenAsync();
        Instrument.Inject(InstrumentFault.Silent);
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await device.SnapshotAsync(TestLimits.Token).WithinLimit());
        error.Device.ShouldBe(DeviceName);
        error.Address.ShouldBe(Instrument.Address);
        error.Message.ShouldMatch(@"within [0-9.]+ s$");

        Instrument.Inject(InstrumentFault.None);
        await EventuallyAsync(device);
    }

    [Fact]
    public async Task A_silent_instrument_cannot_be_opened_and_that_is_said()
    {
        Instrument.Inject(InstrumentFault.Silent);
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await OpenAsync());
        error.Device.ShouldBe(DeviceName);
        error.Address.ShouldBe(Instrument.Address);
    }

    [Fact]
    public async Task Opening_can_be_cancelled()
    {
        Instrument.Inject(InstrumentFault.Silent);
        using var impatient = new CancellationTokenSource();
        var opening = Driver.OpenAsync(Request(Instrument), impatient.Token).AsTask();
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await opening.WithinLimit());
    }

    [Theory]
    [InlineData(InstrumentFault.Garbage)]
    [InlineData(InstrumentFault.HalfAnswer)]
    public async Task Nonsense_from_the_instrument_is_an_error_that_names_it_and_never_a_value(InstrumentFault fault)
    {
        var device = await OpenAsync();
        Instrument.Inject(fault);
        var error = await Should.ThrowAsync<DeviceException>(async () => await device.SnapshotAsync(TestLimits.Token).WithinLimit());
        (error is DeviceProtocolException or DeviceTimeoutException or DeviceDisconnectedException).ShouldBeTrue(error.ToString());
        error.Device.ShouldBe(DeviceName);
    }

    [Fact]
    public async Task A_pulled_cable_is_told_and_ends_every_call_and_the_instrument_can_be_opened_again()
    {
        var device = await OpenAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);

        Instrument.Inject(InstrumentFault.Disconnect);

        // A device that does not listen all the time notices when it is used.
        await TestLimits.UntilAsync(async () =>
        {
            await TrySnapshotAsync(device);
            return events.Any(happened => happened.Kind == DeviceEventKind.Disconnected);
        });
        events.Count(happened => happened.Kind == DeviceEventKind.Disconnected).ShouldBe(1);
        var error = await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await device.SnapshotAsync(TestLimits.Token).WithinLimit());
        error.Device.ShouldBe(DeviceName);

        await device.DisposeAsync().AsTask().WithinLimit();
        Instrument.Inject(InstrumentFault.None);
        var again = await OpenAsync();
        await EventuallyAsync(again);
    }

    [Fact]
    public async Task Another_instrument_at_the_address_is_told_from_this_one()
    {
        var (address, peer) = StartImpostor();
        await using var ended = peer;
        var error = await Should.ThrowAsync<WrongDeviceException>(
            async () => await Driver.OpenAsync(Request(Instrument) with { Address = address }, TestLimits.Token).WithinLimit());
        error.Device.ShouldBe(DeviceName);
        error.Address.ShouldBe(address.Text);
    }

    [Fact]
    public async Task Nobody_at_the_address_is_an_error_that_names_it()
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        var address = DeviceAddress.ForTcp("127.0.0.1", port);
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await Driver.OpenAsync(Request(Instrument) with { Address = address }, TestLimits.Token).WithinLimit());
        error.Device.ShouldBe(DeviceName);
        error.Message.ShouldContain(address.Text);
        error.Message.ShouldContain("connect");
    }

    [Fact]
    public async Task An_option_that_it_does_not_know_is_refused_by_name()
    {
        var request = Request(Instrument);
        var options = new Dictionary<string, string>(request.Options) { ["NoSuchOption"] = "1" };
        var error = await Should.ThrowAsync<FormatException>(
            async () => await Driver.OpenAsync(request with { Options = options }, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain(DeviceName);
        error.Message.ShouldContain("NoSuchOption");
    }

    [Fact]
    public async Task The_wire_is_recorded_both_ways()
    {
        var transcript = new CountingTranscript();
        var device = await OpenAsync(transcript);
        await device.SnapshotAsync(TestLimits.Token).WithinLimit();
        transcript.Sent.ShouldBePositive();
        transcript.Received.ShouldBePositive();
    }

    /// <summary>Opens the device at the instrument; it is disposed of with the test.</summary>
    protected async Task<IDevice> OpenAsync(IWireTranscript? transcript = null)
    {
        var device = await Driver.OpenAsync(Request(Instrument) with { Transcript = transcript }, TestLimits.Token).WithinLimit();
        _opened.Add(device);
        return device;
    }

    /// <summary>Waits until the device answers again; answers from before may have to pass first.</summary>
    protected static Task EventuallyAsync(IDevice device) => TestLimits.UntilAsync(() => TrySnapshotAsync(device));

    private const string DeviceName = "under test";

    private static async Task<bool> TrySnapshotAsync(IDevice device)
    {
        try
        {
            await device.SnapshotAsync(TestLimits.Token).WithinLimit();
            return true;
        }
        catch (DeviceException)
        {
            return false;
        }
    }

    private DeviceOpenRequest Request(IEmulatedInstrument instrument)
    {
        var options = new Dictionary<string, string>(Options, StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in instrument.Options)
        {
            options.TryAdd(key, value);
        }

        foreach (var (key, value) in instrument.Endpoints)
        {
            options.TryAdd($"Endpoints:{key}", value);
        }

        return new() { Name = DeviceName, Address = DeviceAddress.Parse(instrument.Address), Options = options };
    }

    private sealed class Ending : IObserver<DeviceEvent>
    {
        public bool Completed { get; private set; }

        public void OnCompleted() => Completed = true;

        public void OnError(Exception error)
        {
        }

        public void OnNext(DeviceEvent value)
        {
        }
    }

    private sealed class CountingTranscript : IWireTranscript
    {
        private long _sent;
        private long _received;

        public long Sent => Interlocked.Read(ref _sent);

        public long Received => Interlocked.Read(ref _received);

        public void Record(string channel, bool sent, ReadOnlySpan<byte> data) =>
            Interlocked.Add(ref sent ? ref _sent : ref _received, data.Length);
    }
}
