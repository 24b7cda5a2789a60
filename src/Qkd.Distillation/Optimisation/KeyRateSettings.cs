namespace Qkd.Distillation;

/// <summary>The bounds that a key rate can be worked out with.</summary>
public enum KeyBoundKind
{
    /// <summary><see cref="FiniteKey.TwoDecoy(TwoDecoyInputs)"/>.</summary>
    TupkaryTwoDecoy,

    /// <summary><see cref="FiniteKey.Wiesemann"/>.</summary>
    WiesemannOneDecoy,

    /// <summary><see cref="FiniteKey.Lim"/>.</summary>
    LimTwoDecoy,

    /// <summary><see cref="FiniteKey.Rusca"/>.</summary>
    RuscaOneDecoy,

    /// <summary><see cref="FiniteKey.Tomamichel"/>, with a source of single photons.</summary>
    Tomamichel,

    /// <summary><see cref="FiniteKey.LimXuPanEkert"/>, with a source of pairs at Alice.</summary>
    LimXuPanEkert,
}

/// <summary>How long a block is.</summary>
public enum BlockUnit
{
    /// <summary>So many pulses.</summary>
    Pulses,

    /// <summary>So many bits in the key basis, before the test for the bounds that draw their test from them.</summary>
    KeyBits,
}

/// <summary>What a key rate is worked out for, besides the link.</summary>
public sealed record KeyRateSettings
{
    /// <summary>The bound.</summary>
    public KeyBoundKind Bound { get; init; } = KeyBoundKind.TupkaryTwoDecoy;

    /// <summary>Size of a block, in <see cref="Unit"/>. 1 to 1e15.</summary>
    public double BlockSize { get; init; } = 1e7;

    /// <summary>What <see cref="BlockSize"/> counts.</summary>
    public BlockUnit Unit { get; init; } = BlockUnit.KeyBits;

    /// <summary>f: leaked bits by n h(Q). 1 or more.</summary>
    public double ErrorCorrectionEfficiency { get; init; } = 1.16;

    /// <summary>The six failure probabilities and the detector model of the bound with mismatch.</summary>
    public SecurityParameters Security { get; init; } = new(1e-10);

    /// <summary>ε_sec of the other bounds; ε of <see cref="KeyBoundKind.LimXuPanEkert"/>.</summary>
    public double Secrecy { get; init; } = 1e-9;

    /// <summary>ε_cor of the other bounds.</summary>
    public double Correctness { get; init; } = 1e-15;

    /// <summary>κ: if given, ε_sec is κ for each bit of the key, in place of <see cref="Secrecy"/>.</summary>
    public double? SecrecyPerBit { get; init; }

    /// <summary>Mean photon number of the weakest of three intensities: what the modulator lets through. 0 to 0.05.</summary>
    public double WeakestMean { get; init; } = 2e-4;

    /// <summary>Half the width of each intensity's interval, relative to the mean. 0 to below 1.</summary>
    public double IntensityUncertainty { get; init; }

    /// <summary>How many intensities the bound takes; 0 for single photons and pairs.</summary>
    public int IntensityCount => Bound switch
    {
        KeyBoundKind.TupkaryTwoDecoy or KeyBoundKind.LimTwoDecoy => 3,
        KeyBoundKind.WiesemannOneDecoy or KeyBoundKind.RuscaOneDecoy => 2,
        _ => 0,
    };

    /// <summary>Checks every value.</summary>
    /// <exception cref="DistillationException">A value is out of its range; the message names it.</exception>
    public void Validate()
    {
        Require(Enum.IsDefined(Bound), "bound", (double)Bound, "one of those listed");
        Require(Enum.IsDefined(Unit), "unit of the block size", (double)Unit, "one of those listed");
        Require(BlockSize is >= 1 and <= 1e15, "block size", BlockSize, "1 to 1e15");
        Require(ErrorCorrectionEfficiency is >= 1 and < 100, "efficiency of error correction", ErrorCorrectionEfficiency, "1 to 100");
        Require(WeakestMean is >= 0 and <= 0.05, "weakest mean photon number", WeakestMean, "0 to 0.05");
        Require(IntensityUncertainty is >= 0 and < 1, "intensity uncertainty", IntensityUncertainty, "0 to below 1");
        Require(SecrecyPerBit is null or (> 0 and < 1), "failure probability a bit", SecrecyPerBit ?? 0, "between 0 and 1");
        Security.Validate();
        DecoyEstimates.ValidateEpsilon("of secrecy", Secrecy);
        DecoyEstimates.ValidateEpsilon("of correctness", Correctness);
    }

    private static void Require(bool condition, string name, double value, string range)
    {
        if (!condition)
        {
            throw new DistillationException(FormattableString.Invariant($"The {name} is {value}; it must be {range}."));
        }
    }
}

/// <summary>What can be chosen at the source, and how much is tested.</summary>
public sealed record SourceSettings
{
    /// <summary>Mean photon numbers, brightest first; none for single photons and pairs.</summary>
    public IReadOnlyList<double> Means { get; init; } = [];

    /// <summary>Probability of each intensity; they add up to 1.</summary>
    public IReadOnlyList<double> Probabilities { get; init; } = [];

    /// <summary>Share of pulses that Alice sends in the key basis. Between 0 and 1. 1/2 for pairs.</summary>
    public double KeyBasis { get; init; } = 0.5;

    /// <summary>Pairs: share of the bits that is compared.</summary>
    public double TestShare { get; init; }

    /// <summary>Pairs: ν.</summary>
    public double KeyDeviation { get; init; }

    /// <summary>Pairs: ξ.</summary>
    public double TotalDeviation { get; init; }
}

/// <summary>What a link is expected to give.</summary>
public sealed record KeyRate
{
    /// <summary>What the source does.</summary>
    public required SourceSettings Source { get; init; }

    /// <summary>The bound, with every intermediate, at the expected counts.</summary>
    public required KeyBound Bound { get; init; }

    /// <summary>Pulses of the block.</summary>
    public required double Pulses { get; init; }

    /// <summary>Expected key-basis counts per intensity; one entry for single photons and pairs.</summary>
    public required IReadOnlyList<long> KeyCounts { get; init; }

    /// <summary>Expected errors among them.</summary>
    public required IReadOnlyList<long> KeyErrors { get; init; }

    /// <summary>Expected test-basis counts per intensity.</summary>
    public required IReadOnlyList<long> TestCounts { get; init; }

    /// <summary>Expected errors among them.</summary>
    public required IReadOnlyList<long> TestErrors { get; init; }

    /// <summary>ε_sec that was used, or ε.</summary>
    public required double Secrecy { get; init; }

    /// <summary>Error rate of the key basis.</summary>
    public required double KeyErrorRate { get; init; }

    /// <summary>Secret bits of the block; 0 if there is no key.</summary>
    public double SecretBits => Bound.LongestAcceptable > 0 ? Bound.SecretLength : 0;

    /// <summary>Secret bits a pulse.</summary>
    public double SecretBitsPerPulse => Pulses > 0 ? SecretBits / Pulses : 0;

    /// <summary>Secret bits for each bit of the key basis.</summary>
    public double SecretBitsPerKeyBit => KeyCounts.Sum() is > 0 and var bits ? SecretBits / bits : 0;
}
