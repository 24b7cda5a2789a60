using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// Bob's search for errors in one frame. For every node whose parity Alice has told, or that follows from what she told, it keeps whether
/// the two ends differ there; a node that differs holds an odd number of errors, and one of its halves does too.
/// </summary>
internal sealed class CascadeSearch(CascadePlan plan, int frame, CascadeFrame bits) : IDisposable
{
    private readonly CascadePass?[] _passes = new CascadePass[CascadePlan.Passes];
    private readonly List<(int Pass, int Node)> _asked = [];
    private int[] _searched = [];
    private int _searchedPass;
    private int _begun;
    private int _frameDiffers;
    private int _corrections;

    /// <summary>What to ask Alice next: a node of a pass, or a whole pass as node 0. Empty when the frame is done.</summary>
    public IReadOnlyList<(int Pass, int Node)> Asked => _asked;

    /// <summary>Bits that Alice's answer to <see cref="Asked"/> has for this frame.</summary>
    public int AnswerBits
    {
        get
        {
            var bitCount = 0;
            foreach (var (pass, node) in _asked)
            {
                bitCount += node == 0 ? plan.ToldTops(frame, pass) : 1;
            }

            return bitCount;
        }
    }

    /// <summary>The bits, corrected as far as the search has come.</summary>
    public CascadeFrame Bits => bits;

    /// <summary>Takes the parities of the first pass, which Alice tells unasked.</summary>
    public void Begin(ref ParityReader told)
    {
        BeginPass(0, ref told);
        Advance();
    }

    /// <summary>Takes the answers to what was asked, corrects what they reveal, and asks anew.</summary>
    public void Continue(ref ParityReader told)
    {
        foreach (var (pass, node) in _asked)
        {
            if (node == 0)
            {
                BeginPass(pass, ref told);
            }
            else
            {
                _passes[pass]!.Learn(node, told.Next() ^ bits.Parity(pass, node));
            }
        }

        Advance();
    }

    public void Dispose() => bits.Dispose();

    private void BeginPass(int pass, ref ParityReader told)
    {
        var exponent = plan.TopExponent(pass);
        var firstTop = 1 << (plan.Exponent - exponent);
        var count = plan.ToldTops(frame, pass);
        var state = _passes[pass] = new CascadePass(plan.Exponent, firstTop);
        var sum = 0;
        for (var i = 0; i < count; i++)
        {
            var differs = told.Next() ^ bits.Parity(pass, firstTop + i);
            state.LearnTop(firstTop + i, differs);
            sum ^= differs;
        }

        if (pass == 0)
        {
            _frameDiffers = sum;
        }
        else
        {
            state.LearnTop((2 * firstTop) - 1, sum ^ _frameDiffers);
        }

        _begun = pass + 1;
    }

    /// <summary>
    /// Searches all differing blocks of one pass side by side until each has shown its error, then those of the earliest pass that has any:
    /// its blocks are the smallest. To break off for them at once would leak no less and take three times the rounds.
    /// </summary>
    private void Advance()
    {
        _asked.Clear();
        while (true)
        {
            Descend();
            if (_asked.Count > 0)
            {
                return;
            }

            _searchedPass = 0;
            while (_searchedPass < _begun && !_passes[_searchedPass]!.AnyDiffers)
            {
                _searchedPass++;
            }

            if (_searchedPass == _begun)
            {
                _searched = [];
                AskForPasses();
                return;
            }

            _searched = _passes[_searchedPass]!.DifferingTops();
        }
    }

    private void AskForPasses()
    {
        var until = _begun < CascadePlan.FirstHalfPass ? _begun + 1 : CascadePlan.Passes;
        for (var pass = _begun; pass < until; pass++)
        {
            _asked.Add((pass, 0));
        }
    }

    /// <summary>Follows every block that is searched to its error, which is corrected, or to what must be asked.</summary>
    private void Descend()
    {
        var pass = _searchedPass;
        var left = 0;
        foreach (var top in _searched)
        {
            // A correction elsewhere may have mended this one.
            if (!_passes[pass]!.Differs(top))
            {
                continue;
            }

            var node = _passes[pass]!.Follow(top);
            if (node < 1 << plan.Exponent)
            {
                _asked.Add((pass, 2 * node));
                _searched[left++] = top;
            }
            else
            {
                var place = node - (1 << plan.Exponent);
                Flip(pass == 0 ? place : plan.Shuffles.BitAt(pass)[place]);
            }
        }

        Array.Resize(ref _searched, left);
    }

    private void Flip(int bit)
    {
        // Parities that belong to no bits at all could send the search in circles.
        if (bit >= bits.Length || ++_corrections > bits.Length)
        {
            throw new DistillationException("The peer's parities contradict each other.");
        }

        bits.Flip(bit);
        _frameDiffers ^= 1;
        for (var pass = 0; pass < _begun; pass++)
        {
            _passes[pass]!.Flip(pass == 0 ? bit : plan.Shuffles.PlaceOf(pass)[bit]);
        }
    }
}

/// <summary>What is known about the nodes of one pass of one frame.</summary>
internal sealed class CascadePass(int exponent, int firstTop)
{
    // Below the tops nothing is known, and nothing kept, until a search goes there.
    private readonly ulong[] _topDiffers = new ulong[(firstTop + 63) / 64];
    private ulong[]? _known;
    private ulong[]? _differs;
    private int _differingTops;

    /// <summary>Whether any block of the pass differs.</summary>
    public bool AnyDiffers => _differingTops > 0;

    /// <summary>Whether a top differs.</summary>
    public bool Differs(int top) => Bit(_topDiffers, top - firstTop);

    /// <summary>The tops that differ.</summary>
    public int[] DifferingTops()
    {
        var tops = new int[_differingTops];
        var next = 0;
        for (var i = 0; i < _topDiffers.Length; i++)
        {
            for (var word = _topDiffers[i]; word != 0; word &= word - 1)
            {
                tops[next++] = firstTop + (64 * i) + BitOperations.TrailingZeroCount(word);
            }
        }

        return tops;
    }

    public void LearnTop(int top, int differs)
    {
        if (differs != 0)
        {
            ToggleTop(top);
        }
    }

    /// <summary>Learns about a node, and by that about its sibling.</summary>
    public void Learn(int node, int differs)
    {
        _known ??= new ulong[(2 << exponent) / 64];
        _differs ??= new ulong[(2 << exponent) / 64];
        var parent = node >> 1;
        var sum = (parent < 2 * firstTop ? Differs(parent) : Bit(_differs, parent)) ? 1 : 0;
        _known[node >> 6] |= 3UL << (node & ~1);
        Set(node, differs);
        Set(node ^ 1, sum ^ differs);
    }

    /// <summary>From a differing top down to the deepest node that is known to differ.</summary>
    public int Follow(int top)
    {
        var node = top;
        while (_known is not null && node < 1 << exponent && Bit(_known, 2 * node))
        {
            node = Bit(_differs!, 2 * node) ? 2 * node : (2 * node) + 1;
        }

        return node;
    }

    /// <summary>The bit at a place was turned over: every node above it changes.</summary>
    public void Flip(int place)
    {
        var node = (1 << exponent) + place;
        if (_differs is not null)
        {
            for (; node >= 2 * firstTop; node >>= 1)
            {
                _differs[node >> 6] ^= 1UL << node;
            }
        }
        else
        {
            node >>= exponent - BitOperations.Log2((uint)firstTop);
        }

        ToggleTop(node);
    }

    private void ToggleTop(int top)
    {
        var i = top - firstTop;
        _topDiffers[i >> 6] ^= 1UL << i;
        _differingTops += Bit(_topDiffers, i) ? 1 : -1;
    }

    private void Set(int node, int differs)
    {
        var mask = 1UL << node;
        _differs![node >> 6] = (_differs[node >> 6] & ~mask) | (differs != 0 ? mask : 0);
    }

    private static bool Bit(ulong[] words, int index) => (words[index >> 6] >> index & 1) != 0;
}
