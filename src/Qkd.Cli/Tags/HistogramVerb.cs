using System.CommandLine;
using Qkd.Cli.Commands;
using Qkd.Cli.Plots;
using Qkd.Timing;
using Qkd.Timing.Correlation;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary>
/// <c>qkd tags histogram</c>: of the delays in a T3 file, of the times from a start to a stop, or of the times folded at a period.
/// </summary>
internal sealed class HistogramVerb : TagsVerb
{
    private readonly Option<int?> _start = new("--start") { Description = "Start-stop: channel of the starts (0 is the sync input).", HelpName = "N" };
    private readonly Option<int?> _stop = new("--stop") { Description = "Start-stop: channel of the stops.", HelpName = "N" };
    private readonly Option<double?> _period = new("--period-ps") { Description = "Fold times at this period instead.", HelpName = "PS" };
    private readonly Option<int?> _channel = new("--channel") { Description = "T3 and folded: this detector alone.", HelpName = "N" };
    private readonly Option<long?> _bin = new("--bin-ps") { Description = "Width of a bin; without it the resolution, or a thousandth of the period.", HelpName = "PS" };
    private readonly Option<int> _bins = new("--bins") { Description = "Bins of delays and start-stop.", DefaultValueFactory = _ => 4096, HelpName = "N" };
    private readonly Option<bool> _fit = new("--fit") { Description = "Fit a Gaussian peak on a constant background." };
    private readonly Option<string?> _plot = new("--plot") { Description = "Draw it: .png or .svg.", HelpName = "FILE" };

    protected override void AddTo(Command command)
    {
        foreach (var option in new Option[] { _start, _stop, _period, _channel, _bin, _bins, _fit, _plot })
        {
            command.Add(option);
        }
    }

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        var file = FileOf(parsed);
        using var reader = Open(parsed);
        var (kind, binPicoseconds, counts, take) = Choose(parsed, reader.Info);
        var fault = ReadAll(parsed, reader, file, take, cancellationToken);
        var (values, later) = counts();
        var fit = parsed.GetValue(_fit) ? PeakFit.Of(values) : null;
        var last = Array.FindLastIndex(values, count => count > 0);
        var bin = binPicoseconds * 1e-12;
        if (IsJson(parsed))
        {
            Console.WriteLine(JsonOutput.Serialize(new
            {
                Kind = kind,
                BinS = bin,
                Tags = values.Sum(),
                Later = later,
                Peak = fit is null ? null : new { CentreS = fit.Centre * bin, CentreErrorS = fit.CentreError * bin, SigmaS = fit.Sigma * bin, SigmaErrorS = fit.SigmaError * bin, FwhmS = fit.FullWidthHalfMaximum * bin, fit.Area, BackgroundPerBin = fit.Background },
                Counts = values[..(last + 1)],
                Error = fault?.Message,
                ErrorByte = fault?.ByteOffset,
            }));
        }
        else
        {
            Print(parsed, kind, binPicoseconds, values, later, fit);
        }

        if (parsed.GetValue(_plot) is { } plot)
        {
            var shown = Math.Max(2, Math.Min(values.Length, last + 2));
            var unit = TimeUnit.For(shown * binPicoseconds);
            SeriesPlot.Save(
                plot,
                Capital(kind),
                $"time ({unit.Name})",
                "tags a bin",
                [new Series("", [.. Enumerable.Range(0, shown).Select(i => i * binPicoseconds / unit.Picoseconds)], [.. values.Take(shown).Select(count => (double)count)])],
                steps: true,
                fit is null ? "" : Text($"centre {fit.Centre * binPicoseconds:0.#} ps, σ {fit.Sigma * binPicoseconds:0.#} ps"));
        }

        return End(file, fault);
    }

    private (string Kind, double BinPicoseconds, Func<(long[] Counts, long Later)> Counts, Action<TagBuffer> Take) Choose(ParseResult parsed, TagStreamInfo info)
    {
        var (start, stop, period, bins) = (parsed.GetValue(_start), parsed.GetValue(_stop), parsed.GetValue(_period), parsed.GetValue(_bins));
        if (bins is < 1 or > 10_000_000)
        {
            throw new UsageException($"--bins {bins}: 1 to 10000000");
        }

        if ((start is null) != (stop is null) || (start is not null && period is not null))
        {
            throw new UsageException("--start and --stop belong together; --period-ps is instead of both");
        }

        var bin = parsed.GetValue(_bin);
        if (bin is < 1)
        {
            throw new UsageException($"--bin-ps {bin}: 1 or more");
        }

        if (start is { } from && stop is { } to)
        {
            var width = bin ?? Math.Max(1, (long)Math.Round(info.ResolutionSeconds * 1e12));
            var histogram = new StartStopHistogram(from, to, width, bins);
            var times = Times(info);
            return ("start to stop", width, () => (histogram.Counts.ToArray(), histogram.Later), buffer => histogram.Add(times.Of(buffer), buffer.Channels));
        }

        if (period is { } fold)
        {
            return Fold(fold, bin ?? Math.Max(1, (long)(fold / 1000)), parsed.GetValue(_channel), info);
        }

        if (!info.HasDelays)
        {
            throw new UsageException("the file has no delays: give --start and --stop, or --period-ps to fold at");
        }

        var ticks = bin is { } given ? Math.Max(1, (int)Math.Round(given / info.DelayTickPicoseconds)) : 1;
        var lifetime = new LifetimeHistogram(parsed.GetValue(_channel) ?? -1, bins, ticks);
        return ("delay after the sync", ticks * info.DelayTickPicoseconds, () => (lifetime.Counts.ToArray(), lifetime.Later), lifetime.Add);
    }

    private static (string, double, Func<(long[], long)>, Action<TagBuffer>) Fold(double period, long bin, int? channel, TagStreamInfo info)
    {
        if (!(period >= bin && period < 1e15) || period / bin > 10_000_000)
        {
            throw new UsageException(Text($"--period-ps {period}: more than a bin and at most 10000000 of them"));
        }

        var counts = new long[(int)Math.Ceiling(period / bin)];
        var times = Times(info);
        return (Text($"times folded at {period} ps"), bin, () => (counts, 0), Add);

        void Add(TagBuffer buffer)
        {
            var picoseconds = times.Of(buffer);
            for (var i = 0; i < picoseconds.Length; i++)
            {
                if (channel is null ? buffer.Channels[i] is > TagBuffer.SyncChannel and < TagBuffer.MarkerFlag : buffer.Channels[i] == channel)
                {
                    var turns = picoseconds[i] / period;
                    counts[Math.Min((int)((turns - Math.Floor(turns)) * period / bin), counts.Length - 1)]++;
                }
            }
        }
    }

    private void Print(ParseResult parsed, string kind, double bin, long[] values, long later, PeakFit? fit)
    {
        var facts = new FactTable();
        var top = Array.IndexOf(values, values.Max());
        facts.Row("histogram", $"{kind}, bins of {Text($"{bin:0.###}")} ps");
        facts.Row("tags", Count(values.Sum()) + (later > 0 ? $", {Count(later)} later than the last bin" : ""));
        facts.Row("highest bin", Text($"{values[top]} tags at {top * bin / 1000:0.###} ns"));
        if (fit is not null)
        {
            facts.Row("peak", Text($"{fit.Centre * bin:0.##} ± {fit.CentreError * bin:0.##} ps"));
            facts.Row("width", Text($"σ = {fit.Sigma * bin:0.##} ± {fit.SigmaError * bin:0.##} ps, {fit.FullWidthHalfMaximum * bin:0.##} ps full width at half maximum"));
            facts.Row("in the peak", Text($"{fit.Area:0} ± {fit.AreaError:0} tags on {fit.Background:0.###} a bin"));
        }
        else if (parsed.GetValue(_fit))
        {
            facts.Row("peak", "none stands out");
        }

        facts.Write();
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
