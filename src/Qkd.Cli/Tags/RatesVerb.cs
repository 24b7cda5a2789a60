using System.CommandLine;
using Qkd.Cli.Commands;
using Qkd.Cli.Plots;
using Qkd.Timing;
using Qkd.Timing.Correlation;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary><c>qkd tags rates</c>: count rates over time, and what the tags tell of their detectors.</summary>
internal sealed class RatesVerb : TagsVerb
{
    private readonly Option<string> _bin = new("--bin") { Description = "Length of a stretch.", DefaultValueFactory = _ => "100ms", HelpName = "TIME" };
    private readonly Option<bool> _detectors = new("--detectors") { Description = "Also dead time, afterpulses and the rate without them, from the times between tags." };
    private readonly Option<string?> _plot = new("--plot") { Description = "Draw the rates: .png or .svg.", HelpName = "FILE" };

    protected override void AddTo(Command command)
    {
        command.Add(_bin);
        command.Add(_detectors);
        command.Add(_plot);
    }

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        if (!CommonOptions.TryParseDuration(parsed.GetValue(_bin)!, out var bin) || bin < TimeSpan.FromMilliseconds(0.001))
        {
            throw new UsageException($"--bin {parsed.GetValue(_bin)}: write 100ms or 1s");
        }

        var file = FileOf(parsed);
        using var reader = Open(parsed);
        var times = Times(reader.Info);
        var trace = new CountRateTrace((long)(bin.TotalSeconds * 1e12));
        var detectors = new SortedDictionary<int, DetectorCharacterisation>();
        var fault = ReadAll(parsed, reader, file, Take, cancellationToken);
        if (IsJson(parsed))
        {
            Console.WriteLine(JsonOutput.Serialize(new
            {
                BinS = trace.BinSeconds,
                trace.Bins,
                Channels = trace.Channels.Select(channel => new
                {
                    Channel = channel,
                    Counts = trace.Counts(channel).Sum(),
                    RateHz = trace.Mean(channel).Hertz,
                    RateErrorHz = trace.Mean(channel).Error,
                    RatesHz = trace.Counts(channel).Select(count => count / trace.BinSeconds),
                    Detector = detectors.TryGetValue(channel, out var detector) ? Describe(detector.Figures()) : null,
                }),
                Error = fault?.Message,
                ErrorByte = fault?.ByteOffset,
            }));
        }
        else
        {
            Print(trace, detectors);
        }

        if (parsed.GetValue(_plot) is { } plot)
        {
            SeriesPlot.Save(
                plot,
                "Count rates",
                "time (s)",
                "counts a second",
                [.. trace.Channels.Select(channel => new Series(
                    $"channel {channel}",
                    [.. Enumerable.Range(0, Whole(trace)).Select(i => (i + 0.5) * trace.BinSeconds)],
                    [.. trace.Counts(channel).Take(Whole(trace)).Select(count => count / trace.BinSeconds)]))],
                steps: true,
                "");
        }

        return End(file, fault);

        void Take(TagBuffer buffer)
        {
            var picoseconds = times.Of(buffer);
            try
            {
                trace.Add(picoseconds, buffer.Channels);
            }
            catch (ArgumentException e)
            {
                throw new UsageException($"--bin {parsed.GetValue(_bin)}: {e.Message}");
            }

            if (!parsed.GetValue(_detectors))
            {
                return;
            }

            foreach (var channel in trace.Channels.Where(channel => channel is > TagBuffer.SyncChannel and < TagBuffer.MarkerFlag))
            {
                if (!detectors.TryGetValue(channel, out var detector))
                {
                    detectors[channel] = detector = new DetectorCharacterisation(channel);
                }

                detector.Add(picoseconds, buffer.Channels);
            }
        }
    }

    /// <summary>The last stretch is seldom over.</summary>
    private static int Whole(CountRateTrace trace) => Math.Max(1, trace.Bins - 1);

    private static object Describe(DetectorFigures figures) => new
    {
        RateHz = figures.RateHertz.Value,
        RateErrorHz = figures.RateHertz.Error,
        DeadTimeS = figures.DeadTimePicoseconds?.Value * 1e-12,
        AfterpulseProbability = figures.AfterpulseProbability?.Value,
        AfterpulseProbabilityError = figures.AfterpulseProbability?.Error,
        AfterpulseDelayS = figures.AfterpulseDelayPicoseconds * 1e-12,
    };

    private static void Print(CountRateTrace trace, SortedDictionary<int, DetectorCharacterisation> detectors)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("channel", "tags", "mean rate (1/s)", "lowest", "highest");
        foreach (var column in table.Columns)
        {
            column.RightAligned();
        }

        foreach (var channel in trace.Channels)
        {
            var counts = trace.Counts(channel);
            var (hertz, error) = trace.Mean(channel);
            var whole = counts.Take(Whole(trace)).ToArray();
            table.AddRow(Name(channel), Count(counts.Sum()), Text($"{hertz:0.#} ± {error:0.#}"), Text($"{whole.Min() / trace.BinSeconds:0.#}"), Text($"{whole.Max() / trace.BinSeconds:0.#}"));
        }

        AnsiConsole.Write(table);
        if (detectors.Count == 0)
        {
            return;
        }

        var figures = new Table().Border(TableBorder.Rounded).AddColumns("detector", "rate while alive (1/s)", "dead time (ns)", "afterpulses a click", "their delay (ns)");
        foreach (var (channel, detector) in detectors)
        {
            var of = detector.Figures();
            figures.AddRow(
                Name(channel),
                Text($"{of.RateHertz.Value:0.#} ± {of.RateHertz.Error:0.#}"),
                of.DeadTimePicoseconds is { } dead ? Text($"{dead.Value / 1000:0.#} ± {dead.Error / 1000:0.#}") : "not seen",
                of.AfterpulseProbability is { } afterpulses ? Text($"{afterpulses.Value:0.#####} ± {afterpulses.Error:0.#####}") : "too few tags",
                of.AfterpulseDelayPicoseconds is { } delay ? Text($"{delay / 1000:0.#}") : "-");
        }

        AnsiConsole.Write(figures);
    }

    private static string Name(int channel) =>
        channel == TagBuffer.SyncChannel ? "sync" : TagBuffer.IsMarker((byte)channel) ? $"marker {channel & 15}" : Text($"{channel}");
}
