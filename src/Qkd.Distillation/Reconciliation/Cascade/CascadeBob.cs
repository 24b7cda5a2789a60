using System.Buffers;

namespace Qkd.Distillation;

/// <summary>Bob's end of Cascade: searches all frames side by side until none of them differs in any block he knows of.</summary>
internal sealed class CascadeBob(SiftedBlock block) : IReconciliation
{
    private readonly SiftedBits _bits = block.TakeBits();
    private CascadePlan? _plan;
    private CascadeSearch[] _frames = [];
    private long _told;
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
            Begin(received);
        }
        else
        {
            Continue(received);
        }

        _finished = true;
        foreach (var frame in _frames)
        {
            var asked = frame.Asked;
            toSend.WriteUInt16((ushort)asked.Count);
            foreach (var (pass, node) in asked)
            {
                toSend.WriteUInt32(((uint)pass << CascadeMessages.PassShift) | (uint)node);
            }

            _finished &= asked.Count == 0;
        }

        return _finished;
    }

    public void Dispose()
    {
        foreach (var frame in _frames)
        {
            frame.Dispose();
        }

        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    private void Begin(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "parities");
        var bits = reader.ReadUInt32();
        var firstExponent = reader.ReadByte();
        if (bits != (uint)_bits.Key.Length || !CascadePlan.IsFirstExponent(firstExponent))
        {
            throw reader.Malformed($"{bits} bits in blocks of 2^{firstExponent}, where {_bits.Key.Length} were sifted");
        }

        var plan = _plan = new CascadePlan(_bits.Key.Length, firstExponent);
        _frames = [.. Enumerable.Range(0, plan.Frames).Select(frame => new CascadeSearch(plan, frame, new CascadeFrame(plan, frame, _bits.Key.Words)))];
        var count = Enumerable.Range(0, plan.Frames).Sum(frame => plan.ToldTops(frame, 0));
        var told = new ParityReader(ReadParities(ref reader, count));
        foreach (var frame in _frames)
        {
            frame.Begin(ref told);
        }
    }

    private void Continue(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "parities");
        var told = new ParityReader(ReadParities(ref reader, _frames.Sum(frame => frame.AnswerBits)));
        foreach (var frame in _frames)
        {
            frame.Continue(ref told);
        }
    }

    private ulong[] ReadParities(ref MessageReader reader, int count)
    {
        var words = new ulong[BitString.WordCount(count)];
        reader.ReadBits(count, words);
        reader.End();
        _told += count;
        return _told <= block.KeyBitCount
            ? words
            : throw new DistillationException($"Error correction needs more parities than block {block.BlockId} has bits.");
    }

    /// <summary>Puts the corrected frames together and notes what was corrected.</summary>
    private CorrectedBlock Correct()
    {
        var key = _bits.Key.Words;
        var where = new BitString(_bits.Key.Length);
        foreach (var (frame, start) in _frames.Zip(_plan!.Starts()))
        {
            BitRange.Add(frame.Bits.Bits, frame.Bits.Length, where.Words, start);
        }

        // So far these are the corrected bits themselves.
        var corrections = where.Words;
        for (var i = 0; i < corrections.Length; i++)
        {
            var corrected = corrections[i];
            corrections[i] ^= key[i];
            key[i] = corrected;
        }

        return new(block, LinkEnd.Bob, _bits.Key, _plan.Starts(), CascadeReconciler.Ledger(block, _told), new(where, _bits.Intensities));
    }
}
