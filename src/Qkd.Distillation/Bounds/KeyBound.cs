namespace Qkd.Distillation;

/// <summary>
/// What a finite-key bound came to: the length that a block may give, and what stands behind it. Each bound derives its own record, with every
/// intermediate of its formula.
/// </summary>
public abstract record KeyBound
{
    /// <summary>The bound's name: paper, and number of decoys or kind of source.</summary>
    public abstract string Name { get; }

    /// <summary>Upper bound on the phase error rate of the bits that the key is made from; 1/2 or more means no key.</summary>
    public double PhaseErrorRate { get; init; } = 1;

    /// <summary>λ as it entered: all leaked bits that the formula does not count itself.</summary>
    public double LeakedBits { get; init; }

    /// <summary>l before any rounding; may be negative; 0 where nothing can be bounded, and where the phase error rate is 1/2 or more.</summary>
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

    /// <summary>ε: secrecy and correctness of the block's key together, before authentication. It adds up over blocks.</summary>
    public double SecurityParameter { get; init; }
}
