using System.CommandLine;
using System.Globalization;
using Qkd.Timing;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary><c>qkd tags info</c>: what a file is and what is in it.</summary>
internal sealed class InfoVerb : TagsVerb
{
    private readonly Option<bool> _header = new("--header") { Description = "Print the file's own header as well." };

    protected override void AddTo(Command command) => command.Add(_header);

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        var file = FileOf(parsed);
        using var reader = Open(parsed);
        var fault = ReadAll(parsed, reader, file, static _ => { }, cancellationToken);
        var (info, counts) = (reader.Info, reader.Counts);
        double? duration = counts is { FirstTime: { } first, LastTime: { } last } && info.TickPicoseconds > 0 ? (last - first) * info.TickPicoseconds * 1e-12 : null;
        if (IsJson(parsed))
        {
            Console.WriteLine(JsonOutput.Serialize(new
            {
                info.Format,
                info.RecordType,
                counts.Records,
                counts.Photons,
                counts.Overflows,
                counts.Markers,
                counts.Syncs,
                counts.Dummies,
                counts.Restarts,
                counts.Channels,
                CountsByChannel = counts.Channels.ToDictionary(c => c.ToString(CultureInfo.InvariantCulture), c => counts.ByChannel[c]),
                ResolutionS = info.ResolutionSeconds,
                SyncPeriodS = info.HasDelays && info.TickPicoseconds > 0 ? info.TickPicoseconds * 1e-12 : (double?)null,
                DurationS = duration,
                info.DeclaredRecords,
                Bytes = new FileInfo(file).Length,
                Error = fault?.Message,
                ErrorByte = fault?.ByteOffset,
                Header = parsed.GetValue(_header) ? info.Header.Select(entry => new { entry.Key, entry.Value }) : null,
            }));
            return End(file, fault);
        }

        Print(info, counts, duration);
        if (parsed.GetValue(_header))
        {
            var header = new Table().Border(TableBorder.Rounded).AddColumns("header", "");
            foreach (var (name, value) in info.Header)
            {
                header.AddRow(Markup.Escape(name), Markup.Escape(value));
            }

            AnsiConsole.Write(header);
        }

        return End(file, fault);
    }

    private static void Print(TagStreamInfo info, TagCounts counts, double? duration)
    {
        var facts = new FactTable();
        facts.Row("format", $"{info.Format}: {info.RecordType}");
        facts.Row("records", Count(counts.Records));
        facts.Row("photons", Count(counts.Photons));
        foreach (var channel in counts.Channels.Where(channel => channel != TagBuffer.SyncChannel))
        {
            var rate = duration > 0 ? Text($", {counts.ByChannel[channel] / duration.Value:#,0} a second").Replace(',', ' ').Replace("  ", ", ", StringComparison.Ordinal) : "";
            facts.Row($"  channel {channel}", Count(counts.ByChannel[channel]) + rate);
        }

        facts.Row("overflows", Count(counts.Overflows));
        facts.Row("markers", Count(counts.Markers));
        if (counts.Syncs > 0)
        {
            facts.Row("sync pulses", Count(counts.Syncs));
        }

        if (counts.Dummies > 0)
        {
            facts.Row("dummies", Count(counts.Dummies));
        }

        if (counts.Restarts > 0)
        {
            facts.Row("restarts", $"{Count(counts.Restarts)}: the pauses between acquisitions are not known");
        }

        facts.Row("resolution", Text($"{info.ResolutionSeconds * 1e12:0.######} ps"));
        if (info.HasDelays)
        {
            facts.Row("sync period", info.TickPicoseconds > 0 ? Text($"{info.TickPicoseconds / 1000:0.######} ns") : "not in the file (--reference-period-ps)");
        }

        facts.Row("duration", duration is { } seconds ? Text($"{seconds:0.######} s") : "not known");
        facts.Write();
    }
}
