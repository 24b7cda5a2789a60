using System.Numerics;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// One-way error correction by the syndromes of low-density parity-check codes: Alice tells the syndromes of all frames in one message,
/// and Bob finds the bits that have them and are closest to his own. Frames that he cannot find are few; for these he asks for symbols,
/// the least certain first, up to three times, and at last for the whole frame.
/// </summary>
/// <remarks>
/// What leaks is the bits of the syndromes less the punctured symbols, one bit for each symbol told, and for a frame told whole its bits:
/// see <see cref="LdpcFrame"/>. As the number of bits that are told depends on the data, two log2 of the number of values that it can take is
/// added. Where the detectors may differ, all that Bob says is counted as well.
/// </remarks>
/// <param name="randomness">Where Alice draws the values of punctured symbols from.</param>
public sealed class LdpcReconciler(ISecretRandomness randomness) : IReconciler
{
    /// <summary>Rounds in which single symbols may be asked for; in the one after them, whole frames.</summary>
    internal const int SymbolRounds = 3;

    /// <summary>Draws from the operating system's generator.</summary>
    public LdpcReconciler()
        : this(OperatingSystemRandomness.Instance)
    {
    }

    /// <inheritdoc/>
    public string Name => MethodName;

    internal const string MethodName = "ldpc";

    private readonly ISecretRandomness _randomness = randomness;

    /// <inheritdoc/>
    public IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions, ISecretRandomness? randomness = null)
    {
        ArgumentNullException.ThrowIfNull(block);
        ArgumentNullException.ThrowIfNull(conditions);
        return end == LinkEnd.Alice ? new LdpcAlice(block, conditions.ErrorRate, randomness ?? _randomness) : new LdpcBob(block);
    }
}

/// <summary>
/// The messages. Alice's first: <c>u32 bits of the block; u8 code</c>, and if that is <see cref="LdpcPlan.NoCode"/> the bits, else <c>u32 frames;
/// u32 punctured symbols of each; u8 reliability; syndromes</c>; her others the symbols and frames asked for, packed. Bob's:
/// <c>u32 number of frames that he asks about; for each u32 frame, u32 count</c>, a count of 0 asking for the whole frame, then the symbols' numbers, in
/// the fewest bits that hold every symbol's, ascending. Asking about none is the end.
/// </summary>
internal static class LdpcMessages
{
    /// <summary>Bits of a symbol's number.</summary>
    public static int NumberBits(LdpcCode code) => BitOperations.Log2((uint)code.Symbols - 1) + 1;

    /// <summary>Most symbols that may be asked for in a frame and round.</summary>
    public static int LargestRequest(LdpcCode code) => code.Symbols / 8;
}
