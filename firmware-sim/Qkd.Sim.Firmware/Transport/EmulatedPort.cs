using System.Net;
using System.Runtime.InteropServices;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>A place at which an emulated instrument can be reached.</summary>
internal abstract class EmulatedPort : IAsyncDisposable
{
    /// <summary>VISA text of the place; empty until it is open.</summary>
    public string Address { get; protected set; } = "";

    /// <summary>A port for an instrument with a serial line.</summary>
    /// <param name="instrument">For messages, e.g. <c>DD-100-MC 'attenuator'</c>.</param>
    /// <param name="medium">Terminal or TCP.</param>
    /// <param name="listenAddress">Address of TCP.</param>
    /// <param name="port">Port of TCP; 0 for a free one.</param>
    /// <exception cref="PlatformNotSupportedException">A terminal was asked for where there is none.</exception>
    public static EmulatedPort ForSerial(string instrument, SerialMedium medium, string listenAddress, int port)
    {
        var terminals = RuntimeInformation.IsOSPlatform(OSPlatform.Linux) || RuntimeInformation.IsOSPlatform(OSPlatform.OSX);
        return medium switch
        {
            SerialMedium.PseudoTerminal when !terminals =>
                throw new PlatformNotSupportedException($"Emulated {instrument}: there are no pseudo-terminals on this system; use Tcp."),
            SerialMedium.PseudoTerminal => new TerminalPort(instrument),
            SerialMedium.Automatic when terminals => new TerminalPort(instrument),
            _ => new TcpPort(instrument, IPAddress.Parse(listenAddress), port, newestOnly: true),
        };
    }

    /// <summary>Begins to listen.</summary>
    /// <exception cref="IOException">It cannot; the message names the instrument and the place.</exception>
    public abstract void Open(ILineHandler handler);

    /// <summary>Ends all connections and takes none, as if the cable were pulled.</summary>
    public abstract void Unplug();

    /// <summary>Undoes <see cref="Unplug"/>.</summary>
    /// <exception cref="IOException">The place cannot be had again.</exception>
    public abstract void PlugIn();

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}
