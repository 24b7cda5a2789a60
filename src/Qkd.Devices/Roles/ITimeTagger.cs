namespace Qkd.Devices;

/// <summary>An instrument that measures the arrival times of electrical pulses.</summary>
public interface ITimeTagger : IDevice
{
    /// <summary>What the instrument has; fixed once open.</summary>
    TaggerCapabilities TaggerCapabilities { get; }

    /// <summary>Sets threshold and slope of an input.</summary>
    /// <exception cref="SettingOutOfRangeException">Outside the instrument's limits.</exception>
    ValueTask ConfigureInputAsync(TaggerInput input, CancellationToken cancellationToken);

    /// <summary>
    /// Starts an acquisition and yields its tags until cancelled or disposed, which stops the acquisition. Only one stream at a
    /// time. The driver buffers at most a stated number of batches; what it then has to drop it reports as a <see cref="TagLoss"/>.
    /// </summary>
    /// <exception cref="DeviceException">The acquisition could not be started, or the stream broke off.</exception>
    IAsyncEnumerable<TagBatch> ReadTagsAsync(TagStreamRequest request, CancellationToken cancellationToken);
}

/// <summary>What an <see cref="ITimeTagger"/> has.</summary>
public sealed record TaggerCapabilities
{
    /// <summary>Channel numbers that can be read as tags.</summary>
    public required IReadOnlyList<int> Channels { get; init; }

    /// <summary>Channel numbers that can serve as the reference.</summary>
    public required IReadOnlyList<int> ReferenceChannels { get; init; }

    /// <summary>Time unit of the tags in picoseconds.</summary>
    public required double ResolutionPicoseconds { get; init; }

    /// <summary>Highest sustained rate over all channels, tags a second.</summary>
    public required double MaximumTagRateHertz { get; init; }

    /// <summary>Limits of an input's threshold in volts.</summary>
    public required SettingRange ThresholdVolts { get; init; }
}

/// <summary>Which slope of a pulse is timed.</summary>
public enum EdgeSlope
{
    /// <summary>From low to high.</summary>
    Rising,

    /// <summary>From high to low.</summary>
    Falling,
}

/// <summary>Settings of one tagger input.</summary>
/// <param name="Channel">Channel number; 0 is the start or reference input where the instrument has a separate one.</param>
/// <param name="ThresholdVolts">Discriminator threshold.</param>
/// <param name="Slope">Edge that is timed.</param>
/// <param name="DelayPicoseconds">Delay that the instrument adds to this input's times.</param>
public sealed record TaggerInput(int Channel, double ThresholdVolts, EdgeSlope Slope, long DelayPicoseconds = 0);

/// <summary>What to stream.</summary>
public sealed record TagStreamRequest
{
    /// <summary>Channels to read.</summary>
    public required IReadOnlyList<int> Channels { get; init; }

    /// <summary>Channel whose edges are the time reference; null for absolute times.</summary>
    public int? ReferenceChannel { get; init; }

    /// <summary>
    /// Length of a sub-acquisition for instruments that deliver only at its end; a shorter one costs more gaps, a longer one more delay.
    /// </summary>
    public TimeSpan AcquisitionLength { get; init; } = TimeSpan.FromMilliseconds(250);
}
