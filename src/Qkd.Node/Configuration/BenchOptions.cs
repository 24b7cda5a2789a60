using Qkd.Distillation;

namespace Qkd.Node.Configuration;

/// <summary>The whole configuration: section <c>Bench</c>. Immutable; validated by <see cref="BenchOptionsValidator"/> before anything starts.</summary>
public sealed record BenchOptions
{
    /// <summary>Folder for keys, certificates, logs and the address book of emulated instruments. Relative paths count from the working directory.</summary>
    public string DataFolder { get; init; } = "data";

    /// <summary>What both nodes must agree on.</summary>
    public ProtocolOptions Protocol { get; init; } = new();

    /// <summary>Alice's node; null if this process does not run it.</summary>
    public AliceOptions? Alice { get; init; }

    /// <summary>Bob's node; null if this process does not run it.</summary>
    public BobOptions? Bob { get; init; }

    /// <summary>The status page.</summary>
    public WebOptions Web { get; init; } = new();
}

/// <summary>Section <c>Bench:Protocol</c>: the same on both nodes, compared when they meet.</summary>
public sealed record ProtocolOptions
{
    /// <summary>Pulses a second in MHz.</summary>
    public double RepetitionRateMHz { get; init; } = 100;

    /// <summary>Slots a frame; a multiple of 64 and of the marker divisor.</summary>
    public int FrameSlots { get; init; } = 1_000_000;

    /// <summary>Pilot slots at the head of each frame; a multiple of 64.</summary>
    public int PilotSlots { get; init; } = 4096;

    /// <summary>Slots between two markers, 1 to 2^20.</summary>
    public int MarkerDivisor { get; init; } = 1000;

    /// <summary>Mean photon numbers of signal, decoy and near-vacuum pulses as they leave Alice.</summary>
    public IReadOnlyList<double> Intensities { get; init; } = [];

    /// <summary>Probability of each intensity; rounded to multiples of 1/256, which is what is then drawn and declared.</summary>
    public IReadOnlyList<double> IntensityProbabilities { get; init; } = [];

    /// <summary>Probability that Alice sends the key basis Z; rounded to a multiple of 1/256.</summary>
    public double KeyBasisProbability { get; init; } = 0.8125;

    /// <summary>Key-basis bits that a block should have.</summary>
    public int BlockKeyBits { get; init; } = 1_000_000;

    /// <summary>Frames of the first block, before the rate is known.</summary>
    public int InitialBlockFrames { get; init; } = 38;

    /// <summary>Error rate, above 0 and up to 0.5, above which no key is made and an alarm is raised. Above 0.11 it guards nothing: the bound gives no key there.</summary>
    public double QberLimit { get; init; } = 0.06;

    /// <summary>Each of the failure probabilities of the finite-key bound and of the verification, 1e-30 to 1e-3.</summary>
    public double Epsilon { get; init; } = 1e-10;

    /// <summary>
    /// Error correction. Auto: for each block what promises more secret bits a second. Ldpc rests on no argument about what Bob says; see docs/security.md. Alice's setting counts.
    /// </summary>
    public ReconciliationMethod Reconciliation { get; init; } = ReconciliationMethod.Auto;

    /// <summary>The receiver's detectors have efficiencies η(1 ± this); 0 to below 1.</summary>
    public double EfficiencyMismatch { get; init; }

    /// <summary>The receiver's detectors have dark-count probabilities d(1 ± this); 0 to below 1.</summary>
    public double DarkCountMismatch { get; init; }

    /// <summary>Dark-count probability d of a detector in one gate, 0 to below 0.5.</summary>
    public double DarkCountProbability { get; init; }
}

/// <summary>What both nodes' sections have in common.</summary>
public abstract record NodeOptions
{
    /// <summary>The name of the node in messages, logs and alarms.</summary>
    public string Name { get; init; } = "";

    /// <summary>The instruments by name.</summary>
    public IReadOnlyDictionary<string, DeviceOptions> Devices { get; init; } = new Dictionary<string, DeviceOptions>();

    /// <summary>The classical link to the peer.</summary>
    public LinkOptions Link { get; init; } = new();

    /// <summary>Key store and delivery.</summary>
    public KeysOptions Keys { get; init; } = new();

    /// <summary>Recordings of whole sessions, to be replayed.</summary>
    public RecordingOptions Recording { get; init; } = new();
}

/// <summary>Section <c>Bench:Alice</c>.</summary>
public sealed record AliceOptions : NodeOptions
{
    /// <summary>Which device plays which role: <c>Source</c>, <c>Modulator</c>, <c>Attenuator</c>.</summary>
    public AliceRoles Roles { get; init; } = new();

    /// <summary>Evidence for an Attested grade.</summary>
    public AttestationOptions Attestations { get; init; } = new();

    /// <summary>Frames of preparation kept until Bob's detections arrive; half a megabyte each at a million slots a frame.</summary>
    public int PreparationFrames { get; init; } = 300;

    /// <summary>How symbols are made: <c>Stream</c>, the host draws every one of them.</summary>
    public string SymbolMode { get; init; } = "Stream";
}

/// <summary>Section <c>Bench:Alice:Roles</c>.</summary>
public sealed record AliceRoles
{
    /// <summary>The pulse source.</summary>
    public string Source { get; init; } = "transmitter";

    /// <summary>The fast modulator.</summary>
    public string Modulator { get; init; } = "transmitter";

    /// <summary>The attenuator that brings the pulses to the single-photon level.</summary>
    public string Attenuator { get; init; } = "attenuator";
}

/// <summary>Section <c>Bench:Bob</c>.</summary>
public sealed record BobOptions : NodeOptions
{
    /// <summary>Which device plays which role: <c>Tagger</c>, <c>Detectors</c>, <c>Polarization</c>.</summary>
    public BobRoles Roles { get; init; } = new();

    /// <summary>The receiver: which tagger channel is which detector, gate, dead time.</summary>
    public ReceiverOptions Receiver { get; init; } = new();

    /// <summary>Polarization alignment and tracking.</summary>
    public PolarizationOptions Polarization { get; init; } = new();
}

/// <summary>Section <c>Bench:Bob:Roles</c>.</summary>
public sealed record BobRoles
{
    /// <summary>The time tagger.</summary>
    public string Tagger { get; init; } = "tagger";

    /// <summary>The single-photon detectors.</summary>
    public string Detectors { get; init; } = "detectors";

    /// <summary>The polarization controller.</summary>
    public string Polarization { get; init; } = "paddles";
}

/// <summary>One instrument: section <c>Bench:Alice:Devices:NAME</c> or <c>Bench:Bob:Devices:NAME</c>.</summary>
public sealed record DeviceOptions
{
    /// <summary>Driver id, as <c>qkd devices list</c> prints them.</summary>
    public string Driver { get; init; } = "";

    /// <summary>Address, e.g. <c>TCPIP0::10.0.0.5::5025::SOCKET</c>, <c>ASRL/dev/ttyUSB0::INSTR</c> or <c>sim:tagger</c>.</summary>
    public string Address { get; init; } = "";

    /// <summary>Options of the driver, e.g. <c>SerialNumber</c> or <c>Endpoints:Counts</c>.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>File that takes a record of everything on the wire; empty for none. Grows without bound: for fault finding.</summary>
    public string Transcript { get; init; } = "";
}

/// <summary>Section <c>Bench:NODE:Link</c>.</summary>
public sealed record LinkOptions
{
    /// <summary>Alice: <c>host:port</c> to listen at. Bob: where Alice listens.</summary>
    public string Endpoint { get; init; } = "127.0.0.1:5700";

    /// <summary>How far the two nodes' clocks may disagree, in milliseconds.</summary>
    public double ClockToleranceMs { get; init; } = 100;

    /// <summary>Without any message of a block for so many seconds it is given up.</summary>
    public double BlockTimeoutSeconds { get; init; } = 20;
}

/// <summary>Section <c>Bench:NODE:Keys</c>.</summary>
public sealed record KeysOptions
{
    /// <summary>Id of this key management entity.</summary>
    public string KmeId { get; init; } = "";

    /// <summary>Id of the peer's key management entity.</summary>
    public string PeerKmeId { get; init; } = "";

    /// <summary><c>host:port</c> of the ETSI GS QKD 014 server; empty for none.</summary>
    public string Endpoint { get; init; } = "";

    /// <summary>Whether Laboratory key may be delivered.</summary>
    public bool DeliverLaboratoryKey { get; init; }

    /// <summary>Default key size in bits.</summary>
    public int KeySizeBits { get; init; } = 256;

    /// <summary>Most key material kept, in bits; what is made beyond it is discarded, oldest first.</summary>
    public long CapacityBits { get; init; } = 4_000_000_000;

    /// <summary>Folder with this node's pre-shared key, master key and certificates; relative to the data folder. Default: the node's section name in lower case.</summary>
    public string Folder { get; init; } = "";
}

/// <summary>Section <c>Bench:NODE:Recording</c>.</summary>
public sealed record RecordingOptions
{
    /// <summary>
    /// Whether sessions are recorded, for fault finding and for tests. A recording holds raw key and all that key follows from: who has it and its key file has every key that
    /// was made while it ran. It is encrypted; see docs/security.md.
    /// </summary>
    public bool Enabled { get; init; }

    /// <summary>Folder that takes a file for each session; relative to the data folder. Nothing in it is ever deleted.</summary>
    public string Directory { get; init; } = "recordings";

    /// <summary>File with the 256-bit key that recordings are sealed with, made if there is none, for its owner alone; relative to the data folder. Default: <c>recording.key</c> in the node's folder.</summary>
    public string KeyFile { get; init; } = "";

    /// <summary>
    /// Length of a session's recording, in megabytes, at which it ends and the session goes on without. Alice's takes half a megabyte for a frame of a million slots, fifty megabytes
    /// a second at 100 MHz; Bob's about five bytes a tag.
    /// </summary>
    public long MaximumMegabytes { get; init; } = 10_000;
}

/// <summary>How a receiver finds the slots.</summary>
public enum SlotSynchronisation
{
    /// <summary>By the transmitter's marker on a channel of its own.</summary>
    Marker,

    /// <summary>In the quantum signal alone: the period in the arrival times, the numbers by the public pilots.</summary>
    Signal,
}

/// <summary>Section <c>Bench:Bob:Receiver</c>.</summary>
public sealed record ReceiverOptions
{
    /// <summary>Tagger channels of the four detectors: H, V, D, A.</summary>
    public IReadOnlyList<int> Channels { get; init; } = [];

    /// <summary>Delay of each of these channels in picoseconds, subtracted from its times.</summary>
    public IReadOnlyList<double> DelaysPicoseconds { get; init; } = [];

    /// <summary>How slots are found: by the transmitter's marker, or in the light alone, for a receiver without a wire from the transmitter.</summary>
    public SlotSynchronisation Synchronisation { get; init; }

    /// <summary>Tagger channel of the transmitter's marker. Not used where <see cref="Synchronisation"/> is <c>Signal</c>.</summary>
    public int MarkerChannel { get; init; }

    /// <summary>Full width of the gate around a slot's centre, in picoseconds.</summary>
    public double GateWidthPicoseconds { get; init; } = 2000;

    /// <summary>Full width of each detector's own gate, in picoseconds; empty if <see cref="GateWidthPicoseconds"/> holds for all.</summary>
    public IReadOnlyList<double> GateWidthsPicoseconds { get; init; } = [];

    /// <summary>Dead time of the slowest detector, in nanoseconds.</summary>
    public double DeadTimeNanoseconds { get; init; } = 15;

    /// <summary>Threshold of the detectors' inputs, in volts.</summary>
    public double ThresholdVolts { get; init; } = -0.1;

    /// <summary>Threshold of the marker's input, in volts.</summary>
    public double MarkerThresholdVolts { get; init; } = 0.5;

    /// <summary>Length of the tagger's sub-acquisitions, in milliseconds; at least 200 for an ID900.</summary>
    public double AcquisitionMs { get; init; } = 250;

    /// <summary>Bias current of each detector in microamperes; empty to leave them as they are.</summary>
    public IReadOnlyList<double> BiasMicroamperes { get; init; } = [];

    /// <summary>Count rate of one detector, in counts a second, above which it is switched off and an alarm raised.</summary>
    public double CountRateLimitHertz { get; init; } = 20e6;

    /// <summary>Probability that the receiver's passive splitter leads to the Z side. Anything but 0.5 makes Laboratory key.</summary>
    public double SplitterZ { get; init; } = 0.5;

    /// <summary>Evidence for the receiver's model, for an Attested grade.</summary>
    public AttestationOptions Attestations { get; init; } = new();
}

/// <summary>Section <c>Bench:Bob:Polarization</c>.</summary>
public sealed record PolarizationOptions
{
    /// <summary>Whether the controller follows slow drift while key is made.</summary>
    public bool Tracking { get; init; } = true;

    /// <summary>Pilot error rate above which key making stops and alignment begins anew.</summary>
    public double RealignAbove { get; init; } = 0.04;

    /// <summary>
    /// Pilot error rate below which a bench that was aligned by hand counts as aligned at the first look, its paddles unlearnt; 0 to learn and align always. Needs
    /// <see cref="Tracking"/> off: who has not learnt the paddles cannot follow with them.
    /// </summary>
    public double AlignedBelow { get; init; }

    /// <summary>Measurements after which alignment is given up and an alarm raised.</summary>
    public int MaximumMeasurements { get; init; } = 40;
}

/// <summary>Statements that make key Attested; each with evidence in words and a date.</summary>
public sealed record AttestationOptions
{
    /// <summary>The phase of each pulse is random.</summary>
    public Attestation? PhaseRandomisation { get; init; }

    /// <summary>The mean photon numbers were measured; each lies within ± <see cref="IntensityUncertainty"/> of its value.</summary>
    public Attestation? IntensityCalibration { get; init; }

    /// <summary>Relative half-width of the interval in which each mean photon number lies.</summary>
    public double IntensityUncertainty { get; init; }

    /// <summary>The source of random symbols.</summary>
    public Attestation? RandomSource { get; init; }

    /// <summary>Detection is independent of the basis within the mismatch that <see cref="ProtocolOptions"/> states.</summary>
    public Attestation? ReceiverModel { get; init; }
}

/// <summary>Evidence for one statement.</summary>
public sealed record Attestation
{
    /// <summary>Evidence in words.</summary>
    public string Evidence { get; init; } = "";

    /// <summary>When it was established, <c>YYYY-MM-DD</c>.</summary>
    public string Date { get; init; } = "";
}

/// <summary>Section <c>Bench:Web</c>.</summary>
public sealed record WebOptions
{
    /// <summary>Where the status page is served, e.g. <c>http://127.0.0.1:8080</c>; empty for none.</summary>
    public string StatusPage { get; init; } = "http://127.0.0.1:8080";
}
