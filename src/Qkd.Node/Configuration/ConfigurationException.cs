namespace Qkd.Node.Configuration;

/// <summary>The configuration cannot be used. The message begins with the path of the setting.</summary>
public sealed class ConfigurationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">Path of the setting, e.g. <c>Bench:Alice:Devices:attenuator:Driver</c>.</param>
    /// <param name="problem">What is wrong with it.</param>
    /// <param name="inner">The cause.</param>
    public ConfigurationException(string path, string problem, Exception? inner = null)
        : base($"{path}: {problem}", inner) => Path = path;

    /// <summary>Path of the setting.</summary>
    public string Path { get; }
}
