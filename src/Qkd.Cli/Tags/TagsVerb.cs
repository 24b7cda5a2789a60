using System.CommandLine;
using System.Globalization;
using Qkd.Cli.Commands;
using Qkd.Keys;
using Qkd.Timing;
using Qkd.Timing.Correlation;
using Qkd.Timing.Formats;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary>What the verbs under <c>qkd tags</c> have in common: a file, its format, progress, and what becomes of a damaged one.</summary>
internal abstract class TagsVerb
{
    /// <summary>Files shorter than this are read before a bar could be seen.</summary>
    private const long WorthABar = 32 << 20;

    private readonly Argument<string> _file = new("FILE") { Description = "The file with the tags." };
    private readonly Option<string?> _format = new("--format", "-f")
    {
        Description = $"Format, if the file does not show it: {string.Join(", ", TagFormatNames.All)}.",
        HelpName = "FORMAT",
    };

    private readonly Option<double?> _referencePeriod = new("--reference-period-ps") { Description = "Time between reference edges, for idq-ref files, which do not say.", HelpName = "PS" };
    private readonly Option<string?> _key = new("--key") { Description = "Key of the recording of a session; the node's recording.key if left out.", HelpName = "FILE" };
    private readonly Option<bool> _json = CommonOptions.Json();

    /// <summary>The verb.</summary>
    public Command Create(string name, string description)
    {
        var command = new Command(name, description) { _file, _format, _referencePeriod, _key, _json };
        AddTo(command);
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(() => Task.Run(() => Run(parsed, cancellationToken), cancellationToken)));
        return command;
    }

    /// <summary>Adds what the verb has of its own.</summary>
    protected abstract void AddTo(Command command);

    /// <summary>Looks at every buffer of the file and then tells.</summary>
    protected abstract int Run(ParseResult parsed, CancellationToken cancellationToken);

    /// <summary>Whether to print JSON.</summary>
    protected bool IsJson(ParseResult parsed) => parsed.GetValue(_json);

    /// <summary>The file.</summary>
    protected string FileOf(ParseResult parsed) => parsed.GetValue(_file)!;

    /// <summary>Opens the file.</summary>
    /// <exception cref="UsageException">No such format.</exception>
    /// <exception cref="InvalidDataException">The header is damaged.</exception>
    protected TagReader Open(ParseResult parsed) => Open(parsed, FileOf(parsed));

    /// <summary>Opens another file of the same format.</summary>
    protected TagReader Open(ParseResult parsed, string file)
    {
        var name = parsed.GetValue(_format);
        var format = name is null ? (TagFormat?)null : TagFormatNames.Parse(name) ?? throw new UsageException($"--format {name}: one of {string.Join(", ", TagFormatNames.All)}");
        var period = parsed.GetValue(_referencePeriod);
        if (period is { } given && !(given > 0 && given < 1e15))
        {
            throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--reference-period-ps {given}: above 0"));
        }

        var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1);
        try
        {
            if ((format ?? TagFiles.Recognise(Head(file))) == TagFormat.Session)
            {
                using var key = RecordingKey.Open(parsed.GetValue(_key) ?? ReplayCommand.UsualKeyFile(file));
                return TagFiles.OpenReader(stream, TagFormat.Session, period, key.Bytes.ToArray());
            }

            return TagFiles.OpenReader(stream, format, period);
        }
        catch (TagFormatException e)
        {
            stream.Dispose();
            throw new InvalidDataException(
                name is null && TagFiles.Recognise(Head(file)) is null
                    ? $"{file}: the format does not show; give it with --format ({string.Join(", ", TagFormatNames.All)})"
                    : $"{file}: {e.Message}",
                e);
        }
        catch (ArgumentException e)
        {
            stream.Dispose();
            throw new UsageException($"{file}: {e.Message}");
        }
    }

    /// <summary>Times in one unit; a file without one is the user's to explain.</summary>
    protected static TagTimes Times(TagStreamInfo info)
    {
        try
        {
            return new TagTimes(info);
        }
        catch (ArgumentException)
        {
            throw new UsageException("--reference-period-ps is needed: the file does not say how far its reference edges are apart");
        }
    }

    /// <summary>Reads the file to its end or to the first fault, with a bar if it takes long and somebody watches.</summary>
    /// <returns>The fault, if there is one: what was handed out before it is sound.</returns>
    protected TagFormatException? ReadAll(ParseResult parsed, TagReader reader, string file, Action<TagBuffer> each, CancellationToken cancellationToken)
    {
        var length = new FileInfo(file).Length;
        if (IsJson(parsed) || length < WorthABar || !AnsiConsole.Profile.Capabilities.Interactive)
        {
            return Read(reader, each, static _ => { }, cancellationToken);
        }

        return AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                var task = context.AddTask(Markup.Escape(Path.GetFileName(file)), maxValue: length);
                return Read(reader, each, position => task.Value = position, cancellationToken);
            });
    }

    /// <summary>Says that a file is damaged, if it is, and what that means for the exit code.</summary>
    protected static int End(string file, TagFormatException? fault)
    {
        if (fault is null)
        {
            return ExitCodes.Success;
        }

        Console.Error.WriteLine($"{file}: {fault.Message}. What was before it is sound, and counted.");
        return ExitCodes.Failure;
    }

    /// <summary>Reads a list of channels.</summary>
    protected static int[] Channels(string option, string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries);
        var channels = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out channels[i]) || channels[i] > 127)
            {
                throw new UsageException($"{option} {text}: channels of 0 to 127, separated by commas");
            }
        }

        return channels.Distinct().Count() == channels.Length ? channels : throw new UsageException($"{option} {text}: each channel once");
    }

    /// <summary>A number with its thousands apart.</summary>
    protected static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture).Replace(',', ' ');

    /// <summary>Text with invariant numbers.</summary>
    protected static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static TagFormatException? Read(TagReader reader, Action<TagBuffer> each, Action<long> tell, CancellationToken cancellationToken)
    {
        var buffer = new TagBuffer();
        try
        {
            while (reader.Read(buffer))
            {
                cancellationToken.ThrowIfCancellationRequested();
                each(buffer);
                tell(reader.Position);
            }

            return null;
        }
        catch (TagFormatException e)
        {
            return e;
        }
    }

    private static byte[] Head(string file)
    {
        using var stream = File.OpenRead(file);
        var head = new byte[TagFiles.HeadBytes];
        return head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
    }
}
