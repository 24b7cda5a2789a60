namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>Whether modulated light leaves the transmitter.</summary>
public enum EmissionState
{
    /// <summary>No slot leaves: the laser is off or modulation is stopped.</summary>
    Dark,

    /// <summary>Slots leave, symbol by symbol.</summary>
    Running,
}
