using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// How a block is cut into frames, and what was told of each: kept alike at both ends.
/// </summary>
internal sealed class LdpcPlan
{
    /// <summary>In place of a code: the bits themselves are told.</summary>
    public const byte NoCode = 255;

    private readonly SiftedBlock _block;
    private readonly long[] _puncturedTold;
    private readonly long[] _keyBitsTold;
    private readonly bool[] _toldWhole;

    /// <summary>Cuts a block.</summary>
    public LdpcPlan(SiftedBlock block, LdpcChoice choice, byte reliability)
    {
        (_block, Choice, Reliability) = (block, choice, reliability);
        Code = LdpcFamily.Code(choice.Code);
        _puncturedTold = new long[choice.Frames];
        _keyBitsTold = new long[choice.Frames];
        _toldWhole = new bool[choice.Frames];
    }

    /// <summary>Code, frames and puncturing.</summary>
    public LdpcChoice Choice { get; }

    /// <summary>The code.</summary>
    public LdpcCode Code { get; }

    /// <summary>Reliability of a symbol as received.</summary>
    public byte Reliability { get; }

    /// <summary>Number of frames.</summary>
    public int Frames => Choice.Frames;

    /// <summary>Where each frame begins, and the end of the last; a block that is told is one frame.</summary>
    public static int[] Starts(SiftedBlock block, LdpcPlan? plan) =>
        plan is not null ? [.. Enumerable.Range(0, plan.Frames + 1).Select(plan.Start)]
        : block.KeyBitCount == 0 ? [0]
        : [0, block.KeyBitCount];

    /// <summary>First bit of a frame.</summary>
    public int Start(int frame) => (int)((long)_block.KeyBitCount * frame / Frames);

    /// <summary>Layout of a frame.</summary>
    public LdpcFrame Frame(int frame) => new(Code, Choice.Punctured, Start(frame + 1) - Start(frame));

    /// <summary>Whether a choice can be that of a block.</summary>
    public static bool IsPossible(int bits, int code, uint frames, uint punctured)
    {
        if (code >= LdpcFamily.Count || frames == 0 || frames > bits)
        {
            return false;
        }

        var longest = (bits + (long)frames - 1) / frames;
        return punctured <= LdpcFrame.LargestPunctured(LdpcFamily.Code(code)) && longest + punctured <= LdpcFamily.SymbolsOf(code)
            && (LdpcFamily.ChecksOf(code) - (long)punctured) * frames <= bits;
    }

    /// <summary>Keeps account of symbols told.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="punctured">How many of them are punctured.</param>
    /// <param name="all">How many symbols there are.</param>
    public void CountSymbols(int frame, int punctured, int all)
    {
        _puncturedTold[frame] += punctured;
        _keyBitsTold[frame] += all - punctured;
        Check();
    }

    /// <summary>Keeps account of a frame told whole.</summary>
    public void CountWhole(int frame)
    {
        _toldWhole[frame] = true;
        Check();
    }

    /// <summary>Frames of which more was told than the syndrome.</summary>
    public int FramesToldMore => Enumerable.Range(0, Frames).Count(frame => _toldWhole[frame] || _puncturedTold[frame] + _keyBitsTold[frame] > 0);

    /// <summary>Frames that were told whole.</summary>
    public int FramesToldWhole => _toldWhole.Count(whole => whole);

    /// <summary>What has leaked.</summary>
    /// <param name="block">The block.</param>
    /// <param name="plan">What was told; null where all bits were.</param>
    /// <param name="bytesOfBob">Bytes of all of Bob's messages.</param>
    public static LeakageLedger Ledger(SiftedBlock block, LdpcPlan? plan, long bytesOfBob)
    {
        var (told, outright) = plan?.Told() ?? (0, block.KeyBitCount);

        // Between none and all bits of the block, beyond which it is lost.
        var values = (long)block.KeyBitCount + 1;
        return new()
        {
            ReconciliationBits = told,
            DisclosedBits = outright,
            ReverseReconciliationBits = block.Parameters.Security.Mismatch.Exists ? 8 * bytesOfBob : 0,
            VariableLengthBits = 2 * (64 - BitOperations.LeadingZeroCount((ulong)(values - 1))),
        };
    }

    private (long Told, long Outright) Told()
    {
        var (told, outright) = (0L, 0L);
        for (var frame = 0; frame < Frames; frame++)
        {
            if (_toldWhole[frame])
            {
                outright += Start(frame + 1) - Start(frame);
            }
            else
            {
                told += Code.Checks - Choice.Punctured + _puncturedTold[frame];
                outright += _keyBitsTold[frame];
            }
        }

        return (told, outright);
    }

    private void Check()
    {
        var (told, outright) = Told();
        if (told + outright > _block.KeyBitCount)
        {
            throw new DistillationException($"Error correction needs more than block {_block.BlockId} has bits.");
        }
    }
}
