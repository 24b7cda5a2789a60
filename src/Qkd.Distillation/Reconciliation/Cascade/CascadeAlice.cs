using System.Buffers;

namespace Qkd.Distillation;

/// <summary>Alice's end of Cascade: tells the parities of the first pass, then answers until Bob asks no more.</summary>
internal sealed class CascadeAlice : IReconciliation
{
    private readonly SiftedBlock _block;
    private readonly SiftedBits _bits;
    private readonly CascadePlan _plan;
    private readonly int _firstExponent;
    private readonly CascadeFrame[] _frames;
    private long _told;
    private bool _finished;
    private CorrectedBlock? _result;

    public CascadeAlice(SiftedBlock block, double expectedErrorRate)
    {
        _block = block;
        _bits = block.TakeBits();
        _firstExponent = CascadePlan.FirstExponentFor(expectedErrorRate);
        _plan = new(_bits.Key.Length, _firstExponent);
        _frames = [.. Enumerable.Range(0, _plan.Frames).Select(frame => new CascadeFrame(_plan, frame, _bits.Key.Words))];
    }

    public string Method => CascadeReconciler.MethodName;

    public bool StartsFirst => true;

    public int Rounds { get; private set; }

    public int DisclosedFrames => 0;

    public CorrectedBlock Result
    {
        get
        {
            if (!_finished || _result is not null)
            {
                return _result ?? throw new InvalidOperationException("The reconciliation has not finished.");
            }

            return _result = new(_block, LinkEnd.Alice, _bits.Key, _plan.Starts(), CascadeReconciler.Ledger(_block, _told), null);
        }
    }

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The reconciliation has finished.");
        }

        using var parities = new BitAppender();
        if (Rounds++ == 0)
        {
            toSend.WriteUInt32((uint)_plan.Bits);
            toSend.WriteByte((byte)_firstExponent);
            for (var frame = 0; frame < _frames.Length; frame++)
            {
                TellPass(frame, 0, parities);
            }
        }
        else
        {
            Answer(received, parities);
            _finished = parities.Length == 0;
        }

        Count(parities.Length);
        toSend.WriteWords(parities.Words);
        return _finished;
    }

    public void Dispose()
    {
        foreach (var frame in _frames)
        {
            frame.Dispose();
        }

        _bits.Intensities.Dispose();
        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    private void Answer(ReadOnlySpan<byte> questions, BitAppender parities)
    {
        var reader = new MessageReader(questions, "question about parities");
        for (var frame = 0; frame < _frames.Length; frame++)
        {
            var count = reader.ReadUInt16();
            for (var i = 0; i < count; i++)
            {
                var question = reader.ReadUInt32();
                var (pass, node) = ((int)(question >> CascadeMessages.PassShift), (int)(question & ((1 << CascadeMessages.PassShift) - 1)));
                if (pass >= CascadePlan.Passes || node >= 2 << _plan.Exponent)
                {
                    throw reader.Malformed($"it asks for node {node} of pass {pass}");
                }

                if (node == 0)
                {
                    TellPass(frame, pass, parities);
                }
                else
                {
                    parities.Append((uint)_frames[frame].Parity(pass, node), 1);
                }
            }
        }

        reader.End();
    }

    private void TellPass(int frame, int pass, BitAppender parities)
    {
        var firstTop = 1 << (_plan.Exponent - _plan.TopExponent(pass));
        for (var i = 0; i < _plan.ToldTops(frame, pass); i++)
        {
            parities.Append((uint)_frames[frame].Parity(pass, firstTop + i), 1);
        }
    }

    private void Count(int parities)
    {
        _told += parities;
        if (_told > _block.KeyBitCount)
        {
            throw new DistillationException($"Error correction asks for more parities than block {_block.BlockId} has bits.");
        }
    }
}
