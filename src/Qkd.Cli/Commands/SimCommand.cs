using System.CommandLine;
using System.Text.Json;
using Qkd.Node.Configuration;
using Qkd.Sim.Bench;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd sim</c>: only the emulated instruments, for nodes that run in processes of their own.</summary>
internal static class SimCommand
{
    public static Command Create()
    {
        var config = CommonOptions.Config();
        var settings = CommonOptions.Settings();
        var json = CommonOptions.Json();
        var command = new Command("sim", "Serves the emulated instruments of the configuration until Ctrl-C.") { settings, config, json };
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            var configuration = BenchConfiguration.Load(CommonOptions.FindConfig(parsed.GetValue(config)!), CommonOptions.Overrides(parsed.GetValue(settings)));
            var folder = configuration["Bench:DataFolder"] ?? new BenchOptions().DataFolder;
            var emulation = EmulationSettings.Load(configuration);
            if (!emulation.Enabled)
            {
                throw new ConfigurationException("Bench:Emulation", $"{parsed.GetValue(config)} describes no emulated instruments");
            }

            await using var bench = new EmulatedBench(emulation, folder);
            await bench.StartAsync(cancellationToken);
            Print(bench, folder, parsed.GetValue(json));
            await bench.Completion.WaitAsync(cancellationToken).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return bench.Completion.IsFaulted ? throw new IOException(bench.Completion.Exception!.InnerException!.Message) : ExitCodes.Success;
        }));
        return command;
    }

    private static void Print(EmulatedBench bench, string folder, bool json)
    {
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                instruments = bench.Instruments.ToDictionary(i => i.Name, i => new { driver = i.DriverId, address = i.Address, endpoints = i.Endpoints, options = i.Options }),
            }));
            return;
        }

        var table = new Table().Border(TableBorder.Rounded).AddColumns("name", "driver", "address", "further addresses");
        foreach (var instrument in bench.Instruments)
        {
            table.AddRow(
                Markup.Escape($"sim:{instrument.Name}"),
                Markup.Escape(instrument.DriverId),
                Markup.Escape(instrument.Address),
                Markup.Escape(string.Join("\n", instrument.Endpoints.Select(e => $"{e.Key} {e.Value}"))));
        }

        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"[grey]Address book: {Path.GetFullPath(Path.Combine(folder, "instruments.json"))}. Ctrl-C ends it.[/]");
    }
}
