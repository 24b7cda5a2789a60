namespace Qkd.Distillation;

/// <summary>
/// The length of a block's key where the proof is for a fixed length: set before the block from earlier blocks alone. The block is then
/// accepted with that length if its own statistics give at least as much, and lost if not; what they give beyond it is not taken.
/// </summary>
public sealed record FixedLength
{
    private FixedLength(long blockId, long length) => (BlockId, Length) = (blockId, length);

    /// <summary>The block that it is set for.</summary>
    public long BlockId { get; }

    /// <summary>The length, in bits: a multiple of 8; 0 if earlier blocks give no hope of a key.</summary>
    public long Length { get; }

    /// <summary>Sets the length for a block to a share of the least that the given earlier blocks would have stated.</summary>
    /// <param name="blockId">The block that is still to come.</param>
    /// <param name="earlier">Blocks before it, by their id. None at all sets a length of 0.</param>
    /// <param name="share">Above 0, up to 1: what is left of their least length, so that an ordinary fluctuation does not lose the block.</param>
    /// <exception cref="DistillationException">A block of the list is not earlier, or the share is out of its range.</exception>
    public static FixedLength FromEarlierBlocks(long blockId, IEnumerable<KeyValuePair<long, KeyBound>> earlier, double share = 0.9)
    {
        ArgumentNullException.ThrowIfNull(earlier);
        if (!(share is > 0 and <= 1))
        {
            throw new DistillationException(FormattableString.Invariant($"The share of earlier blocks' length is {share}; it must lie above 0 and be at most 1."));
        }

        var least = long.MaxValue;
        foreach (var (id, bound) in earlier)
        {
            if (id >= blockId)
            {
                throw new DistillationException($"The length of block {blockId} cannot be set from block {id}, which is not earlier.");
            }

            least = Math.Min(least, bound.StatedLength);
        }

        return new(blockId, least == long.MaxValue ? 0 : (long)(share * least) / 8 * 8);
    }

    /// <summary>Sets the length for a block to a number chosen beforehand, such as a channel model's.</summary>
    /// <exception cref="DistillationException">The length is negative.</exception>
    public static FixedLength Of(long blockId, long length) => length >= 0
        ? new(blockId, length / 8 * 8)
        : throw new DistillationException($"A key of {length} bits cannot be.");

    /// <summary>Whether the block is accepted, with <see cref="Length"/> bits and no more.</summary>
    /// <param name="blockId">The block; another than that which the length was set for is refused.</param>
    /// <param name="bound">What the block's own statistics give.</param>
    /// <exception cref="DistillationException">The length was set for another block.</exception>
    public bool Accepts(long blockId, KeyBound bound)
    {
        ArgumentNullException.ThrowIfNull(bound);
        return blockId == BlockId
            ? Length > 0 && bound.LongestAcceptable >= Length
            : throw new DistillationException($"The length was set for block {BlockId}, not for block {blockId}.");
    }
}
