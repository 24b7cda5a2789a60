namespace Qkd.Sim.Firmware.Transport;

/// <summary>Where an emulated serial instrument listens.</summary>
public enum SerialMedium
{
    /// <summary>A pseudo-terminal on Linux and macOS, a TCP port elsewhere.</summary>
    Automatic = 0,

    /// <summary>A pseudo-terminal: a device file that serial software opens like any other. Linux and macOS.</summary>
    PseudoTerminal = 1,

    /// <summary>A TCP port that carries the same bytes, as a serial device server does. Everywhere.</summary>
    Tcp = 2,
}
