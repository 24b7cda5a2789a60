namespace Qkd.Distillation;

/// <summary>
/// The key-basis bits of a block as this end has them, and the statistics of both bases, the same at both ends. Pilot slots are in none
/// of them. Made by a sifter, used up by a reconciliation.
/// </summary>
public sealed class SiftedBlock : IDisposable
{
    private readonly Custody<SiftedBits> _bits;

    internal SiftedBlock(
        BlockParameters parameters, BitString key, IntensityPlanes intensities, long[] keyCounts, long[] testCounts, long[] testErrors)
    {
        Parameters = parameters;
        KeyBitCount = key.Length;
        KeyCounts = keyCounts;
        TestCounts = testCounts;
        TestErrors = testErrors;
        _bits = new(nameof(SiftedBlock), new SiftedBits(key, intensities));
    }

    /// <summary>The block's id.</summary>
    public long BlockId => Parameters.BlockId;

    /// <summary>What the block is.</summary>
    public BlockParameters Parameters { get; }

    /// <summary>Announced detections outside the pilot, matched or not.</summary>
    public required long Detections { get; init; }

    /// <summary>
    /// At Bob's end, announced detections with more than one click in their basis, whose bit value was drawn at random; 0 at Alice's, who is not told.
    /// </summary>
    public required long MultiClicks { get; init; }

    /// <summary>Number of key-basis bits.</summary>
    public int KeyBitCount { get; }

    /// <summary>n_K: matched key-basis detections per intensity, brightest first.</summary>
    public IReadOnlyList<long> KeyCounts { get; }

    /// <summary>n_X: matched test-basis detections per intensity.</summary>
    public IReadOnlyList<long> TestCounts { get; }

    /// <summary>m_X: errors among them per intensity.</summary>
    public IReadOnlyList<long> TestErrors { get; }

    /// <summary>Error rate of the test basis over all intensities, 0 to 1; NaN without a detection in it.</summary>
    public double TestErrorRate => (double)TestErrors.Sum() / TestCounts.Sum();

    internal SiftedBits TakeBits() => _bits.Take();

    /// <summary>Erases the bits.</summary>
    public void Dispose() => _bits.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"sifted block {BlockId}: {KeyBitCount} key-basis bits";
}

/// <summary>The secret part of a sifted block, and what follows it to the corrected one.</summary>
internal sealed record SiftedBits(BitString Key, IntensityPlanes Intensities) : IDisposable
{
    public void Dispose()
    {
        Key.Dispose();
        Intensities.Dispose();
    }

    public override string ToString() => nameof(SiftedBits);
}
