namespace Qkd.Distillation;

/// <summary>Frames from one number up to another that are compared as one.</summary>
internal readonly record struct FrameRange(int From, int To)
{
    public bool IsFrame => To - From == 1;

    public (FrameRange Left, FrameRange Right) Halves()
    {
        var middle = From + ((To - From) / 2);
        return (new(From, middle), new(middle, To));
    }
}

/// <summary>
/// What is compared in a block's verification: clusters of frames, and of a cluster that differs its halves, down to single frames. The same
/// at both ends, from the frames and ε_EV alone.
/// </summary>
/// <remarks>
/// Every cluster and every part of one that may ever be compared shares in ε_EV: of N ranges each may err with ε_EV / N. A tag of t bits errs
/// with at most 2^-t, and the hash below it with (blocks + 1) / 2^128 (see <see cref="FrameHashes"/>); with
/// t = ⌈log2(2 N / ε_EV)⌉ the two together stay below.
/// </remarks>
internal sealed class VerificationPlan
{
    /// <summary>Frames a cluster: finding one frame in it takes four rounds.</summary>
    public const int FramesPerCluster = 16;

    /// <exception cref="DistillationException">A hash of 128 bits cannot keep what is asked of so large a block.</exception>
    public VerificationPlan(IReadOnlyList<int> frameStarts, SecurityParameters security)
    {
        FrameStarts = frameStarts;
        var frames = frameStarts.Count - 1;
        Clusters = [.. Enumerable.Range(0, (frames + FramesPerCluster - 1) / FramesPerCluster)
            .Select(cluster => new FrameRange(cluster * FramesPerCluster, Math.Min(frames, (cluster + 1) * FramesPerCluster)))];
        var ranges = Clusters.Sum(cluster => (2L * (cluster.To - cluster.From)) - 1);
        TagBits = TagBitsFor(security, Math.Max(1, ranges));
        var blocks = ((double)frameStarts[^1] / 128) + frames + 1;
        if (TagBits > 128 || ranges * blocks * Math.Pow(2, -128) > security.Verification / 2)
        {
            throw new DistillationException(FormattableString.Invariant(
                $"A failure probability of verification of {security.Verification} cannot be kept for {ranges} comparisons of {frameStarts[^1]} bits."));
        }
    }

    /// <summary>Where each frame begins, and the end of the last.</summary>
    public IReadOnlyList<int> FrameStarts { get; }

    /// <summary>What is compared at first.</summary>
    public IReadOnlyList<FrameRange> Clusters { get; }

    /// <summary>t, the bits of a tag; 1 to 128.</summary>
    public int TagBits { get; }

    /// <summary>⌈log2(2 N / ε_EV)⌉.</summary>
    public static int TagBitsFor(SecurityParameters security, long ranges) =>
        (int)Math.Ceiling(Math.Log2(2 / security.Verification) + Math.Log2(ranges) - 1e-9);

    /// <summary>Bits of a frame.</summary>
    public int Length(int frame) => FrameStarts[frame + 1] - FrameStarts[frame];

    /// <summary>
    /// What verification told beyond the log2(2/ε_EV) bits that the formula for the length subtracts, in bits, rounded up: the rest of the tags; and
    /// where the detectors may differ, so that the error pattern may not be taken as public, Bob's verdicts and his error counts.
    /// </summary>
    public long BitsBeyondFormula(SecurityParameters security, long tags, long verdicts, IReadOnlyList<long> keyCounts)
    {
        var bits = ((double)tags * TagBits) - Math.Log2(2 / security.Verification);
        if (security.Mismatch.Exists)
        {
            bits = Math.Max(0, bits) + verdicts + 1 + keyCounts.Sum(count => Math.Log2(count + 1));
        }

        return Math.Max(0, (long)Math.Ceiling(bits - 1e-9));
    }
}
