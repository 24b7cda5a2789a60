using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// What Bob knows of the errors of all frames. For every block whose parity Alice has told, or that follows from what she told, he knows
/// whether the two ends differ there; a block that differs holds an odd number of errors, and one of its halves does too.
/// </summary>
internal sealed class CascadeSearch : IDisposable
{
    /// <summary>In a search, where the log2 of the size stands of the block it began with: what lies below was not known.</summary>
    public const int KnownShift = 24;

    private readonly Knowledge[] _main = new Knowledge[CascadePlan.MainPasses];
    private readonly Frame[] _frames;
    private readonly ulong[] _tops;
    private readonly int _words;

    public CascadeSearch(CascadePlan plan, ReadOnlySpan<ulong> key)
    {
        Plan = plan;
        Trees = new(plan);
        Corrections = new ulong[key.Length];
        _words = plan.Levels.Words;
        _frames = new Frame[plan.Frames];
        _tops = new ulong[plan.Levels.TopWords(plan.TopExponent(0))];
        for (var frame = 0; frame < plan.Frames; frame++)
        {
            plan.CopyFrame(frame, key, Trees.Bits(frame));
        }
    }

    /// <summary>How the block is laid out.</summary>
    public CascadePlan Plan { get; }

    /// <summary>Bob's bits, corrected as far as the search has come.</summary>
    public CascadeTrees Trees { get; }

    /// <summary>The bits of the block that were corrected.</summary>
    public ulong[] Corrections { get; }

    /// <summary>Parities that the passes to come have; 0 if there are none to come.</summary>
    public int DueOfNextPasses(int frame)
    {
        var due = 0;
        for (int pass = _frames[frame].Begun, end = pass < CascadePlan.Passes ? CascadePlan.NextPasses(pass) : pass; pass < end; pass++)
        {
            due += Plan.ToldTops(frame, pass);
        }

        return due;
    }

    /// <summary>Takes the parities of the passes that follow those begun.</summary>
    public void BeginPasses(int frame, ref CascadeBitReader told)
    {
        ref var state = ref _frames[frame];
        var pass = (int)state.Begun;
        state.Begun = (byte)CascadePlan.NextPasses(pass);
        if (pass >= CascadePlan.MainPasses)
        {
            state.HalvesDiffer = (uint)told.Read(CascadePlan.Passes - CascadePlan.MainPasses) ^ Plan.Halves.Parities(Trees.Bits(frame));
            return;
        }

        Trees.Build(frame, pass);
        var exponent = Plan.TopExponent(pass);
        var count = Plan.ToldTops(frame, pass);
        var tops = _tops.AsSpan(0, Plan.Levels.TopWords(exponent));
        Plan.Levels.Tops(Trees.Of(frame, pass), exponent, tops);
        var knowledge = _main[pass] ??= new(Plan.Frames, _words, tops.Length);
        var differ = knowledge.Tops.AsSpan(frame * tops.Length, tops.Length);
        var differing = 0;
        for (var i = 0; 64 * i < count; i++)
        {
            var some = Math.Min(64, count - (64 * i));
            differ[i] = told.Read(some) ^ (some < 64 ? tops[i] & ((1UL << some) - 1) : tops[i]);
            differing += BitOperations.PopCount(differ[i]);
        }

        if (pass == 0)
        {
            state.Differs = (differing & 1) != 0;
        }
        else if (((differing & 1) != 0) != state.Differs)
        {
            differ[count >> 6] |= 1UL << count;
            differing++;
        }

        knowledge.Differing[frame] = differing;
    }

    /// <summary>The earliest pass in which a block differs; -1 if there is none.</summary>
    public int NextPass(int frame)
    {
        ref var state = ref _frames[frame];
        for (var pass = 0; pass < Math.Min((int)state.Begun, CascadePlan.MainPasses); pass++)
        {
            if (_main[pass].Differing[frame] != 0)
            {
                return pass;
            }
        }

        // Here the frames' parities agree: either both halves differ or none.
        return state.HalvesDiffer == 0 ? -1 : CascadePlan.MainPasses + BitOperations.TrailingZeroCount(state.HalvesDiffer);
    }

    /// <summary>
    /// Follows each differing block of a pass down to the smallest block that is known to differ, which is to be searched. Those that come
    /// down to a single place are corrected instead.
    /// </summary>
    /// <returns>How many searches there are.</returns>
    public int StartSearch(int frame, int pass, Span<uint> searches)
    {
        if (pass >= CascadePlan.MainPasses)
        {
            return StartHalves(frame, pass, searches);
        }

        var knowledge = _main[pass];
        var exponent = Plan.TopExponent(pass);
        var words = knowledge.TopWords;
        var tops = knowledge.Tops.AsSpan(frame * words, words);
        var count = 0;
        for (var i = 0; i < tops.Length; i++)
        {
            for (var word = tops[i]; word != 0; word &= word - 1)
            {
                var top = (64 * i) + BitOperations.TrailingZeroCount(word);
                count = Start(frame, pass, top << exponent, exponent, knowledge, frame * _words, searches, count);
            }
        }

        return count;
    }

    /// <summary>Turns over the bit that a search of a pass has come down to.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="place">The place in the order of the pass.</param>
    /// <param name="known">log2 of the size of the block that the search began with.</param>
    /// <exception cref="DistillationException">No such bit is there, or more bits were turned over than there are.</exception>
    public void Correct(int frame, int pass, int place, int known)
    {
        ref var state = ref _frames[frame];
        var bit = pass == 0 ? place : Plan.Order(pass).BitAt(place);
        var start = Plan.Start(frame);

        // Parities that belong to no bits at all could send the search in circles.
        var length = Plan.Length(frame);
        if (bit >= length || ++state.Corrections > length)
        {
            throw new DistillationException("The peer's parities contradict each other.");
        }

        Corrections[(start + bit) >> 6] ^= 1UL << (start + bit);
        state.Differs = !state.Differs;
        for (var other = 0; other < Math.Min((int)state.Begun, CascadePlan.MainPasses); other++)
        {
            var at = other == pass ? place : other == 0 ? bit : Plan.Order(other).PlaceOf(bit);
            Flip(frame, other, at, other == pass ? known : 0);
        }

        if (state.Begun == CascadePlan.Passes)
        {
            FlipHalves(ref state, pass, bit, known);
        }
    }

    public void Dispose()
    {
        Trees.Dispose();
        BitString.Erase(_tops);
    }

    private void Flip(int frame, int pass, int place, int known)
    {
        var levels = Plan.Levels;
        var knowledge = _main[pass];
        var exponent = Plan.TopExponent(pass);
        var tree = Trees.Of(frame, pass);
        tree[place >> 6] ^= 1UL << place;
        if (exponent > 6)
        {
            tree[levels.FirstStart + (place >> 12)] ^= 1UL << (place >> 6);
            if (exponent > 12)
            {
                tree[levels.SecondStart] ^= 1UL << (place >> 12);
            }
        }

        knowledge.Flip(levels, frame * _words, exponent, place, known);
        var top = place >> exponent;
        ref var word = ref knowledge.Tops[(frame * knowledge.TopWords) + (top >> 6)];
        word ^= 1UL << top;
        knowledge.Differing[frame] += (word >> top & 1) != 0 ? 1 : -1;
    }

    private void FlipHalves(ref Frame state, int pass, int bit, int known)
    {
        state.HalvesDiffer ^= Plan.Halves.Of(0, bit);
        if (state.Halves is not { } halves)
        {
            return;
        }

        for (var i = 0; i < halves.Length; i++)
        {
            halves[i]?.Flip(Plan.Levels, 0, Plan.Exponent - 1, Plan.Order(CascadePlan.MainPasses + i).PlaceOf(bit), CascadePlan.MainPasses + i == pass ? known : 0);
        }
    }

    private int StartHalves(int frame, int pass, Span<uint> searches)
    {
        ref var state = ref _frames[frame];
        Trees.Build(frame, pass);
        var halves = state.Halves ??= new Knowledge[CascadePlan.Passes - CascadePlan.MainPasses];
        var knowledge = halves[pass - CascadePlan.MainPasses] ??= new(1, _words, 0);
        var exponent = Plan.Exponent - 1;
        var count = Start(frame, pass, 0, exponent, knowledge, 0, searches, 0);
        return Start(frame, pass, 1 << exponent, exponent, knowledge, 0, searches, count);
    }

    private int Start(int frame, int pass, int place, int exponent, Knowledge knowledge, int offset, Span<uint> searches, int count)
    {
        var size = knowledge.Follow(Plan.Levels.Halvings, offset, ref place, exponent);
        if (size == 0)
        {
            Correct(frame, pass, place, 0);
            return count;
        }

        searches[count] = CascadeMessages.Search(place, size - 1) | (uint)size << KnownShift;
        return count + 1;
    }

    private struct Frame
    {
        public byte Begun;
        public bool Differs;
        public int Corrections;
        public uint HalvesDiffer;
        public Knowledge?[]? Halves;
    }

    /// <summary>What is known of the blocks of a pass, in one frame or in all.</summary>
    private sealed class Knowledge(int frames, int words, int topWords)
    {
        private readonly ulong[] _known = new ulong[(long)frames * words];
        private readonly ulong[] _firstDiffers = new ulong[(long)frames * words];

        /// <summary>Words of <see cref="Tops"/> in each frame.</summary>
        public int TopWords => topWords;

        /// <summary>Which of the blocks that were told differ.</summary>
        public ulong[] Tops { get; } = new ulong[(long)frames * topWords];

        /// <summary>How many do, in each frame.</summary>
        public int[] Differing { get; } = new int[frames];

        /// <summary>From a differing block down to the smallest that is known to differ. Returns the log2 of its size.</summary>
        public int Follow(ReadOnlySpan<CascadeLevels.Halving> halvings, int offset, ref int place, int exponent)
        {
            for (; exponent > 0; exponent--)
            {
                ref readonly var halving = ref halvings[exponent - 1];
                var word = offset + halving.Word((uint)place);
                var bit = halving.Bit((uint)place);
                if ((_known[word] >> bit & 1) == 0)
                {
                    break;
                }

                place += (int)(~(_firstDiffers[word] >> bit) & 1) << (exponent - 1);
            }

            return exponent;
        }

        /// <summary>
        /// The bit at a place was turned over. The halvings above it now differ where they did not, save those below the block that the search
        /// began with: they have become known, and since the error in them is mended neither of their halves differs.
        /// </summary>
        public void Flip(CascadeLevels levels, int offset, int exponent, int place, int known)
        {
            FlipLevel(offset + (place >> 6), place & 63, Math.Min(known, 6));
            if (exponent > 6)
            {
                FlipLevel(offset + levels.FirstStart + (place >> 12), place >> 6 & 63, Math.Clamp(known - 6, 0, 6));
                if (exponent > 12)
                {
                    FlipLevel(offset + levels.SecondStart, place >> 12, Math.Max(known - 12, 0));
                }
            }
        }

        private void FlipLevel(int word, int place, int known)
        {
            var path = CascadeLevels.Paths[(64 * known) + place];
            _known[word] |= path;
            _firstDiffers[word] = (_firstDiffers[word] ^ CascadeLevels.FirstHalves[place]) & ~path;
        }
    }
}
