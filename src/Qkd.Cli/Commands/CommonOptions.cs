using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Sim.Bench;
using Qkd.Timing.Formats;
using Qkd.Web.Etsi014;

namespace Qkd.Cli.Commands;

/// <summary>Options and habits that verbs have in common.</summary>
internal static class CommonOptions
{
    private const string DefaultConfig = "config/bench.json";

    /// <summary><c>--config F</c>.</summary>
    public static Option<string> Config() => new("--config", "-c")
    {
        Description = "Configuration file.",
        DefaultValueFactory = _ => DefaultConfig,
        HelpName = "FILE",
    };

    /// <summary><c>--json</c>.</summary>
    public static Option<bool> Json() => new("--json") { Description = "Print one JSON object instead of text." };

    /// <summary>
    /// The configuration file: as given from the working directory; the default one is also looked for beside the program.
    /// </summary>
    public static string FindConfig(string file)
    {
        var beside = Path.Combine(AppContext.BaseDirectory, DefaultConfig);
        return !File.Exists(file) && file == DefaultConfig && File.Exists(beside) ? beside : file;
    }

    /// <summary>What no option takes: settings, in place of those of the file.</summary>
    public static Argument<string[]> Settings() => new("settings")
    {
        Description = "Settings in place of the file's, each as --Bench:Path:To:Setting=value.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    /// <summary>Checks that what stands in the place of settings is nothing else.</summary>
    /// <exception cref="UsageException">An argument that is no setting.</exception>
    public static IReadOnlyList<string> Overrides(IEnumerable<string>? settings)
    {
        string[] given = [.. settings ?? []];
        foreach (var token in given)
        {
            if (!token.StartsWith("--", StringComparison.Ordinal) || !token.Contains(':', StringComparison.Ordinal) || !token.Contains('=', StringComparison.Ordinal))
            {
                throw new UsageException($"'{token}' is not understood; a setting is written --Bench:Path:To:Setting=value");
            }
        }

        return given;
    }

    /// <summary>Reads one of the names of an enumeration, in whatever case.</summary>
    public static T? OneOf<T>(ArgumentResult result)
        where T : struct, Enum
    {
        if (Enum.GetNames<T>().FirstOrDefault(name => name.Equals(result.Tokens[0].Value, StringComparison.OrdinalIgnoreCase)) is { } found)
        {
            return Enum.Parse<T>(found);
        }

        var names = string.Join(" or ", Enum.GetNames<T>().Select(name => name.ToLowerInvariant()));
        result.AddError($"{((OptionResult)result.Parent!).Option.Name} {result.Tokens[0].Value}: it is {names}");
        return null;
    }

    /// <summary>Reads a length of time such as <c>30s</c>, <c>10m</c>, <c>1h</c> or <c>500ms</c>.</summary>
    public static bool TryParseDuration(string text, out TimeSpan duration)
    {
        var digits = text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        duration = default;
        if (!double.TryParse(text.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
        {
            return false;
        }

        double? seconds = text[digits..] switch
        {
            "ms" => value / 1000,
            "s" or "" => value,
            "m" => value * 60,
            "h" => value * 3600,
            _ => null,
        };
        if (seconds is not { } s || s > TimeSpan.FromDays(365).TotalSeconds)
        {
            return false;
        }

        duration = TimeSpan.FromSeconds(s);
        return true;
    }

    /// <summary>Runs a verb and turns every expected failure into one sentence on stderr and an exit code.</summary>
    public static async Task<int> GuardAsync(Func<Task<int>> verb)
    {
        // Ctrl-C is listened to once the verb has first waited for something: not only after seconds of starting.
        await Task.Yield();
        try
        {
            return await verb();
        }
        catch (UsageException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.WrongUse;
        }
        catch (Exception e) when (e is ConfigurationException or EmulationConfigurationException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.WrongUse;
        }
        catch (OperationCanceledException)
        {
            return ExitCodes.Failure;
        }
        catch (Exception e) when (e is DeviceException or LinkException or KeyStoreException or Etsi014Exception or IOException or UnauthorizedAccessException or FormatException or HttpRequestException or InvalidDataException or DistillationException or TagFormatException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.Failure;
        }
    }
}

/// <summary>The command line makes no sense.</summary>
internal sealed class UsageException(string message) : Exception(message);
