using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using NSubstitute.ExceptionExtensions;
using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Qkd.Transports;
using Shouldly;

namespace Qkd.Node.Tests.Devices;

public sealed class DeviceSetTests : IDisposable
{
    private const string Address = "TCPIP0::10.0.0.5::5025::SOCKET";

    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();
    private readonly NodeMonitor _monitor;
    private readonly DeviceEventSource _taggerEvents = new();
    private readonly ITimeTagger _tagger = Substitute.For<ITimeTagger>();
    private readonly IPolarizationController _paddles = Substitute.For<IPolarizationController>();
    private readonly IDeviceDriver _taggerDriver;
    private readonly IDeviceDriver _paddlesDriver;
    private readonly DriverCatalog _catalog;

    public DeviceSetTests()
    {
        _monitor = Make.Monitor(_time);
        _taggerDriver = Driver("maker.tagger", _tagger, "T100");
        _paddlesDriver = Driver("maker.paddles", _paddles, "P3");
        _tagger.Events.Returns(_taggerEvents);
        _paddles.Events.Returns(new DeviceEventSource());
        _catalog = new DriverCatalog([_taggerDriver, _paddlesDriver]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Each_instrument_is_opened_by_its_driver_with_its_name_address_and_options()
    {
        var requests = new List<DeviceOpenRequest>();
        await _taggerDriver.OpenAsync(Arg.Do<DeviceOpenRequest>(requests.Add), Arg.Any<CancellationToken>());
        requests.Clear();
        await using var set = await OpenAsync(
            ("tagger", new() { Driver = "Maker.Tagger", Address = Address, Options = new Dictionary<string, string> { ["SerialNumber"] = "7" } }),
            ("paddles", Device("maker.paddles")));
        var request = requests.ShouldHaveSingleItem();
        request.Name.ShouldBe("tagger");
        request.Address.Text.ShouldBe(Address);
        request.Options["SerialNumber"].ShouldBe("7");
        request.Time.ShouldBe(_time);
        set.Devices.ShouldBe([_tagger, _paddles]);
    }

    [Fact]
    public async Task Roles_are_played_by_the_device_that_is_named()
    {
        await using var set = await OpenAsync(("tagger", Device("maker.tagger")), ("paddles", Device("maker.paddles")));
        set.Role<ITimeTagger>("Tagger", "TAGGER").ShouldBe(_tagger);
        set.Role<IPolarizationController>("Polarization", "paddles").ShouldBe(_paddles);
    }

    [Fact]
    public async Task A_role_that_nobody_plays_names_its_setting_and_who_there_is()
    {
        await using var set = await OpenAsync(("tagger", Device("maker.tagger")), ("paddles", Device("maker.paddles")));
        var error = Should.Throw<ConfigurationException>(() => set.Role<ITimeTagger>("Tagger", "tager"));
        error.Path.ShouldBe("Bench:Bob:Roles:Tagger");
        error.Message.ShouldContain("'tager'");
        error.Message.ShouldContain("tagger, paddles");
    }

    [Fact]
    public async Task A_device_in_a_role_that_it_cannot_play_is_named_with_its_model()
    {
        await using var set = await OpenAsync(("tagger", Device("maker.tagger")), ("paddles", Device("maker.paddles")));
        var error = Should.Throw<ConfigurationException>(() => set.Role<ITimeTagger>("Tagger", "paddles"));
        error.Path.ShouldBe("Bench:Bob:Roles:Tagger");
        error.Message.ShouldContain("'paddles' (P3) is no TimeTagger");
    }

    [Fact]
    public async Task An_unknown_driver_names_the_device_and_the_drivers_that_there_are()
    {
        var error = await OpenAsync(("tagger", Device("maker.taggr"))).ShouldThrowAsync<ConfigurationException>();
        error.Path.ShouldBe("Bench:Bob:Devices:tagger:Driver");
        error.Message.ShouldContain("'maker.taggr'");
        error.Message.ShouldContain("maker.paddles, maker.tagger");
    }

    [Fact]
    public async Task An_address_of_no_known_form_names_the_device_and_an_example()
    {
        _taggerDriver.AddressExamples.Returns(["TCPIP0::host::5555::SOCKET"]);
        var error = await OpenAsync(("tagger", Device("maker.tagger", "somewhere"))).ShouldThrowAsync<ConfigurationException>();
        error.Path.ShouldBe("Bench:Bob:Devices:tagger:Address");
        error.Message.ShouldContain("'somewhere'");
        error.Message.ShouldContain("TCPIP0::host::5555::SOCKET");
    }

    [Fact]
    public async Task An_option_that_the_driver_refuses_names_the_device()
    {
        _taggerDriver.OpenAsync(default!, TestContext.Current.CancellationToken).ThrowsForAnyArgs(new FormatException("unknown option 'SerialNumbr'"));
        var error = await OpenAsync(("tagger", Device("maker.tagger"))).ShouldThrowAsync<ConfigurationException>();
        error.Path.ShouldBe("Bench:Bob:Devices:tagger");
        error.Message.ShouldContain("SerialNumbr");
    }

    [Fact]
    public async Task Two_names_that_differ_in_case_alone_are_refused_before_anything_is_opened()
    {
        var error = await OpenAsync(("tagger", Device("maker.tagger")), ("Tagger", Device("maker.tagger"))).ShouldThrowAsync<ConfigurationException>();
        error.Path.ShouldStartWith("Bench:Bob:Devices:");
        error.Message.ShouldContain("tagger", Case.Insensitive);
        await _taggerDriver.DidNotReceiveWithAnyArgs().OpenAsync(default!, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task One_instrument_that_fails_closes_the_others_again()
    {
        _taggerDriver.OpenAsync(default!, TestContext.Current.CancellationToken).ThrowsForAnyArgs(new DeviceDisconnectedException("tagger", Address, "refused"));
        var error = await OpenAsync(("paddles", Device("maker.paddles")), ("tagger", Device("maker.tagger"))).ShouldThrowAsync<DeviceDisconnectedException>();
        error.Device.ShouldBe("tagger");
        error.Message.ShouldContain(Address);
        await _paddles.Received(1).DisposeAsync();
        _monitor.Snapshot().Devices.ShouldBeEmpty();
    }

    [Fact]
    public async Task Closing_reaches_every_instrument_even_if_one_fails()
    {
        var set = await OpenAsync(("tagger", Device("maker.tagger")), ("paddles", Device("maker.paddles")));
        _tagger.DisposeAsync().Throws(new InvalidOperationException("a driver at fault"));
        await set.DisposeAsync().AsTask().ShouldThrowAsync<InvalidOperationException>();
        await _paddles.Received(1).DisposeAsync();
    }

    [Fact]
    public async Task What_an_instrument_reports_is_its_health_until_the_set_is_closed()
    {
        var set = await OpenAsync(("tagger", Device("maker.tagger")));
        var health = _monitor.Snapshot().Devices.ShouldHaveSingleItem();
        health.Name.ShouldBe("tagger");
        health.Driver.ShouldBe("maker.tagger");
        health.Address.ShouldBe(Address);
        health.Identity!.Model.ShouldBe("T100");
        health.Kind.ShouldBe(DeviceEventKind.Healthy);

        _taggerEvents.Publish(new("tagger", DeviceEventKind.Overload, "too many tags", _time.GetUtcNow()));
        _monitor.Snapshot().Devices.ShouldHaveSingleItem().Kind.ShouldBe(DeviceEventKind.Overload);
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Kind.ShouldBe(AlarmKind.Device);

        await set.DisposeAsync();
        _taggerEvents.Publish(new("tagger", DeviceEventKind.Fault, "after the end", _time.GetUtcNow()));
        _monitor.Snapshot().Devices.ShouldHaveSingleItem().Detail.ShouldBe("too many tags");
    }

    [Fact]
    public async Task The_wire_is_recorded_where_the_setting_says_so()
    {
        var file = _folder["wire/tagger.txt"];
        IWireTranscript? transcript = null;
        _taggerDriver.OpenAsync(default!, TestContext.Current.CancellationToken).ReturnsForAnyArgs(call =>
        {
            transcript = call.Arg<DeviceOpenRequest>().Transcript;
            return new ValueTask<IDevice>(_tagger);
        });
        await using (await OpenAsync(("tagger", Device("maker.tagger") with { Transcript = file })))
        {
            transcript.ShouldNotBeNull().Record("control", true, "*IDN?\n"u8);
        }

        File.ReadAllText(file).ShouldContain("2A 49 44 4E 3F 0A");
    }

    [Fact]
    public async Task An_emulated_instrument_that_is_not_served_is_waited_for_and_then_named()
    {
        var opening = OpenAsync(("tagger", Device("maker.tagger", "sim:tagger")));
        for (var second = 0; second < 61 && !opening.IsCompleted; second++)
        {
            // The clock goes on only when someone waits for it.
            while (_time.Waiting == 0 && !opening.IsCompleted)
            {
                await Task.Yield();
            }

            _time.Advance(1);
        }

        var error = await opening.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken).ShouldThrowAsync<DeviceTimeoutException>();
        error.Device.ShouldBe("tagger");
        error.Message.ShouldContain("sim:tagger");
        await _taggerDriver.DidNotReceiveWithAnyArgs().OpenAsync(default!, TestContext.Current.CancellationToken);
    }

    private static DeviceOptions Device(string driver, string address = Address) => new() { Driver = driver, Address = address };

    private async Task<DeviceSet> OpenAsync(params (string Name, DeviceOptions Options)[] devices) => await DeviceSet.OpenAsync(
        "Bob",
        "Bench:Bob",
        devices.ToDictionary(device => device.Name, device => device.Options),
        _catalog,
        new AddressBook(_folder.Path, _time),
        _monitor,
        _time,
        NullLogger.Instance,
        TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

    private static IDeviceDriver Driver(string id, IDevice device, string model)
    {
        device.Identity.Returns(new DeviceIdentity("Maker", model, "1", ""));
        device.Address.Returns(DeviceAddress.Parse(Address));
        var driver = Substitute.For<IDeviceDriver>();
        driver.Id.Returns(id);
        driver.OpenAsync(default!, TestContext.Current.CancellationToken).ReturnsForAnyArgs(_ => new ValueTask<IDevice>(device));
        return driver;
    }
}
