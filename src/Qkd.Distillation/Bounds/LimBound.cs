namespace Qkd.Distillation;

/// <summary>What the bound of Lim et al. is computed from. Index 0 is the brightest intensity.</summary>
public sealed record LimInputs
{
    /// <summary>Three intensities: μ1 > μ2 + μ3, μ2 > μ3 ≥ 0, over their whole intervals.</summary>
    public required IReadOnlyList<IntensityClass> Intensities { get; init; }

    /// <summary>n_X: key-basis counts per intensity.</summary>
    public required IReadOnlyList<long> KeyCounts { get; init; }

    /// <summary>n_Z: test-basis counts per intensity.</summary>
    public required IReadOnlyList<long> TestCounts { get; init; }

    /// <summary>m_Z: test-basis errors per intensity.</summary>
    public required IReadOnlyList<long> TestErrors { get; init; }

    /// <summary>λ_EC: all leaked bits that the formula does not count itself.</summary>
    public required double LeakedBits { get; init; }

    /// <summary>ε_sec: the key is not secret. 1e-30 to below 1.</summary>
    public required double Secrecy { get; init; }

    /// <summary>ε_cor: the keys differ although verification passed. 1e-30 to below 1.</summary>
    public required double Correctness { get; init; }
}

/// <summary>
/// The bound of Lim et al. with every intermediate. Symbols as in the paper, whose key basis is X. Each estimate is taken at its own worst
/// point of the intensity intervals.
/// </summary>
public sealed record LimBound : KeyBound
{
    /// <inheritdoc/>
    public override string Name => "lim-2decoy";

    /// <summary>s_X0: lower bound on vacuum detections in the key basis; credited to the key. Eq. (2).</summary>
    public double KeyVacuum { get; init; }

    /// <summary>s_X1: lower bound on single-photon detections in the key basis. Eq. (3).</summary>
    public double KeySinglePhotons { get; init; }

    /// <summary>s_Z0: lower bound on vacuum detections in the test basis.</summary>
    public double TestVacuum { get; init; }

    /// <summary>s_Z1: lower bound on single-photon detections in the test basis.</summary>
    public double TestSinglePhotons { get; init; }

    /// <summary>v_Z1: upper bound on single-photon errors in the test basis. Eq. (4).</summary>
    public double TestSinglePhotonErrors { get; init; }

    /// <summary>v_Z1/s_Z1, clipped to 0..1.</summary>
    public double TestErrorRate { get; init; }

    /// <summary>γ: deviation of the key from the test sample. Eq. (5).</summary>
    public double SamplingDeviation { get; init; }
}
