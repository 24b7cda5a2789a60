namespace Qkd.Distillation;

/// <summary>
/// A block whose bits are the same at both ends, except with the probability ε_EV. Used up by agreeing on the length.
/// </summary>
public sealed class VerifiedBlock : IDisposable
{
    private readonly Custody<BitString> _key;
    private readonly LinkEnd _end;
    private KeyBound? _bound;

    internal VerifiedBlock(CorrectedBlock corrected, LinkEnd end, BitString key, LeakageLedger ledger, long[] keyErrors)
    {
        Sifted = corrected.Sifted;
        Ledger = ledger;
        KeyErrors = keyErrors;
        _end = end;
        _key = new(nameof(VerifiedBlock), key);
    }

    /// <summary>The block's id.</summary>
    public long BlockId => Sifted.BlockId;

    /// <summary>What the block is.</summary>
    public BlockParameters Parameters => Sifted.Parameters;

    /// <summary>The statistics of sifting; its bits are gone.</summary>
    public SiftedBlock Sifted { get; }

    /// <summary>What has leaked: complete.</summary>
    public LeakageLedger Ledger { get; }

    /// <summary>Errors in the key basis per intensity, brightest first, as Bob counted his corrections.</summary>
    public IReadOnlyList<long> KeyErrors { get; }

    /// <summary>Error rate of the key basis over all intensities, 0 to 1; NaN without a bit.</summary>
    public double KeyErrorRate => (double)KeyErrors.Sum() / Sifted.KeyBitCount;

    /// <summary>This end's own bound on the secret length, with every intermediate.</summary>
    public KeyBound Bound() => _bound ??= Parameters.Source switch
    {
        SourceModel.SinglePhotons photons => SinglePhotonBound(photons),
        _ => FiniteKey.TwoDecoy(TwoDecoyInputs.Of(Sifted, Ledger)),
    };

    private TomamichelBound SinglePhotonBound(SourceModel.SinglePhotons photons)
    {
        var inputs = new TomamichelInputs
        {
            Source = photons.Declared,
            KeyBits = Sifted.KeyBitCount,
            TestBits = Sifted.TestCounts.Sum(),
            ToleratedErrorRate = double.IsNaN(photons.ToleratedErrorRate) ? Sifted.TestErrorRate : photons.ToleratedErrorRate,
            LeakedBits = Ledger.TotalBits,
            Secrecy = photons.Secrecy,
            Correctness = Parameters.Security.Verification,
        };
        return inputs.Accepts(Sifted.TestErrors.Sum())
            ? FiniteKey.Tomamichel(inputs)
            : new() { LeakedBits = inputs.LeakedBits, Reason = "the test bits have more errors than were tolerated beforehand" };
    }

    /// <summary>Alice: settles on the length that she states: her own bound.</summary>
    public BoundedBlock AgreeLength()
    {
        if (_end != LinkEnd.Alice)
        {
            throw new InvalidOperationException("Alice states the length.");
        }

        return new(this, _end, _key.Take(), Bound(), Bound().StatedLength);
    }

    /// <summary>Bob: accepts the length that Alice states, if his own bound allows it.</summary>
    /// <param name="statedLength">Secret length in bits.</param>
    /// <exception cref="DistillationException">It is negative, not a whole number of bytes, or more than his own bound.</exception>
    public BoundedBlock AgreeLength(long statedLength)
    {
        if (_end != LinkEnd.Bob)
        {
            throw new InvalidOperationException("Bob checks the length that Alice states.");
        }

        var bound = Bound();
        if (statedLength < 0 || statedLength % 8 != 0 || statedLength > bound.LongestAcceptable)
        {
            _key.Dispose();
            throw new DistillationException($"The peer states a secret length of {statedLength} bits for block {BlockId}; the own bound allows {bound.LongestAcceptable}.");
        }

        return new(this, _end, _key.Take(), bound, statedLength);
    }

    /// <summary>Looks at the bits: for tests of the verification.</summary>
    internal BitString PeekBits() => _key.Peek();

    /// <summary>Erases the bits.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"verified block {BlockId}: {Sifted.KeyBitCount} bits";
}
