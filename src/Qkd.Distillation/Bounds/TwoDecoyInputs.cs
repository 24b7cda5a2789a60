namespace Qkd.Distillation;

/// <summary>What the two-decoy bound is computed from. Index 0 is the brightest intensity.</summary>
public sealed record TwoDecoyInputs
{
    /// <summary>Three intensities: μ1 > μ2 + μ3, μ2 > μ3 ≥ 0, over their whole intervals.</summary>
    public required IReadOnlyList<IntensityClass> Intensities { get; init; }

    /// <summary>n_K: key-basis counts per intensity.</summary>
    public required IReadOnlyList<long> KeyCounts { get; init; }

    /// <summary>n_X: test-basis counts per intensity.</summary>
    public required IReadOnlyList<long> TestCounts { get; init; }

    /// <summary>m_X: test-basis errors per intensity.</summary>
    public required IReadOnlyList<long> TestErrors { get; init; }

    /// <summary>λ: all leaked bits that the formula does not count itself.</summary>
    public required double LeakedBits { get; init; }

    /// <summary>Failure probabilities and detector model.</summary>
    public required SecurityParameters Security { get; init; }

    internal static TwoDecoyInputs Of(SiftedBlock sifted, LeakageLedger ledger) => new()
    {
        Intensities = sifted.Parameters.Intensities,
        KeyCounts = sifted.KeyCounts,
        TestCounts = sifted.TestCounts,
        TestErrors = sifted.TestErrors,
        LeakedBits = ledger.TotalBits,
        Security = sifted.Parameters.Security,
    };
}

/// <summary>
/// The two-decoy bound with every intermediate. Symbols as in the paper. K1, X1 and v are each taken at their own worst point of the
/// intensity intervals, so the length is at most that of any point in them.
/// </summary>
public sealed record TwoDecoyBound
{
    /// <summary>K1: lower bound on single-photon detections in the key basis.</summary>
    public double KeySinglePhotons { get; init; }

    /// <summary>X1: lower bound on single-photon detections in the test basis.</summary>
    public double TestSinglePhotons { get; init; }

    /// <summary>v: upper bound on single-photon errors in the test basis.</summary>
    public double TestSinglePhotonErrors { get; init; }

    /// <summary>e = v/X1, clipped to 0..1.</summary>
    public double TestErrorRate { get; init; }

    /// <summary>gS: deviation of the key from the test sample.</summary>
    public double SamplingDeviation { get; init; }

    /// <summary>δ1: what the detector mismatch adds to the phase error rate.</summary>
    public double Delta1 { get; init; }

    /// <summary>δ2: the share of detections that the detector mismatch may take.</summary>
    public double Delta2 { get; init; }

    /// <summary>gB(K1, δ1, ε_b).</summary>
    public double Delta1Deviation { get; init; }

    /// <summary>gB(K1, δ2, ε_c).</summary>
    public double Delta2Deviation { get; init; }

    /// <summary>e_ph: upper bound on the phase error rate of the key's single photons; 1/2 or more means no key.</summary>
    public double PhaseErrorRate { get; init; } = 1;

    /// <summary>λ as it entered.</summary>
    public double LeakedBits { get; init; }

    /// <summary>l before any rounding; may be negative; 0 where nothing can be bounded.</summary>
    public double SecretLength { get; init; }

    /// <summary>
    /// The longest key that this bound allows, in bits: <see cref="SecretLength"/> less the numerical margin, rounded down; 0 if there is none.
    /// </summary>
    public long LongestAcceptable { get; init; }

    /// <summary>
    /// The length to state to the peer: at least eight bits below <see cref="LongestAcceptable"/>, so that a last digit computed
    /// differently at the other end cannot make him refuse; a multiple of 8.
    /// </summary>
    public long StatedLength { get; init; }

    /// <summary>Why there is no key; empty if there is.</summary>
    public string Reason { get; init; } = "";
}
