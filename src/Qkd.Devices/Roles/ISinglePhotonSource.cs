namespace Qkd.Devices;

/// <summary>A source of optical pulses at or near the single-photon level.</summary>
public interface ISinglePhotonSource : IDevice
{
    /// <summary>What this source can do; fixed once open.</summary>
    SourceCapabilities SourceCapabilities { get; }

    /// <summary>Reads whether light is on, what holds it off, and the source's health.</summary>
    ValueTask<SourceStatus> GetSourceStatusAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Switches the light on and returns the lease that holds it on. The light goes off when the lease is disposed, or
    /// when it has not been renewed for <see cref="SourceCapabilities.LeaseDuration"/>, whoever dies.
    /// </summary>
    /// <exception cref="InterlockException">Key switch, interlock loop or temperature forbids it.</exception>
    ValueTask<IEmissionLease> StartEmissionAsync(CancellationToken cancellationToken);
}

/// <summary>What an <see cref="ISinglePhotonSource"/> can do.</summary>
public sealed record SourceCapabilities
{
    /// <summary>Pulses a second.</summary>
    public required double RepetitionRateHertz { get; init; }

    /// <summary>Whether the phase of each pulse is random and independent of the others, as the decoy-state proofs need.</summary>
    public required bool PhaseRandomised { get; init; }

    /// <summary>
    /// Mean photons a pulse for each intensity index at the instrument's own output, before any attenuator behind it.
    /// Brightest first.
    /// </summary>
    public required IReadOnlyList<double> OutputPhotonsPerPulse { get; init; }

    /// <summary>How long the light stays on without a renewal of the lease.</summary>
    public required TimeSpan LeaseDuration { get; init; }
}

/// <summary>State of a source.</summary>
/// <param name="Emitting">Whether light leaves the instrument.</param>
/// <param name="Interlock">What holds it off; <see cref="InterlockState.Closed"/> if nothing does.</param>
/// <param name="TemperatureCelsius">Laser temperature.</param>
/// <param name="Fault">The instrument's own words for a fault; empty if there is none.</param>
public sealed record SourceStatus(bool Emitting, InterlockState Interlock, double TemperatureCelsius, string Fault);

/// <summary>Permission to emit light, which must be renewed. Disposing it switches the light off.</summary>
public interface IEmissionLease : IAsyncDisposable
{
    /// <summary>Extends the lease by its full duration.</summary>
    /// <exception cref="InterlockException">The lease has lapsed or an interlock opened: the light is off.</exception>
    ValueTask RenewAsync(CancellationToken cancellationToken);
}
