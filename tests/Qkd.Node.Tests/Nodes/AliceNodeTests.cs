using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Node.Status;
using Qkd.Node.Tests.Devices;
using Qkd.Node.Tests.Support;
using Qkd.Transports;
using Shouldly;

namespace Qkd.Node.Tests.Nodes;

/// <summary>Alice's node with instruments that do nothing and a Bob who only greets.</summary>
public sealed class AliceNodeTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly NodeMonitor _monitor = Make.Monitor(TimeProvider.System);
    private readonly TestDriver _driver = new("maker.all", (IDevice)Substitute.For([typeof(ISinglePhotonSource), typeof(IPolarizationModulator), typeof(IAttenuator)], []));
    private readonly ProtocolOptions _protocol = new() { Intensities = [0.45, 0.15, 0.001], IntensityProbabilities = [0.5, 0.3125, 0.1875] };
    private readonly IPEndPoint _endpoint = new(IPAddress.Loopback, FreePort());
    private NodeKeys _bob = null!;
    private AliceNode _node = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Ending => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var layout = new BenchLayout(_folder.Path);
        BenchAuthority.Initialise(layout, new() { PreSharedBits = AuthenticationPool.MinimumPreSharedBits });
        ((ISinglePhotonSource)_driver.Device).SourceCapabilities.Returns(new SourceCapabilities
        {
            RepetitionRateHertz = 100e6,
            PhaseRandomised = true,
            OutputPhotonsPerPulse = _protocol.Intensities,
            LeaseDuration = TimeSpan.FromSeconds(1),
        });
        ((IPolarizationModulator)_driver.Device).ModulatorCapabilities.Returns(new ModulatorCapabilities
        {
            SymbolRateHertz = 100e6,
            IntensityCount = 3,
            Modes = [SymbolMode.Stream],
            BufferSlots = 1_000_000,
            MaximumMarkerDivisor = 1000,
        });
        _bob = Open(layout, LinkEnd.Bob, Make.Monitor(TimeProvider.System));
        var options = new BenchOptions
        {
            DataFolder = _folder.Path,
            Protocol = _protocol,
            Alice = new AliceOptions
            {
                Name = "Alice",
                Devices = new Dictionary<string, DeviceOptions> { ["all"] = new() { Driver = "maker.all", Address = "TCPIP0::10.0.0.5::5025::SOCKET" } },
                Roles = new() { Source = "all", Modulator = "all", Attenuator = "all" },
                Link = new() { Endpoint = _endpoint.ToString() },
                PreparationFrames = 2,
            },
        };
        var parts = new NodeParts
        {
            Options = options,
            Catalog = new DriverCatalog([_driver.Driver]),
            Book = new AddressBook(_folder.Path),
            Time = TimeProvider.System,
            Loggers = NullLoggerFactory.Instance,
        };
        _node = await AliceNode.CreateAsync(parts, _monitor, Open(layout, LinkEnd.Alice, _monitor), Ending);
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _running.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).WaitAsync(Patience, CancellationToken.None);
        await _node.DisposeAsync();
        await _bob.DisposeAsync();
        _ending.Dispose();
        _folder.Dispose();
    }

    /// <summary>Bob's old connection is dead without Alice having heard of it: she must not make him wait until she has.</summary>
    [Fact]
    public async Task A_new_session_of_the_same_peer_takes_the_place_of_one_that_he_has_lost()
    {
        Start();
        var first = Call();
        await Until(SessionState.Synchronising);
        first.IsCompleted.ShouldBeFalse();
        var welcomed = new TaskCompletionSource();
        var second = Call(welcomed);
        await first.WaitAsync(Patience, Ending);

        // Bob hears of the end before Alice's monitor does, whose state is the first session's until then.
        await Until(() => _monitor.Snapshot().Alarms.Count > 0);
        await welcomed.Task.WaitAsync(Patience, Ending);
        await Until(SessionState.Synchronising);
        second.IsCompleted.ShouldBeFalse();
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Detail.ShouldContain("connected anew");
    }

    [Fact]
    public async Task While_a_session_runs_strangers_at_the_door_do_not_disturb_it()
    {
        Start();
        var session = Call();
        await Until(SessionState.Synchronising);
        for (var i = 0; i < 3; i++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(_endpoint, Ending);
            await socket.SendAsync(new byte[] { 1, 2, 3 }, Ending);
        }

        await Task.Delay(300, Ending);
        session.IsCompleted.ShouldBeFalse();
        _monitor.Snapshot().State.ShouldBe(SessionState.Synchronising);
    }

    /// <summary>A greeting costs key: none is to be spent where nobody can make key with it.</summary>
    [Fact]
    public async Task Nobody_is_welcome_before_the_instruments_are_there()
    {
        var ready = new TaskCompletionSource();
        _driver.After = ready.Task;
        Start();
        await _driver.Asked.WaitAsync(Patience, Ending);
        var before = _bob.Authentication.DescribePositions();
        var welcomed = new TaskCompletionSource();
        var session = Call(welcomed);
        await Task.Delay(300, Ending);
        welcomed.Task.IsCompleted.ShouldBeFalse();
        _bob.Authentication.DescribePositions().ShouldBe(before);
        ready.SetResult();
        await welcomed.Task.WaitAsync(Patience, Ending);
        await Until(SessionState.Synchronising);
        session.IsCompleted.ShouldBeFalse();
    }

    private void Start() => _running = Task.Run(() => _node.RunAsync(_ending.Token));

    private Task Call(TaskCompletionSource? welcomed = null) => Caller.RunAsync(_endpoint, _bob, _protocol, _ending.Token, welcomed);

    private Task Until(SessionState state) => Until(() => _monitor.Snapshot().State == state);

    private async Task Until(Func<bool> condition)
    {
        for (var i = 0; !condition(); i++)
        {
            i.ShouldBeLessThan(3000, _monitor.Snapshot().StateDetail);
            await Task.Delay(10, Ending);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static NodeKeys Open(BenchLayout layout, LinkEnd end, NodeMonitor monitor) => NodeKeys.Open(
        layout.Node(end), end, new KeysOptions { KmeId = $"kme-{end}", PeerKmeId = "kme-other" }, true, monitor, TimeProvider.System, NullLoggerFactory.Instance);
}
