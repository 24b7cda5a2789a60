using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// What Bob knows of the errors of all frames. For every block whose parity Alice has told, or that follows from what she told, he knows
/// whether the two ends differ there; a block that differs holds an odd number of errors, and one of its halves does too.
/// </summary>
/// <remarks>
/// It takes some 75 kB for each frame of 8 kB, and 25 kB for each pass over half frames that a frame searches: one frame in six does, and one in a
/// hundred of those more than one or two. A peer whose parities are made up to that end can bring it to 500 kB.
/// </remarks>
internal sealed class CascadeSearch : IDisposable
{
    private readonly CascadeKnowledge[] _main = new CascadeKnowledge[CascadePlan.MainPasses];
    private readonly Frame[] _frames;
    private readonly ulong[] _tree;
    private readonly ulong[] _bits;
    private readonly ulong[] _tops;

    public CascadeSearch(CascadePlan plan, int length)
    {
        Plan = plan;
        Corrections = new ulong[BitString.WordCount(length)];
        _frames = new Frame[plan.Frames];
        _tree = GC.AllocateArray<ulong>(plan.Levels.Words, pinned: true);
        _bits = GC.AllocateArray<ulong>(plan.Levels.BitWords, pinned: true);
        _tops = GC.AllocateArray<ulong>(plan.Levels.TopWords(plan.TopExponent(0)), pinned: true);
    }

    /// <summary>How the block is laid out.</summary>
    public CascadePlan Plan { get; }

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

    /// <summary>Takes the parities of the first pass.</summary>
    public void BeginFirstPass(int frame, ReadOnlySpan<ulong> key, ref CascadeBitReader told)
    {
        Plan.CopyFrame(frame, key, _tree.AsSpan(0, _bits.Length));
        BeginPass(frame, 0, ref told);
    }

    /// <summary>Takes the parities of the passes that follow those begun.</summary>
    public void BeginNextPasses(int frame, ref CascadeBitReader told)
    {
        int pass = _frames[frame].Begun;
        _main[0].CopyBits(frame, _bits);
        if (pass < CascadePlan.MainPasses)
        {
            Plan.Order.Rearrange(pass, _bits, _tree);
            BeginPass(frame, pass, ref told);
            return;
        }

        ref var state = ref _frames[frame];
        state.HalvesDiffer = (uint)told.Read(CascadePlan.HalfPasses) ^ Plan.Halves.Parities(_bits);
        state.Begun = CascadePlan.Passes;
    }

    /// <summary>The earliest pass in which a block differs; -1 if there is none.</summary>
    public int NextPass(int frame)
    {
        ref var state = ref _frames[frame];
        for (var pass = 0; pass < Math.Min((int)state.Begun, CascadePlan.MainPasses); pass++)
        {
            if (_main[pass].Differing(frame) != 0)
            {
                return pass;
            }
        }

        // Here the frame's parities agree: either both halves differ or none.
        return state.HalvesDiffer == 0 ? -1 : CascadePlan.MainPasses + BitOperations.TrailingZeroCount(state.HalvesDiffer);
    }

    /// <summary>
    /// Follows each differing block of a pass down to the smallest block that is known to differ, which is to be searched. Those that come
    /// down to a single place are corrected instead.
    /// </summary>
    /// <returns>How many searches there are.</returns>
    public int Start(int frame, int pass, CascadeSearches searches)
    {
        var knowledge = pass < CascadePlan.MainPasses ? _main[pass] : Halves(frame, pass);
        var within = pass < CascadePlan.MainPasses ? frame : 0;
        var nodes = knowledge.Nodes(within);
        var halvings = Plan.Levels.Halvings;
        var tops = knowledge.Tops(within);
        var count = 0;
        for (var i = 0; i < tops.Length; i++)
        {
            for (var word = tops[i]; word != 0; word &= word - 1)
            {
                var size = knowledge.Follow(within, (64 * i) + BitOperations.TrailingZeroCount(word), out var place);
                if (size == 0)
                {
                    Correct(frame, pass, place, 0);
                    continue;
                }

                searches.Set(frame, count++, new(place, size), CascadeKnowledge.Window(nodes, halvings[size - 1], (uint)place));
            }
        }

        return count;
    }

    /// <summary>The words of a pass of a frame.</summary>
    public ReadOnlySpan<CascadeNode> Nodes(int frame, int pass) =>
        pass < CascadePlan.MainPasses ? _main[pass].Nodes(frame) : _frames[frame].Halves![pass - CascadePlan.MainPasses]!.Nodes(0);

    /// <summary>Turns over the bit that a search of a pass has come down to.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="place">The place in the order of the pass.</param>
    /// <param name="searched">log2 of the size of the block that the search began with.</param>
    /// <exception cref="DistillationException">No such bit is there, or more bits were turned over than there are.</exception>
    public void Correct(int frame, int pass, int place, int searched)
    {
        ref var state = ref _frames[frame];
        var bit = pass == 0 ? place : Plan.Order.BitAt(pass, place);
        var start = Plan.Start(frame);

        // Parities that belong to no bits at all could send the search in circles.
        var length = Plan.Length(frame);
        if (bit >= length || ++state.Corrections > length)
        {
            throw new DistillationException("The peer's parities contradict each other.");
        }

        Corrections[(start + bit) >> 6] ^= 1UL << (start + bit);
        state.Differs = !state.Differs;
        _main[0].Flip(frame, bit, pass == 0 ? searched : 0);
        if (state.Begun > 1)
        {
            var spread = Plan.Order.Spread(bit);
            for (var other = 1; other < Math.Min((int)state.Begun, CascadePlan.MainPasses); other++)
            {
                _main[other].Flip(frame, Plan.Order.PlaceOf(other, spread), other == pass ? searched : 0);
            }

            if (state.Begun == CascadePlan.Passes)
            {
                FlipHalves(ref state, pass, bit, spread, searched);
            }
        }
    }

    public void Dispose()
    {
        foreach (var knowledge in _main.Concat(_frames.SelectMany(frame => frame.Halves ?? [])))
        {
            knowledge?.Dispose();
        }

        BitString.Erase(_tree);
        BitString.Erase(_bits);
        BitString.Erase(_tops);
    }

    private void BeginPass(int frame, int pass, ref CascadeBitReader told)
    {
        ref var state = ref _frames[frame];
        var exponent = Plan.TopExponent(pass);
        var knowledge = _main[pass] ??= new(Plan.Levels, Plan.Frames, exponent);
        Plan.Levels.Build(_tree);
        knowledge.SetTree(frame, _tree);

        var differ = knowledge.Tops(frame);
        var tops = _tops.AsSpan(0, differ.Length);
        Plan.Levels.Tops(_tree, exponent, tops);
        var count = Plan.ToldTops(frame, pass);
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

        knowledge.Differing(frame) = differing;
        state.Begun = (byte)CascadePlan.NextPasses(pass);
    }

    /// <summary>What is known of a pass over half frames, both of which differ.</summary>
    private CascadeKnowledge Halves(int frame, int pass)
    {
        ref var state = ref _frames[frame];
        state.Halves ??= new CascadeKnowledge[CascadePlan.HalfPasses];
        var knowledge = state.Halves[pass - CascadePlan.MainPasses] ??= new(Plan.Levels, 1, Plan.Exponent - 1);
        _main[0].CopyBits(frame, _bits);
        Plan.Order.Rearrange(pass, _bits, _tree);
        Plan.Levels.Build(_tree);
        knowledge.SetTree(0, _tree);
        knowledge.Tops(0)[0] = 0b11;
        return knowledge;
    }

    private void FlipHalves(ref Frame state, int pass, int bit, int spread, int searched)
    {
        state.HalvesDiffer ^= Plan.Halves.With(bit);
        if (state.Halves is not { } halves)
        {
            return;
        }

        for (var i = 0; i < halves.Length; i++)
        {
            var other = CascadePlan.MainPasses + i;
            halves[i]?.Flip(0, Plan.Order.PlaceOf(other, spread), other == pass ? searched : 0);
        }
    }

    private struct Frame
    {
        public byte Begun;
        public bool Differs;
        public int Corrections;
        public uint HalvesDiffer;
        public CascadeKnowledge?[]? Halves;
    }
}
