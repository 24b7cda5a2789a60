using System.CommandLine;
using Qkd.Distillation;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd keyrate</c>: the finite-key bounds as a calculator, for the counts of a block or along a fibre.</summary>
internal static class KeyRateCommand
{
    public static Command Create()
    {
        var options = new KeyRateOptions();
        var json = CommonOptions.Json();
        var command = new Command("keyrate", """
            The secret key length that a finite-key bound allows.

            For the counts of a block (lists are comma-separated, brightest intensity first):
              qkd keyrate --bound tupkary-2decoy --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts 7275000,729000,800
                  --test-counts 808000,81000,90 --test-errors 8080,830,45 --leak 753300 --eps 1e-10
              qkd keyrate --bound wiesemann-1decoy --mu .5,.15 --p .7,.3 --key-counts 8860000,1140000 --key-errors 88600,22800
                  --test-counts 984000,126000 --test-errors 9840,2520 --leak 1023808 --eps-sec 1e-9 --eps-cor 1e-15
              qkd keyrate --bound tomamichel --n 1e6 --k 1e5 --qber .01 --leak 88873 --eps-sec 1e-10 --eps-cor 1e-15
              qkd keyrate --bound lim-xu-pan-ekert --m 10000 --k 3107 --qber .02 --nu .0941 --xi .0731 --eps 1e-10 --t 36 --leak 1170
            Along a fibre, with the best source settings at each length:
              qkd keyrate --bound tupkary-2decoy,wiesemann-1decoy --sweep-km 0:150:5 --efficiency .2 --dark-counts 1e-6 --block 1e7 --plot rate.png

            tupkary-2decoy is what the nodes use. wiesemann-1decoy is a proof for a fixed length, set before the block. lim-2decoy and rusca-1decoy
            are for comparison. tomamichel and lim-xu-pan-ekert hold for a source of single photons or pairs alone, never for weak laser pulses.
            """);
        options.AddTo(command);
        command.Add(json);
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(() =>
        {
            try
            {
                return Task.FromResult(Run(new KeyRateArguments(options, parsed), parsed.GetValue(json), cancellationToken));
            }
            catch (DistillationException e)
            {
                // Values that are no counts or no probabilities.
                throw new IOException(e.Message, e);
            }
        }));
        return command;
    }

    private static int Run(KeyRateArguments arguments, bool json, CancellationToken cancellationToken)
    {
        if (arguments.IsSweep)
        {
            Sweep(arguments, json, cancellationToken);
            return ExitCodes.Success;
        }

        arguments.RefuseSweepOptions();
        var bound = KeyRateReport.Describe(arguments.Bound());
        if (json)
        {
            Console.WriteLine(KeyRateReport.Text(bound));
        }
        else
        {
            AnsiConsole.Write(KeyRateReport.Table(bound));
        }

        return ExitCodes.Success;
    }

    private static void Sweep(KeyRateArguments arguments, bool json, CancellationToken cancellationToken)
    {
        var sweep = arguments.Sweep();
        List<KeyRatePoint> points = [];
        void Work(Action<string> tell)
        {
            foreach (var kind in sweep.Kinds)
            {
                SourceSettings? near = null;
                foreach (var kilometres in sweep.Kilometres)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    tell(FormattableString.Invariant($"{KeyRateReport.Title(kind)}, {kilometres:0.###} km"));
                    var link = sweep.Link with { LossDecibels = kilometres * sweep.DecibelsPerKilometre };
                    var settings = sweep.Settings with { Bound = kind };
                    var rate = sweep.Source is { } source ? KeyRateModel.At(link, settings, source) : KeyRateOptimiser.Best(link, settings, near);
                    near = rate.SecretBits > 0 ? rate.Source : near;
                    points.Add(new(kind, kilometres, link, rate));
                }
            }
        }

        if (json || Console.IsOutputRedirected)
        {
            Work(_ => { });
        }
        else
        {
            AnsiConsole.Status().Start("", status => Work(text => status.Status(Markup.Escape(text))));
        }

        if (sweep.PlotFile is { } file)
        {
            KeyRatePlot.Save(file, sweep, points);
        }

        if (json)
        {
            Console.WriteLine(KeyRateReport.Text(KeyRateReport.Describe(sweep, points)));
            return;
        }

        AnsiConsole.Write(KeyRateReport.Table(sweep, points));
        if (sweep.PlotFile is { } plotted)
        {
            AnsiConsole.MarkupLineInterpolated($"[grey]Plotted in {plotted}[/]");
        }
    }
}

/// <summary>What a sweep goes over.</summary>
/// <param name="Kinds">The bounds.</param>
/// <param name="Kilometres">The lengths of fibre.</param>
/// <param name="DecibelsPerKilometre">Attenuation of the fibre.</param>
/// <param name="Link">The link, but for its loss.</param>
/// <param name="Settings">Block and failure probabilities, but for the bound.</param>
/// <param name="Source">The source settings; absent if the best are sought at each length.</param>
/// <param name="PlotFile">Where to plot.</param>
internal sealed record KeyRateSweep(
    IReadOnlyList<KeyBoundKind> Kinds,
    IReadOnlyList<double> Kilometres,
    double DecibelsPerKilometre,
    LinkModel Link,
    KeyRateSettings Settings,
    SourceSettings? Source,
    string? PlotFile);

/// <summary>One length of fibre under one bound.</summary>
internal sealed record KeyRatePoint(KeyBoundKind Kind, double Kilometres, LinkModel Link, KeyRate Rate)
{
    /// <summary>Secret bits a second; absent without a repetition rate.</summary>
    public double? BitsPerSecond => Link.RepetitionRateHertz > 0 ? Rate.SecretBitsPerPulse * Link.RepetitionRateHertz : null;
}
