using System.CommandLine;
using Qkd.Cli.Commands;
using Qkd.Cli.Plots;
using Qkd.Timing;
using Qkd.Timing.Correlation;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary><c>qkd tags correlate</c>: g² of two channels or of one with itself, and coincidences of any number.</summary>
internal sealed class CorrelateVerb : TagsVerb
{
    private readonly Option<string> _channels = new("--channels") { Description = "Channels; one for its autocorrelation, two or more for coincidences.", Required = true, HelpName = "N,N,..." };
    private readonly Option<long> _window = new("--window-ps") { Description = "How long after the first tag of a coincidence others belong to it.", DefaultValueFactory = _ => 1000, HelpName = "PS" };
    private readonly Option<string?> _delays = new("--delays-ps") { Description = "How much later each channel's tags come.", HelpName = "PS,PS,..." };
    private readonly Option<long> _bin = new("--bin-ps") { Description = "Width of a bin of g².", DefaultValueFactory = _ => 1000, HelpName = "PS" };
    private readonly Option<long> _range = new("--range-ps") { Description = "Largest lag of g².", DefaultValueFactory = _ => 100_000, HelpName = "PS" };
    private readonly Option<string?> _plot = new("--plot") { Description = "Draw g²: .png or .svg.", HelpName = "FILE" };

    protected override void AddTo(Command command)
    {
        foreach (var option in new Option[] { _channels, _window, _delays, _bin, _range, _plot })
        {
            command.Add(option);
        }
    }

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        var channels = Channels("--channels", parsed.GetValue(_channels)!);
        var (bin, range) = (parsed.GetValue(_bin), parsed.GetValue(_range));
        if (bin < 1 || range < bin || range / bin > 1_000_000)
        {
            throw new UsageException($"--bin-ps {bin}, --range-ps {range}: a bin of 1 ps or more, and a range of 1 to 1000000 bins");
        }

        var correlation = new CorrelationHistogram(channels[0], channels[Math.Min(1, channels.Length - 1)], bin, range);
        var patterns = Patterns(parsed, channels);
        var file = FileOf(parsed);
        using var reader = Open(parsed);
        var times = Times(reader.Info);
        var fault = ReadAll(parsed, reader, file, Take, cancellationToken);
        patterns?.Complete();
        if (IsJson(parsed))
        {
            WriteJson(correlation, patterns, channels, bin, fault?.Message, fault?.ByteOffset);
        }
        else
        {
            Print(correlation, patterns, channels);
        }

        if (parsed.GetValue(_plot) is { } plot)
        {
            var bins = correlation.Counts.Length;
            var unit = TimeUnit.For(range);
            SeriesPlot.Save(
                plot,
                channels.Length == 1 ? $"Autocorrelation of channel {channels[0]}" : $"Correlation of channels {channels[0]} and {channels[1]}",
                $"lag ({unit.Name})",
                "g²",
                [new Series("", [.. Enumerable.Range(0, bins).Select(i => correlation.Lag(i) / unit.Picoseconds)], [.. Enumerable.Range(0, bins).Select(i => Finite(correlation.At(i).Value) ?? 0)])],
                steps: false,
                "");
        }

        return End(file, fault);

        void Take(TagBuffer buffer)
        {
            var picoseconds = times.Of(buffer);
            correlation.Add(picoseconds, buffer.Channels);
            patterns?.Add(picoseconds, buffer.Channels);
        }
    }

    private CoincidencePatterns? Patterns(ParseResult parsed, int[] channels)
    {
        long[] delays = [];
        if (parsed.GetValue(_delays) is { } text)
        {
            delays = [.. text.Split(',').Select(part => long.TryParse(part, out var delay) ? delay : throw new UsageException($"--delays-ps {text}: whole picoseconds, separated by commas"))];
            if (delays.Length != channels.Length)
            {
                throw new UsageException($"--delays-ps {text}: one for each of the {channels.Length} channels");
            }
        }

        if (channels.Length is < 2 or > 16)
        {
            return channels.Length == 1 ? null : throw new UsageException("--channels: 16 at most");
        }

        var window = parsed.GetValue(_window);
        return window >= 0 ? new CoincidencePatterns(channels, window, delays) : throw new UsageException($"--window-ps {window}: 0 or more");
    }

    private static void WriteJson(CorrelationHistogram correlation, CoincidencePatterns? patterns, int[] channels, long bin, string? error, long? errorByte)
    {
        var bins = Enumerable.Range(0, correlation.Counts.Length).ToArray();
        var all = correlation.Counts.ToArray();
        Console.WriteLine(JsonOutput.Serialize(new
        {
            Channels = channels,
            DurationS = correlation.Seconds,
            Singles = patterns is null ? [correlation.FirstTags] : channels.Select(patterns.Singles).ToArray(),
            Coincidences = patterns?.AtLeast(channels),
            Accidentals = patterns is not null && patterns.Seconds > 0 ? patterns.Accidentals(channels) : (double?)null,
            Patterns = patterns?.Patterns().Select(pattern => new { pattern.Channels, pattern.Count }),
            BinS = bin * 1e-12,
            LagsS = bins.Select(i => correlation.Lag(i) * 1e-12),
            Pairs = all,
            G2 = bins.Select(i => Finite(correlation.At(i).Value)),
            G2Error = bins.Select(i => Finite(correlation.At(i).Error)),
            Error = error,
            ErrorByte = errorByte,
        }));
    }

    private static void Print(CorrelationHistogram correlation, CoincidencePatterns? patterns, int[] channels)
    {
        var facts = new FactTable();
        facts.Row("tags", Count(correlation.FirstTags) + (channels.Length > 1 ? $" and {Count(correlation.SecondTags)}" : "") + Text($" in {correlation.Seconds:0.###} s"));
        if (correlation.FirstTags == 0 || (channels.Length > 1 && correlation.SecondTags == 0))
        {
            facts.Row("g²", $"not known: channel {channels[correlation.FirstTags == 0 ? 0 : 1]} has no tags");
        }
        else
        {
            var centre = correlation.At(correlation.Counts.Length / 2);
            facts.Row("g²(0)", Text($"{centre.Value:0.####} ± {centre.Error:0.####}"));
            var top = Enumerable.Range(0, correlation.Counts.Length).MaxBy(i => Finite(correlation.At(i).Value) ?? 0);
            facts.Row("highest g²", Text($"{correlation.At(top).Value:0.####} ± {correlation.At(top).Error:0.####} at {correlation.Lag(top) / 1000.0:0.###} ns"));
        }

        if (patterns is not null && patterns.Seconds > 0)
        {
            facts.Row("coincidences", Text($"{patterns.AtLeast(channels)} of all {channels.Length} channels; {patterns.Accidentals(channels):0.#} expected by chance"));
            foreach (var (of, count) in patterns.Patterns().Take(20))
            {
                facts.Row($"  {string.Join(" + ", of)}", Count(count));
            }
        }

        facts.Write();
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
