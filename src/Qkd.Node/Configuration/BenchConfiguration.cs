using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.CommandLine;
using Microsoft.Extensions.Configuration.Json;

namespace Qkd.Node.Configuration;

/// <summary>Reads a configuration file with settings from the environment and the command line on top.</summary>
public static class BenchConfiguration
{
    /// <summary>Environment variables that begin so are settings: <c>QKD_Bench__Web__StatusPage</c>.</summary>
    public const string EnvironmentPrefix = "QKD_";

    /// <summary>What a file and the command line may have: the section, and beside it the schema for editors. The host reads none of them.</summary>
    private static readonly string[] KnownRoots = ["$schema", "Bench"];

    /// <summary>Reads the sources, the later ones on top: file, environment, command line.</summary>
    /// <param name="file">Path of a JSON file.</param>
    /// <param name="overrides">Command-line settings, e.g. <c>--Bench:Emulation:Seed=7</c>.</param>
    /// <exception cref="ConfigurationException">
    /// The file is missing or is not JSON (the line is told), file or command line have a section that nobody reads, or an override is not of the
    /// form <c>--Path:To:Setting=value</c>.
    /// </exception>
    public static IConfigurationRoot Load(string file, IReadOnlyList<string> overrides)
    {
        var path = Path.GetFullPath(file);
        if (!File.Exists(path))
        {
            throw new ConfigurationException("--config", $"there is no file {path}");
        }

        foreach (var setting in overrides)
        {
            // Without a value it would be passed over, or take the next one for its value.
            if (!setting.StartsWith("--", StringComparison.Ordinal) || setting.IndexOf('=', StringComparison.Ordinal) < 3)
            {
                throw new ConfigurationException(setting, "not understood; a setting is written --Bench:Path:To:Setting=value");
            }
        }

        try
        {
            var configuration = new ConfigurationBuilder()
                .AddJsonFile(path, optional: false, reloadOnChange: false)
                .AddEnvironmentVariables(EnvironmentPrefix)
                .AddCommandLine([.. overrides])
                .Build();
            RefuseUnknownRoots(configuration);
            return configuration;
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException("--config", $"{path} cannot be read: {Reason(e)}", e);
        }
    }

    /// <summary>Binds and validates section <c>Bench</c>.</summary>
    /// <exception cref="ConfigurationException">A setting is unknown, of the wrong kind or out of range; the path is told.</exception>
    public static BenchOptions Bind(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var bench = configuration.GetSection("Bench");
        if (!bench.Exists())
        {
            throw new ConfigurationException("Bench", "the configuration has no section Bench");
        }

        // Section Emulation belongs to the emulated world, which checks it itself.
        foreach (var child in bench.GetChildren().Where(child => !child.Key.Equals("Emulation", StringComparison.OrdinalIgnoreCase)))
        {
            var property = typeof(BenchOptions).GetProperties().FirstOrDefault(known => known.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase))
                ?? throw new ConfigurationException(child.Path, $"there is no such setting; there are {string.Join(", ", SettingsShape.NamesOf(typeof(BenchOptions)))}, Emulation");
            SettingsShape.Check(child, property.PropertyType);
        }

        var options = new BenchOptions
        {
            DataFolder = bench["DataFolder"] ?? new BenchOptions().DataFolder,
            Protocol = Section<ProtocolOptions>(bench, "Protocol") ?? new(),
            Web = Section<WebOptions>(bench, "Web") ?? new(),
            Alice = WithDeviceOptions(Section<AliceOptions>(bench, "Alice"), bench.GetSection("Alice")),
            Bob = WithDeviceOptions(Section<BobOptions>(bench, "Bob"), bench.GetSection("Bob")),
        };
        BenchOptionsValidator.Validate(options);
        return options;
    }

    private static T? Section<T>(IConfigurationSection parent, string name)
        where T : class
    {
        var section = parent.GetSection(name);
        if (!section.Exists())
        {
            return null;
        }

        try
        {
            return section.Get<T>();
        }
        catch (InvalidOperationException e)
        {
            throw new ConfigurationException(section.Path, e.InnerException is null ? e.Message : $"{e.Message} {e.InnerException.Message}", e);
        }
    }

    /// <summary>The environment is left out: it has other programs' variables as well.</summary>
    private static void RefuseUnknownRoots(IConfigurationRoot configuration)
    {
        foreach (var provider in configuration.Providers.Where(provider => provider is JsonConfigurationProvider or CommandLineConfigurationProvider))
        {
            foreach (var root in provider.GetChildKeys([], null).Distinct(StringComparer.OrdinalIgnoreCase))
            {
                if (!KnownRoots.Contains(root, StringComparer.OrdinalIgnoreCase))
                {
                    throw new ConfigurationException(root, "unknown section; settings of the bench stand in section Bench");
                }
            }
        }
    }

    /// <summary>The innermost cause, with the line in the file as an editor counts it.</summary>
    private static string Reason(Exception e)
    {
        while (e.InnerException is { } inner)
        {
            e = inner;
        }

        return e is JsonException { LineNumber: { } line } ? $"line {line + 1}: {e.Message}" : e.Message;
    }

    /// <summary>Driver options may have paths of their own (<c>Endpoints:Counts</c>), which a plain dictionary cannot bind.</summary>
    private static T? WithDeviceOptions<T>(T? node, IConfigurationSection section)
        where T : NodeOptions
    {
        if (node is null)
        {
            return null;
        }

        var devices = new Dictionary<string, DeviceOptions>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, device) in node.Devices)
        {
            devices[name] = device with
            {
                Options = section.GetSection($"Devices:{name}:Options").AsEnumerable(makePathsRelative: true)
                    .Where(pair => pair.Value is not null)
                    .ToDictionary(pair => pair.Key, pair => pair.Value!, StringComparer.OrdinalIgnoreCase),
            };
        }

        return node with { Devices = devices };
    }
}
