using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>Reads a peer's message from its beginning. Every read checks what is left before anything is made of it.</summary>
internal ref struct MessageReader(ReadOnlySpan<byte> message, string name)
{
    private readonly string _name = name;
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>Bytes not yet read.</summary>
    public readonly int Left => _rest.Length;

    /// <summary>What has not been read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => _rest;

    public byte ReadByte() => Take(1)[0];

    public ushort ReadUInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public long ReadInt64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    /// <summary>The next bytes.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        if ((uint)count > (uint)_rest.Length)
        {
            throw Malformed($"it breaks off: {count} bytes were due, {_rest.Length} are left");
        }

        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    /// <summary>Packed bits of a known length, padded with zeros to whole words; copied into <paramref name="words"/>.</summary>
    public void ReadBits(int count, Span<ulong> words)
    {
        var bytes = Take(BitString.WordCount(count) * 8);
        words = words[..BitString.WordCount(count)];
        bytes.CopyTo(MemoryMarshal.AsBytes(words));
        if ((count & 63) != 0 && words[^1] >> count != 0)
        {
            throw Malformed("bits are set beyond its end");
        }
    }

    /// <summary>Refuses what follows the end.</summary>
    public readonly void End()
    {
        if (_rest.Length != 0)
        {
            throw Malformed($"{_rest.Length} bytes follow its end");
        }
    }

    /// <summary>What to throw for a message that is not as it must be.</summary>
    public readonly DistillationException Malformed(string why) => new($"The peer's {_name} is malformed: {why}.");
}

/// <summary>Writes numbers and packed bits into a message.</summary>
internal static class MessageWriting
{
    public static void WriteByte(this IBufferWriter<byte> writer, byte value)
    {
        writer.GetSpan(1)[0] = value;
        writer.Advance(1);
    }

    public static void WriteUInt16(this IBufferWriter<byte> writer, ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(writer.GetSpan(2), value);
        writer.Advance(2);
    }

    public static void WriteUInt32(this IBufferWriter<byte> writer, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(writer.GetSpan(4), value);
        writer.Advance(4);
    }

    public static void WriteInt64(this IBufferWriter<byte> writer, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(writer.GetSpan(8), value);
        writer.Advance(8);
    }

    public static void WriteWords(this IBufferWriter<byte> writer, ReadOnlySpan<ulong> words)
    {
        var bytes = MemoryMarshal.AsBytes(words);
        bytes.CopyTo(writer.GetSpan(Math.Max(1, bytes.Length)));
        writer.Advance(bytes.Length);
    }
}
