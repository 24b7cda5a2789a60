namespace Qkd.Sim.Bench;

/// <summary>The settings of the emulated world cannot be used. The message begins with the path of the setting.</summary>
public sealed class EmulationConfigurationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="path">Path of the setting, e.g. <c>Bench:Emulation:Channel:LengthKm</c>.</param>
    /// <param name="problem">What is wrong with it.</param>
    /// <param name="inner">The cause.</param>
    public EmulationConfigurationException(string path, string problem, Exception? inner = null)
        : base($"{path}: {problem}", inner) => Path = path;

    /// <summary>Path of the setting, or of the section that it is in.</summary>
    public string Path { get; }
}
