using System.Numerics;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// Cascade (G. Brassard and L. Salvail, EUROCRYPT '93), all frames of a block at once and one message a round, with every parity that
/// follows from others inferred and never asked for. Bob corrects; Alice answers.
/// </summary>
/// <remarks>
/// What leaks is counted parity by parity as Alice tells them, and two log2 of the number of values that this count can take for its
/// depending on the data. Where the detectors may differ, the parities that Bob's questions imply are counted as well: see
/// <see cref="LeakageLedger.ReverseReconciliationBits"/>.
/// <para>
/// f = parities told / (n h(Q)), over 2048 frames of 2^16 bits, 128 in a block, none of which was left with errors; and bits said for each bit
/// of the block:
/// </para>
/// <code>
/// QBER      0.5 %    1 %    2 %    3 %    5 %    8 %   11 %
/// f         1.037  1.037  1.040  1.039  1.042  1.056  1.062
/// rounds      330    330    300    420    710    830    810
/// Alice      0.05   0.09   0.15   0.20   0.30   0.43   0.54
/// Bob        0.07   0.12   0.21   0.30   0.47   0.77   0.93
/// </code>
/// <para>
/// An expected error rate five times too low leaks no more than 5 % more but takes thousands of rounds; one five times too high leaks up to half
/// as much again. The time that the work takes follows the errors, at both ends.
/// </para>
/// </remarks>
public sealed class CascadeReconciler : IReconciler
{
    /// <inheritdoc/>
    public string Name => MethodName;

    internal const string MethodName = "cascade";

    /// <inheritdoc/>
    public IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions, ISecretRandomness? randomness = null)
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
