using System.Buffers;
using System.Runtime.InteropServices;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>Alice's end: tells the syndromes, then what Bob asks for.</summary>
internal sealed class LdpcAlice : IReconciliation
{
    private readonly SiftedBlock _block;
    private readonly SiftedBits _bits;
    private readonly LdpcPlan? _plan;
    private readonly BitString _random;
    private long _bytesOfBob;
    private bool _finished;
    private CorrectedBlock? _result;

    public LdpcAlice(SiftedBlock block, double errorRate, ISecretRandomness randomness)
    {
        _block = block;
        var choice = LdpcReach.Instance.Choose(block.KeyBitCount, errorRate);
        _plan = choice is null ? null : new(block, choice, (byte)LdpcTables.ReliabilityOf(double.IsNaN(errorRate) ? LdpcReach.DefaultErrorRate : errorRate));
        _random = new(_plan is null ? 0 : checked(WordsOfRandom * 64 * _plan.Frames));
        randomness.Fill(MemoryMarshal.AsBytes(_random.Words));
        _bits = block.TakeBits();
    }

    public string Method => LdpcReconciler.MethodName;

    public bool StartsFirst => true;

    public int Rounds { get; private set; }

    public int RetriedFrames => _plan?.FramesToldMore ?? 0;

    public int DisclosedFrames => _plan?.FramesToldWhole ?? (_finished ? 1 : 0);

    public CorrectedBlock Result =>
        _result ?? (_finished
            ? _result = new(_block, LinkEnd.Alice, _bits.Key, LdpcPlan.Starts(_block, _plan), LdpcPlan.Ledger(_block, _plan, _bytesOfBob), null)
            : throw new InvalidOperationException("The reconciliation has not finished."));

    private int WordsOfRandom => BitString.WordCount(_plan!.Choice.Punctured);

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_finished)
        {
            throw new InvalidOperationException("The reconciliation has finished.");
        }

        if (Rounds++ == 0)
        {
            TellBlock(toSend);
        }
        else
        {
            _bytesOfBob += received.Length;
            _finished = Answer(received, toSend);
        }

        return _finished;
    }

    public void Dispose()
    {
        _random.Dispose();
        _bits.Intensities.Dispose();
        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    private void TellBlock(IBufferWriter<byte> toSend)
    {
        toSend.WriteUInt32((uint)_block.KeyBitCount);
        if (_plan is null)
        {
            toSend.WriteByte(LdpcPlan.NoCode);
            toSend.WriteWords(_bits.Key.Words);
            return;
        }

        toSend.WriteByte((byte)_plan.Choice.Code);
        toSend.WriteUInt32((uint)_plan.Frames);
        toSend.WriteUInt32((uint)_plan.Choice.Punctured);
        toSend.WriteByte(_plan.Reliability);
        using var symbols = new BitString(_plan.Code.Symbols);
        var syndrome = new ulong[_plan.Code.Checks / 64];
        for (var frame = 0; frame < _plan.Frames; frame++)
        {
            Symbols(frame, symbols.Words);
            _plan.Code.Syndrome(symbols.Words, syndrome);
            toSend.WriteWords(syndrome);
        }
    }

    private bool Answer(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        var reader = new MessageReader(received, "request for symbols");
        var asked = reader.ReadUInt32();
        if (asked == 0)
        {
            reader.End();
            return true;
        }

        if (_plan is null || asked > (uint)_plan.Frames || Rounds > LdpcReconciler.SymbolRounds + 2)
        {
            throw reader.Malformed($"it asks about {asked} frames in round {Rounds - 1}");
        }

        using var answer = new BitAppender();
        using var symbols = new BitString(_plan.Code.Symbols);
        var last = -1L;
        for (var i = 0; i < asked; i++)
        {
            var frame = reader.ReadUInt32();
            var count = reader.ReadUInt32();
            if (frame <= last || frame >= (uint)_plan.Frames || count > LdpcMessages.LargestRequest(_plan.Code))
            {
                throw reader.Malformed($"it asks for {count} symbols of frame {frame} of {_plan.Frames}");
            }

            last = frame;
            if (count == 0)
            {
                TellWhole((int)frame, answer);
            }
            else
            {
                Symbols((int)frame, symbols.Words);
                TellSymbols((int)frame, (int)count, ref reader, symbols, answer);
            }
        }

        reader.End();
        toSend.WriteWords(answer.Words);
        return false;
    }

    private void TellWhole(int frame, BitAppender answer)
    {
        _plan!.CountWhole(frame);
        var (start, end) = (_plan.Start(frame), _plan.Start(frame + 1));
        for (; start < end; start += 64)
        {
            var count = Math.Min(64, end - start);
            answer.Append(BitRange.Read(_bits.Key.Words, start, count), count);
        }
    }

    private void TellSymbols(int frame, int count, ref MessageReader reader, BitString symbols, BitAppender answer)
    {
        var layout = _plan!.Frame(frame);
        var width = LdpcMessages.NumberBits(_plan.Code);
        var numbers = new ulong[BitString.WordCount(count * width)];
        reader.ReadBits(count * width, numbers);
        var (before, punctured) = (-1, 0);
        for (var i = 0; i < count; i++)
        {
            var symbol = (int)BitRange.Read(numbers, i * width, width);
            if (symbol <= before || symbol >= _plan.Code.Symbols || layout.IsShortened(symbol))
            {
                throw reader.Malformed($"it asks for symbol {symbol}");
            }

            before = symbol;
            punctured += layout.IsPunctured(symbol) ? 1 : 0;
            answer.Append((uint)symbols[symbol], 1);
        }

        _plan.CountSymbols(frame, punctured, count);
    }

    /// <summary>All symbols of a frame.</summary>
    private void Symbols(int frame, Span<ulong> symbols)
    {
        var layout = _plan!.Frame(frame);
        symbols.Clear();
        layout.Spread(_bits.Key.Words, _plan.Start(frame), symbols);
        layout.Puncture(_random.Words.Slice(frame * WordsOfRandom, WordsOfRandom), symbols);
    }
}
