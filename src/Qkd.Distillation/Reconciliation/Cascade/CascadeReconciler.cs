using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// Cascade (G. Brassard and L. Salvail, EUROCRYPT '93), all frames of a block at once and one message a round, with every parity that
/// follows from others inferred and never asked for. Bob corrects; Alice answers.
/// </summary>
/// <remarks>
/// What leaks is counted parity by parity as Alice tells them, and two log2 of the number of values that this count can take for its
/// depending on the data. Where the detectors may differ, the parities that Bob's questions imply are counted as well: see
/// <see cref="LeakageLedger.ReverseReconciliationBits"/>.
/// </remarks>
public sealed class CascadeReconciler : IReconciler
{
    /// <inheritdoc/>
    public string Name => MethodName;

    internal const string MethodName = "cascade";

    /// <inheritdoc/>
    public IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions)
    {
        ArgumentNullException.ThrowIfNull(block);
        ArgumentNullException.ThrowIfNull(conditions);
        return end == LinkEnd.Alice ? new CascadeAlice(block, conditions.ErrorRate) : new CascadeBob(block);
    }

    /// <summary>The ledger after so many parities of Alice.</summary>
    internal static LeakageLedger Ledger(SiftedBlock block, long told)
    {
        // The count lies between 0 and the bits of the block, beyond which the block is lost.
        var values = (long)block.KeyBitCount + 1;
        return new()
        {
            ReconciliationBits = told,
            ReverseReconciliationBits = block.Parameters.Security.Mismatch.Exists ? told : 0,
            VariableLengthBits = 2 * (64 - BitOperations.LeadingZeroCount((ulong)(values - 1))),
        };
    }
}
