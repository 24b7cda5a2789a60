using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>A word of a level of a pass, at Bob's end.</summary>
internal struct CascadeNode
{
    /// <summary>His bits, or the parities of the words below.</summary>
    public ulong Bits;

    /// <summary>The halvings whose halves Alice's parities are known of.</summary>
    public ulong Known;

    /// <summary>Those of them whose first half differs, if the whole differs, and both halves if it does not.</summary>
    public ulong FirstDiffers;
}

/// <summary>What Bob knows of a pass, in one frame or in all: kept in one place for each 64 bits, so that a correction touches little memory.</summary>
internal sealed class CascadeKnowledge : IDisposable
{
    private readonly CascadeLevels _levels;
    private readonly CascadeNode[] _nodes;
    private readonly ulong[] _tops;
    private readonly int[] _differing;
    private readonly int _exponent;
    private readonly int _topWords;

    /// <summary>Knows nothing yet.</summary>
    /// <param name="levels">The layout.</param>
    /// <param name="frames">How many frames.</param>
    /// <param name="exponent">log2 of the size of the blocks of the pass.</param>
    public CascadeKnowledge(CascadeLevels levels, int frames, int exponent)
    {
        _levels = levels;
        _exponent = exponent;
        _topWords = levels.TopWords(exponent);
        _nodes = GC.AllocateArray<CascadeNode>(checked(frames * levels.Words), pinned: true);
        _tops = new ulong[frames * _topWords];
        _differing = new int[frames];
    }

    /// <summary>The words of a frame.</summary>
    public Span<CascadeNode> Nodes(int frame) => _nodes.AsSpan(frame * _levels.Words, _levels.Words);

    /// <summary>Which of the blocks of a frame differ.</summary>
    public Span<ulong> Tops(int frame) => _tops.AsSpan(frame * _topWords, _topWords);

    /// <summary>How many of the blocks of a frame differ.</summary>
    public ref int Differing(int frame) => ref _differing[frame];

    /// <summary>Takes over Bob's bits and their parities.</summary>
    public void SetTree(int frame, ReadOnlySpan<ulong> tree)
    {
        var nodes = Nodes(frame);
        for (var i = 0; i < nodes.Length; i++)
        {
            nodes[i].Bits = tree[i];
        }
    }

    /// <summary>The bits, in the order of the pass.</summary>
    public void CopyBits(int frame, Span<ulong> bits)
    {
        var nodes = Nodes(frame)[..bits.Length];
        for (var i = 0; i < nodes.Length; i++)
        {
            bits[i] = nodes[i].Bits;
        }
    }

    /// <summary>The parities within a block of halves of 2^half places, the first at bit 0.</summary>
    public static ulong Window(ReadOnlySpan<CascadeNode> nodes, in CascadeLevels.Halving halving, uint place) =>
        nodes[halving.Word(place)].Bits >> (int)(place >> halving.UnitShift);

    /// <summary>From a differing block down to the smallest that is known to differ. Returns the log2 of its size.</summary>
    public int Follow(int frame, int top, out int place)
    {
        var nodes = Nodes(frame);
        place = top << _exponent;
        var exponent = _exponent;
        for (; exponent > 0; exponent--)
        {
            ref readonly var halving = ref _levels.Halvings[exponent - 1];
            ref readonly var node = ref nodes[halving.Word((uint)place)];
            var bit = halving.Bit((uint)place);
            if ((node.Known >> bit & 1) == 0)
            {
                break;
            }

            place += (int)(~(node.FirstDiffers >> bit) & 1) << (exponent - 1);
        }

        return exponent;
    }

    /// <summary>
    /// The bit at a place was turned over. In each halving above it the half that holds it now differs where it did not, save those below
    /// the block that the search began with: they have become known, and since the error in them is mended neither of their halves differs.
    /// </summary>
    /// <param name="frame">The frame.</param>
    /// <param name="place">The place in the order of the pass.</param>
    /// <param name="searched">log2 of the size of the block that a search began with, if this pass was searched; otherwise 0.</param>
    public void Flip(int frame, int place, int searched)
    {
        var nodes = Nodes(frame);
        Flip(ref nodes[place >> 6], place & 63, Math.Min(searched, 6));
        if (_exponent > 6)
        {
            Flip(ref nodes[_levels.FirstStart + (place >> 12)], place >> 6 & 63, Math.Clamp(searched - 6, 0, 6));
            if (_exponent > 12)
            {
                Flip(ref nodes[_levels.SecondStart], place >> 12, Math.Max(searched - 12, 0));
            }
        }

        var top = place >> _exponent;
        ref var tops = ref _tops[(frame * _topWords) + (top >> 6)];
        tops ^= 1UL << top;
        _differing[frame] += (int)(tops >> top & 1) * 2 - 1;
    }

    /// <summary>Erases Bob's bits.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(_nodes.AsSpan()));

    private static void Flip(ref CascadeNode node, int place, int searched)
    {
        var path = CascadeLevels.Paths[(64 * searched) + place];
        node.Bits ^= 1UL << place;
        node.Known |= path;
        node.FirstDiffers = (node.FirstDiffers ^ CascadeLevels.FirstHalves[place]) & ~path;
    }
}
