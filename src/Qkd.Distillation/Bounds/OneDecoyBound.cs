namespace Qkd.Distillation;

/// <summary>What the one-decoy bounds are computed from. Index 0 is the brighter intensity.</summary>
public sealed record OneDecoyInputs
{
    /// <summary>Two intensities: μ1 > μ2 > 0, over their whole intervals.</summary>
    public required IReadOnlyList<IntensityClass> Intensities { get; init; }

    /// <summary>Key-basis counts per intensity.</summary>
    public required IReadOnlyList<long> KeyCounts { get; init; }

    /// <summary>Key-basis errors per intensity: they bound the vacuum detections of the key basis.</summary>
    public required IReadOnlyList<long> KeyErrors { get; init; }

    /// <summary>Test-basis counts per intensity.</summary>
    public required IReadOnlyList<long> TestCounts { get; init; }

    /// <summary>Test-basis errors per intensity.</summary>
    public required IReadOnlyList<long> TestErrors { get; init; }

    /// <summary>λ_EC: all leaked bits that the formula does not count itself.</summary>
    public required double LeakedBits { get; init; }

    /// <summary>ε_sec: the key is not secret. 1e-30 to below 1.</summary>
    public required double Secrecy { get; init; }

    /// <summary>ε_cor: the keys differ although verification passed. 1e-30 to below 1.</summary>
    public required double Correctness { get; init; }
}

/// <summary>
/// A one-decoy bound with every intermediate. Each estimate is taken at its own worst point of the intensity intervals.
/// </summary>
public abstract record OneDecoyBound : KeyBound
{
    /// <summary>Upper bound on vacuum detections in the key basis.</summary>
    public double KeyVacuumMost { get; init; }

    /// <summary>Lower bound on single-photon detections in the key basis.</summary>
    public double KeySinglePhotons { get; init; }

    /// <summary>Upper bound on vacuum detections in the test basis.</summary>
    public double TestVacuumMost { get; init; }

    /// <summary>Lower bound on single-photon detections in the test basis.</summary>
    public double TestSinglePhotons { get; init; }

    /// <summary>Upper bound on single-photon errors in the test basis.</summary>
    public double TestSinglePhotonErrors { get; init; }

    /// <summary>Test-basis single-photon errors by single photons.</summary>
    public double TestErrorRate { get; init; }

    /// <summary>Deviation of the key from the test sample.</summary>
    public double SamplingDeviation { get; init; }
}

/// <summary>The bound of Rusca et al., Appl. Phys. Lett. 112, 171104 (2018).</summary>
public sealed record RuscaBound : OneDecoyBound
{
    /// <inheritdoc/>
    public override string Name => "rusca-1decoy";

    /// <summary>s_Z0: lower bound on vacuum detections in the key basis; credited to the key.</summary>
    public double KeyVacuum { get; init; }
}

/// <summary>The bound of Wiesemann et al., Quantum 10, 2037 (2026). No credit for vacuum.</summary>
public sealed record WiesemannBound : OneDecoyBound
{
    /// <inheritdoc/>
    public override string Name => "wiesemann-1decoy";

    /// <summary>ε_0 = ε_sec/15: the failure probability of each estimate.</summary>
    public double EstimateEpsilon { get; init; }
}
