namespace Qkd.Distillation;

/// <summary>
/// How far the two detectors of a basis may differ. All zero: equal detectors, the case of basis-independent detection.
/// </summary>
/// <param name="EfficiencyDeviation">De: efficiencies lie within η (1 ± De). 0 to below 1.</param>
/// <param name="DarkCountDeviation">Dd: dark count probabilities lie within d (1 ± Dd). 0 to below 1.</param>
/// <param name="DarkCountProbability">d: dark counts per gate and detector. 0 to below 1/2.</param>
/// <param name="RandomSwapping">Whether the roles of the two detectors of a basis are swapped at random for each pulse.</param>
public sealed record DetectorMismatch(
    double EfficiencyDeviation, double DarkCountDeviation, double DarkCountProbability, bool RandomSwapping = false)
{
    /// <summary>Equal detectors.</summary>
    public static DetectorMismatch None { get; } = new(0, 0, 0);

    /// <summary>Whether the detectors may differ at all.</summary>
    public bool Exists => EfficiencyDeviation != 0 || DarkCountDeviation != 0;
}

/// <summary>
/// The failure probabilities of one block and the bounds on the detectors, in the notation of Tupkary et al., arXiv:2408.17349.
/// </summary>
public sealed record SecurityParameters
{
    /// <summary>Every failure probability 1e-10, equal detectors.</summary>
    public SecurityParameters()
        : this(1e-10)
    {
    }

    /// <summary>All six failure probabilities alike, equal detectors.</summary>
    /// <param name="epsilon">Each of the six; above 0, below 1.</param>
    public SecurityParameters(double epsilon) =>
        (Concentration, Sampling, MismatchRatio, MismatchLoss, Amplification, Verification) =
        (epsilon, epsilon, epsilon, epsilon, epsilon, epsilon);

    /// <summary>ε_d: each of the decoy concentration bounds (Hoeffding); nine of them enter.</summary>
    public double Concentration { get; init; }

    /// <summary>ε_a: the test sample represents the key bits (Serfling).</summary>
    public double Sampling { get; init; }

    /// <summary>ε_b: concentration of the detector mismatch term δ1. Enters only with a mismatch.</summary>
    public double MismatchRatio { get; init; }

    /// <summary>ε_c: concentration of the detector mismatch term δ2. Enters only with a mismatch.</summary>
    public double MismatchLoss { get; init; }

    /// <summary>ε_PA: privacy amplification.</summary>
    public double Amplification { get; init; }

    /// <summary>ε_EV: the keys differ although verification passed.</summary>
    public double Verification { get; init; }

    /// <summary>What is known about the detectors.</summary>
    public DetectorMismatch Mismatch { get; init; } = DetectorMismatch.None;

    /// <summary>
    /// Security parameter of one block's key before authentication: 2 √(9 ε_d² + ε_a² + ε_b² + ε_c²) + ε_PA + ε_EV. It adds up over blocks.
    /// </summary>
    public double Total() => Total(Mismatch.Exists);

    internal double Total(bool withMismatch)
    {
        var mismatch = withMismatch ? (MismatchRatio * MismatchRatio) + (MismatchLoss * MismatchLoss) : 0;
        return (2 * Math.Sqrt((9 * Concentration * Concentration) + (Sampling * Sampling) + mismatch)) + Amplification + Verification;
    }

    /// <summary>Checks every value.</summary>
    /// <exception cref="DistillationException">A value is out of its range; the message names it.</exception>
    public void Validate()
    {
        Probability(Concentration, nameof(Concentration));
        Probability(Sampling, nameof(Sampling));
        Probability(MismatchRatio, nameof(MismatchRatio));
        Probability(MismatchLoss, nameof(MismatchLoss));
        Probability(Amplification, nameof(Amplification));
        Probability(Verification, nameof(Verification));
        if (Mismatch is not { EfficiencyDeviation: >= 0 and < 1, DarkCountDeviation: >= 0 and < 1, DarkCountProbability: >= 0 and < 0.5 })
        {
            throw new DistillationException($"The detector mismatch is out of range: {Mismatch}.");
        }

        static void Probability(double value, string name)
        {
            // Below 1e-30 the 128-bit hashes could not keep what is promised.
            if (!(value is >= 1e-30 and < 1))
            {
                throw new DistillationException(FormattableString.Invariant($"The failure probability {name} is {value}; it must lie between 1e-30 and 1."));
            }
        }
    }
}
