namespace Qkd.Devices;

/// <summary>One or more single-photon detectors with their electronics.</summary>
public interface ISinglePhotonDetector : IDevice
{
    /// <summary>What the instrument has; fixed once open.</summary>
    DetectorCapabilities DetectorCapabilities { get; }

    /// <summary>
    /// Switches the detectors on or off: bias current or bias voltage. Never calibrates the bias by itself: that needs darkness,
    /// which only the caller can know of.
    /// </summary>
    ValueTask SetEnabledAsync(bool enabled, CancellationToken cancellationToken);

    /// <summary>Sets the bias current of each channel, in microamperes.</summary>
    /// <exception cref="NotSupportedException"><see cref="DetectorCapabilities.BiasCurrentMicroamperes"/> is null.</exception>
    /// <exception cref="SettingOutOfRangeException">Outside the instrument's limits; nothing has changed.</exception>
    ValueTask SetBiasCurrentsAsync(ReadOnlyMemory<double> microamperes, CancellationToken cancellationToken);

    /// <summary>Sets the trigger level of each channel, in millivolts.</summary>
    /// <exception cref="NotSupportedException"><see cref="DetectorCapabilities.TriggerLevelMillivolts"/> is null.</exception>
    /// <exception cref="SettingOutOfRangeException">Outside the instrument's limits; nothing has changed.</exception>
    ValueTask SetTriggerLevelsAsync(ReadOnlyMemory<double> millivolts, CancellationToken cancellationToken);

    /// <summary>Reads state, bias and the last count rates.</summary>
    ValueTask<DetectorStatus> GetDetectorStatusAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Count rates as the instrument pushes them, one record a measurement period. A slow reader loses old records, never new ones.
    /// </summary>
    IAsyncEnumerable<DetectorCounts> ReadCountsAsync(CancellationToken cancellationToken);
}

/// <summary>A closed interval of a setting.</summary>
public readonly record struct SettingRange(double Minimum, double Maximum);

/// <summary>What an <see cref="ISinglePhotonDetector"/> has.</summary>
public sealed record DetectorCapabilities
{
    /// <summary>Number of detectors.</summary>
    public required int ChannelCount { get; init; }

    /// <summary>Limits of the bias current in microamperes; null where there is none to set.</summary>
    public SettingRange? BiasCurrentMicroamperes { get; init; }

    /// <summary>Limits of the trigger level in millivolts; null where there is none to set.</summary>
    public SettingRange? TriggerLevelMillivolts { get; init; }

    /// <summary>How often counts are reported.</summary>
    public required TimeSpan MeasurementPeriod { get; init; }
}

/// <summary>State of a detector instrument. Lists have one entry a channel; empty where the instrument has no such quantity.</summary>
public sealed record DetectorStatus
{
    /// <summary>Whether bias is on.</summary>
    public required bool Enabled { get; init; }

    /// <summary>Bias current in microamperes.</summary>
    public IReadOnlyList<double> BiasCurrentsMicroamperes { get; init; } = [];

    /// <summary>Voltage across each detector in millivolts: a nanowire that has gone normal, or is being blinded, shows here.</summary>
    public IReadOnlyList<double> BiasVoltagesMillivolts { get; init; } = [];

    /// <summary>Trigger level in millivolts.</summary>
    public IReadOnlyList<double> TriggerLevelsMillivolts { get; init; } = [];

    /// <summary>Counts a second over the last measurement period.</summary>
    public IReadOnlyList<double> CountRatesHertz { get; init; } = [];
}

/// <summary>Counts of one measurement period.</summary>
/// <param name="Time">When the record was received.</param>
/// <param name="Period">Length of the measurement period.</param>
/// <param name="Counts">Counts per channel.</param>
public sealed record DetectorCounts(DateTimeOffset Time, TimeSpan Period, IReadOnlyList<long> Counts);
