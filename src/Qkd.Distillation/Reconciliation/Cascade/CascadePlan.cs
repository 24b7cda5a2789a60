namespace Qkd.Distillation;

/// <summary>
/// How a block is cut into frames and each frame into passes: the same at both ends, from the block's size and one number that Alice
/// chooses. A frame's bits stand in a space of 2^m places, those beyond its length being zero.
/// </summary>
/// <remarks>
/// Block sizes k1 = 2^⌈α⌉ with α = log2(1/Q) - 1/2, k2 = 2^⌈(α+12)/2⌉, k3 = 4096, then half frames: after J. Martinez-Mateo et al.,
/// "Demystifying the information reconciliation protocol Cascade", arXiv:1407.3257. The half-frame passes are asked for together; each
/// costs one parity and halves the chance that a frame is left with errors.
/// </remarks>
internal sealed class CascadePlan
{
    /// <summary>Passes a frame, the first in the order of the bits, the others shuffled.</summary>
    public const int Passes = 20;

    /// <summary>First of the passes over half frames.</summary>
    public const int FirstHalfPass = 3;

    /// <summary>Largest frame: 2^16 bits.</summary>
    public const int LargestExponent = 16;

    private const int SmallestExponent = 6;
    private const int ThirdExponent = 12;
    private readonly int _firstExponent;

    /// <summary>Lays out a block.</summary>
    /// <param name="bits">Bits of the block.</param>
    /// <param name="firstExponent">log2 of the block size of the first pass.</param>
    public CascadePlan(int bits, int firstExponent)
    {
        Bits = bits;
        Frames = (int)(((long)bits + (1 << LargestExponent) - 1) >> LargestExponent);
        var longest = Frames == 0 ? 0 : ((long)bits + Frames - 1) / Frames;
        Exponent = SmallestExponent;
        while (1L << Exponent < longest)
        {
            Exponent++;
        }

        _firstExponent = firstExponent;
        Shuffles = CascadeShuffles.Of(Exponent);
    }

    /// <summary>Bits of the block.</summary>
    public int Bits { get; }

    /// <summary>Number of frames.</summary>
    public int Frames { get; }

    /// <summary>m: every frame stands in 2^m places.</summary>
    public int Exponent { get; }

    /// <summary>The shuffled orders of the later passes.</summary>
    public CascadeShuffles Shuffles { get; }

    /// <summary>log2 of the first pass's block size for an expected error rate.</summary>
    public static int FirstExponentFor(double expectedErrorRate)
    {
        var rate = double.IsFinite(expectedErrorRate) ? Math.Clamp(expectedErrorRate, 1e-4, 0.25) : 0.05;
        return (int)Math.Ceiling(Math.Log2(1 / rate) - 0.5);
    }

    /// <summary>Whether a peer may propose this for the first pass.</summary>
    public static bool IsFirstExponent(int value) => value is >= 1 and <= LargestExponent;

    /// <summary>First bit of a frame within the block.</summary>
    public int Start(int frame) => (int)((long)Bits * frame / Frames);

    /// <summary>Where each frame begins, and the end of the last.</summary>
    public int[] Starts() => [.. Enumerable.Range(0, Frames + 1).Select(frame => Frames == 0 ? 0 : Start(frame))];

    /// <summary>Bits of a frame.</summary>
    public int Length(int frame) => Start(frame + 1) - Start(frame);

    /// <summary>log2 of the block size of a pass.</summary>
    public int TopExponent(int pass) => Math.Min(Exponent - 1, pass switch
    {
        0 => _firstExponent,
        1 => Math.Max(_firstExponent, (int)Math.Ceiling((_firstExponent + 12) / 2.0)),
        2 => Math.Max(_firstExponent, ThirdExponent),
        _ => Exponent - 1,
    });

    /// <summary>
    /// Blocks of a pass whose parities are told. The first pass has no places beyond the frame's length; in the others the last block's
    /// parity follows from the rest and the parity of the frame.
    /// </summary>
    public int ToldTops(int frame, int pass)
    {
        var exponent = TopExponent(pass);
        return pass == 0 ? (Length(frame) + (1 << exponent) - 1) >> exponent : (1 << (Exponent - exponent)) - 1;
    }
}
