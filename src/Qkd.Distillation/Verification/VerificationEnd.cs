using System.Buffers;

namespace Qkd.Distillation;

/// <summary>What both ends of a verification keep: the ranges in question, and what has been told.</summary>
internal abstract class VerificationEnd(CorrectedBlock block) : IVerification
{
    private VerifiedBlock? _result;
    private bool _finished;

    public int DisclosedFrames { get; private set; }

    public VerifiedBlock Result => _result ?? throw new InvalidOperationException("The verification has not finished.");

    protected CorrectedBlock Block { get; } = block;

    protected VerificationPlan Plan { get; } = new(block.FrameStarts, block.Parameters.Security);

    protected BitString Bits { get; } = block.TakeBits();

    /// <summary>The ranges that the last tags were about.</summary>
    protected List<FrameRange> Ranges { get; } = [];

    /// <summary>Tags that Alice told.</summary>
    protected long Tags { get; set; }

    /// <summary>Verdicts that Bob gave.</summary>
    protected long Verdicts { get; set; }

    protected long DisclosedBits { get; private set; }

    public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        ArgumentNullException.ThrowIfNull(toSend);
        if (_finished)
        {
            throw new InvalidOperationException("The verification has finished.");
        }

        return _finished = Continue(received, toSend);
    }

    public void Dispose()
    {
        if (_result is null)
        {
            Bits.Dispose();
        }

        Block.Dispose();
    }

    protected abstract bool Continue(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend);

    protected void Disclose(int frame)
    {
        DisclosedFrames++;
        DisclosedBits += Plan.Length(frame);
        CheckLeak();
    }

    /// <summary>Also bounds what a peer can ask for.</summary>
    protected void CheckLeak()
    {
        if (Ledger().TotalBits > Block.Sifted.KeyBitCount)
        {
            throw new DistillationException(
                $"Verification of block {Block.BlockId}: {DisclosedFrames} of {Block.FrameStarts.Count - 1} frames differ; the block leaks more bits than it has.");
        }
    }

    protected void Finish(long[] errors, LinkEnd end) => _result = new(Block, end, Bits, Ledger(), errors);

    private LeakageLedger Ledger() => Block.Ledger with
    {
        DisclosedBits = Block.Ledger.DisclosedBits + DisclosedBits,
        VerificationBits = Plan.BitsBeyondFormula(Block.Parameters.Security, Tags, Verdicts, Block.Sifted.KeyCounts),
    };
}
