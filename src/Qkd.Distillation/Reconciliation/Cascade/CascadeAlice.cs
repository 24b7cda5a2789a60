using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>
/// Alice's end of Cascade: tells the parities of the first pass, then answers until Bob asks no more. All she keeps of the search is which
/// blocks are halved at the moment.
/// </summary>
internal sealed class CascadeAlice : IReconciliation
{
    private readonly SiftedBlock _block;
    private readonly SiftedBits _bits;
    private readonly CascadePlan _plan;
    private readonly CascadeBlockSizes _sizes;
    private readonly CascadeTrees _trees;
    private readonly CascadeBitWriter _parities = new();
    private readonly Frame[] _frames;
    private readonly CascadeBlock[] _searches;
    private readonly int _searchesEach;
    private readonly ulong[] _tops;
    private int[] _unfinished;
    private long _told;
    private bool _finished;
    private CorrectedBlock? _result;

    public CascadeAlice(SiftedBlock block, double expectedErrorRate)
    {
        _block = block;
        _bits = block.TakeBits();
        _sizes = CascadeBlockSizes.For(expectedErrorRate);
        _plan = new(_bits.Key.Length, _sizes);
        _trees = new(_plan);
        _frames = new Frame[_plan.Frames];
        _unfinished = [.. Enumerable.Range(0, _plan.Frames)];
        _searchesEach = _plan.Tops(0);
        _searches = new CascadeBlock[checked(_plan.Frames * _searchesEach)];
        _tops = new ulong[_plan.Levels.TopWords(_plan.TopExponent(0))];
    }

    public string Method => CascadeReconciler.MethodName;

    public bool StartsFirst => true;

    public int Rounds { get; private set; }

    public int RetriedFrames => 0;

    public int DisclosedFrames => 0;

    public CorrectedBlock Result => _result ?? (_finished
        ? _result = new(_block, LinkEnd.Alice, _bits.Key, _plan.Starts(), CascadeReconciler.Ledger(_block, _told), null)
        : throw new InvalidOperationException("The reconciliation has not finished."));

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The reconciliation has finished.");
        }

        if (Rounds++ == 0)
        {
            toSend.WriteUInt32((uint)_plan.Bits);
            toSend.WriteByte((byte)_sizes.First);
            toSend.WriteByte((byte)_sizes.Second);
            toSend.WriteByte((byte)_sizes.Third);
            for (var frame = 0; frame < _frames.Length; frame++)
            {
                _plan.CopyFrame(frame, _bits.Key.Words, _trees.Bits(frame));
                TellNextPasses(frame);
            }
        }
        else
        {
            Answer(received);
        }

        _told += _parities.Length;
        if (_told > _block.KeyBitCount)
        {
            throw new DistillationException($"Error correction asks for more parities than block {_block.BlockId} has bits.");
        }

        _parities.Flush(toSend);
        return _finished;
    }

    public void Dispose()
    {
        _trees.Dispose();
        _parities.Dispose();
        BitString.Erase(_tops);
        _bits.Intensities.Dispose();
        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    private void Answer(ReadOnlySpan<byte> received)
    {
        var reader = new CascadeBitReader(received, "question about parities");
        var left = 0;
        foreach (var frame in _unfinished)
        {
            var goesOn = true;
            if (_frames[frame].Searches > 0)
            {
                Halve(frame, ref reader);
            }
            else
            {
                goesOn = Next(frame, ref reader);
            }

            if (goesOn)
            {
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

    /// <summary>Every block that is searched gives way to the half that has the error.</summary>
    private void Halve(int frame, ref CascadeBitReader reader)
    {
        ref var state = ref _frames[frame];
        var searches = _searches.AsSpan(frame * _searchesEach, state.Searches);
        ref var tree = ref MemoryMarshal.GetReference(_trees.Of(frame, state.Pass));
        var left = 0;
        for (var done = 0; done < searches.Length; done += 64)
        {
            var some = searches[done..Math.Min(done + 64, searches.Length)];
            var halves = reader.Read(some.Length);
            ulong parities = 0;
            for (var i = 0; i < some.Length; i++, halves >>= 1)
            {
                var block = some[i].Halve((uint)halves & 1);
                parities |= (ulong)Parity(ref tree, block) << i;

                // One whose halves are single places has been answered for the last time.
                searches[left] = block;
                left += block.Half > 0 ? 1 : 0;
            }

            _parities.Append(parities, some.Length);
        }

        state.Searches = left;
        if (left == 0)
        {
            _trees.Release(frame);
        }
    }

    /// <summary>Parity of the first half of a block.</summary>
    private uint Parity(ref ulong tree, CascadeBlock block)
    {
        ref readonly var halving = ref _plan.Levels.Halvings[block.Half];
        return halving.Parity(Unsafe.Add(ref tree, halving.Word(block.Place)), block.Place);
    }

    private bool Next(int frame, ref CascadeBitReader reader)
    {
        var next = (int)reader.Read(CascadeMessages.NextBits);
        ref var state = ref _frames[frame];
        if (next < state.Begun)
        {
            state.Pass = (byte)next;
            StartSearch(frame, ref reader);
        }
        else if (next == CascadeMessages.Tell && state.Begun < CascadePlan.Passes)
        {
            TellNextPasses(frame);
        }
        else if (next != CascadeMessages.Finish)
        {
            throw reader.Malformed($"it asks for pass {next}, where {state.Begun} have begun");
        }

        return next != CascadeMessages.Finish;
    }

    private void StartSearch(int frame, ref CascadeBitReader reader)
    {
        ref var state = ref _frames[frame];
        var pass = state.Pass;
        var topExponent = _plan.TopExponent(pass);
        var tops = _plan.Tops(pass);
        var digits = (int)reader.Read(CascadeMessages.DigitBits);
        var count = 1 << digits | (int)reader.Read(digits);
        if (count > tops)
        {
            throw reader.Malformed($"it names {count} blocks of pass {pass}, which has {tops}");
        }

        var rice = CascadeMessages.RiceBits(tops, count);
        var searches = _searches.AsSpan(frame * _searchesEach, count);
        if (pass >= CascadePlan.MainPasses)
        {
            _trees.Build(frame, pass);
        }

        ref var tree = ref MemoryMarshal.GetReference(_trees.Of(frame, pass));
        var top = -1;
        var left = 0;
        for (var i = 0; i < count; i++)
        {
            top += 1 + (reader.ReadOnes(tops >> rice) << rice | (int)reader.Read(rice));
            if (top >= tops)
            {
                throw reader.Malformed($"it names block {top} of pass {pass}, which has {tops}");
            }

            var known = reader.ReadOnes(topExponent - 1);
            var place = (top << topExponent) | (int)reader.Read(known) << (topExponent - known);
            var block = new CascadeBlock(place, topExponent - known);
            _parities.Append(Parity(ref tree, block), 1);
            searches[left] = block;
            left += block.Half > 0 ? 1 : 0;
        }

        state.Searches = left;
        if (left == 0)
        {
            _trees.Release(frame);
        }
    }

    private void TellNextPasses(int frame)
    {
        ref var state = ref _frames[frame];
        var pass = (int)state.Begun;
        state.Begun = (byte)CascadePlan.NextPasses(pass);
        if (pass >= CascadePlan.MainPasses)
        {
            _parities.Append(_plan.Halves.Parities(_trees.Bits(frame)), CascadePlan.Passes - CascadePlan.MainPasses);
            return;
        }

        _trees.Build(frame, pass);
        var exponent = _plan.TopExponent(pass);
        var tops = _tops.AsSpan(0, _plan.Levels.TopWords(exponent));
        _plan.Levels.Tops(_trees.Of(frame, pass), exponent, tops);
        _parities.Append(tops, _plan.ToldTops(frame, pass));
    }

    private struct Frame
    {
        public byte Begun;
        public byte Pass;
        public int Searches;
    }
}
