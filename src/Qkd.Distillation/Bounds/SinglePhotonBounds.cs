namespace Qkd.Distillation;

/// <summary>
/// A source that is declared to send one photon at a time. There is no member for weak coherent pulses: what is made of laser pulses needs
/// decoys, and a bound without them says nothing about it.
/// </summary>
public enum DeclaredSource
{
    /// <summary>Nobody has declared anything: refused.</summary>
    Undeclared = 0,

    /// <summary>Single photons, sent by Alice.</summary>
    SinglePhotons = 1,

    /// <summary>Entangled pairs, one photon to each end.</summary>
    EntangledPairs = 2,
}

/// <summary>What the bound of Tomamichel et al. is computed from. All but the leak is fixed before the block.</summary>
public sealed record TomamichelInputs
{
    /// <summary>What the source is declared to be.</summary>
    public required DeclaredSource Source { get; init; }

    /// <summary>n: bits that the key is made from.</summary>
    public required long KeyBits { get; init; }

    /// <summary>k: bits compared in the test basis.</summary>
    public required long TestBits { get; init; }

    /// <summary>Q: the error rate of the test bits that is tolerated; a block with more is lost. 0 to 1.</summary>
    public required double ToleratedErrorRate { get; init; }

    /// <summary>All leaked bits that the formula does not count itself.</summary>
    public required double LeakedBits { get; init; }

    /// <summary>ε_sec: the key is not secret. 1e-30 to below 1.</summary>
    public required double Secrecy { get; init; }

    /// <summary>ε_cor: the keys differ although verification passed. 1e-30 to below 1.</summary>
    public required double Correctness { get; init; }

    /// <summary>Whether a block with this number of wrong test bits is within what the bound was made for.</summary>
    public bool Accepts(long testErrors) => testErrors >= 0 && testErrors <= ToleratedErrorRate * TestBits;
}

/// <summary>The bound of Tomamichel, Lim, Gisin, Renner, Nature Communications 3, 634 (2012), with every intermediate.</summary>
public sealed record TomamichelBound : KeyBound
{
    /// <inheritdoc/>
    public override string Name => "tomamichel";

    /// <summary>μ: deviation of the key from the test sample.</summary>
    public double SamplingDeviation { get; init; }
}

/// <summary>What the bound of Lim, Xu, Pan and Ekert is computed from. All but the leak is fixed before the block.</summary>
public sealed record LimXuPanEkertInputs
{
    /// <summary>What the source is declared to be.</summary>
    public required DeclaredSource Source { get; init; }

    /// <summary>m = n + k: all bits of matching bases.</summary>
    public required long TotalBits { get; init; }

    /// <summary>k: the bits of them that are drawn at random and compared.</summary>
    public required long TestBits { get; init; }

    /// <summary>δ: the error rate of the compared bits that is tolerated; a block with more is lost. 0 to below 1/2.</summary>
    public required double ToleratedErrorRate { get; init; }

    /// <summary>ν: the key's error rate is bounded by δ + ν. Below 1/2 - δ.</summary>
    public required double KeyDeviation { get; init; }

    /// <summary>ξ: the error rate of all bits is bounded by δ + ξ. Above 0, below ν.</summary>
    public required double TotalDeviation { get; init; }

    /// <summary>ε: security parameter of the key, secrecy and correctness together. 1e-30 to below 1.</summary>
    public required double Epsilon { get; init; }

    /// <summary>t: bits of the verification tag.</summary>
    public required int VerificationBits { get; init; }

    /// <summary>r: all leaked bits of the error correction.</summary>
    public required double LeakedBits { get; init; }

    /// <summary>Whether a block with this number of wrong test bits is within what the bound was made for.</summary>
    public bool Accepts(long testErrors) => testErrors >= 0 && testErrors <= ToleratedErrorRate * TestBits;
}

/// <summary>The bound of Lim, Xu, Pan, Ekert, Phys. Rev. Lett. 126, 100501 (2021), with every intermediate.</summary>
public sealed record LimXuPanEkertBound : KeyBound
{
    /// <inheritdoc/>
    public override string Name => "lim-xu-pan-ekert";

    /// <summary>n = m - k: bits that the key is made from.</summary>
    public long KeyBits { get; init; }

    /// <summary>x = m (δ + ξ): errors among all bits.</summary>
    public double TotalErrors { get; init; }

    /// <summary>G = 1/(x+1) + 1/(m-x+1).</summary>
    public double InverseSpread { get; init; }

    /// <summary>ε_PE: the sample does not represent the key.</summary>
    public double EstimationEpsilon { get; init; }

    /// <summary>ε_PA = ε - 2^-t - 2 ε_PE: what is left for privacy amplification; none at or below 0.</summary>
    public double AmplificationEpsilon { get; init; }
}
