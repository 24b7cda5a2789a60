using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
    private uint[] _searches = [];
    private int _searchesEach;
    private Frame[] _frames = [];
    private int[] _unfinished = [];
    private long _told;
    private long _due;
    private bool _finished;
    private CorrectedBlock? _result;

    public string Method => CascadeReconciler.MethodName;

    public bool StartsFirst => false;

    public int Rounds { get; private set; }

    public int DisclosedFrames => 0;

    public CorrectedBlock Result => _result ?? (_finished ? _result = Correct() : throw new InvalidOperationException("The reconciliation has not finished."));

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The reconciliation has finished.");
        }

        if (Rounds++ == 0)
        {
            received = Begin(received);
        }

        Continue(received);
        _questions.Flush(toSend);
        return _finished;
    }

    public void Dispose()
    {
        _search?.Dispose();
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
        _search = new(plan, _bits.Key.Words);
        _frames = new Frame[plan.Frames];
        _unfinished = [.. Enumerable.Range(0, plan.Frames)];
        _searchesEach = plan.Tops(0);
        _searches = new uint[(long)plan.Frames * _searchesEach];
        for (var frame = 0; frame < plan.Frames; frame++)
        {
            _frames[frame].Telling = true;
            _due += plan.ToldTops(frame, 0);
        }

        return reader.Take(reader.Left);
    }

    private void Continue(ReadOnlySpan<byte> received)
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
            if (state.Telling)
            {
                _search!.BeginPasses(frame, ref reader);
                state.Telling = false;
            }
            else
            {
                Halve(frame, ref reader);
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
        var searches = _searches.AsSpan(frame * _searchesEach, state.Searches);
        ref var tree = ref MemoryMarshal.GetReference(_search!.Trees.Of(frame, state.Pass));
        var halvings = _search.Plan.Levels.Halvings;
        var left = 0;
        for (var done = 0; done < searches.Length; done += 64)
        {
            var some = searches[done..Math.Min(done + 64, searches.Length)];
            var told = reader.Read(some.Length);
            ulong halves = 0;
            var asked = 0;
            for (var i = 0; i < some.Length; i++)
            {
                var search = some[i];
                var half = (int)(search >> CascadeMessages.HalfShift & CascadeMessages.HalfMask);
                ref readonly var halving = ref halvings[half];
                var place = search & CascadeMessages.PlaceMask;
                var own = halving.Parity(Unsafe.Add(ref tree, halving.Word(place)), place);
                var second = ~((uint)(told >> i) ^ own) & 1;
                if (half == 0)
                {
                    _search.Correct(frame, state.Pass, (int)(place | second), (int)(search >> CascadeSearch.KnownShift));
                    continue;
                }

                searches[left++] = search + (second << half) - (1u << CascadeMessages.HalfShift);
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
        _search!.Trees.Release(frame);
        var searches = _searches.AsSpan(frame * _searchesEach, _searchesEach);
        while (_search.NextPass(frame) is var pass && pass >= 0)
        {
            var count = _search.StartSearch(frame, pass, searches);
            if (count > 0)
            {
                (state.Pass, state.Searches) = ((byte)pass, count);
                Name(pass, searches[..count]);
                return true;
            }
        }

        var due = _search.DueOfNextPasses(frame);
        state.Telling = due > 0;
        _due += due;
        _questions.Append(state.Telling ? (ulong)CascadeMessages.Tell : CascadeMessages.Finish, CascadeMessages.NextBits);
        return state.Telling;
    }

    private void Name(int pass, ReadOnlySpan<uint> searches)
    {
        var plan = _search!.Plan;
        var topExponent = plan.TopExponent(pass);
        var digits = BitOperations.Log2((uint)searches.Length);
        var rice = CascadeMessages.RiceBits(plan.Tops(pass), searches.Length);
        _questions.Append((ulong)pass, CascadeMessages.NextBits);
        _questions.Append((ulong)digits, CascadeMessages.DigitBits);
        _questions.Append((ulong)(searches.Length - (1 << digits)), digits);
        var before = -1;
        foreach (var search in searches)
        {
            var place = search & CascadeMessages.PlaceMask;
            var half = (int)(search >> CascadeMessages.HalfShift & CascadeMessages.HalfMask);
            var top = (int)(place >> topExponent);
            var distance = top - before - 1;
            before = top;
            AppendOnes(distance >> rice);
            var known = topExponent - half - 1;
            var path = place >> (half + 1) & ((1u << known) - 1);
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
        public bool Telling;
        public byte Pass;
        public int Searches;
    }
}
