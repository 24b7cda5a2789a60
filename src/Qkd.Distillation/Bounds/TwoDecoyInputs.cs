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
