using Qkd.Distillation;

namespace Qkd.Keys;

/// <summary>How full the pool of deliverable key is.</summary>
public enum PoolLevel
{
    /// <summary>Nothing above the floor that is reserved for authentication: no key is delivered.</summary>
    Empty,

    /// <summary>Some key, less than the warning threshold: filling up, or nearly drained.</summary>
    Charging,

    /// <summary>Enough for the moment, less than the ready threshold.</summary>
    Warning,

    /// <summary>Plenty.</summary>
    Ready,
}

/// <summary>States of a block of key. The numbers are in the database and on the wire.</summary>
public enum BlockState
{
    /// <summary>Stored here; whether the peer holds it is not known.</summary>
    Reserved = 1,

    /// <summary>The peer is known to hold it; whether the peer knows that this side holds it is not.</summary>
    Confirmed = 2,

    /// <summary>Both sides know that both hold it: key may be drawn from it.</summary>
    Deliverable = 3,

    /// <summary>All of it has been delivered, and it is destroyed.</summary>
    Delivered = 4,

    /// <summary>It grew too old, or the store was full; destroyed.</summary>
    Expired = 5,

    /// <summary>The two sides do not both hold it; destroyed. The row stays as a tombstone.</summary>
    Voided = 6,
}

/// <summary>States of one key. The numbers are in the database.</summary>
public enum KeyState
{
    /// <summary>Master's side: bits are chosen and will be chosen for nothing else; the peer has not answered yet.</summary>
    Reserved = 1,

    /// <summary>Master's side: given up before delivery; the peer has to be told so.</summary>
    Cancelling = 2,

    /// <summary>Slave's side: accepted, waiting to be fetched by its recipients.</summary>
    Deliverable = 3,

    /// <summary>Handed out; never again.</summary>
    Delivered = 4,

    /// <summary>Not fetched in time.</summary>
    Expired = 5,

    /// <summary>Given up on both sides. The row stays as a tombstone.</summary>
    Voided = 6,
}

/// <summary>Where a block's key comes from: told with every key that is delivered.</summary>
/// <param name="Grade">What the key is fit for.</param>
/// <param name="Emulated">Whether any instrument behind it was emulated.</param>
public readonly record struct KeyProvenance(KeyGrade Grade, bool Emulated);

/// <summary>What became of a block that was handed to the store.</summary>
/// <param name="Stored">Whether it is stored now.</param>
/// <param name="Reason">Why it is not; empty if it is.</param>
public readonly record struct BlockAcceptance(bool Stored, string Reason);

/// <summary>The state of a key store, for a status page. All figures are of one instant.</summary>
public sealed record PoolStatus
{
    /// <summary>How full the pool is.</summary>
    public required PoolLevel Level { get; init; }

    /// <summary>Bits that applications on this side may draw as masters: deliverable, of this side's halves, above the floor.</summary>
    public required long DeliverableBits { get; init; }

    /// <summary>Bits kept back for authentication.</summary>
    public required long FloorBits { get; init; }

    /// <summary>Bits in all live blocks, both halves, delivered ones of live blocks included.</summary>
    public required long HeldBits { get; init; }

    /// <summary>Bits of blocks that are not settled with the peer yet.</summary>
    public required long UnconfirmedBits { get; init; }

    /// <summary>Most bits that are held.</summary>
    public required long CapacityBits { get; init; }

    /// <summary>Live blocks.</summary>
    public required int Blocks { get; init; }

    /// <summary>Blocks that the peer has confirmed, since the store was made.</summary>
    public required long BlocksConfirmed { get; init; }

    /// <summary>Blocks voided, since the store was made.</summary>
    public required long BlocksVoided { get; init; }

    /// <summary>Keys handed out by this side, to masters and slaves, since the store was made.</summary>
    public required long KeysDelivered { get; init; }

    /// <summary>Keys that wait for their slaves to fetch them.</summary>
    public required int KeysWaiting { get; init; }
}
