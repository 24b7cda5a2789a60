using System.Numerics;
using System.Runtime.CompilerServices;

namespace Qkd.Distillation;

/// <summary>
/// How what belongs to the blocks of a frame is laid out in words. A block of a pass is halved down to single places; its halvings, from 64
/// places to one, stand in one word, those of the 64 blocks above in one word of the next level, and so on: three levels, one after
/// the other. Level 0 of the parities are the bits in the order of the pass, level 1 the parities of its words, level 2 those of the
/// words of level 1; the parity of any block is then a count of ones in part of one word. What is known of a halving stands at
/// the bit where its second half begins.
/// </summary>
internal sealed class CascadeLevels
{
    private readonly int _exponent;
    private readonly int _first;
    private readonly int _second;
    private readonly Halving[] _halvings;

    /// <summary>For frames of 2^m places.</summary>
    public CascadeLevels(int exponent)
    {
        _exponent = exponent;
        _first = 1 << (exponent - 6);
        _second = Math.Max(1, _first / 64);
        Words = (_first + _second + 1 + 7) & ~7;
        int[] starts = [0, _first, _first + _second];
        _halvings = [.. Enumerable.Range(0, exponent).Select(half => new Halving(
            (ushort)starts[half / 6], (byte)(half / 6 * 6), (byte)((half / 6 * 6) + 6), 1u << (half % 6), (uint)((1UL << (1 << (half % 6))) - 1)))];
    }

    /// <summary>Words that a frame takes, padding included.</summary>
    public int Words { get; }

    /// <summary>Words of level 0: the bits.</summary>
    public int BitWords => _first;

    /// <summary>First word of level 1.</summary>
    public int FirstStart => _first;

    /// <summary>First word of level 2.</summary>
    public int SecondStart => _first + _second;

    /// <summary>Where to find a halving into halves of 2^i places, i the index.</summary>
    public ReadOnlySpan<Halving> Halvings => _halvings;

    /// <summary>For each place of 64, the halvings that have it in their first half.</summary>
    public static ReadOnlySpan<ulong> FirstHalves => FirstHalfTable;

    /// <summary>For each i from 0 to 6 and each place of 64, the halvings of blocks up to 2^i that have it in either half.</summary>
    public static ReadOnlySpan<ulong> Paths => PathTable;

    private static readonly ulong[] FirstHalfTable = MakeFirstHalves();
    private static readonly ulong[] PathTable = MakePaths();

    /// <summary>Fills levels 1 and 2 from level 0.</summary>
    public void Build(Span<ulong> tree)
    {
        Fold(tree[.._first], tree.Slice(_first, _second));
        Fold(tree.Slice(_first, _second), tree.Slice(_first + _second, 1));
    }

    /// <summary>Parities of all blocks of 2^t places, packed.</summary>
    public void Tops(ReadOnlySpan<ulong> tree, int topExponent, Span<ulong> tops)
    {
        var level = topExponent / 6;
        var source = level switch
        {
            0 => tree[.._first],
            1 => tree.Slice(_first, _second),
            _ => tree.Slice(_first + _second, 1),
        };
        var within = topExponent % 6;
        var each = 64 >> within;
        var mask = TopMask(within);
        tops.Clear();
        for (var i = 0; i < source.Length; i++)
        {
            var word = source[i];
            for (var shift = 1; shift < 1 << within; shift <<= 1)
            {
                word ^= word >> shift;
            }

            tops[i >> within] |= BitExtraction.Extract(word, mask) << (i * each);
        }
    }

    /// <summary>Words that <see cref="Tops"/> fills.</summary>
    public int TopWords(int topExponent) => BitString.WordCount(1 << (_exponent - topExponent));

    private static ulong TopMask(int within)
    {
        ulong mask = 0;
        for (var bit = 0; bit < 64; bit += 1 << within)
        {
            mask |= 1UL << bit;
        }

        return mask;
    }

    private static void Fold(ReadOnlySpan<ulong> from, Span<ulong> to)
    {
        to.Clear();
        for (var i = 0; i < from.Length; i++)
        {
            to[i >> 6] |= (ulong)(BitOperations.PopCount(from[i]) & 1) << i;
        }
    }

    private static ulong[] MakeFirstHalves()
    {
        var table = new ulong[64];
        for (var place = 0; place < 64; place++)
        {
            for (var half = 1; half < 64; half *= 2)
            {
                if ((place & half) == 0)
                {
                    table[place] |= 1UL << ((place & -(2 * half)) + half);
                }
            }
        }

        return table;
    }

    private static ulong[] MakePaths()
    {
        var table = new ulong[7 * 64];
        for (var exponent = 1; exponent <= 6; exponent++)
        {
            for (var place = 0; place < 64; place++)
            {
                var half = 1 << (exponent - 1);
                table[(64 * exponent) + place] = table[(64 * (exponent - 1)) + place] | 1UL << ((place & -(2 * half)) + half);
            }
        }

        return table;
    }

    /// <summary>Where halvings of one size are found.</summary>
    /// <param name="Start">First word of the level.</param>
    /// <param name="UnitShift">log2 of the places that one bit of the level stands for.</param>
    /// <param name="WordShift">log2 of the places that one word of the level stands for.</param>
    /// <param name="Half">Bits of the level in one half.</param>
    /// <param name="Mask">As many ones as <paramref name="Half"/>.</param>
    internal readonly record struct Halving(ushort Start, byte UnitShift, byte WordShift, uint Half, uint Mask)
    {
        /// <summary>The word for a block that begins at a place.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public int Word(uint place) => Start + (int)(place >> WordShift);

        /// <summary>The bit that stands for the halving, not reduced to 0..63.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public int Bit(uint place) => (int)((place >> UnitShift) + Half);

        /// <summary>Parity of the first half of a block, from the word of the tree.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public uint Parity(ulong word, uint place) => (uint)BitOperations.PopCount(word >> (int)(place >> UnitShift) & Mask) & 1;
    }
}
