namespace Qkd.Sim.Optics;

/// <summary>
/// The light path from the transmitter's output to the clicks of four detectors: attenuator, eavesdropper, fibre, paddles, passive
/// receiver, detectors. Pure physics in bench time; it knows no instrument. Work grows with the clicks, not with the pulses, and the
/// same seed, symbols and settings give the same clicks however the slots are cut into stretches. One thread.
/// </summary>
/// <remarks>The model, with every formula, is in <c>docs/physics.md</c>.</remarks>
public sealed class OpticalLine
{
    /// <summary>Number of detectors: H, V, D, A.</summary>
    public const int DetectorCount = 4;

    private readonly double[] _paddleAngles = new double[3];

    /// <summary>Makes a line at bench time 0.</summary>
    /// <param name="settings">Settings; checked here.</param>
    /// <param name="seed">Seed of all noise, of the fibre's rotation and of its drift.</param>
    /// <exception cref="ArgumentException">A setting is out of range; the parameter name is its path.</exception>
    public OpticalLine(OpticsSettings settings, ulong seed)
    {
        settings.Validate();
        Settings = settings;
        Seed = seed;
        Truth = new GroundTruth(settings.Truth);
        PhotonsPerPulse = settings.Source.PhotonsPerPulse;
    }

    /// <summary>The settings given.</summary>
    public OpticsSettings Settings { get; }

    /// <summary>The seed given.</summary>
    public ulong Seed { get; }

    /// <summary>Attenuation between the transmitter and the fibre, in dB, 0 or more; taken up by the next stretch.</summary>
    public double AttenuatorDecibels { get; set; }

    /// <summary>Angles of the three paddles from input to output, in degrees; taken up by the next stretch.</summary>
    public Span<double> PaddleAngles => _paddleAngles;

    /// <summary>Mean photons a pulse at the transmitter's output by intensity index, one to four; taken up by the next stretch.</summary>
    public IReadOnlyList<double> PhotonsPerPulse { get; set; }

    /// <summary>Who listens; taken up by the next stretch.</summary>
    public EavesdropperSettings Eavesdropper { get; set; } = EavesdropperSettings.None;

    /// <summary>Whether the detectors are biased; without bias nothing clicks. Taken up by the next stretch.</summary>
    public bool DetectorsEnabled { get; set; } = true;

    /// <summary>Speed of the drift as in <see cref="ChannelSettings.DriftRadiansPerRootSecond"/>; 0 freezes it. Taken up by its next step.</summary>
    public double DriftRadiansPerRootSecond { get; set; }

    /// <summary>What really happened. Never read by a node.</summary>
    public GroundTruth Truth { get; }

    /// <summary>Time from emission to arrival, in picoseconds. A click's time is its slot's emission time plus this plus jitter.</summary>
    public long DelayPicoseconds => Settings.Channel.DelayPicoseconds;

    /// <summary>
    /// Sends one stretch of consecutive slots and appends the clicks that follow from it. The clicks lie one propagation delay after
    /// the emission.
    /// </summary>
    /// <param name="firstSlot">Number of the first slot, 0 or more.</param>
    /// <param name="slotCount">Slots, a multiple of 64.</param>
    /// <param name="packedSymbols">Groups of 64 slots, four words each: bits, bases (1 = X), low and high bit of the intensity index.</param>
    /// <param name="firstSlotPicoseconds">Bench time at which the first slot leaves the transmitter; not before the end of the last stretch.</param>
    /// <param name="clicks">Receives the clicks.</param>
    /// <exception cref="ArgumentException">The stretch is not whole groups, lies in the past, or a property is out of range.</exception>
    public void Propagate(long firstSlot, int slotCount, ReadOnlySpan<ulong> packedSymbols, long firstSlotPicoseconds, ClickBuffer clicks)
    {
    }

    /// <summary>
    /// A stretch of bench time in which no light leaves the transmitter. Light under way still arrives; dark counts and afterpulses go on.
    /// </summary>
    /// <param name="fromPicoseconds">Begin at the transmitter; not before the end of the last stretch.</param>
    /// <param name="toPicoseconds">End at the transmitter.</param>
    /// <param name="clicks">Receives the clicks up to one propagation delay after <paramref name="toPicoseconds"/>.</param>
    /// <exception cref="ArgumentException">The stretch lies in the past or ends before it begins.</exception>
    public void PropagateDark(long fromPicoseconds, long toPicoseconds, ClickBuffer clicks)
    {
    }
}
