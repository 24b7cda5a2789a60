using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// A block after error correction: its bits are probably the same at both ends, which nobody knows yet. Used up by its verification.
/// </summary>
public sealed class CorrectedBlock : IDisposable
{
    private readonly Custody<BitString> _key;
    private readonly LinkEnd _end;
    private readonly long[]? _ownErrors;

    internal CorrectedBlock(SiftedBlock sifted, LinkEnd end, BitString key, int[] frameStarts, LeakageLedger ledger, long[]? keyErrors)
    {
        Sifted = sifted;
        Ledger = ledger;
        FrameStarts = frameStarts;
        _end = end;
        _ownErrors = keyErrors;
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
    internal IReadOnlyList<int> FrameStarts { get; }

    /// <summary>Bob's corrections in the key basis per intensity, brightest first; empty at Alice's end, who learns them with the answer.</summary>
    public IReadOnlyList<long> KeyErrors => _ownErrors ?? [];

    /// <summary>Why the block was lost in verification; null as long as it was not.</summary>
    public DiscardedBlock? Discarded { get; private set; }

    /// <summary>Alice: draws a hash key, which is fresh and unknown until now, and writes it with the tag of her bits.</summary>
    public void CreateChallenge(ISecretRandomness randomness, IBufferWriter<byte> challenge)
    {
        ArgumentNullException.ThrowIfNull(randomness);
        ArgumentNullException.ThrowIfNull(challenge);
        Require(LinkEnd.Alice);
        VerificationMessages.WriteChallenge(_key.Peek(), Parameters.Security, randomness, challenge);
    }

    /// <summary>Bob: compares Alice's tag with his own and writes his verdict, with his error counts in the key basis.</summary>
    /// <returns>The verified block, or null if the bits differ: then the whole block is lost, at both ends once the answer is sent.</returns>
    /// <exception cref="DistillationException">The message is malformed.</exception>
    public VerifiedBlock? CheckChallenge(ReadOnlySpan<byte> challenge, IBufferWriter<byte> answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        Require(LinkEnd.Bob);
        var same = VerificationMessages.CheckChallenge(_key.Peek(), Parameters.Security, challenge);
        VerificationMessages.WriteAnswer(same, _ownErrors!, answer);
        return Conclude(same, _ownErrors!);
    }

    /// <summary>Alice: takes Bob's verdict and his error counts.</summary>
    /// <returns>The verified block, or null if Bob found that the bits differ: then the whole block is lost.</returns>
    /// <exception cref="DistillationException">The message is malformed.</exception>
    public VerifiedBlock? AcceptAnswer(ReadOnlySpan<byte> answer)
    {
        Require(LinkEnd.Alice);
        var (same, errors) = VerificationMessages.ReadAnswer(answer, Sifted.KeyCounts);
        return Conclude(same, errors);
    }

    /// <summary>Looks at the bits: for tests of the reconciliation.</summary>
    internal BitString PeekBits() => _key.Peek();

    /// <summary>Erases the bits.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"corrected block {BlockId}: {Sifted.KeyBitCount} bits";

    private VerifiedBlock? Conclude(bool same, long[] errors)
    {
        if (!same)
        {
            _key.Dispose();
            Discarded = new(BlockId, "verification", "the two ends' bits differ after error correction");
            return null;
        }

        var ledger = Ledger with { VerificationBits = VerificationMessages.BitsBeyondFormula(Parameters.Security, Sifted.KeyCounts) };
        return new(this, _end, _key.Take(), ledger, errors);
    }

    private void Require(LinkEnd end)
    {
        if (_end != end)
        {
            throw new InvalidOperationException($"This step is {end}'s.");
        }
    }
}

/// <summary>A block that was given up, for the audit log.</summary>
/// <param name="BlockId">The block's id.</param>
/// <param name="Stage">Where it was lost.</param>
/// <param name="Reason">Why.</param>
public sealed record DiscardedBlock(long BlockId, string Stage, string Reason);
