using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Node.Status;
using Qkd.Sim.Bench;
using Qkd.Web.Hosting;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd run</c>: the nodes of a configuration in the foreground, with progress for a person or a summary for a program.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var config = CommonOptions.Config();
        var settings = CommonOptions.Settings();
        var json = CommonOptions.Json();
        var duration = new Option<string?>("--for") { Description = "How long to run, e.g. 30s or 10m; until Ctrl-C if absent.", HelpName = "TIME" };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Log to stderr what happens." };
        var command = new Command("run", "Runs the nodes that the configuration names, both or one, until the time is up or Ctrl-C.") { settings, config, duration, json, verbose };
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            TimeSpan? limit = null;
            if (parsed.GetValue(duration) is { } text)
            {
                limit = CommonOptions.TryParseDuration(text, out var length)
                    ? length
                    : throw new UsageException($"--for {text}: a length of time is written 30s, 10m, 1h or 500ms");
            }

            var configuration = BenchConfiguration.Load(CommonOptions.FindConfig(parsed.GetValue(config)!), CommonOptions.Overrides(parsed.GetValue(settings)));
            var options = BenchConfiguration.Bind(configuration);
            var emulation = EmulationSettings.Load(configuration);
            return await RunAsync(options, emulation, limit, parsed.GetValue(json), parsed.GetValue(verbose), cancellationToken);
        }));
        return command;
    }

    private static async Task<int> RunAsync(
        BenchOptions options, EmulationSettings emulation, TimeSpan? limit, bool json, bool verbose, CancellationToken cancellationToken)
    {
        var started = Process.GetCurrentProcess().StartTime.ToUniversalTime();
        var progress = json ? null : new RunProgress();
        BenchKeys.Ensure(options, notice => progress?.Notice(notice));
        foreach (var node in new NodeOptions?[] { options.Alice, options.Bob }.OfType<NodeOptions>().Where(node => node.Recording.Enabled))
        {
            // Beside the output, also beside JSON: nobody may record raw key without knowing it.
            await Console.Error.WriteLineAsync($"Warning: the sessions of {node.Name} are recorded. A recording holds raw key: with its key file, every key that is made.");
        }

        await using var app = BenchHost.Build(options, builder =>
        {
            builder.Logging.ClearProviders();
            if (verbose)
            {
                builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
                builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
                builder.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
            }

            // This command has its own answer to Ctrl-C, and says itself what goes on.
            builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
            builder.Services.AddAllDrivers();
            if (emulation.Enabled)
            {
                builder.Services.AddEmulatedBench(emulation, options.DataFolder);
            }
        });

        var nodes = app.Services.GetRequiredService<NodesService>();
        var bench = app.Services.GetService<EmulatedBench>();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        app.Lifetime.ApplicationStopping.Register(ending.Cancel);
        try
        {
            await app.StartAsync(cancellationToken);
            progress?.Started(options, limit);
            await WaitAsync(nodes, limit, started, progress, ending.Token);
        }
        catch (OperationCanceledException) when (nodes.Failure is not null)
        {
            // The nodes ended the host while it was still starting; why is told below.
        }
        finally
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            await app.StopAsync(patience.Token);
        }

        if (nodes.Failure is { } failure)
        {
            throw failure is ConfigurationException ? failure : new IOException(failure.Message, failure);
        }

        var summary = RunSummary.Make(nodes, bench, started);
        if (json)
        {
            Console.WriteLine(summary.ToJson());
        }
        else
        {
            progress!.Ended(summary);
        }

        return ExitCodes.Success;
    }

    private static async Task WaitAsync(NodesService nodes, TimeSpan? limit, DateTime started, RunProgress? progress, CancellationToken cancellationToken)
    {
        try
        {
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
            while (limit is null || DateTime.UtcNow - started < limit)
            {
                var rest = limit is { } l ? l - (DateTime.UtcNow - started) : TimeSpan.MaxValue;
                if (rest < TimeSpan.FromSeconds(1))
                {
                    await Task.Delay(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, cancellationToken);
                    return;
                }

                await timer.WaitForNextTickAsync(cancellationToken);
                progress?.Show([.. nodes.Nodes.Select(node => node.Monitor.Snapshot())], DateTime.UtcNow - started);
            }
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C, or the host stops: the summary follows.
        }
    }

    /// <summary>Leaves signals to the command line, which cancels the verb's token.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

/// <summary>What <c>qkd run</c> shows a person: what is served where, a line every few seconds, alarms as they come, and the sum.</summary>
internal sealed class RunProgress
{
    private static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(2);
    private readonly IAnsiConsole _console = AnsiConsole.Console;
    private readonly HashSet<Alarm> _told = [];
    private TimeSpan _next;
    private string _state = "";

    public void Notice(string text) => _console.MarkupLineInterpolated($"[grey]{text}[/]");

    public void Started(BenchOptions options, TimeSpan? limit)
    {
        if (options.Web.StatusPage.Length > 0)
        {
            _console.MarkupLineInterpolated($"Status page  [link]{options.Web.StatusPage}[/]");
        }

        foreach (var node in new NodeOptions?[] { options.Alice, options.Bob }.OfType<NodeOptions>().Where(node => node.Keys.Endpoint.Length > 0))
        {
            _console.MarkupLineInterpolated($"Keys, {node.Name,-6}  https://{node.Keys.Endpoint}/api/v1/keys/SAE/status  (ETSI GS QKD 014)");
        }

        _console.MarkupLineInterpolated($"[grey]{(limit is { } l ? $"Runs for {l.TotalSeconds:0} s; " : "")}Ctrl-C ends it.[/]");
    }

    public void Show(IReadOnlyList<NodeStatus> nodes, TimeSpan elapsed)
    {
        foreach (var alarm in nodes.SelectMany(node => node.Alarms).Where(_told.Add).OrderBy(alarm => alarm.Time))
        {
            _console.MarkupLineInterpolated($"[red]{elapsed.TotalSeconds,6:0} s  alarm {alarm.KindName}, {alarm.Node}: {alarm.Detail}[/]");
        }

        var state = string.Join(", ", nodes.Select(node => $"{node.Node}: {node.State} ({node.StateDetail})"));
        if (state != _state && nodes.Any(node => node.State != Link.SessionState.Keying))
        {
            _console.MarkupLineInterpolated($"[grey]{elapsed.TotalSeconds,6:0} s  {state}[/]");
        }

        _state = state;
        if (elapsed < _next || nodes.Count == 0 || nodes[0].Totals.BlocksAccepted == 0)
        {
            return;
        }

        _next = elapsed + LineEvery;
        var first = nodes[0];
        _console.MarkupLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{elapsed.TotalSeconds,6:0} s  [green]{first.SecretRateBps / 1000,5:0} kbit/s[/]  QBER Z {first.LastBlock?.QberZ:P2} X {first.LastBlock?.QberX:P2}  {first.Totals.BlocksAccepted,4} blocks  {first.Pool.DeliverableBits / 1e6:0.0} Mbit ready"));
    }

    public void Ended(RunSummary summary)
    {
        _console.WriteLine();
        _console.MarkupLine(string.Create(
            CultureInfo.InvariantCulture,
            $"[bold]{summary.SecretBits:N0} secret bits[/] in {summary.DurationSeconds:0.0} s ({summary.SecretRateBps / 1000:0} kbit/s), first key after {summary.FirstKeySeconds?.ToString("0.0", CultureInfo.InvariantCulture) ?? "–"} s, {summary.BlocksAccepted} blocks accepted, {summary.BlocksDiscarded} discarded, {summary.Alarms.Count} alarms."));
        if (summary.KeysMatch is { } match)
        {
            _console.MarkupLine(match ? "[green]Both stores hold the same keys.[/]" : "[red]The stores do not hold the same keys.[/]");
        }
    }
}
