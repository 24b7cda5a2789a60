using System.Buffers.Binary;
using System.Text;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>Types of messages.</summary>
internal enum MessageType : byte
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
    Refusal = 0xFF,
}

/// <summary>Why a request is refused.</summary>
internal enum RefusalCode : ushort
{
    UnknownType = 1,
    WrongForm = 2,
    OutOfRange = 3,
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

/// <summary>Bits of the interlock byte in STATUS.</summary>
[Flags]
internal enum InterlockBits : byte
{
    None = 0,
    KeySwitch = 1,
    Loop = 2,
    Temperature = 4,
    LeaseLapsed = 8,
    Fault = 16,
}

/// <summary>A request is refused.</summary>
internal sealed class RefusalException(RefusalCode code, string text) : Exception(text)
{
    public RefusalCode Code => code;
}

/// <summary>The header of a message.</summary>
internal readonly record struct MessageHeader(byte Type, uint Sequence, uint PayloadLength)
{
    public const int Length = 12;
    public const uint LongestPayload = 16_777_216;

    private const ushort Magic = 0x5451;
    private const byte Version = 1;

    /// <summary>Reads a header; false if magic, version or length are wrong.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out MessageHeader header)
    {
        header = new MessageHeader(
            bytes[3],
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes) == Magic
            && bytes[2] == Version
            && header.PayloadLength <= LongestPayload;
    }

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, Magic);
        bytes[2] = Version;
        bytes[3] = Type;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], PayloadLength);
    }
}

/// <summary>Builds the messages that the instrument sends.</summary>
internal static class TransmitterMessage
{
    public static byte[] Reply(MessageType request, uint sequence, ReadOnlySpan<byte> payload) =>
        Build((byte)((byte)request | 0x80), sequence, payload);

    public static byte[] Refusal(uint sequence, RefusalCode code, string text)
    {
        var payload = new byte[2 + Encoding.UTF8.GetByteCount(text)];
        BinaryPrimitives.WriteUInt16LittleEndian(payload, (ushort)code);
        Encoding.UTF8.GetBytes(text, payload.AsSpan(2));
        return Build((byte)MessageType.Refusal, sequence, payload);
    }

    public static byte[] Credit(long credit)
    {
        Span<byte> payload = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(payload, credit);
        return Build((byte)MessageType.Credit, 0, payload);
    }

    public static byte[] Event(EventKind kind, string text)
    {
        var payload = new PayloadWriter();
        payload.Byte((byte)kind);
        payload.Text(text);
        return Build((byte)MessageType.Event, 0, payload.ToArray());
    }

    private static byte[] Build(byte type, uint sequence, ReadOnlySpan<byte> payload)
    {
        var message = new byte[MessageHeader.Length + payload.Length];
        new MessageHeader(type, sequence, (uint)payload.Length).Write(message);
        payload.CopyTo(message.AsSpan(MessageHeader.Length));
        return message;
    }
}

/// <summary>Writes a payload, little-endian.</summary>
internal sealed class PayloadWriter
{
    private readonly List<byte> _bytes = [];

    public void Byte(byte value) => _bytes.Add(value);

    public void UInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
    }

    public void UInt64(long value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
    }

    public void Single(double value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, (float)value);
        _bytes.AddRange(bytes);
    }

    public void Double(double value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        _bytes.AddRange(bytes);
    }

    /// <summary>A length byte and at most 255 bytes of UTF-8, cut between characters.</summary>
    public void Text(string text)
    {
        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        Encoding.UTF8.GetEncoder().Convert(text, bytes, flush: true, out _, out var used, out _);
        _bytes.Add((byte)used);
        _bytes.AddRange(bytes[..used]);
    }

    public byte[] ToArray() => [.. _bytes];
}
