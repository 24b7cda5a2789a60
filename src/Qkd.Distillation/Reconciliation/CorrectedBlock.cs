using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// A block after error correction: its bits are probably the same at both ends, which nobody knows yet. Used up by its verification.
/// </summary>
public sealed class CorrectedBlock : IDisposable
{
    private readonly Custody<BitString> _key;
    private readonly LinkEnd _end;
    private readonly Corrections? _corrections;

    internal CorrectedBlock(SiftedBlock sifted, LinkEnd end, BitString key, int[] frameStarts, LeakageLedger ledger, Corrections? corrections)
    {
        Sifted = sifted;
        Ledger = ledger;
        FrameStarts = frameStarts;
        _end = end;
        _corrections = corrections;
        _key = new(nameof(CorrectedBlock), key);
    }

    /// <summary>The block's id.</summary>
    public long BlockId => Sifted.BlockId;

    /// <summary>What the block is.</summary>
    public BlockParameters Parameters => Sifted.Parameters;

    /// <summary>The statistics of sifting; its bits are gone.</summary>
    public SiftedBlock Sifted { get; }

    /// <summary>What has leaked so far.</summary>
    public LeakageLedger Ledger { get; }

    /// <summary>Where each frame of the correction begins, ascending from 0, and at the end the length of the block: a frame is right or wrong by itself.</summary>
    public IReadOnlyList<int> FrameStarts { get; }

    /// <summary>Begins the verification. The corrected block is used up.</summary>
    /// <param name="randomness">Where Alice draws the hash key, which nobody may know before.</param>
    /// <exception cref="DistillationException">The failure probability is too small for so large a block.</exception>
    public IVerification BeginVerification(ISecretRandomness randomness)
    {
        ArgumentNullException.ThrowIfNull(randomness);
        return _end == LinkEnd.Alice ? new VerificationAlice(this, randomness) : new VerificationBob(this);
    }

    /// <summary>Hands the bits on to the verification.</summary>
    internal BitString TakeBits() => _key.Take();

    /// <summary>Bob's corrections in the key basis per intensity, brightest first.</summary>
    internal long[] KeyErrors => _corrections!.Count();

    /// <summary>Bob: notes more corrections, from a place within the block on.</summary>
    internal void AddCorrections(ReadOnlySpan<ulong> change, int count, int start) => _corrections!.Add(change, count, start);

    /// <summary>Looks at the bits: for tests of the reconciliation.</summary>
    internal BitString PeekBits() => _key.Peek();

    /// <summary>Which end's it is: for tests of the stages.</summary>
    internal LinkEnd PeekEnd() => _end;

    /// <summary>Erases the bits.</summary>
    public void Dispose()
    {
        _key.Dispose();
        _corrections?.Dispose();
    }

    /// <inheritdoc/>
    public override string ToString() => $"corrected block {BlockId}: {Sifted.KeyBitCount} bits";
}

/// <summary>
/// Which of Bob's sifted bits were turned over, with the intensity of each: both stay with him, and only their counts are told. Owns what it is given.
/// </summary>
internal sealed class Corrections(BitString where, IntensityPlanes intensities) : IDisposable
{
    public long[] Count() => intensities.Count(where.Words);

    public void Add(ReadOnlySpan<ulong> change, int count, int start) => BitRange.Add(change[..BitString.WordCount(count)], start, where.Words);

    public void Dispose()
    {
        where.Dispose();
        intensities.Dispose();
    }
}
