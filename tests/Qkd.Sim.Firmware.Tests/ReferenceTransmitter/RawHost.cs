using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.ReferenceTransmitter;

/// <summary>A host that knows bytes and the header's layout, nothing else.</summary>
internal sealed class RawHost : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public RawHost(string address)
    {
        var parts = address.Split("::");
        _socket.ReceiveTimeout = _socket.SendTimeout = (int)Patience.TotalMilliseconds;
        _socket.Connect(parts[1], int.Parse(parts[2]));
    }

    public static byte[] Message(byte type, uint sequence, ReadOnlySpan<byte> payload)
    {
        var message = new byte[12 + payload.Length];
        message[0] = 0x51;
        message[1] = 0x54;
        message[2] = 1;
        message[3] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), (uint)payload.Length);
        payload.CopyTo(message.AsSpan(12));
        return message;
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[_socket.Send(bytes)..];
        }
    }

    public void Send(byte type, uint sequence, params ReadOnlySpan<byte> payload) => Send(Message(type, sequence, payload));

    /// <summary>The next message, whole.</summary>
    public byte[] Read()
    {
        var header = ReadBytes(12);
        return [.. header, .. ReadBytes((int)BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)))];
    }

    public byte[] ReadBytes(int count)
    {
        var bytes = new byte[count];
        for (var at = 0; at < count;)
        {
            var received = _socket.Receive(bytes, at, count - at, SocketFlags.None);
            received.ShouldBeGreaterThan(0, "the instrument closed the connection");
            at += received;
        }

        return bytes;
    }

    /// <summary>The payload of the reply to a request, which must be the next message.</summary>
    public byte[] Ask(byte type, uint sequence, params ReadOnlySpan<byte> payload)
    {
        Send(type, sequence, payload);
        var reply = Read();
        reply[3].ShouldBe((byte)(type | 0x80), reply[3] == 0xFF ? Encoding.UTF8.GetString(reply.AsSpan(14)) : null);
        BinaryPrimitives.ReadUInt32LittleEndian(reply.AsSpan(4)).ShouldBe(sequence);
        return reply[12..];
    }

    /// <summary>The code with which a request is refused; the refusal must be the next message.</summary>
    public int AskRefused(byte type, uint sequence, params ReadOnlySpan<byte> payload)
    {
        Send(type, sequence, payload);
        return ReadRefusal(sequence);
    }

    public int ReadRefusal(uint sequence)
    {
        var reply = Read();
        reply[3].ShouldBe((byte)0xFF);
        BinaryPrimitives.ReadUInt32LittleEndian(reply.AsSpan(4)).ShouldBe(sequence);
        reply.Length.ShouldBeGreaterThan(14, "a refusal says why");
        return BinaryPrimitives.ReadUInt16LittleEndian(reply.AsSpan(12));
    }

    /// <summary>The next message must be CREDIT; its amount.</summary>
    public long ReadCredit()
    {
        var message = Read();
        message[..12].ShouldBe(Message(0x70, 0, [])[..8].Concat(new byte[] { 8, 0, 0, 0 }).ToArray());
        return BinaryPrimitives.ReadInt64LittleEndian(message.AsSpan(12));
    }

    /// <summary>The next message must be EVENT; its kind.</summary>
    public int ReadEvent()
    {
        var message = Read();
        message[3].ShouldBe((byte)0x71);
        BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(4)).ShouldBe(0u);
        message[13].ShouldBe((byte)(message.Length - 14));
        return message[12];
    }

    public void ShouldBeClosed()
    {
        var rest = new byte[64];
        try
        {
            while (_socket.Receive(rest) > 0)
            {
            }
        }
        catch (SocketException exception)
        {
            exception.SocketErrorCode.ShouldBe(SocketError.ConnectionReset);
        }
    }

    public bool HasBytes(TimeSpan within) => _socket.Poll(within, SelectMode.SelectRead);

    public void Dispose() => _socket.Dispose();

    public static byte[] U32(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] U64(long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    /// <summary>CONFIGURE in stream mode.</summary>
    public static byte[] StreamPlan(uint frame, uint pilot, uint divisor) => [1, .. U32(frame), .. U32(pilot), .. U32(divisor), 0, 0];

    /// <summary>CONFIGURE in seeded mode.</summary>
    public static byte[] SeededPlan(uint frame, uint pilot, uint divisor, byte xWeight, params ReadOnlySpan<ushort> weights)
    {
        List<byte> payload = [2, .. U32(frame), .. U32(pilot), .. U32(divisor), xWeight, (byte)weights.Length];
        foreach (var weight in weights)
        {
            payload.Add((byte)weight);
            payload.Add((byte)(weight >> 8));
        }

        return [.. payload];
    }

    /// <summary>The payload of SYMBOLS.</summary>
    public static byte[] Symbols(long position, ReadOnlySpan<ulong> packed)
    {
        var payload = new byte[12 + (packed.Length * 8)];
        BinaryPrimitives.WriteInt64LittleEndian(payload, position);
        BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(8), packed.Length * 16);
        for (var i = 0; i < packed.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(payload.AsSpan(12 + (i * 8)), packed[i]);
        }

        return payload;
    }
}
