using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using Qkd.Devices;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Qkd.Transports;
using Shouldly;

namespace Qkd.Node.Tests.Devices;

/// <summary>Three instruments are opened side by side; whatever becomes of one, no other is left open.</summary>
public sealed class DeviceSetClosingTests : IDisposable
{
    private const string Address = "TCPIP0::127.0.0.1::5025::SOCKET";

    private readonly ManualTime _time = new();
    private readonly TemporaryFolder _folder = new();
    private readonly NodeMonitor _monitor;
    private readonly TestDriver _tagger = new("vendor.tagger", Substitute.For<ITimeTagger>());
    private readonly TestDriver _detectors = new("vendor.detectors", Substitute.For<ISinglePhotonDetector>());
    private readonly TestDriver _paddles = new("vendor.paddles", Substitute.For<IPolarizationController>());
    private readonly Dictionary<string, DeviceOptions> _options;

    public DeviceSetClosingTests()
    {
        _monitor = Make.Monitor(_time);
        _options = new()
        {
            ["tagger"] = new() { Driver = "vendor.tagger", Address = Address },
            ["detectors"] = new() { Driver = "vendor.detectors", Address = Address },
            ["paddles"] = new() { Driver = "vendor.paddles", Address = Address },
        };
    }

    private TestDriver[] Drivers => [_tagger, _detectors, _paddles];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task They_are_opened_side_by_side()
    {
        // One after the other, in whatever order, could never end.
        _tagger.After = _paddles.Asked;
        _paddles.After = _detectors.Asked;
        _detectors.After = _tagger.Asked;
        await using var set = await OpenAsync();
        set.Devices.ShouldBe(Drivers.Select(driver => driver.Device));
        Drivers.ShouldAllBe(driver => driver.Disposed == 0);
    }

    [Fact]
    public async Task When_one_fails_those_that_opened_before_it_and_after_it_are_closed()
    {
        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _detectors.OpenProblem = new DeviceTimeoutException("detectors", Address, "*IDN?", TimeSpan.FromSeconds(1));
        _detectors.After = _tagger.Opened;
        _paddles.After = last.Task;
        var opening = OpenAsync();
        await _tagger.Opened.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        opening.IsCompleted.ShouldBeFalse();

        last.SetResult();
        var problem = await opening.ShouldThrowAsync<DeviceTimeoutException>();
        problem.Device.ShouldBe("detectors");
        problem.Message.ShouldStartWith($"detectors ({Address})");
        ShouldBeClosed(_tagger, _paddles);
        _detectors.Disposed.ShouldBe(0);
        _monitor.Snapshot().Devices.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_setting_at_fault_closes_the_others_too()
    {
        _options["paddles"] = _options["paddles"] with { Driver = "vendor.paddle" };
        (await OpenAsync().ShouldThrowAsync<ConfigurationException>()).Message.ShouldContain("vendor.detectors, vendor.paddles, vendor.tagger");
        ShouldBeClosed(_tagger, _detectors);
        _paddles.Asked.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task A_transcript_that_cannot_be_written_is_refused_with_the_settings_path()
    {
        await File.WriteAllTextAsync(_folder["file"], "", TestContext.Current.CancellationToken);
        _options["paddles"] = _options["paddles"] with { Transcript = _folder["file/wire.txt"] };
        var problem = await OpenAsync().ShouldThrowAsync<ConfigurationException>();
        problem.Path.ShouldBe("Bench:Bob:Devices:paddles:Transcript");
        problem.Message.ShouldContain(_folder["file/wire.txt"]);
        ShouldBeClosed(_tagger, _detectors);
    }

    [Fact]
    public async Task One_that_cannot_be_closed_hides_neither_the_failure_nor_the_others()
    {
        _paddles.OpenProblem = new DeviceException("paddles", Address, "silent");
        _tagger.DisposeProblem = new DeviceException("tagger", Address, "cannot be closed");
        (await OpenAsync().ShouldThrowAsync<DeviceException>()).Device.ShouldBe("paddles");
        ShouldBeClosed(_tagger, _detectors);
    }

    [Fact]
    public async Task Cancelled_while_opening_it_closes_what_is_open()
    {
        using var stop = new CancellationTokenSource();
        _paddles.After = new TaskCompletionSource().Task;
        var opening = OpenUntilAsync(stop.Token);
        await Task.WhenAll(_tagger.Opened, _detectors.Opened).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await opening.ShouldThrowAsync<OperationCanceledException>();
        ShouldBeClosed(_tagger, _detectors);
    }

    [Fact]
    public async Task Of_several_that_cannot_be_closed_the_first_is_reported()
    {
        var set = await OpenAsync();
        _tagger.DisposeProblem = new DeviceException("tagger", Address, "input may be on");
        _detectors.DisposeProblem = new DeviceException("detectors", Address, "bias may be on");
        (await set.DisposeAsync().AsTask().ShouldThrowAsync<DeviceException>()).Device.ShouldBe("tagger");
        ShouldBeClosed(Drivers);
    }

    [Fact]
    public async Task A_transcript_ends_with_its_device()
    {
        _options["tagger"] = _options["tagger"] with { Transcript = _folder["wire.txt"] };
        await (await OpenAsync()).DisposeAsync();
        var before = await File.ReadAllTextAsync(_folder["wire.txt"], TestContext.Current.CancellationToken);
        _tagger.Request!.Transcript!.Record("control", true, "late"u8);
        (await File.ReadAllTextAsync(_folder["wire.txt"], TestContext.Current.CancellationToken)).ShouldBe(before);
    }

    [Fact]
    public async Task An_emulated_instrument_is_looked_up_before_its_driver_is_asked()
    {
        WriteBook("vendor.tagger");
        _options["tagger"] = _options["tagger"] with { Address = "sim:counter" };
        await using var set = await OpenAsync();
        _tagger.Request!.Address.Text.ShouldBe("TCPIP0::127.0.0.1::4001::SOCKET");
        _tagger.Request.Options["Endpoints:Stream"].ShouldBe("TCPIP0::127.0.0.1::4002::SOCKET");
    }

    [Fact]
    public async Task An_emulated_instrument_for_another_driver_is_the_wrong_device()
    {
        WriteBook("vendor.other");
        _options["tagger"] = _options["tagger"] with { Address = "sim:counter" };
        (await OpenAsync().ShouldThrowAsync<WrongDeviceException>()).Device.ShouldBe("tagger");
        ShouldBeClosed(_detectors, _paddles);
    }

    private static void ShouldBeClosed(params TestDriver[] drivers) => drivers.ShouldAllBe(driver => driver.Disposed == 1);

    private void WriteBook(string driver) => File.WriteAllText(
        _folder["instruments.json"],
        $$"""
        {
          "instruments": {
            "counter": {
              "driver": "{{driver}}",
              "address": "TCPIP0::127.0.0.1::4001::SOCKET",
              "endpoints": { "Stream": "TCPIP0::127.0.0.1::4002::SOCKET" }
            }
          }
        }
        """);

    private Task<DeviceSet> OpenAsync() => OpenUntilAsync(TestContext.Current.CancellationToken);

    private Task<DeviceSet> OpenUntilAsync(CancellationToken cancellationToken) =>
        DeviceSet.OpenAsync(
                "Bob", "Bench:Bob", _options, new DriverCatalog(Drivers.Select(driver => driver.Driver)), new AddressBook(_folder.Path, _time),
                _monitor, _time, NullLogger.Instance, cancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
}
