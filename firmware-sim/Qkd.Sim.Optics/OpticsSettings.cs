namespace Qkd.Sim.Optics;

/// <summary>
/// Everything about the emulated light path that does not change while it runs. The defaults describe a 20 km link at 100 MHz on
/// which about 7 million clicks a second arrive with an error rate near one per cent. The model is written down in
/// <c>docs/physics.md</c>.
/// </summary>
public sealed record OpticsSettings
{
    /// <summary>Transmitter: pulses and the imperfection of their states.</summary>
    public SourceSettings Source { get; init; } = new();

    /// <summary>Fibre: loss, delay, birefringence and its drift.</summary>
    public ChannelSettings Channel { get; init; } = new();

    /// <summary>Three-paddle polarization controller in front of the receiver.</summary>
    public ControllerSettings Controller { get; init; } = new();

    /// <summary>Passive receiver: splitter and polarizing splitters.</summary>
    public ReceiverSettings Receiver { get; init; } = new();

    /// <summary>The four detectors, in the order H (Z, bit 0), V (Z, 1), D (X, 0), A (X, 1).</summary>
    public IReadOnlyList<DetectorSettings> Detectors { get; init; } = [new(), new(), new(), new()];

    /// <summary>What the ground truth keeps.</summary>
    public TruthSettings Truth { get; init; } = new();

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentException">A setting is out of range; the parameter name is its path, e.g. <c>Channel.LengthKm</c>.</exception>
    public void Validate()
    {
        Source.Validate();
        Channel.Validate();
        Check.That(Controller.RetardanceWaves is { Count: 3 }, "Controller.RetardanceWaves", "three retardances are needed");
        foreach (var retardance in Controller.RetardanceWaves)
        {
            Check.InRange(retardance, 0, 1, "Controller.RetardanceWaves");
        }

        Check.InRange(Receiver.InsertionLossDecibels, 0, 100, "Receiver.InsertionLossDecibels");
        Check.InRange(Receiver.ZArmFraction, 0, 1, "Receiver.ZArmFraction");
        Check.InRange(Receiver.ZExtinctionDecibels, 0, 100, "Receiver.ZExtinctionDecibels");
        Check.InRange(Receiver.XExtinctionDecibels, 0, 100, "Receiver.XExtinctionDecibels");
        Check.That(Detectors is { Count: 4 }, "Detectors", "four detectors are needed");
        for (var i = 0; i < 4; i++)
        {
            Detectors[i].Validate($"Detectors[{i}]");
        }

        Truth.Validate();
    }
}

/// <summary>The transmitter's pulses.</summary>
public sealed record SourceSettings
{
    /// <summary>Time from one slot to the next, in picoseconds, 200 to 10^9. Default 10 000 (100 MHz).</summary>
    public long SlotPeriodPicoseconds { get; init; } = 10_000;

    /// <summary>
    /// Mean photon number of a pulse at the transmitter's output (before the attenuator) by intensity index, brightest first, one to
    /// four values of 0 to 10^9. Default 0.45, 0.15, 0.001.
    /// </summary>
    public IReadOnlyList<double> PhotonsPerPulse { get; init; } = [0.45, 0.15, 0.001];

    /// <summary>
    /// How often the transmitter sends each intensity. Only the eavesdropper uses it, to set the intensity of her pulses; a missing
    /// entry counts as 0. Default 0.5, 0.3125, 0.1875.
    /// </summary>
    public IReadOnlyList<double> IntensityProbabilities { get; init; } = [0.5, 0.3125, 0.1875];

    /// <summary>How often the transmitter sends the Z basis, 0 to 1; used as <see cref="IntensityProbabilities"/>. Default 13/16.</summary>
    public double ZBasisProbability { get; init; } = 13.0 / 16;

    /// <summary>
    /// Share of each pulse's light that is in the orthogonal polarization, 0 to 0.5 (limited extinction and bandwidth of the
    /// modulator): no rotation of the fibre can undo it. Default 0.005.
    /// </summary>
    public double StateError { get; init; } = 0.005;

    /// <summary>
    /// How far the angle between the Z and the X axis on the Poincaré sphere departs from 90 degrees, in radians, -0.5 to 0.5.
    /// Default 0.02.
    /// </summary>
    public double BasisSkewRadians { get; init; } = 0.02;

    internal void Validate()
    {
        Check.InRange(SlotPeriodPicoseconds, 200, 1_000_000_000, "Source.SlotPeriodPicoseconds");
        Check.That(PhotonsPerPulse is { Count: >= 1 and <= 4 }, "Source.PhotonsPerPulse", "one to four intensities are needed");
        foreach (var photons in PhotonsPerPulse)
        {
            Check.InRange(photons, 0, 1e9, "Source.PhotonsPerPulse");
        }

        Check.That(IntensityProbabilities is { Count: <= 4 }, "Source.IntensityProbabilities", "at most four are allowed");
        foreach (var probability in IntensityProbabilities)
        {
            Check.InRange(probability, 0, 1, "Source.IntensityProbabilities");
        }

        Check.InRange(ZBasisProbability, 0, 1, "Source.ZBasisProbability");
        Check.InRange(StateError, 0, 0.5, "Source.StateError");
        Check.InRange(BasisSkewRadians, -0.5, 0.5, "Source.BasisSkewRadians");
    }
}

/// <summary>The fibre between the two ends.</summary>
public sealed record ChannelSettings
{
    /// <summary>Length in kilometres, 0 to 1000. Default 20.</summary>
    public double LengthKm { get; init; } = 20;

    /// <summary>Loss in dB/km, 0 to 10. Default 0.2.</summary>
    public double LossDecibelsPerKm { get; init; } = 0.2;

    /// <summary>Loss of connectors and splices in dB, 0 to 100. Default 0.</summary>
    public double ExtraLossDecibels { get; init; }

    /// <summary>Group index, 1 to 3; with the length it gives the propagation delay. Default 1.468 (standard single-mode fibre at 1550 nm).</summary>
    public double GroupIndex { get; init; } = 1.468;

    /// <summary>
    /// Whether the fibre before and after the paddles turns the polarization by an unknown rotation drawn from the seed. Default true;
    /// false leaves the frames of the two ends aligned when all paddles are taken out.
    /// </summary>
    public bool RandomRotation { get; init; } = true;

    /// <summary>
    /// Speed of the birefringence's random walk: standard deviation of the rotation about each of the three axes of the Poincaré
    /// sphere after one second, in radians, 0 (frozen) to 10. It grows with the square root of time. Default 0.01.
    /// </summary>
    public double DriftRadiansPerRootSecond { get; init; } = 0.01;

    /// <summary>Step of the random walk in picoseconds, 10^6 to 10^12. The rotation is constant within a step. Default 10^9 (1 ms).</summary>
    public long DriftStepPicoseconds { get; init; } = 1_000_000_000;

    /// <summary>Time from a pulse's emission to its arrival, in picoseconds: length times group index over the speed of light, rounded.</summary>
    public long DelayPicoseconds => (long)Math.Round(LengthKm * 1e3 * GroupIndex / 299_792_458.0 * 1e12);

    /// <summary>Share of light that arrives at the end of the fibre.</summary>
    public double Transmittance => Math.Pow(10, -((LengthKm * LossDecibelsPerKm) + ExtraLossDecibels) / 10);

    internal void Validate()
    {
        Check.InRange(LengthKm, 0, 1000, "Channel.LengthKm");
        Check.InRange(LossDecibelsPerKm, 0, 10, "Channel.LossDecibelsPerKm");
        Check.InRange(ExtraLossDecibels, 0, 100, "Channel.ExtraLossDecibels");
        Check.InRange(GroupIndex, 1, 3, "Channel.GroupIndex");
        Check.InRange(DriftRadiansPerRootSecond, 0, 10, "Channel.DriftRadiansPerRootSecond");
        Check.InRange(DriftStepPicoseconds, 1_000_000, 1_000_000_000_000, "Channel.DriftStepPicoseconds");
    }
}

/// <summary>A controller of three fibre paddles, each a retarder that turns about the fibre's axis.</summary>
public sealed record ControllerSettings
{
    /// <summary>
    /// Retardance of each paddle in waves, 0 to 1, from input to output. Nominally 1/4, 1/2, 1/4; a wound fibre never meets that, and
    /// the defaults 0.23, 0.46, 0.24 depart from it as a real one does.
    /// </summary>
    public IReadOnlyList<double> RetardanceWaves { get; init; } = [0.23, 0.46, 0.24];
}

/// <summary>The passive receiver: a beam splitter that chooses the basis and a polarizing splitter in each arm.</summary>
public sealed record ReceiverSettings
{
    /// <summary>Loss from the receiver's input to the detectors, in dB, 0 to 100, the controller's included. Default 1.0.</summary>
    public double InsertionLossDecibels { get; init; } = 1.0;

    /// <summary>Share of light that goes to the Z arm, 0 to 1. Default 0.5.</summary>
    public double ZArmFraction { get; init; } = 0.5;

    /// <summary>Extinction of the Z arm's polarizing splitter, both ports, in dB, 0 to 100. Default 27.</summary>
    public double ZExtinctionDecibels { get; init; } = 27;

    /// <summary>Extinction of the X arm's polarizing splitter, both ports, in dB, 0 to 100. Default 27.</summary>
    public double XExtinctionDecibels { get; init; } = 27;
}

/// <summary>One single-photon detector.</summary>
public sealed record DetectorSettings
{
    /// <summary>Probability that a photon which reaches it is detected, 0 to 1. Default 0.85.</summary>
    public double Efficiency { get; init; } = 0.85;

    /// <summary>Dark counts a second, uniform in time, 0 to 10^7. Default 100.</summary>
    public double DarkCountsPerSecond { get; init; } = 100;

    /// <summary>Dead time after each click in picoseconds, not prolonged by light that arrives in it, 0 to 10^9. Default 15 000.</summary>
    public long DeadTimePicoseconds { get; init; } = 15_000;

    /// <summary>Probability that a click leaves an afterpulse due after the dead time, 0 to 0.5. Default 0.005.</summary>
    public double AfterpulseProbability { get; init; } = 0.005;

    /// <summary>Mean delay of an afterpulse after the end of the dead time, in picoseconds, 1 to 10^9, exponential. Default 50 000.</summary>
    public double AfterpulseDecayPicoseconds { get; init; } = 50_000;

    /// <summary>Standard deviation of a click's time, Gaussian, in picoseconds, 0 to 2000. Default 40.</summary>
    public double JitterPicoseconds { get; init; } = 40;

    internal void Validate(string path)
    {
        Check.InRange(Efficiency, 0, 1, path + ".Efficiency");
        Check.InRange(DarkCountsPerSecond, 0, 1e7, path + ".DarkCountsPerSecond");
        Check.InRange(DeadTimePicoseconds, 0, 1_000_000_000, path + ".DeadTimePicoseconds");
        Check.InRange(AfterpulseProbability, 0, 0.5, path + ".AfterpulseProbability");
        Check.InRange(AfterpulseDecayPicoseconds, 1, 1e9, path + ".AfterpulseDecayPicoseconds");
        Check.InRange(JitterPicoseconds, 0, 2000, path + ".JitterPicoseconds");
    }
}

/// <summary>What <see cref="GroundTruth"/> keeps, and how it cuts the slots into frames.</summary>
public sealed record TruthSettings
{
    /// <summary>Slots a frame; a multiple of 64. Default 1 000 000.</summary>
    public int FrameSlots { get; init; } = 1_000_000;

    /// <summary>Slots at the head of each frame that carry the pilot and are counted apart; a multiple of 64, 0 to the frame. Default 4096.</summary>
    public int PilotSlots { get; init; } = 4096;

    /// <summary>How many of the latest frames keep counters of their own, 0 to 100 000, about 3 kB each. Default 1000.</summary>
    public int FramesKept { get; init; } = 1000;

    internal void Validate()
    {
        Check.That(FrameSlots > 0 && FrameSlots % 64 == 0, "Truth.FrameSlots", "a positive multiple of 64 is needed");
        Check.That(PilotSlots >= 0 && PilotSlots % 64 == 0 && PilotSlots <= FrameSlots, "Truth.PilotSlots", "a multiple of 64 up to the frame's length is needed");
        Check.InRange(FramesKept, 0, 100_000, "Truth.FramesKept");
    }
}

/// <summary>Kinds of eavesdropper.</summary>
public enum EavesdropperKind
{
    /// <summary>Nobody is listening.</summary>
    None,

    /// <summary>
    /// Measures a share of the pulses at the transmitter's output in a basis drawn evenly, sends on what she saw, and passes
    /// vacuum on where she saw nothing.
    /// </summary>
    InterceptResend,
}

/// <summary>An eavesdropper; may be changed while light passes.</summary>
public sealed record EavesdropperSettings
{
    /// <summary>Nobody.</summary>
    public static EavesdropperSettings None { get; } = new();

    /// <summary>What she does. Default <see cref="EavesdropperKind.None"/>.</summary>
    public EavesdropperKind Kind { get; init; }

    /// <summary>Share of the pulses she intercepts, each drawn independently, 0 to 1. Default 1.</summary>
    public double Fraction { get; init; } = 1;
}

internal static class Check
{
    public static void InRange(double value, double low, double high, string path)
    {
        if (!(value >= low && value <= high))
        {
            throw new ArgumentException(FormattableString.Invariant($"{path} is {value}, which is not within {low} to {high}."), path);
        }
    }

    public static void That(bool condition, string path, string what)
    {
        if (!condition)
        {
            throw new ArgumentException($"{path}: {what}.", path);
        }
    }
}
