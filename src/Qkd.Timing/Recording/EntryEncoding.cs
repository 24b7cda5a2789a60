using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Qkd.Timing.Formats;

namespace Qkd.Timing.Recording;

/// <summary>Writes the values of an entry, little-endian; texts with their length in bytes before them.</summary>
internal static class EntryWriting
{
    public static void Byte(this IBufferWriter<byte> writer, byte value)
    {
        writer.GetSpan(1)[0] = value;
        writer.Advance(1);
    }

    public static void Int32(this IBufferWriter<byte> writer, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(writer.GetSpan(sizeof(int)), value);
        writer.Advance(sizeof(int));
    }

    public static void Int64(this IBufferWriter<byte> writer, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(writer.GetSpan(sizeof(long)), value);
        writer.Advance(sizeof(long));
    }

    public static void Double(this IBufferWriter<byte> writer, double value) => writer.Int64(BitConverter.DoubleToInt64Bits(value));

    public static void Time(this IBufferWriter<byte> writer, DateTimeOffset value) => writer.Int64(value.UtcTicks);

    public static void Text(this IBufferWriter<byte> writer, string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        writer.Int32(length);
        Encoding.UTF8.GetBytes(value, writer.GetSpan(Math.Max(1, length)));
        writer.Advance(length);
    }

    public static void Words(this IBufferWriter<byte> writer, ReadOnlySpan<ulong> words) => writer.Write(MemoryMarshal.AsBytes(words));

    public static void Digest(this IBufferWriter<byte> writer, ReadOnlySpan<byte> digest)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(digest.Length, SHA256.HashSizeInBytes);
        writer.Write(digest);
    }
}

/// <summary>Reads the values of an entry. Every read checks what is left before anything is made of it.</summary>
internal ref struct EntryCursor(byte[] content, long byteOffset)
{
    private int _at;

    /// <summary>Bytes not yet read.</summary>
    public readonly int Left => content.Length - _at;

    public byte Byte() => Take(1)[0];

    public bool Boolean() => Byte() switch
    {
        0 => false,
        1 => true,
        var other => throw Malformed($"{other} is neither 0 nor 1"),
    };

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int)));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(sizeof(long)));

    public double Double() => BitConverter.Int64BitsToDouble(Int64());

    public TimeSpan Duration() => new(Int64());

    public DateTimeOffset Time()
    {
        var ticks = Int64();
        return ticks >= 0 && ticks <= DateTime.MaxValue.Ticks ? new(ticks, TimeSpan.Zero) : throw Malformed("it has a time that cannot be");
    }

    public T Enum<T>()
        where T : struct, Enum
    {
        var value = (T)System.Enum.ToObject(typeof(T), Byte());
        return System.Enum.IsDefined(value) ? value : throw Malformed($"{value} is no {typeof(T).Name}");
    }

    public string Text() => Encoding.UTF8.GetString(Take(Int32()));

    public T Json<T>()
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(Take(Int32())) ?? throw Malformed("it is empty");
        }
        catch (JsonException e)
        {
            throw Malformed(e.Message);
        }
    }

    public ReadOnlyMemory<byte> Digest()
    {
        Take(SHA256.HashSizeInBytes);
        return content.AsMemory(_at - SHA256.HashSizeInBytes, SHA256.HashSizeInBytes);
    }

    /// <summary>All that is left, where it stands.</summary>
    public ReadOnlyMemory<byte> Rest()
    {
        var rest = content.AsMemory(_at);
        _at = content.Length;
        return rest;
    }

    /// <summary>All that is left, as 64-bit words.</summary>
    public ulong[] Words()
    {
        if (Left % sizeof(ulong) != 0)
        {
            throw Malformed($"{Left} bytes are no whole number of words");
        }

        return MemoryMarshal.Cast<byte, ulong>(Take(Left)).ToArray();
    }

    public ReadOnlySpan<byte> Take(int count)
    {
        if ((uint)count > (uint)Left)
        {
            throw Malformed($"{(uint)count} bytes were due, {Left} are left");
        }

        _at += count;
        return content.AsSpan(_at - count, count);
    }

    /// <summary>A number of seven bits a byte, the lowest first, the highest bit set in every byte but the last.</summary>
    public ulong Compact()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Byte();
            value |= (ulong)(next & 127) << shift;
            if (next < 128)
            {
                return shift < 63 || next <= 1 ? value : throw Malformed("a number is too large");
            }
        }

        throw Malformed("a number has no end");
    }

    public readonly void End()
    {
        if (Left != 0)
        {
            throw Malformed($"{Left} bytes follow its end");
        }
    }

    public readonly TagFormatException Malformed(string why) => new(byteOffset, $"an entry of the recording is malformed: {why}");
}
