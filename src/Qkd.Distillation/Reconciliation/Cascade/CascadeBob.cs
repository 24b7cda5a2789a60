using System.Buffers;
using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// Bob's end of Cascade: in every frame searches all differing blocks of one pass side by side until each has shown its error, then
/// those of the earliest pass that has any: its blocks are the smallest. Frames do not wait for each other.
/// </summary>
internal sealed class CascadeBob(SiftedBlock block) : IReconciliation
{
    private readonly SiftedBits _bits = block.TakeBits();
    private readonly CascadeBitWriter _questions = new();
    private CascadeSearch? _search;
    private CascadeSearches? _searches;
    private Frame[] _frames = [];
    private int[] _unfinished = [];
    private long _told;
    private long _due;
    private bool _finished;
    private CorrectedBlock? _result;

    public string Method => CascadeReconciler.MethodName;

    public bool StartsFirst => false;

    public int Rounds { get; private set; }

    public int RetriedFrames => 0;

    public int DisclosedFrames => 0;

    public CorrectedBlock Result => _result ?? (_finished ? _result = Correct() : throw new InvalidOperationException("The reconciliation has not finished."));

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The reconciliation has finished.");
        }

        var first = Rounds++ == 0;
        Continue(first ? Begin(received) : received, first);
        _questions.Flush(toSend);
        return _finished;
    }

    public void Dispose()
    {
        _search?.Dispose();
        _searches?.Dispose();
        _questions.Dispose();
        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    /// <summary>Lays the block out as Alice says, and returns the rest of her message.</summary>
    private ReadOnlySpan<byte> Begin(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "parities");
        var bits = reader.ReadUInt32();
        var sizes = new CascadeBlockSizes(reader.ReadByte(), reader.ReadByte(), reader.ReadByte());
        if (bits != (uint)_bits.Key.Length || !sizes.Valid)
        {
            throw reader.Malformed($"{bits} bits with {sizes}, where {_bits.Key.Length} were sifted");
        }

        var plan = new CascadePlan(_bits.Key.Length, sizes);
        _search = new(plan, _bits.Key.Length);
        _frames = new Frame[plan.Frames];
        _unfinished = [.. Enumerable.Range(0, plan.Frames)];
        _searches = new(plan.Frames, plan.Tops(0));
        for (var frame = 0; frame < plan.Frames; frame++)
        {
            _due += plan.ToldTops(frame, 0);
        }

        return reader.Take(reader.Left);
    }

    private void Continue(ReadOnlySpan<byte> received, bool first)
    {
        var reader = new CascadeBitReader(received, "parities");
        _told += _due;
        if (_told > block.KeyBitCount)
        {
            throw new DistillationException($"Error correction needs more parities than block {block.BlockId} has bits.");
        }

        _due = 0;
        var left = 0;
        foreach (var frame in _unfinished)
        {
            ref var state = ref _frames[frame];
            if (first)
            {
                _search!.BeginFirstPass(frame, _bits.Key.Words, ref reader);
            }
            else if (state.Searches > 0)
            {
                Halve(frame, ref reader);
            }
            else
            {
                _search!.BeginNextPasses(frame, ref reader);
            }

            if (state.Searches > 0 || Next(frame))
            {
                _due += state.Searches;
                _unfinished[left++] = frame;
            }
        }

        reader.End();
        if (left < _unfinished.Length)
        {
            Array.Resize(ref _unfinished, left);
        }

        _finished = left == 0;
    }

    /// <summary>Every block that is searched gives way to the half that has the error; one of a single place is corrected.</summary>
    private void Halve(int frame, ref CascadeBitReader reader)
    {
        ref var state = ref _frames[frame];
        var blocks = _searches!.Blocks(frame)[..state.Searches];
        var windows = _searches.Windows(frame)[..state.Searches];
        var nodes = _search!.Nodes(frame, state.Pass);
        var halvings = _search.Plan.Levels.Halvings;
        var left = 0;
        for (var done = 0; done < blocks.Length; done += 64)
        {
            var end = Math.Min(done + 64, blocks.Length);
            var told = reader.Read(end - done);
            ulong halves = 0;
            var asked = 0;
            for (var i = done; i < end; i++, told >>= 1)
            {
                var block = blocks[i];
                var window = windows[i];
                var half = block.Half;
                ref readonly var halving = ref halvings[half];
                var second = ~((uint)told ^ (uint)BitOperations.PopCount(window & halving.Mask)) & 1;
                if (half == 0)
                {
                    _search.Correct(frame, state.Pass, (int)(block.Place | second), block.Searched);
                    continue;
                }

                block = block.Halve(second);
                window >>= (int)(halving.Half * second);
                if (halving.Half == 1)
                {
                    // It has come down to one bit of its level, which is a word of the next.
                    window = CascadeKnowledge.Window(nodes, halvings[half - 1], block.Place);
                }

                blocks[left] = block;
                windows[left++] = window;
                halves |= (ulong)second << asked++;
            }

            _questions.Append(halves, asked);
        }

        state.Searches = left;
    }

    /// <summary>Decides what a frame does that searches nothing, and says so. False when it is finished.</summary>
    private bool Next(int frame)
    {
        ref var state = ref _frames[frame];
        while (_search!.NextPass(frame) is var pass && pass >= 0)
        {
            var count = _search.Start(frame, pass, _searches!);
            if (count > 0)
            {
                (state.Pass, state.Searches) = ((byte)pass, count);
                Name(pass, _searches!.Blocks(frame)[..count]);
                return true;
            }
        }

        var due = _search.DueOfNextPasses(frame);
        _due += due;
        _questions.Append(due > 0 ? (ulong)CascadeMessages.Tell : CascadeMessages.Finish, CascadeMessages.NextBits);
        return due > 0;
    }

    private void Name(int pass, ReadOnlySpan<CascadeBlock> blocks)
    {
        var plan = _search!.Plan;
        var topExponent = plan.TopExponent(pass);
        var digits = BitOperations.Log2((uint)blocks.Length);
        var rice = CascadeMessages.RiceBits(plan.Tops(pass), blocks.Length);
        _questions.Append((ulong)pass, CascadeMessages.NextBits);
        _questions.Append((ulong)digits, CascadeMessages.DigitBits);
        _questions.Append((ulong)(blocks.Length - (1 << digits)), digits);
        var before = -1;
        foreach (var block in blocks)
        {
            var top = (int)(block.Place >> topExponent);
            var distance = top - before - 1;
            before = top;
            AppendOnes(distance >> rice);
            var known = topExponent - block.Half - 1;
            var path = block.Place >> (block.Half + 1) & ((1u << known) - 1);
            var bits = (uint)distance & ((1u << rice) - 1) | ((1UL << known) - 1) << rice | (ulong)path << (rice + known + 1);
            _questions.Append(bits, rice + (2 * known) + 1);
        }
    }

    private void AppendOnes(int count)
    {
        for (; count >= 63; count -= 63)
        {
            _questions.Append(ulong.MaxValue >> 1, 63);
        }

        _questions.Append((1UL << count) - 1, count + 1);
    }

    /// <summary>Corrects the bits and notes what was corrected.</summary>
    private CorrectedBlock Correct()
    {
        var key = _bits.Key.Words;
        ReadOnlySpan<ulong> corrections = _search is null ? [] : _search.Corrections;
        for (var i = 0; i < corrections.Length; i++)
        {
            key[i] ^= corrections[i];
        }

        var where = new BitString(_bits.Key.Length);
        corrections.CopyTo(where.Words);
        return new(block, LinkEnd.Bob, _bits.Key, _search!.Plan.Starts(), CascadeReconciler.Ledger(block, _told), new(where, _bits.Intensities));
    }

    private struct Frame
    {
        public byte Pass;
        public int Searches;
    }
}
