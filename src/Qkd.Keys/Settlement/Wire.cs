using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Qkd.Keys.Settlement;

/// <summary>
/// The messages between two key stores, byte for byte (docs/keys.md). All numbers little-endian, texts UTF-8 with a 16-bit length.
/// Every length and count is checked before anything is allocated for it.
/// </summary>
internal static class Wire
{
    public const byte Version = 1;
    public const int MaximumItems = 16_384;
    public const int MaximumText = 1024;

    /// <summary>Blocks are numbered from 1; a number near the end of its range would leave none for the next.</summary>
    public const long MaximumBlockId = 1L << 62;

    public const byte Claims = 1;
    public const byte Assign = 2;
    public const byte Cancel = 3;
    public const byte Answer = 0x80;
    public const byte Error = 0xFF;

    public static byte[] WriteClaims(IReadOnlyList<BlockClaim> claims)
    {
        var writer = new WireWriter(Claims);
        writer.Count(claims.Count);
        foreach (var claim in claims)
        {
            writer.Int64(claim.BlockId);
            writer.Int32(claim.Bytes);
            writer.Byte(ProvenanceByte.Write(claim.Provenance));
            writer.Byte((byte)claim.State);
            writer.Byte((byte)((claim.Final ? 1 : 0) | (claim.HalfClosed ? 2 : 0)));
        }

        return writer.ToArray();
    }

    public static List<BlockClaim> ReadClaims(ref WireReader reader)
    {
        var claims = new List<BlockClaim>();
        for (var left = reader.Count(15); left > 0; left--)
        {
            var blockId = reader.Int64();
            var bytes = reader.Int32();
            var provenance = ProvenanceByte.Read(reader.Byte());
            var state = (BlockState)reader.Byte();
            var flags = reader.Byte();
            if (blockId is < 1 or > MaximumBlockId || bytes < 0 || !Enum.IsDefined(state) || flags > 3)
            {
                throw new KeyPeerException($"The peer's key store made a claim on block {blockId} that is not one.");
            }

            claims.Add(new(blockId, bytes, provenance, state, (flags & 1) != 0, (flags & 2) != 0));
        }

        reader.End();
        return claims;
    }

    public static byte[] WriteVerdicts(IReadOnlyList<BlockVerdict> verdicts)
    {
        var writer = new WireWriter(Claims | Answer);
        writer.Count(verdicts.Count);
        foreach (var verdict in verdicts)
        {
            writer.Int64(verdict.BlockId);
            writer.Byte((byte)verdict.Code);
            writer.Byte(ProvenanceByte.Write(verdict.Provenance));
        }

        return writer.ToArray();
    }

    public static List<BlockVerdict> ReadVerdicts(ReadOnlyMemory<byte> message, IReadOnlyList<BlockClaim> claims)
    {
        var reader = WireReader.Answer(message, Claims);
        var verdicts = new List<BlockVerdict>();
        for (var left = reader.Count(10); left > 0; left--)
        {
            var verdict = new BlockVerdict(reader.Int64(), (VerdictCode)reader.Byte(), ProvenanceByte.Read(reader.Byte()));
            if (verdicts.Count >= claims.Count || claims[verdicts.Count].BlockId != verdict.BlockId || !Enum.IsDefined(verdict.Code))
            {
                throw new KeyPeerException("The peer's key store answered claims that were not made.");
            }

            verdicts.Add(verdict);
        }

        reader.End();
        return verdicts.Count == claims.Count ? verdicts : throw new KeyPeerException("The peer's key store left claims unanswered.");
    }

    public static byte[] WriteAssignments(IReadOnlyList<Assignment> assignments)
    {
        var writer = new WireWriter(Assign);
        writer.Count(assignments.Count);
        foreach (var assignment in assignments)
        {
            writer.Id(assignment.KeyId);
            writer.Int64(assignment.BlockId);
            writer.Int32(assignment.Offset);
            writer.Int32(assignment.Length);
            writer.Byte((byte)assignment.Purpose);
            writer.Text(assignment.MasterSaeId);
            writer.Count(assignment.SlaveSaeIds.Count);
            foreach (var slave in assignment.SlaveSaeIds)
            {
                writer.Text(slave);
            }
        }

        return writer.ToArray();
    }

    public static List<Assignment> ReadAssignments(ref WireReader reader)
    {
        var assignments = new List<Assignment>();
        for (var left = reader.Count(37); left > 0; left--)
        {
            var keyId = reader.Id();
            var blockId = reader.Int64();
            var offset = reader.Int32();
            var length = reader.Int32();
            var purpose = (Storage.KeyPurpose)reader.Byte();
            var master = reader.Text();
            var slaves = new List<string>();
            for (var more = reader.Count(2); more > 0; more--)
            {
                slaves.Add(reader.Text());
            }

            if (!Enum.IsDefined(purpose) || slaves.Distinct(StringComparer.Ordinal).Count() != slaves.Count)
            {
                throw new KeyPeerException($"The peer's key store assigned key {keyId} in a way that is not one.");
            }

            assignments.Add(new(keyId, blockId, offset, length, master, slaves, purpose));
        }

        reader.End();
        return assignments;
    }

    public static byte[] WriteVerdict(AssignmentVerdict verdict)
    {
        var writer = new WireWriter(Assign | Answer);
        writer.Byte((byte)verdict.Code);
        writer.Count(verdict.BlocksNotHeld.Count);
        foreach (var blockId in verdict.BlocksNotHeld)
        {
            writer.Int64(blockId);
        }

        writer.Text(verdict.Reason);
        return writer.ToArray();
    }

    public static AssignmentVerdict ReadVerdict(ReadOnlyMemory<byte> message)
    {
        var reader = WireReader.Answer(message, Assign);
        var code = (AssignmentCode)reader.Byte();
        var blocks = new List<long>();
        for (var left = reader.Count(8); left > 0; left--)
        {
            blocks.Add(reader.Int64());
        }

        var reason = reader.Text();
        reader.End();
        return Enum.IsDefined(code) ? new(code, blocks, reason) : throw new KeyPeerException($"The peer's key store gave an unknown verdict, {(byte)code}.");
    }

    public static byte[] WriteIds(byte type, IReadOnlyList<Guid> ids)
    {
        var writer = new WireWriter(type);
        writer.Count(ids.Count);
        foreach (var id in ids)
        {
            writer.Id(id);
        }

        return writer.ToArray();
    }

    public static List<Guid> ReadIds(ref WireReader reader)
    {
        var ids = new List<Guid>();
        for (var left = reader.Count(16); left > 0; left--)
        {
            ids.Add(reader.Id());
        }

        reader.End();
        return ids;
    }

    public static byte[] WriteError(string text)
    {
        var writer = new WireWriter(Error);
        writer.Text(text);
        return writer.ToArray();
    }
}

/// <summary>Writes one message.</summary>
internal sealed class WireWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public WireWriter(byte type)
    {
        Byte(Wire.Version);
        Byte(type);
    }

    public void Byte(byte value)
    {
        _bytes.GetSpan(1)[0] = value;
        _bytes.Advance(1);
    }

    public void Count(int value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.GetSpan(2), checked((ushort)value));
        _bytes.Advance(2);
    }

    public void Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.GetSpan(4), value);
        _bytes.Advance(4);
    }

    public void Int64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_bytes.GetSpan(8), value);
        _bytes.Advance(8);
    }

    public void Id(Guid value)
    {
        value.TryWriteBytes(_bytes.GetSpan(16), bigEndian: true, out _);
        _bytes.Advance(16);
    }

    public void Text(string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        var length = Math.Min(bytes.Length, Wire.MaximumText);
        Count(length);
        _bytes.Write(bytes.AsSpan(0, length));
    }

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();
}

/// <summary>Reads one message; whatever does not fit is a <see cref="KeyPeerException"/>.</summary>
internal ref struct WireReader
{
    private ReadOnlySpan<byte> _rest;

    public WireReader(ReadOnlyMemory<byte> message)
    {
        _rest = message.Span;
        var version = Byte();
        if (version != Wire.Version)
        {
            throw new KeyPeerException($"The peer's key store speaks version {version} of the settlement, this side {Wire.Version}.");
        }

        Type = Byte();
    }

    public byte Type { get; }

    /// <summary>Reads the head of the answer to a request.</summary>
    public static WireReader Answer(ReadOnlyMemory<byte> message, byte request)
    {
        var reader = new WireReader(message);
        if (reader.Type == Wire.Error)
        {
            throw new KeyPeerException($"The peer's key store refuses: {reader.Text()}");
        }

        return reader.Type == (request | Wire.Answer)
            ? reader
            : throw new KeyPeerException($"The peer's key store answered request {request} with a message of type {reader.Type}.");
    }

    public byte Byte() => Take(1)[0];

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public Guid Id() => new(Take(16), bigEndian: true);

    /// <summary>Reads how many items of at least <paramref name="itemLength"/> bytes follow.</summary>
    public int Count(int itemLength)
    {
        int count = BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
        return count <= Wire.MaximumItems && count * itemLength <= _rest.Length
            ? count
            : throw new KeyPeerException("The peer's key store sent a truncated message.");
    }

    public string Text()
    {
        int length = BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
        return length <= Wire.MaximumText
            ? Encoding.UTF8.GetString(Take(length))
            : throw new KeyPeerException("The peer's key store sent a text that is too long.");
    }

    public readonly void End()
    {
        if (!_rest.IsEmpty)
        {
            throw new KeyPeerException($"The peer's key store sent {_rest.Length} bytes too many.");
        }
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (_rest.Length < length)
        {
            throw new KeyPeerException("The peer's key store sent a truncated message.");
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
