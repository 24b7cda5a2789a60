namespace Qkd.Distillation;

/// <summary>The hash of every frame of one end's bits, so that the tag of any run of frames is a sum of two numbers.</summary>
/// <remarks>
/// With H and a drawn by Alice after both ends' bits are fixed, the hash of a run is Σ m_i H^(e_i) over its blocks of 128 bits, each frame beginning a new
/// block and e_i counting down over the whole block of key; its tag are the lowest t bits of a times that. The sum of the tags of two runs side by
/// side is the tag of both together, so that of two halves only one tag need be told. For different bits of the same length the hashes agree
/// for at most (blocks + 1) of the 2^128 values of H; where they do not, a spreads the difference evenly, and t bits agree with probability 2^-t.
/// </remarks>
internal sealed class FrameHashes
{
    /// <summary>Bytes of H and a.</summary>
    public const int KeyBytes = 32;

    private readonly Gf128[] _sums;
    private readonly Gf128 _mask;

    public FrameHashes(VerificationPlan plan, BitString bits, ReadOnlySpan<byte> hashKey)
    {
        _mask = plan.TagBits >= 128 ? new(ulong.MaxValue, ulong.MaxValue)
            : plan.TagBits >= 64 ? new(ulong.MaxValue, (1UL << (plan.TagBits - 64)) - 1)
            : new((1UL << plan.TagBits) - 1, 0);
        var (h, a) = (Gf128.Read(hashKey), Gf128.Read(hashKey[16..]));
        var frames = plan.FrameStarts.Count - 1;
        _sums = new Gf128[frames + 1];
        using var frame = new BitString(Enumerable.Range(0, frames).Select(plan.Length).DefaultIfEmpty(0).Max());

        // From the last frame on, whose blocks have the lowest powers: "above" is H to the number of blocks behind the frame.
        var above = a;
        for (var i = frames - 1; i >= 0; i--)
        {
            var words = frame.Words[..BitString.WordCount(plan.Length(i))];
            BitRange.Copy(bits.Words, plan.FrameStarts[i], plan.Length(i), words);
            var hash = new PolynomialHash(h);
            hash.AppendWords(words);
            _sums[i] = Gf128.Multiply(hash.Value, above);
            above = Gf128.Multiply(above, Power(h, hash.Blocks));
        }

        for (var i = frames - 1; i >= 0; i--)
        {
            _sums[i] ^= _sums[i + 1];
        }
    }

    /// <summary>The tag of a run of frames; bits beyond t are zero.</summary>
    public Gf128 Tag(FrameRange range)
    {
        var sum = _sums[range.From] ^ _sums[range.To];
        return new(sum.Low & _mask.Low, sum.High & _mask.High);
    }

    private static Gf128 Power(Gf128 value, long exponent)
    {
        var power = new Gf128(1, 0);
        for (; exponent > 0; exponent >>= 1)
        {
            if ((exponent & 1) != 0)
            {
                power = Gf128.Multiply(power, value);
            }

            value = Gf128.Multiply(value, value);
        }

        return power;
    }
}
