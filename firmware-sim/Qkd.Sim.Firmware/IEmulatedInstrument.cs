namespace Qkd.Sim.Firmware;

/// <summary>
/// An emulated instrument: it listens on a real transport and answers byte for byte as the instrument's manual says. What it senses of
/// the world (light, motor positions, clicks) passes through the hooks of the concrete type. All members may be called from any thread.
/// Disposing stops listening and drops all connections.
/// </summary>
public interface IEmulatedInstrument : IAsyncDisposable
{
    /// <summary>Name on the bench, e.g. <c>tagger</c>.</summary>
    string Name { get; }

    /// <summary>Id of the driver that speaks to it, e.g. <c>idquantique.id900</c>.</summary>
    string DriverId { get; }

    /// <summary>
    /// Its address as VISA text, e.g. <c>TCPIP0::127.0.0.1::41000::SOCKET</c>;
    /// empty before <see cref="StartAsync"/> has returned. A terminal that was unplugged and plugged in again may have another one.
    /// </summary>
    string Address { get; }

    /// <summary>Its further addresses by name, e.g. <c>Counts</c>, as VISA text; valid once <see cref="StartAsync"/> has returned.</summary>
    IReadOnlyDictionary<string, string> Endpoints { get; }

    /// <summary>Options that a driver needs for this instrument, e.g. <c>StreamPort</c>; valid once <see cref="StartAsync"/> has returned.</summary>
    IReadOnlyDictionary<string, string> Options { get; }

    /// <summary>Begins to listen. Called once.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">A port is in use or a terminal cannot be made; the message names the instrument and the address.</exception>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Misbehaves from now on as told; <see cref="InstrumentFault.None"/> mends it.</summary>
    /// <param name="fault">How.</param>
    void Inject(InstrumentFault fault);
}
