using System.CommandLine;
using Qkd.Distillation;

namespace Qkd.Cli.Commands;

/// <summary>The options of <c>qkd keyrate</c>, as text: lists and numbers are read by <see cref="KeyRateArguments"/>.</summary>
internal sealed class KeyRateOptions
{
    /// <summary>The bounds by their names on the command line.</summary>
    public static IReadOnlyDictionary<string, KeyBoundKind> Kinds { get; } = new Dictionary<string, KeyBoundKind>(StringComparer.Ordinal)
    {
        ["tupkary-2decoy"] = KeyBoundKind.TupkaryTwoDecoy,
        ["wiesemann-1decoy"] = KeyBoundKind.WiesemannOneDecoy,
        ["lim-2decoy"] = KeyBoundKind.LimTwoDecoy,
        ["rusca-1decoy"] = KeyBoundKind.RuscaOneDecoy,
        ["tomamichel"] = KeyBoundKind.Tomamichel,
        ["lim-xu-pan-ekert"] = KeyBoundKind.LimXuPanEkert,
    };

    public Option<string> Bound { get; } = new("--bound", "--protocol")
    {
        Description = $"{string.Join(", ", Kinds.Keys)}; several for a sweep, comma-separated.",
        HelpName = "NAME",
        DefaultValueFactory = _ => "tupkary-2decoy",
    };

    public Option<string> Mu { get; } = Text("--mu", "LIST", "Mean photon numbers, brightest first.");

    public Option<string> Uncertainty { get; } = Text("--mu-uncertainty", "X", "Half the width of each intensity's interval by its mean; the worst point counts. Default 0.");

    public Option<string> P { get; } = Text("--p", "LIST", "Probability of each intensity.");

    public Option<string> KeyCounts { get; } = Text("--key-counts", "LIST", "Detections in the key basis per intensity.");

    public Option<string> KeyErrors { get; } = Text("--key-errors", "LIST", "Errors among them; the one-decoy bounds need them.");

    public Option<string> TestCounts { get; } = Text("--test-counts", "LIST", "Detections in the test basis per intensity.");

    public Option<string> TestErrors { get; } = Text("--test-errors", "LIST", "Errors among them.");

    public Option<string> Leak { get; } = Text("--leak", "BITS", "All bits that error correction leaked.");

    public Option<string> EpsSec { get; } = Text("--eps-sec", "EPS", "ε_sec of all bounds but tupkary-2decoy and lim-xu-pan-ekert. Default 1e-9.");

    public Option<string> EpsSecPerBit { get; } = Text("--eps-sec-per-bit", "EPS", "Sweep: ε_sec for each bit of the key instead.");

    public Option<string> EpsCor { get; } = Text("--eps-cor", "EPS", "ε_cor of the same. Default 1e-15.");

    public Option<string> Eps { get; } = Text("--eps", "EPS", "tupkary-2decoy: each of the six ε, default 1e-10. lim-xu-pan-ekert: ε of the key.");

    public Option<string> EpsD { get; } = Text("--eps-d", "EPS", "tupkary-2decoy: ε of the decoy concentration bounds.");

    public Option<string> EpsA { get; } = Text("--eps-a", "EPS", "tupkary-2decoy: ε of the sampling.");

    public Option<string> EpsB { get; } = Text("--eps-b", "EPS", "tupkary-2decoy: ε of the mismatch term δ1.");

    public Option<string> EpsC { get; } = Text("--eps-c", "EPS", "tupkary-2decoy: ε of the mismatch term δ2.");

    public Option<string> EpsPa { get; } = Text("--eps-pa", "EPS", "tupkary-2decoy: ε of privacy amplification.");

    public Option<string> EpsEv { get; } = Text("--eps-ev", "EPS", "tupkary-2decoy: ε of verification.");

    public Option<string> Delta1 { get; } = Text("--delta1", "X", "tupkary-2decoy: what a detector mismatch adds to the phase error rate. Default 0.");

    public Option<string> Delta2 { get; } = Text("--delta2", "X", "tupkary-2decoy: the share of detections it may take. Default 0.");

    public Option<string> N { get; } = Text("--n", "BITS", "tomamichel: bits that the key is made from.");

    public Option<string> M { get; } = Text("--m", "BITS", "lim-xu-pan-ekert: all bits of matching bases.");

    public Option<string> K { get; } = Text("--k", "BITS", "tomamichel, lim-xu-pan-ekert: bits compared.");

    public Option<string> Qber { get; } = Text("--qber", "Q", "tomamichel, lim-xu-pan-ekert: error rate tolerated in them.");

    public Option<string> Nu { get; } = Text("--nu", "X", "lim-xu-pan-ekert: deviation ν of the key.");

    public Option<string> Xi { get; } = Text("--xi", "X", "lim-xu-pan-ekert: deviation ξ of all bits, below ν.");

    public Option<string> T { get; } = Text("--t", "BITS", "lim-xu-pan-ekert: bits of the verification tag.");

    public Option<string> SweepKm { get; } = Text("--sweep-km", "A:B:STEP", "Works out the rate from A to B kilometres of fibre instead.");

    public Option<string> Plot { get; } = Text("--plot", "FILE", "Sweep: plots the rates, as .png or .svg.");

    public Option<string> Attenuation { get; } = Text("--attenuation-db-per-km", "DB", "Sweep: loss of the fibre. Default 0.2.");

    public Option<string> ReceiverLoss { get; } = Text("--receiver-loss-db", "DB", "Sweep: loss within the receiver. Default 0.");

    public Option<string> Efficiency { get; } = Text("--efficiency", "X", "Sweep: detector efficiency. Default 0.2.");

    public Option<string> DarkCounts { get; } = Text("--dark-counts", "P", "Sweep: dark counts a gate and detector. Default 1e-6.");

    public Option<string> Misalignment { get; } = Text("--misalignment", "X", "Sweep: share of photons in the wrong detector. Default 0.01.");

    public Option<string> Afterpulse { get; } = Text("--afterpulse", "P", "Sweep: afterpulses a click. Default 0.");

    public Option<string> RepetitionRate { get; } = Text("--repetition-rate", "HZ", "Sweep: pulses a second, for rates in bits a second.");

    public Option<string> DeadTime { get; } = Text("--dead-time-ns", "NS", "Sweep: dead time of a detector; needs the repetition rate. Default 0.");

    public Option<string> Receiver { get; } = Text("--receiver", "KIND", "Sweep: passive (50:50 splitter, the default) or active (biased as Alice is).");

    public Option<string> Block { get; } = Text("--block", "N", "Sweep: size of a block. Default 1e7.");

    public Option<string> BlockUnit { get; } = Text("--block-unit", "UNIT", "Sweep: what --block counts: key-bits (the default) or pulses.");

    public Option<string> EcEfficiency { get; } = Text("--ec-efficiency", "F", "Sweep: leaked bits by n h(Q). Default 1.16.");

    public Option<string> WeakestMu { get; } = Text("--weakest-mu", "MU", "Sweep: the weakest of three intensities, which is not optimised. Default 2e-4.");

    public Option<bool> Optimise { get; } = new("--optimise")
    {
        Description = "Sweep: seek the best intensities, probabilities and basis at each length. With 'false' they are --mu, --p and --key-basis.",
        DefaultValueFactory = _ => true,
        HelpName = "BOOL",
    };

    public Option<string> KeyBasis { get; } = Text("--key-basis", "X", "Sweep, not optimised: Alice's share of the key basis.");

    public Option<string> TestShare { get; } = Text("--test-share", "X", "Sweep of lim-xu-pan-ekert, not optimised: share of the bits compared.");

    /// <summary>Options that a sweep alone takes.</summary>
    public IReadOnlyList<Option> OfSweep =>
    [
        EpsSecPerBit, Plot, Attenuation, ReceiverLoss, Efficiency, DarkCounts, Misalignment, Afterpulse, RepetitionRate, DeadTime, Receiver, Block, BlockUnit,
        EcEfficiency, WeakestMu, Optimise, KeyBasis, TestShare,
    ];

    /// <summary>Options that the counts of a block alone take.</summary>
    public IReadOnlyList<Option> OfCounts => [KeyCounts, KeyErrors, TestCounts, TestErrors, Leak, N, M, K, Qber, T, Delta1, Delta2];

    /// <summary>The failure probabilities of the bound with mismatch.</summary>
    public IReadOnlyList<Option> OfSix => [EpsD, EpsA, EpsB, EpsC, EpsPa, EpsEv];

    public void AddTo(Command command)
    {
        command.Add(Bound);
        Option[] shared = [Mu, P, Uncertainty, EpsSec, EpsCor, Eps, .. OfSix, Nu, Xi];
        foreach (var option in OfCounts.Take(5).Concat(shared).Concat(OfCounts.Skip(5)).Append(SweepKm).Concat(OfSweep))
        {
            command.Add(option);
        }
    }

    private static Option<string> Text(string name, string helpName, string description) => new(name) { HelpName = helpName, Description = description };
}
