using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Node.Keys;
using Qkd.Node.Status;
using Qkd.Transports;

namespace Qkd.Node.Nodes;

/// <summary>
/// Runs the nodes that the configuration names, as part of a host. A setting that makes running impossible ends the host; everything else
/// the nodes recover from by themselves.
/// </summary>
public sealed class NodesService : BackgroundService, IAsyncDisposable
{
    private readonly BenchOptions _options;
    private readonly DriverCatalog _catalog;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly List<INode> _nodes = [];
    private readonly List<AuditLog> _audits = [];

    /// <summary>Creates the service; nothing is opened before the host starts.</summary>
    public NodesService(BenchOptions options, IEnumerable<IDeviceDriver> drivers, TimeProvider time, ILoggerFactory loggers, IHostApplicationLifetime lifetime)
    {
        _options = options;
        _catalog = new DriverCatalog(drivers);
        _time = time;
        _loggers = loggers;
        _lifetime = lifetime;
    }

    /// <summary>The nodes, Alice first.</summary>
    public IReadOnlyList<INode> Nodes => _nodes;

    /// <summary>Why the nodes ended by themselves; null if they did not.</summary>
    public Exception? Failure { get; private set; }

    /// <inheritdoc/>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        // What can be refused is refused here, before anything emits: keys, ports, stores.
        var parts = new NodeParts
        {
            Options = _options,
            Catalog = _catalog,
            Book = new AddressBook(_options.DataFolder, _time),
            Time = _time,
            Loggers = _loggers,
        };
        if (_options.Alice is { } alice)
        {
            var (monitor, keys) = Prepare(alice, LinkEnd.Alice);
            _nodes.Add(await AliceNode.CreateAsync(parts, monitor, keys, cancellationToken));
        }

        if (_options.Bob is { } bob)
        {
            var (monitor, keys) = Prepare(bob, LinkEnd.Bob);
            _nodes.Add(new BobNode(parts, monitor, keys));
        }

        await base.StartAsync(cancellationToken);
    }

    /// <summary>Settles what can be settled while the nodes still talk, and ends their sessions with the light off. The stores stay open.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(2));
            await Task.WhenAll(_nodes.Select(node => node.Keys.SettleAsync(limit.Token)));
        }

        await base.StopAsync(cancellationToken);
    }

    /// <summary>Closes the stores; what the nodes came to can be asked until then.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        _nodes.Clear();
        Dispose();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var audit in _audits)
        {
            audit.Dispose();
        }

        base.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var running = _nodes.Select(node => Task.Run(() => node.RunAsync(ending.Token), CancellationToken.None)).ToList();
        try
        {
            await await Task.WhenAny(running);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
        catch (Exception e)
        {
            Failure = e;
            Log.NodesFailed(_loggers.CreateLogger<NodesService>(), e.Message);
            _lifetime.StopApplication();
        }

        await ending.CancelAsync();
        foreach (var node in running)
        {
            await node.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        foreach (var node in _nodes)
        {
            node.Monitor.StateChanged(SessionState.Stopped, Failure?.Message ?? "stopped");
        }
    }

    private (NodeMonitor Monitor, NodeKeys Keys) Prepare(NodeOptions node, LinkEnd end)
    {
        var folder = BenchKeys.Layout(_options).Node(end);
        var audit = new AuditLog(Path.Combine(folder.Folder, "audit.jsonl"), _time);
        _audits.Add(audit);
        var monitor = new NodeMonitor(node.Name, _options.Protocol.FrameSlots, _time, audit, _loggers.CreateLogger<NodeMonitor>());
        var keys = NodeKeys.Open(folder, end, node.Keys, BenchKeys.IsEmulated(_options), monitor, _time, _loggers);
        monitor.Pool = keys.Figures;
        return (monitor, keys);
    }
}
