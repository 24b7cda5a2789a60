using Microsoft.Extensions.Configuration;

namespace Qkd.Node.Configuration;

/// <summary>Reads a configuration file with settings from the environment and the command line on top.</summary>
public static class BenchConfiguration
{
    /// <summary>Environment variables that begin so are settings: <c>QKD_Bench__Web__StatusPage</c>.</summary>
    public const string EnvironmentPrefix = "QKD_";

    /// <summary>Reads the sources, the later ones on top: file, environment, command line.</summary>
    /// <param name="file">Path of a JSON file.</param>
    /// <param name="overrides">Command-line settings, e.g. <c>--Bench:Emulation:Seed=7</c>.</param>
    /// <exception cref="ConfigurationException">The file is missing or is not JSON.</exception>
    public static IConfigurationRoot Load(string file, IReadOnlyList<string> overrides)
    {
        var path = Path.GetFullPath(file);
        if (!File.Exists(path))
        {
            throw new ConfigurationException("--config", $"there is no file {path}");
        }

        try
        {
            return new ConfigurationBuilder()
                .AddJsonFile(path, optional: false, reloadOnChange: false)
                .AddEnvironmentVariables(EnvironmentPrefix)
                .AddCommandLine([.. overrides])
                .Build();
        }
        catch (Exception e) when (e is InvalidDataException or FormatException)
        {
            throw new ConfigurationException("--config", $"{path} cannot be read: {(e.InnerException ?? e).Message}", e);
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

        Refuse(bench, ["DataFolder", "Protocol", "Alice", "Bob", "Web", "Emulation"]);
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
            return section.Get<T>(binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException e)
        {
            throw new ConfigurationException(section.Path, e.InnerException is null ? e.Message : $"{e.Message} {e.InnerException.Message}", e);
        }
    }

    private static void Refuse(IConfigurationSection section, string[] known)
    {
        foreach (var child in section.GetChildren())
        {
            if (!known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            {
                throw new ConfigurationException(child.Path, $"unknown setting; known are {string.Join(", ", known)}");
            }
        }
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
