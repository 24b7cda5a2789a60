namespace Qkd.Distillation;

/// <summary>log2 of the block sizes of the passes that search the whole frame, ascending. Alice chooses; her first message says.</summary>
internal readonly record struct CascadeBlockSizes(int First, int Second, int Third)
{
    /// <summary>Smallest block: four bits.</summary>
    public const int Smallest = 2;

    /// <summary>What suits an expected error rate, 0 to 1; NaN if nothing is known.</summary>
    /// <remarks>
    /// k1 = 2^⌈α⌉ with α = log2(1/Q) - 1/2 as J. Martinez-Mateo et al. have it ("Demystifying the information reconciliation protocol Cascade",
    /// arXiv:1407.3257). Their k2 = 2^⌈(α+12)/2⌉ and k3 = 4096 leak the least with it, but take a thousand rounds at 1 % and five thousand at
    /// 8 %, since the second pass leaves so little to find that errors come to light one after the other. Here k2 and k3 are fitted to what was
    /// measured from 0.02 to 25 %: a leak within 0.5 % of the least in a third to a fifth of the rounds.
    /// </remarks>
    public static CascadeBlockSizes For(double expectedErrorRate)
    {
        var rate = double.IsFinite(expectedErrorRate) ? Math.Clamp(expectedErrorRate, 1e-4, 0.25) : 0.05;
        var digits = Math.Log2(1 / rate);
        var first = (int)Math.Ceiling(digits - 0.5);
        return new(first, Math.Max(first + 1, (int)Math.Round((0.72 * digits) + 3.43)), 14);
    }

    /// <summary>Whether a peer may propose these.</summary>
    public bool Valid => First >= Smallest && Second >= First && Third >= Second && Third <= CascadePlan.LargestExponent;
}

/// <summary>
/// How a block is cut into frames and each frame into passes: the same at both ends, from the block's size and the block sizes that Alice
/// chooses. A frame's bits stand in a space of 2^m places, those beyond its length being zero.
/// </summary>
/// <remarks>
/// Three passes go through the whole frame in blocks of growing size. The passes over half frames after them are asked for together; each costs
/// one parity and halves the chance that a frame is left with errors. One frame in six comes to them with errors (measured from 0.5 to 11 %),
/// usually two, and one in 10^6 of these leaves all twenty with some: two frames in 10^7 fail.
/// </remarks>
internal sealed class CascadePlan
{
    /// <summary>Passes a frame, the first in the order of the bits, the others in orders of their own.</summary>
    public const int Passes = 23;

    /// <summary>Passes before those over half frames.</summary>
    public const int MainPasses = 3;

    /// <summary>Passes over half frames.</summary>
    public const int HalfPasses = Passes - MainPasses;

    /// <summary>Largest frame: 2^16 bits.</summary>
    public const int LargestExponent = 16;

    private const int SmallestExponent = 6;
    private readonly int[] _topExponents;
    private readonly int[] _starts;

    /// <summary>Lays out a block of so many bits.</summary>
    public CascadePlan(int bits, CascadeBlockSizes sizes)
    {
        Bits = bits;
        Frames = (int)(((long)bits + (1 << LargestExponent) - 1) >> LargestExponent);
        var longest = Frames == 0 ? 0 : ((long)bits + Frames - 1) / Frames;
        Exponent = SmallestExponent;
        while (1L << Exponent < longest)
        {
            Exponent++;
        }

        _topExponents = [.. Enumerable.Repeat(Exponent - 1, Passes)];
        _topExponents[0] = Math.Min(Exponent - 1, sizes.First);
        _topExponents[1] = Math.Min(Exponent - 1, sizes.Second);
        _topExponents[2] = Math.Min(Exponent - 1, sizes.Third);
        _starts = [.. Enumerable.Range(0, Frames + 1).Select(frame => Frames == 0 ? 0 : (int)((long)bits * frame / Frames))];
        Order = CascadeOrder.Of(Exponent);
        Levels = new(Exponent);
        Halves = CascadeHalves.Of(Exponent);
    }

    /// <summary>Bits of the block.</summary>
    public int Bits { get; }

    /// <summary>Number of frames.</summary>
    public int Frames { get; }

    /// <summary>m: every frame stands in 2^m places.</summary>
    public int Exponent { get; }

    /// <summary>The orders of the passes.</summary>
    public CascadeOrder Order { get; }

    /// <summary>How the parities of a frame are kept.</summary>
    public CascadeLevels Levels { get; }

    /// <summary>The first halves of the passes over half frames.</summary>
    public CascadeHalves Halves { get; }

    /// <summary>First bit of a frame within the block.</summary>
    public int Start(int frame) => _starts[frame];

    /// <summary>Where each frame begins, and the end of the last.</summary>
    public int[] Starts() => [.. _starts];

    /// <summary>Bits of a frame.</summary>
    public int Length(int frame) => Start(frame + 1) - Start(frame);

    /// <summary>log2 of the block size of a pass.</summary>
    public int TopExponent(int pass) => _topExponents[pass];

    /// <summary>Blocks of a pass.</summary>
    public int Tops(int pass) => 1 << (Exponent - _topExponents[pass]);

    /// <summary>
    /// Blocks of a pass whose parities are told. The first pass has no places beyond the frame's length; in the others the last block's
    /// parity follows from the rest and the parity of the frame.
    /// </summary>
    public int ToldTops(int frame, int pass)
    {
        var exponent = _topExponents[pass];
        return pass == 0 ? (Length(frame) + (1 << exponent) - 1) >> exponent : (1 << (Exponent - exponent)) - 1;
    }

    /// <summary>How many passes have begun after the next step, when so many have: one at a time, then all over half frames together.</summary>
    public static int NextPasses(int begun) => begun < MainPasses ? begun + 1 : Passes;

    /// <summary>Copies a frame out of the block into its places.</summary>
    public void CopyFrame(int frame, ReadOnlySpan<ulong> block, Span<ulong> places)
    {
        var start = Start(frame);
        var length = Length(frame);
        var words = BitString.WordCount(length);
        var (first, shift) = (start >> 6, start & 63);
        if (shift == 0)
        {
            block.Slice(first, words).CopyTo(places);
        }
        else
        {
            for (var i = 0; i < words; i++)
            {
                var word = block[first + i] >> shift;
                places[i] = first + i + 1 < block.Length ? word | block[first + i + 1] << (64 - shift) : word;
            }
        }

        if ((length & 63) != 0)
        {
            places[words - 1] &= (1UL << length) - 1;
        }

        places[words..].Clear();
    }
}
