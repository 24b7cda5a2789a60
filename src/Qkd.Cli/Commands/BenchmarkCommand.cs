using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Qkd.Cli.Benchmarking;
using Qkd.Devices;
using Qkd.Distillation;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd benchmark</c>: what this machine sustains, stage by stage.</summary>
internal static class BenchmarkCommand
{
    private static readonly IBenchmarkStage[] Stages =
    [
        new SiftingStage(),
        new ReconciliationStage(new CascadeReconciler(), 0.02, 64 << 16),
        new ReconciliationStage(new LdpcReconciler(OperatingSystemRandomness.Instance), 0.025, 4_000_000),
        new AmplificationStage(),
        new AuthenticationStage(),
        new ChainStage(),
        new TimingStage(),
    ];

    public static Command Create()
    {
        var stage = new Option<string[]>("--stage", "-s") { Description = $"Only these: {string.Join(", ", Stages.Select(s => s.Name))}.", HelpName = "STAGE", AllowMultipleArgumentsPerToken = true };
        var time = new Option<string>("--time") { Description = "How long each figure is measured.", DefaultValueFactory = _ => "5s", HelpName = "TIME" };
        var json = CommonOptions.Json();
        var command = new Command("benchmark", "Measures what this machine sustains, stage by stage, one core unless it says so, on data drawn anew.") { stage, time, json };
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(() => Task.Run(
            () => Run(parsed.GetValue(stage) ?? [], parsed.GetValue(time)!, parsed.GetValue(json), cancellationToken), cancellationToken)));
        return command;
    }

    private static int Run(string[] names, string timeText, bool json, CancellationToken cancellationToken)
    {
        foreach (var name in names)
        {
            if (Stages.All(stage => stage.Name != name))
            {
                throw new UsageException($"--stage {name}: one of {string.Join(", ", Stages.Select(stage => stage.Name))}");
            }
        }

        if (!CommonOptions.TryParseDuration(timeText, out var time))
        {
            throw new UsageException($"--time {timeText}: write 5s, 500ms or 1m");
        }

        var figures = new List<BenchmarkFigure>();
        var table = new Table().Border(TableBorder.Rounded).AddColumns("figure", "value", "", "measured on");
        table.Columns[1].RightAligned();
        foreach (var stage in Stages.Where(stage => names.Length == 0 || names.Contains(stage.Name)))
        {
            foreach (var figure in Progress(stage.Name, json, () => stage.Measure(time, cancellationToken).ToArray()))
            {
                figures.Add(figure);
                table.AddRow(figure.Name, figure.Value.ToString(figure.Value < 10 ? "0.0000" : "0.0", CultureInfo.InvariantCulture), figure.Unit, Markup.Escape(figure.Detail));
            }
        }

        if (json)
        {
            Console.WriteLine(JsonOutput.Serialize(figures.ToDictionary(figure => figure.Name, figure => figure.Value)));
        }
        else
        {
            AnsiConsole.Write(table);
            AnsiConsole.MarkupLineInterpolated(
                $"[grey]{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} processors; AVX2 {Has(Avx2.IsSupported)}, carry-less multiplication {Has(Pclmulqdq.IsSupported)}, 256 bits wide {Has(Pclmulqdq.V256.IsSupported)}[/]");
        }

        return ExitCodes.Success;
    }

    private static string Has(bool supported) => supported ? "yes" : "no";

    private static T Progress<T>(string stage, bool json, Func<T> work) =>
        json || !AnsiConsole.Profile.Capabilities.Interactive ? work() : AnsiConsole.Status().Start($"measuring {stage}", _ => work());
}
