using System.Buffers;

namespace Qkd.Distillation;

/// <summary>Bob's end: decodes each frame, and asks about those that he cannot decode.</summary>
internal sealed class LdpcBob(SiftedBlock block) : IReconciliation
{
    // Of the symbols of a frame, in the first, second and third request.
    private static readonly double[] AskedShares = [0.01, 0.02, 0.04];

    private readonly SiftedBits _bits = block.TakeBits();
    private readonly List<LdpcOpenFrame> _open = [];
    private BitString? _corrected;
    private LdpcPlan? _plan;
    private long _bytesSent;
    private bool _finished;
    private CorrectedBlock? _result;

    public string Method => LdpcReconciler.MethodName;

    public bool StartsFirst => false;

    public int Rounds { get; private set; }

    public int RetriedFrames => _plan?.FramesToldMore ?? 0;

    public int DisclosedFrames => _plan?.FramesToldWhole ?? (_finished ? 1 : 0);

    public CorrectedBlock Result => _result ?? (_finished ? _result = Finish() : throw new InvalidOperationException("The reconciliation has not finished."));

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

        Ask(toSend);
        _finished = _open.Count == 0;
        return _finished;
    }

    public void Dispose()
    {
        Close();
        _corrected?.Dispose();
        if (_result is null)
        {
            _bits.Dispose();
        }
    }

    private void Begin(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "syndromes");
        var bits = reader.ReadUInt32();
        var code = reader.ReadByte();
        if (bits != (uint)_bits.Key.Length)
        {
            throw reader.Malformed($"it is of {bits} bits, where {_bits.Key.Length} were sifted");
        }

        _corrected = new(_bits.Key.Length);
        if (code == LdpcPlan.NoCode)
        {
            reader.ReadBits(_corrected.Length, _corrected.Words);
            reader.End();
            return;
        }

        var (frames, punctured, reliability) = (reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadByte());
        if (!LdpcPlan.IsPossible(_bits.Key.Length, code, frames, punctured) || reliability is 0 or > (byte)LdpcDecoder.Known)
        {
            throw reader.Malformed($"{frames} frames of code {code} with {punctured} punctured symbols, for {bits} bits");
        }

        _plan = new(block, new(code, (int)frames, (int)punctured), reliability);
        using var decoder = new LdpcDecoder(_plan.Code);
        for (var frame = 0; frame < _plan.Frames; frame++)
        {
            var syndrome = new ulong[_plan.Code.Checks / 64];
            reader.ReadBits(_plan.Code.Checks, syndrome);
            var tried = new LdpcOpenFrame(frame, _plan.Frame(frame), syndrome);
            if (!Decode(decoder, tried))
            {
                tried.Choose(decoder, _plan.Code, AskedShares[0]);
                _open.Add(tried);
            }
        }

        reader.End();
    }

    private void Continue(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "answer");
        var plan = _plan!;
        var due = _open.Sum(frame => (long)(frame.Asked.Count > 0 ? frame.Asked.Count : frame.Layout.KeyBits));
        if (due > int.MaxValue)
        {
            throw reader.Malformed("it is longer than a block");
        }

        using var answer = new BitString((int)due);
        reader.ReadBits((int)due, answer.Words);
        reader.End();
        using var decoder = new LdpcDecoder(plan.Code);
        var next = 0;
        foreach (var frame in _open.ToArray())
        {
            if (frame.Asked.Count == 0)
            {
                plan.CountWhole(frame.Number);
                BitRange.Add(answer.Words, next, _corrected!.Words, plan.Start(frame.Number), frame.Layout.KeyBits);
                next += frame.Layout.KeyBits;
                _open.Remove(frame);
                continue;
            }

            plan.CountSymbols(frame.Number, frame.Asked.Count(frame.Layout.IsPunctured), frame.Asked.Count);
            next = frame.Learn(answer, next);
            if (Decode(decoder, frame))
            {
                frame.Dispose();
                _open.Remove(frame);
            }
            else if (Rounds <= LdpcReconciler.SymbolRounds)
            {
                frame.Choose(decoder, plan.Code, AskedShares[Rounds - 1]);
            }
        }
    }

    private bool Decode(LdpcDecoder decoder, LdpcOpenFrame frame)
    {
        var plan = _plan!;
        using var symbols = new BitString(plan.Code.Symbols);
        frame.Layout.Spread(_bits.Key.Words, plan.Start(frame.Number), symbols.Words);
        decoder.Begin(symbols.Words, frame.Syndrome, (sbyte)plan.Reliability);
        frame.Layout.Prepare(decoder);
        frame.Tell(decoder);
        if (decoder.Run(LdpcDecoder.MostRounds) == 0)
        {
            return false;
        }

        decoder.Read(symbols.Words);
        frame.Layout.Gather(symbols.Words, _corrected!.Words, plan.Start(frame.Number));
        return true;
    }

    private void Ask(IBufferWriter<byte> toSend)
    {
        toSend.WriteUInt32((uint)_open.Count);
        _bytesSent += sizeof(uint);
        foreach (var frame in _open)
        {
            using var numbers = new BitAppender();
            foreach (var symbol in frame.Asked)
            {
                numbers.Append((uint)symbol, LdpcMessages.NumberBits(_plan!.Code));
            }

            toSend.WriteUInt32((uint)frame.Number);
            toSend.WriteUInt32((uint)frame.Asked.Count);
            toSend.WriteWords(numbers.Words);
            _bytesSent += (2 * sizeof(uint)) + (numbers.Words.Length * sizeof(ulong));
        }
    }

    /// <summary>Takes the corrected bits and notes what was corrected.</summary>
    private CorrectedBlock Finish()
    {
        var key = _bits.Key.Words;
        var corrected = _corrected!.Words;
        var corrections = new BitString(_bits.Key.Length);
        for (var i = 0; i < key.Length; i++)
        {
            corrections.Words[i] = key[i] ^ corrected[i];
            key[i] = corrected[i];
        }

        return new(
            block,
            LinkEnd.Bob,
            _bits.Key,
            LdpcPlan.Starts(block, _plan),
            LdpcPlan.Ledger(block, _plan, _bytesSent),
            new(corrections, _bits.Intensities));
    }

    private void Close()
    {
        foreach (var frame in _open)
        {
            frame.Dispose();
        }

        _open.Clear();
    }
}

/// <summary>A frame that is not yet decoded.</summary>
internal sealed class LdpcOpenFrame(int number, LdpcFrame layout, ulong[] syndrome) : IDisposable
{
    private readonly Dictionary<int, int> _known = [];

    /// <summary>Number of the frame.</summary>
    public int Number => number;

    /// <summary>Its layout.</summary>
    public LdpcFrame Layout => layout;

    /// <summary>Its syndrome, which was told in the open.</summary>
    public ulong[] Syndrome => syndrome;

    /// <summary>The symbols asked for, ascending; none stands for all key bits.</summary>
    public IReadOnlyList<int> Asked { get; private set; } = [];

    /// <summary>Chooses the symbols of which the decoder is least certain.</summary>
    public void Choose(LdpcDecoder decoder, LdpcCode code, double share)
    {
        var most = Math.Clamp((int)(share * (layout.KeyBits + layout.Punctured)), 1, LdpcMessages.LargestRequest(code));
        var histogram = new int[129];
        for (var symbol = 0; symbol < code.Symbols; symbol++)
        {
            histogram[CertaintyOf(decoder, symbol)]++;
        }

        // All symbols below a limit, and of those at it as many as there is room for.
        var (limit, atLimit) = (0, most);
        while (limit < histogram.Length - 1 && histogram[limit] <= atLimit)
        {
            atLimit -= histogram[limit++];
        }

        var asked = new List<int>(most);
        for (var symbol = 0; symbol < code.Symbols; symbol++)
        {
            var certainty = CertaintyOf(decoder, symbol);
            if (certainty < limit || (certainty == limit && limit < 128 && atLimit-- > 0))
            {
                asked.Add(symbol);
            }
        }

        Asked = asked;
    }

    /// <summary>Takes over the symbols asked for.</summary>
    /// <returns>Where the answer goes on.</returns>
    public int Learn(BitString answer, int next)
    {
        foreach (var symbol in Asked)
        {
            _known[symbol] = answer[next++];
        }

        Asked = [];
        return next;
    }

    /// <summary>Tells a decoder what was learnt.</summary>
    public void Tell(LdpcDecoder decoder)
    {
        foreach (var (symbol, bit) in _known)
        {
            decoder.Learn(symbol, bit);
        }
    }

    public void Dispose() => _known.Clear();

    /// <summary>Certainty of a symbol, 0 to 127; 128 for one that is not to be asked for.</summary>
    private int CertaintyOf(LdpcDecoder decoder, int symbol) =>
        layout.IsShortened(symbol) || _known.ContainsKey(symbol) ? 128 : Math.Min(127, Math.Abs((int)decoder[symbol]));
}
