namespace Qkd.Distillation;

/// <summary>How the basis of a detection comes about.</summary>
public enum ReceiverKind
{
    /// <summary>A 50:50 splitter before two pairs of detectors that are all always open; clicks in both bases are discarded.</summary>
    PassiveSplitter,

    /// <summary>A modulator before one pair of detectors, which chooses the key basis as often as Alice does.</summary>
    ActiveAsAlice,
}

/// <summary>A fibre and a receiver, as far as they decide how many detections and errors there are.</summary>
/// <remarks>
/// Detection and error probabilities of a pulse as in Lim et al., arXiv:1311.7129, section V: 1 - (1 - 2 d) e^(-ημ) clicks, of which d and a
/// share e of the light's are wrong; afterpulses add a share of the clicks, half of them wrong.
/// </remarks>
public sealed record LinkModel
{
    /// <summary>Loss between Alice's output and Bob's input, in decibels. Not negative.</summary>
    public required double LossDecibels { get; init; }

    /// <summary>Loss within the receiver, in decibels. Not negative.</summary>
    public double ReceiverLossDecibels { get; init; }

    /// <summary>Probability that a photon which reaches a detector clicks. Above 0, up to 1.</summary>
    public double DetectorEfficiency { get; init; } = 0.2;

    /// <summary>d: dark counts per gate and detector. 0 to below 1/2.</summary>
    public double DarkCountProbability { get; init; } = 1e-6;

    /// <summary>Probability that a click is followed by an afterpulse. 0 to below 1.</summary>
    public double AfterpulseProbability { get; init; }

    /// <summary>e: the share of photons that end in the wrong detector. 0 to 1/2.</summary>
    public double MisalignmentError { get; init; } = 0.01;

    /// <summary>How Bob's basis comes about.</summary>
    public ReceiverKind Receiver { get; init; } = ReceiverKind.PassiveSplitter;

    /// <summary>Pulses a second; 0 if unknown: then there is no rate in bits a second and no dead time.</summary>
    public double RepetitionRateHertz { get; init; }

    /// <summary>Dead time of a detector, in seconds: after a click everything within it is discarded, at all detectors. Not negative.</summary>
    public double DeadTimeSeconds { get; init; }

    /// <summary>Probability that a photon which leaves Alice arrives at a detector and clicks.</summary>
    public double Transmittance => Math.Pow(10, -(LossDecibels + ReceiverLossDecibels) / 10) * DetectorEfficiency;

    /// <summary>Checks every value.</summary>
    /// <exception cref="DistillationException">A value is out of its range; the message names it.</exception>
    public void Validate()
    {
        Require(LossDecibels is >= 0 and < 1000, "loss", LossDecibels, "0 to 1000 dB");
        Require(ReceiverLossDecibels is >= 0 and < 1000, "receiver loss", ReceiverLossDecibels, "0 to 1000 dB");
        Require(DetectorEfficiency is > 0 and <= 1, "detector efficiency", DetectorEfficiency, "above 0, at most 1");
        Require(DarkCountProbability is >= 0 and < 0.5, "dark count probability", DarkCountProbability, "0 to below 1/2 a gate");
        Require(AfterpulseProbability is >= 0 and < 1, "afterpulse probability", AfterpulseProbability, "0 to below 1");
        Require(MisalignmentError is >= 0 and <= 0.5, "misalignment error", MisalignmentError, "0 to 1/2");
        Require(Enum.IsDefined(Receiver), "receiver", (double)Receiver, "one of those listed");
        Require(RepetitionRateHertz is >= 0 and < 1e15, "repetition rate", RepetitionRateHertz, "0 to 1e15 Hz");
        Require(DeadTimeSeconds is >= 0 and < 1, "dead time", DeadTimeSeconds, "0 to below 1 s");
    }

    /// <summary>Probabilities of a detection, and of a wrong one, in the key and in the test basis.</summary>
    /// <param name="dark">Probability that the light alone makes no detector click: e^(-ημ) for a coherent pulse, 1 - η for a photon.</param>
    /// <param name="darkHalf">The same for one of the two bases of a passive receiver: e^(-ημ/2), 1 - η/2.</param>
    /// <param name="keyBasis">Alice's share of the key basis.</param>
    internal (BasisYield Key, BasisYield Test) Yields(double dark, double darkHalf, double keyBasis)
    {
        if (Receiver == ReceiverKind.ActiveAsAlice)
        {
            var one = Yield(dark);
            return (keyBasis * one, (1 - keyBasis) * one);
        }

        var half = Yield(darkHalf);

        // The other basis must stay silent.
        var alone = (1 - half.Clicks) * half;
        return (alone, alone);
    }

    /// <summary>The share of pulses at which no detector is dead.</summary>
    internal double LiveShare(double clicksPerPulse) => 1 / (1 + (clicksPerPulse * RepetitionRateHertz * DeadTimeSeconds));

    private BasisYield Yield(double dark)
    {
        var clicks = 1 - ((1 - (2 * DarkCountProbability)) * dark);
        var errors = DarkCountProbability + (MisalignmentError * (1 - dark)) + (AfterpulseProbability * clicks / 2);
        var all = Math.Min(1, clicks * (1 + AfterpulseProbability));
        return new(all, Math.Min(errors, all));
    }

    private static void Require(bool condition, string name, double value, string range)
    {
        if (!condition)
        {
            throw new DistillationException(FormattableString.Invariant($"The link's {name} is {value}; it must be {range}."));
        }
    }
}

/// <summary>Detections of a pulse in one basis, and wrong ones among them.</summary>
internal readonly record struct BasisYield(double Clicks, double Errors)
{
    public static BasisYield operator *(double share, BasisYield yield) => new(share * yield.Clicks, share * yield.Errors);
}
