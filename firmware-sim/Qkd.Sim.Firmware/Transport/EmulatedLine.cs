namespace Qkd.Sim.Firmware.Transport;

/// <summary>One connection to a host as the instrument sees it.</summary>
internal abstract class EmulatedLine
{
    /// <summary>
    /// Sends bytes. Never blocks and never throws: what a host does not take is lost, as on a serial line, or ends the connection, as
    /// on a network.
    /// </summary>
    public abstract void Send(ReadOnlySpan<byte> bytes);
}

/// <summary>Takes what comes from hosts. Calls for one line come one after the other; calls for different lines may overlap.</summary>
internal interface ILineHandler
{
    /// <summary>A host can be heard from now on. A terminal is always there and opens only once.</summary>
    void Opened(EmulatedLine line);

    /// <summary>A host has sent bytes.</summary>
    void Received(EmulatedLine line, ReadOnlySpan<byte> bytes);

    /// <summary>The connection has ended.</summary>
    void Closed(EmulatedLine line);
}
