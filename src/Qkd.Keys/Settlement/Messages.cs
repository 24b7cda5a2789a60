using Qkd.Distillation;
using Qkd.Keys.Storage;

namespace Qkd.Keys.Settlement;

/// <summary>One side says: I hold this block, so long, in this state.</summary>
/// <param name="BlockId">The block.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Provenance">What it is fit for, as the sender knows.</param>
/// <param name="State">The sender's state. Above <see cref="BlockState.Reserved"/> he knows that the receiver holds the block.</param>
/// <param name="Final">The block is not expected any more: if the receiver lacks it, it is void for both.</param>
/// <param name="HalfClosed">The sender draws no more from his half.</param>
internal sealed record BlockClaim(long BlockId, int Bytes, KeyProvenance Provenance, BlockState State, bool Final, bool HalfClosed);

/// <summary>Answers to a <see cref="BlockClaim"/>. The numbers are on the wire.</summary>
internal enum VerdictCode : byte
{
    /// <summary>The answering side holds the block, or both have used it up.</summary>
    Held = 1,

    /// <summary>Not heard of yet; it may come.</summary>
    Unknown = 2,

    /// <summary>The answering side does not hold it and never will: a tombstone stands for it.</summary>
    Void = 3,
}

/// <summary>The answer to one claim.</summary>
internal sealed record BlockVerdict(long BlockId, VerdictCode Code, KeyProvenance Provenance);

/// <summary>What a round of claims has changed.</summary>
internal sealed class ClaimsOutcome
{
    public List<BlockVerdict> Verdicts { get; } = [];

    public List<long> Confirmed { get; } = [];

    public List<long> Voided { get; } = [];
}

/// <summary>A key that one side has chosen from its half of a block and asks the other to accept. Offset and length are bytes in the block.</summary>
internal sealed record Assignment(
    Guid KeyId, long BlockId, int Offset, int Length, string MasterSaeId, IReadOnlyList<string> SlaveSaeIds, KeyPurpose Purpose);

/// <summary>Answers to assignments. The numbers are on the wire.</summary>
internal enum AssignmentCode : byte
{
    /// <summary>All keys are accepted, durably.</summary>
    Accepted = 1,

    /// <summary>Some of the blocks are not held (any more); nothing was accepted.</summary>
    BlocksNotHeld = 2,

    /// <summary>Refused for the reason given; nothing was accepted.</summary>
    Refused = 3,
}

/// <summary>The answer to a list of assignments.</summary>
internal sealed record AssignmentVerdict(AssignmentCode Code, IReadOnlyList<long> BlocksNotHeld, string Reason)
{
    public static AssignmentVerdict Accepted { get; } = new(AssignmentCode.Accepted, [], "");

    public static AssignmentVerdict Refuse(string reason) => new(AssignmentCode.Refused, [], reason);
}

/// <summary>The grade and origin of a block in one byte.</summary>
internal static class ProvenanceByte
{
    public static byte Write(KeyProvenance provenance) =>
        (byte)((provenance.Grade == KeyGrade.Attested ? 1 : 0) | (provenance.Emulated ? 2 : 0));

    public static KeyProvenance Read(byte value) =>
        value <= 3
            ? new((value & 1) != 0 ? KeyGrade.Attested : KeyGrade.Laboratory, (value & 2) != 0)
            : throw new KeyPeerException($"The peer's key store sent an unknown grade, {value}.");
}
