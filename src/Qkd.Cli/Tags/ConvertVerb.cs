using System.CommandLine;
using System.Globalization;
using Qkd.Cli.Commands;
using Qkd.Timing.Formats;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary><c>qkd tags convert</c>: the same tags in another format.</summary>
internal sealed class ConvertVerb : TagsVerb
{
    private readonly Argument<string> _output = new("OUTPUT") { Description = "The file to write." };
    private readonly Option<string?> _to = new("--to") { Description = "Format to write; without it by the extension of OUTPUT (.ptu, .ht2, .ht3).", HelpName = "FORMAT" };
    private readonly Option<string?> _recordType = new("--record-type")
    {
        Description = $"Records of a PTU file: {string.Join(", ", Enum.GetNames<PicoQuantRecordType>())}.",
        HelpName = "TYPE",
    };

    private readonly Option<double?> _tick = new("--tick-ps")
    {
        Description = "Unit of time to write, where the format leaves it open; for T3 made from T2 the period of the sync.",
        HelpName = "PS",
    };

    private readonly Option<int> _channel = new("--channel") { Description = "Channel to write, for formats of one channel.", DefaultValueFactory = _ => 1, HelpName = "N" };
    private readonly Option<bool> _force = new("--force") { Description = "Overwrite OUTPUT." };

    protected override void AddTo(Command command)
    {
        command.Add(_output);
        foreach (var option in new Option[] { _to, _recordType, _tick, _channel, _force })
        {
            command.Add(option);
        }
    }

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        var (file, output) = (FileOf(parsed), parsed.GetValue(_output)!);
        var to = Target(parsed, output);
        using var reader = Open(parsed);
        if (File.Exists(output) && !parsed.GetValue(_force))
        {
            throw new UsageException($"{output} is there already; --force overwrites it");
        }

        var options = new TagWriteOptions
        {
            Source = reader.Info,
            RecordType = RecordType(parsed.GetValue(_recordType)),
            TickPicoseconds = parsed.GetValue(_tick),
            Channel = parsed.GetValue(_channel),
            Header = to == TagFormat.Ptu ? TagFiles.HeaderOf(reader) : null,
        };
        TagFormatException? fault;
        long omitted;
        try
        {
            using var writer = TagFiles.OpenWriter(new FileStream(output, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, 1), to, options);
            fault = ReadAll(parsed, reader, file, writer.Write, cancellationToken);
            writer.Complete();
            omitted = writer.Omitted;
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{file} as {to.Name()}: {e.Message}", e);
        }

        var tags = reader.Counts.Photons + reader.Counts.Syncs + reader.Counts.Markers;
        if (IsJson(parsed))
        {
            Console.WriteLine(JsonOutput.Serialize(new { Input = file, Output = output, Format = to.Name(), Tags = tags, Omitted = omitted, Bytes = new FileInfo(output).Length, Error = fault?.Message, ErrorByte = fault?.ByteOffset }));
        }
        else
        {
            AnsiConsole.WriteLine($"{output}: {Count(tags - omitted)} of {Count(tags)} tags as {to.Name()}"
                + (omitted > 0 ? $"; {Count(omitted)} were of a kind or a channel that it does not hold" : ""));
        }

        return End(file, fault);
    }

    private TagFormat Target(ParseResult parsed, string output)
    {
        var name = parsed.GetValue(_to) ?? Path.GetExtension(output).TrimStart('.');
        var to = TagFormatNames.Parse(name);
        return to is null or TagFormat.Session
            ? throw new UsageException($"--to {name}: one of {string.Join(", ", TagFormatNames.All.Where(format => format != TagFormat.Session.Name()))}")
            : to.Value;
    }

    private static PicoQuantRecordType? RecordType(string? name)
    {
        if (name is null)
        {
            return null;
        }

        // The code as the manuals print it will do as well.
        var code = long.TryParse(name, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var number) ? PicoQuantLayout.Of(number)?.Type : null;
        return code ?? (Enum.TryParse<PicoQuantRecordType>(name, ignoreCase: true, out var type) && Enum.IsDefined(type)
            ? type
            : throw new UsageException($"--record-type {name}: one of {string.Join(", ", Enum.GetNames<PicoQuantRecordType>())}"));
    }
}
