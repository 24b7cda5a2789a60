using System.Buffers.Binary;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>What a message is; the names are those of <c>docs/devices/reference-transmitter.md</c>.</summary>
internal enum MessageKind : byte
{
    Identify = 0x01,
    Capabilities = 0x02,
    Status = 0x03,
    Configure = 0x10,
    LaserOn = 0x11,
    Renew = 0x12,
    LaserOff = 0x13,
    Start = 0x20,
    Stop = 0x21,
    Symbols = 0x30,
    Seed = 0x31,
    Credit = 0x70,
    Event = 0x71,
    Error = 0xFF,
}

/// <summary>Why a request was refused.</summary>
internal enum ErrorCode : ushort
{
    UnknownType = 1,
    WrongForm = 2,
    OutsideCapabilities = 3,
    NotInThisState = 4,
    InterlockOpen = 5,
    Fault = 6,
    InUse = 7,
}

/// <summary>What an EVENT reports.</summary>
internal enum EventKind : byte
{
    Interlock = 1,
    Underrun = 2,
    Fault = 3,
    LeaseLapsed = 4,
    Recovered = 5,
}

/// <summary>One received message.</summary>
/// <param name="Kind">Type; bit 7 is set in replies.</param>
/// <param name="Sequence">The request's number; 0 in a message without request.</param>
/// <param name="Payload">What follows the header.</param>
internal sealed record TransmitterFrame(byte Kind, uint Sequence, ReadOnlyMemory<byte> Payload)
{
    /// <summary>Bytes before the payload.</summary>
    public const int HeaderLength = 12;

    /// <summary>Longest payload.</summary>
    public const int LongestPayload = 16_777_216;

    private const ushort Magic = 0x5451;
    private const byte Version = 1;
    private const byte ReplyBit = 0x80;

    /// <summary>Whether this answers a request of that kind.</summary>
    public bool Answers(MessageKind request) => Kind == ((byte)request | ReplyBit);

    /// <summary>Whether bytes may be the beginning of a header.</summary>
    public static bool MayBegin(ReadOnlySpan<byte> bytes)
    {
        Span<byte> begin = stackalloc byte[3];
        BinaryPrimitives.WriteUInt16LittleEndian(begin, Magic);
        begin[2] = Version;
        var compared = Math.Min(bytes.Length, begin.Length);
        return bytes[..compared].SequenceEqual(begin[..compared]);
    }

    /// <summary>Writes a header: <c>u16 magic, u8 version, u8 type, u32 sequence, u32 payload length</c>.</summary>
    public static void WriteHeader(Span<byte> header, MessageKind kind, uint sequence, int payloadLength)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(header, Magic);
        header[2] = Version;
        header[3] = (byte)kind;
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], sequence);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], payloadLength);
    }

    /// <summary>Reads a header; false if it is none.</summary>
    public static bool TryReadHeader(ReadOnlySpan<byte> header, out byte kind, out uint sequence, out int payloadLength)
    {
        kind = header[3];
        sequence = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        payloadLength = (int)Math.Min(length, LongestPayload);
        return BinaryPrimitives.ReadUInt16LittleEndian(header) == Magic && header[2] == Version && length <= LongestPayload;
    }
}
