using Microsoft.Data.Sqlite;
using Qkd.Distillation;

namespace Qkd.Keys.Storage;

/// <summary>A block as the database has it. Lengths and positions are bytes.</summary>
internal sealed record BlockRow
{
    public const string Columns = "block_id, state, bytes, attested, emulated, own_next, own_end, own_closed, peer_closed, slot, ending, stored_at";

    public required long BlockId { get; init; }

    public required BlockState State { get; init; }

    public required int Bytes { get; init; }

    public required KeyProvenance Provenance { get; init; }

    /// <summary>First byte of this side's half that is not given to any key.</summary>
    public required int OwnNext { get; init; }

    /// <summary>End of this side's half.</summary>
    public required int OwnEnd { get; init; }

    /// <summary>Whether this side draws no more from its half.</summary>
    public required HalfState Own { get; init; }

    /// <summary>Whether the peer has said that he draws no more from his.</summary>
    public required bool PeerClosed { get; init; }

    /// <summary>Slot of the data key; -1 if there is none.</summary>
    public required int Slot { get; init; }

    /// <summary>The state that the block takes when the last key that waits in it has gone; null while it is in use.</summary>
    public required BlockState? Ending { get; init; }

    public required DateTimeOffset StoredAt { get; init; }

    public bool IsLive => State <= BlockState.Deliverable;

    public static BlockRow Read(SqliteDataReader row) => new()
    {
        BlockId = row.GetInt64(0),
        State = (BlockState)row.GetInt32(1),
        Bytes = row.GetInt32(2),
        Provenance = new(row.GetInt32(3) != 0 ? KeyGrade.Attested : KeyGrade.Laboratory, row.GetInt32(4) != 0),
        OwnNext = row.GetInt32(5),
        OwnEnd = row.GetInt32(6),
        Own = (HalfState)row.GetInt32(7),
        PeerClosed = row.GetInt32(8) != 0,
        Slot = row.GetInt32(9),
        Ending = row.IsDBNull(10) ? null : (BlockState)row.GetInt32(10),
        StoredAt = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(11)),
    };
}

/// <summary>Whether a side still draws from its half of a block. The numbers are in the database.</summary>
internal enum HalfState
{
    Open = 0,

    /// <summary>Used up; the peer does not know yet.</summary>
    Closed = 1,

    /// <summary>Used up, and the peer knows.</summary>
    Acknowledged = 2,
}

/// <summary>A key as the database has it. Offset and length are bytes in its block.</summary>
internal sealed record KeyRow(Guid KeyId, bool AssignedHere, KeyState State, long BlockId, int Offset, int Length, string MasterSaeId, KeyPurpose Purpose)
{
    public const string Columns = "key_id, assigned_here, state, block_id, offset, length, master_sae, purpose";

    public static KeyRow Read(SqliteDataReader row) => new(
        new((byte[])row.GetValue(0), bigEndian: true),
        row.GetInt32(1) != 0,
        (KeyState)row.GetInt32(2),
        row.GetInt64(3),
        row.GetInt32(4),
        row.GetInt32(5),
        row.GetString(6),
        (KeyPurpose)row.GetInt32(7));
}

/// <summary>What a key is for. The numbers are in the database and on the wire.</summary>
internal enum KeyPurpose
{
    /// <summary>For applications.</summary>
    Application = 0,

    /// <summary>For the tags of the classical channel.</summary>
    Authentication = 1,
}

/// <summary>Which half of a block belongs to whose applications.</summary>
/// <remarks>
/// A block of n bytes is cut at n/2 (rounded down). In blocks of even id the first part is for masters on Alice's side and the second for
/// masters on Bob's, in blocks of odd id the other way round. Both sides know this from the id alone, so they never choose the same bits.
/// </remarks>
internal static class BlockHalves
{
    public static (int Start, int End) Of(LinkEnd end, long blockId, int bytes)
    {
        var cut = bytes / 2;
        return end == LinkEnd.Alice == ((blockId & 1) == 0) ? (0, cut) : (cut, bytes);
    }

    public static LinkEnd Peer(LinkEnd end) => end == LinkEnd.Alice ? LinkEnd.Bob : LinkEnd.Alice;
}
