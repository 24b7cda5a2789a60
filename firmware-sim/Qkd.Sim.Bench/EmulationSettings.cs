using Microsoft.Extensions.Configuration;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.Transport;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>Section <c>Bench:Emulation</c>: the emulated world. Immutable; what may change at run time has a method of <see cref="EmulatedBench"/>.</summary>
public sealed record EmulationSettings
{
    /// <summary>Whether the front door starts emulated instruments.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Seed of everything random in the world. Same seed, symbols and settings: same clicks.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>How bench time goes with the wall's.</summary>
    public BenchClockMode Clock { get; init; }

    /// <summary>Numeric address of this machine on which the instruments listen.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>Where the serial instruments are.</summary>
    public SerialMedium SerialMedium { get; init; }

    /// <summary>The transmitter.</summary>
    public TransmitterEmulation Transmitter { get; init; } = new();

    /// <summary>The fibre.</summary>
    public ChannelEmulation Channel { get; init; } = new();

    /// <summary>The receiver's optics and detectors.</summary>
    public ReceiverEmulation Receiver { get; init; } = new();

    /// <summary>The time tagger's clock.</summary>
    public TaggerEmulation Tagger { get; init; } = new();

    /// <summary>What the motors know when the bench is switched on.</summary>
    public MotorEmulation Motors { get; init; } = new();

    /// <summary>Who listens.</summary>
    public EavesdropperEmulation Eavesdropper { get; init; } = new();

    /// <summary>Ports on which the instruments listen.</summary>
    public PortEmulation Ports { get; init; } = new();

    /// <summary>Names of the instruments in the address book.</summary>
    public InstrumentNames Instruments { get; init; } = new();

    /// <summary>Faults that come by themselves.</summary>
    public IReadOnlyList<FaultEmulation> Faults { get; init; } = [];

    /// <summary>What is written down of what really happened.</summary>
    public TruthEmulation Truth { get; init; } = new();

    /// <summary>Reads and checks the section.</summary>
    /// <param name="section">
    /// Section <c>Bench:Emulation</c>; one that does not exist gives the defaults, not <see cref="Enabled"/>.
    /// </param>
    /// <exception cref="EmulationConfigurationException">A setting is unknown, of the wrong kind or out of range; the message begins with its path.</exception>
    public static EmulationSettings Bind(IConfigurationSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        if (!section.Exists())
        {
            return new EmulationSettings { Enabled = false };
        }

        SettingsShape.Check(section, typeof(EmulationSettings));
        EmulationSettings settings;
        try
        {
            settings = section.Get<EmulationSettings>() ?? new();
        }
        catch (InvalidOperationException wrong)
        {
            throw new EmulationConfigurationException(section.Path, $"{wrong.Message}{(wrong.InnerException is { } inner ? " " + inner.Message : "")}", wrong);
        }

        settings.Validate(section.Path);
        return settings;
    }

    /// <summary>
    /// Reads and checks section <c>Bench:Emulation</c>. What it does not say of rate, frames and symbol probabilities is taken from section
    /// <c>Bench:Protocol</c>, which the nodes follow.
    /// </summary>
    /// <param name="configuration">The whole configuration.</param>
    /// <exception cref="EmulationConfigurationException">As with <see cref="Bind"/>.</exception>
    public static EmulationSettings Load(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var section = configuration.GetSection("Bench:Emulation");
        var settings = ProtocolDefaults.Fill(Bind(section), section, configuration.GetSection("Bench:Protocol"));
        settings.Validate(section.Path);
        return settings;
    }

    /// <summary>Checks every value.</summary>
    /// <param name="path">Path of the section, for messages.</param>
    /// <exception cref="EmulationConfigurationException">A setting is out of range; the message begins with its path.</exception>
    public void Validate(string path = "Bench:Emulation") => EmulationValidator.Validate(this, path);
}

/// <summary>Section <c>Transmitter</c>.</summary>
public sealed record TransmitterEmulation
{
    internal const double BrightestPhotons = 20_000;

    /// <summary>Pulses a second in MHz; a slot must be a whole number of picoseconds.</summary>
    public double RepetitionRateMHz { get; init; } = 100;

    /// <summary>
    /// Mean photons a pulse at the output, before the attenuator, brightest first, one to four. Default 20000, 6666.67, 44.44, which stand
    /// as 0.45 : 0.15 : 0.001.
    /// </summary>
    public IReadOnlyList<double>? OutputPhotonsPerPulse { get; init; }

    /// <summary>How often each intensity is sent; only the eavesdropper uses it. Default 0.5, 0.3125, 0.1875.</summary>
    public IReadOnlyList<double>? IntensityProbabilities { get; init; }

    /// <summary>How often the Z basis is sent; only the eavesdropper uses it.</summary>
    public double ZBasisProbability { get; init; } = 13.0 / 16;

    /// <summary>Share of each pulse's light in the orthogonal polarization, 0 to 0.5.</summary>
    public double StateError { get; init; } = 0.005;

    /// <summary>Departure of the angle between the bases on the Poincaré sphere from 90 degrees, in radians, -0.5 to 0.5.</summary>
    public double BasisSkewRadians { get; init; } = 0.02;

    /// <summary>Slots that the symbol buffer holds, a multiple of 64.</summary>
    public int BufferSlots { get; init; } = 16_000_000;

    /// <summary>Lease of emission in seconds of bench time.</summary>
    public double LeaseSeconds { get; init; } = 1;

    /// <summary>
    /// With a throttled clock, how long bench time waits for a host that runs the transmitter but sends no symbols, in seconds of the wall's
    /// time. Then the host is taken for gone: underrun.
    /// </summary>
    public double HostPatienceSeconds { get; init; } = 10;

    /// <summary>Whether the transmitter says of itself that the phase of each pulse is random. It always is.</summary>
    public bool PhaseRandomised { get; init; } = true;

    /// <summary>Length of a slot in picoseconds.</summary>
    public long SlotPicoseconds => (long)Math.Round(1e6 / RepetitionRateMHz);
}

/// <summary>Section <c>Channel</c>.</summary>
public sealed record ChannelEmulation
{
    /// <summary>Length of the fibre in km.</summary>
    public double LengthKm { get; init; } = 20;

    /// <summary>Loss of the fibre in dB/km.</summary>
    public double AttenuationDbPerKm { get; init; } = 0.2;

    /// <summary>Loss of connectors and splices in dB.</summary>
    public double ExtraLossDb { get; init; }

    /// <summary>Whether the fibre turns the polarization by an unknown rotation.</summary>
    public bool RandomRotation { get; init; } = true;

    /// <summary>Drift of that rotation: standard deviation about each axis of the Poincaré sphere after one second, in radians; 0 freezes it.</summary>
    public double DriftRadiansPerRootSecond { get; init; } = 0.01;
}

/// <summary>Section <c>Receiver</c>.</summary>
public sealed record ReceiverEmulation
{
    /// <summary>Loss from the receiver's input to the detectors, in dB.</summary>
    public double InsertionLossDb { get; init; } = 1;

    /// <summary>Share of light that goes to the Z arm.</summary>
    public double ZArmFraction { get; init; } = 0.5;

    /// <summary>Extinction of the Z arm's polarizing splitter in dB.</summary>
    public double ZExtinctionDb { get; init; } = 27;

    /// <summary>Extinction of the X arm's polarizing splitter in dB.</summary>
    public double XExtinctionDb { get; init; } = 27;

    /// <summary>Retardance of each paddle of the controller in waves; default 0.23, 0.46, 0.24.</summary>
    public IReadOnlyList<double>? PaddleRetardanceWaves { get; init; }

    /// <summary>Efficiency of every detector.</summary>
    public double Efficiency { get; init; } = 0.85;

    /// <summary>Efficiencies of the four detectors H, V, D, A in place of <see cref="Efficiency"/>.</summary>
    public IReadOnlyList<double>? Efficiencies { get; init; }

    /// <summary>Dark counts a second of a detector.</summary>
    public double DarkCountsPerSecond { get; init; } = 100;

    /// <summary>Dead time of a detector in ns.</summary>
    public double DeadTimeNanoseconds { get; init; } = 15;

    /// <summary>Probability that a click leaves an afterpulse.</summary>
    public double AfterpulseProbability { get; init; } = 0.005;

    /// <summary>Mean delay of an afterpulse after the dead time, in ns.</summary>
    public double AfterpulseDecayNanoseconds { get; init; } = 50;

    /// <summary>Standard deviation of a click's time in ps.</summary>
    public double JitterPicoseconds { get; init; } = 40;
}

/// <summary>Section <c>Tagger</c>: the receiver's clock against bench time, and the marker's way.</summary>
public sealed record TaggerEmulation
{
    /// <summary>What the tagger's clock shows at bench time 0, in ps.</summary>
    public long ClockOffsetPicoseconds { get; init; } = 1_234_567;

    /// <summary>How much faster than bench time it runs at bench time 0, in parts per million.</summary>
    public double ClockOffsetPpm { get; init; } = 1.5;

    /// <summary>How fast that grows, in parts per million a second.</summary>
    public double ClockDriftPpmPerSecond { get; init; } = 0.001;

    /// <summary>How much later than the light of its slot the marker arrives, in ps, within ±1 000 000. It travels along the same fibre.</summary>
    public long MarkerDelayPicoseconds { get; init; }

    /// <summary>Tags a second that the tagger sustains.</summary>
    public double MaximumTagRateHertz { get; init; } = 10e6;
}

/// <summary>Section <c>Motors</c>: attenuator and paddles.</summary>
public sealed record MotorEmulation
{
    /// <summary>Whether they know their positions when they are switched on; otherwise they must be homed.</summary>
    public bool PositionsKnown { get; init; } = true;

    /// <summary>Attenuation at power-up in dB.</summary>
    public double AttenuatorPowerUpDb { get; init; } = 60;

    /// <summary>Paddle angles at power-up in degrees; default 85, 85, 85.</summary>
    public IReadOnlyList<double>? PaddlePowerUpDegrees { get; init; }
}

/// <summary>Section <c>Eavesdropper</c>.</summary>
public sealed record EavesdropperEmulation
{
    /// <summary>What she does.</summary>
    public EavesdropperKind Kind { get; init; }

    /// <summary>Share of the pulses that she intercepts.</summary>
    public double Fraction { get; init; } = 1;

    /// <summary>She begins so many seconds of bench time after light first left the transmitter; 0 for from the start.</summary>
    public double StartAfterSeconds { get; init; }
}

/// <summary>Section <c>Ports</c>: TCP ports; 0 for a free one, which the address book then tells.</summary>
public sealed record PortEmulation
{
    /// <summary>The reference transmitter.</summary>
    public int Transmitter { get; init; }

    /// <summary>The DD-100-MC, where it is not on a pseudo-terminal.</summary>
    public int Attenuator { get; init; }

    /// <summary>The MPC320, where it is not on a pseudo-terminal.</summary>
    public int Paddles { get; init; }

    /// <summary>The WebSQ's control connection.</summary>
    public int Detectors { get; init; }

    /// <summary>The WebSQ's counts.</summary>
    public int DetectorCounts { get; init; }

    /// <summary>The ID900's control socket.</summary>
    public int Tagger { get; init; }

    /// <summary>The ID900's stream service.</summary>
    public int TaggerService { get; init; }

    /// <summary>First of four ports that the address book proposes to the host for the ID900's streams.</summary>
    public int TaggerStreams { get; init; }

    internal IReadOnlyList<(string Name, int Port)> All =>
    [
        (nameof(Transmitter), Transmitter), (nameof(Attenuator), Attenuator), (nameof(Paddles), Paddles), (nameof(Detectors), Detectors),
        (nameof(DetectorCounts), DetectorCounts), (nameof(Tagger), Tagger), (nameof(TaggerService), TaggerService), (nameof(TaggerStreams), TaggerStreams),
    ];
}

/// <summary>Section <c>Instruments</c>: names in the address book, behind <c>sim:</c>.</summary>
public sealed record InstrumentNames
{
    /// <summary>The reference transmitter.</summary>
    public string Transmitter { get; init; } = "transmitter";

    /// <summary>The DD-100-MC.</summary>
    public string Attenuator { get; init; } = "attenuator";

    /// <summary>The MPC320.</summary>
    public string Paddles { get; init; } = "paddles";

    /// <summary>The WebSQ.</summary>
    public string Detectors { get; init; } = "detectors";

    /// <summary>The ID900.</summary>
    public string Tagger { get; init; } = "tagger";

    internal IReadOnlyList<string> All => [Transmitter, Attenuator, Paddles, Detectors, Tagger];
}

/// <summary>An entry of section <c>Faults</c>: a fault that comes, and perhaps goes, by itself.</summary>
public sealed record FaultEmulation
{
    /// <summary>Name of the instrument.</summary>
    public string Instrument { get; init; } = "";

    /// <summary>What happens to it.</summary>
    public InstrumentFault Fault { get; init; }

    /// <summary>Seconds of bench time after light first left the transmitter; 0 for from the start.</summary>
    public double AfterSeconds { get; init; }

    /// <summary>Seconds of bench time until it is mended; 0 for never.</summary>
    public double ForSeconds { get; init; }
}

/// <summary>Section <c>Truth</c>.</summary>
public sealed record TruthEmulation
{
    /// <summary>Slots a frame, as the nodes have it; a multiple of 64.</summary>
    public int FrameSlots { get; init; } = 1_000_000;

    /// <summary>Slots of the pilot at the head of each frame; a multiple of 64.</summary>
    public int PilotSlots { get; init; } = 4096;

    /// <summary>How many of the latest frames keep counters of their own.</summary>
    public int FramesKept { get; init; } = 1000;

    /// <summary>File in the data folder, one JSON object a line, that takes the truth as bench time goes on; empty for none.</summary>
    public string File { get; init; } = "ground-truth.jsonl";

    /// <summary>Seconds of bench time from line to line.</summary>
    public double PeriodSeconds { get; init; } = 1;
}
