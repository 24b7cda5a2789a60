using Qkd.Distillation;
using Qkd.Timing;

namespace Qkd.Link.Session;

/// <summary>Gathers a block's public figures as it passes from stage to stage.</summary>
internal sealed class BlockTally(BlockParameters parameters)
{
    public BlockReport Report { get; private set; } = new()
    {
        BlockId = parameters.BlockId,
        FirstFrame = parameters.FirstFrame,
        FrameCount = parameters.FrameCount,
        Grade = parameters.Grade.ToString(),
    };

    public void Gated(GateCounts gate) => Report = Report with { Gate = (Report.Gate ?? default).Plus(gate) };

    public void Sifted(SiftedBlock block) => Report = Report with
    {
        Detections = block.Detections,
        KeyCounts = block.KeyCounts,
        TestCounts = block.TestCounts,
        TestErrors = block.TestErrors,
    };

    public void Reconciled(IReconciliation reconciliation) => Report = Report with
    {
        LeakedBits = reconciliation.Result.Ledger.TotalBits,
        ReconciliationMethod = reconciliation.Method,
        ReconciliationRounds = reconciliation.Rounds,
        DisclosedFrames = reconciliation.DisclosedFrames,
    };

    public void Verified(VerifiedBlock block, int disclosedFrames) => Report = Report with
    {
        DisclosedFrames = Report.DisclosedFrames + disclosedFrames,
        KeyErrors = block.KeyErrors,
        LeakedBits = block.Ledger.TotalBits,
    };

    public void Bounded(BoundedBlock block) => Report = Report with
    {
        SecretBits = block.SecretLength,
        PhaseErrorRate = block.Bound.PhaseErrorRate,
    };

    public void CutOff() => Report = Report with { CutOff = true };

    public void Accepted(SecretKey key) => Report = Report with { SecretBits = key.LengthBits, Epsilon = key.Epsilon, Grade = key.Grade.ToString() };

    /// <summary>Gives the block up if an error rate known so far is above the limit.</summary>
    /// <exception cref="QberExceededException">It is.</exception>
    public void CheckErrorRate(double limit)
    {
        if (Report.QberX > limit || Report.QberZ > limit)
        {
            throw new QberExceededException(
                FormattableString.Invariant($"error rate above the limit of {limit:P1}: X {Report.QberX:P2}, Z {Report.QberZ:P2}"));
        }
    }
}

/// <summary>A block's error rate is above the limit: nothing of it becomes key.</summary>
internal sealed class QberExceededException(string message) : LinkException(message);
