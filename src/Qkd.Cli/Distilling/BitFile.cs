using System.Buffers.Binary;

namespace Qkd.Cli.Distilling;

/// <summary>
/// Bits in a file: text of 0 and 1, white space ignored, or packed bytes, the first bit in the most significant place. In memory they are packed into 64-bit words from
/// the least significant bit upwards.
/// </summary>
/// <param name="Words">The bits.</param>
/// <param name="Count">Their number.</param>
internal sealed record BitFile(ulong[] Words, int Count)
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is empty, too large, or holds something other than bits.</exception>
    public static BitFile Read(string path, bool packed, int maximumBits)
    {
        using var stream = File.OpenRead(path);
        var bits = packed ? ReadPacked(stream, path, maximumBits) : ReadText(stream, path, maximumBits);
        return bits.Count > 0 ? bits : throw new InvalidDataException($"{path} holds no bits.");
    }

    /// <summary>Writes bits in the form that <see cref="Read"/> takes.</summary>
    /// <param name="path">The file; replaced if it exists.</param>
    /// <param name="bytes">Bits, the first in the least significant place of the first byte.</param>
    /// <param name="packed">Packed bytes rather than text.</param>
    public static void Write(string path, ReadOnlySpan<byte> bytes, bool packed)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var stream = new FileStream(path, options);
        if (packed)
        {
            var reversed = new byte[bytes.Length];
            for (var i = 0; i < bytes.Length; i++)
            {
                reversed[i] = Reverse(bytes[i]);
            }

            stream.Write(reversed);
            return;
        }

        var text = new byte[(8 * bytes.Length) + 1];
        for (var i = 0; i < 8 * bytes.Length; i++)
        {
            text[i] = (byte)('0' + (bytes[i >> 3] >> (i & 7) & 1));
        }

        text[^1] = (byte)'\n';
        stream.Write(text);
    }

    private static BitFile ReadText(FileStream stream, string path, int maximumBits)
    {
        // As many bits as the file has bytes, at most; white space shortens it.
        var words = new ulong[WordCount(Math.Min(stream.Length, maximumBits))];
        var count = 0;
        var buffer = new byte[64 * 1024];
        var (line, column) = (1L, 0L);
        for (int read; (read = stream.Read(buffer)) > 0;)
        {
            foreach (var character in buffer.AsSpan(0, read))
            {
                column++;
                switch (character)
                {
                    case (byte)'0' or (byte)'1':
                        if (count == maximumBits)
                        {
                            throw TooLarge(path, maximumBits);
                        }

                        words[count >> 6] |= (ulong)(character & 1) << count;
                        count++;
                        break;
                    case (byte)'\n':
                        (line, column) = (line + 1, 0);
                        break;
                    case (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\v' or (byte)'\f':
                        break;
                    default:
                        throw new InvalidDataException(
                            $"{path}, line {line}, column {column}: {Show(character)} is neither 0 nor 1. (Packed binary is read with --packed.)");
                }
            }
        }

        return new(words, count);
    }

    private static BitFile ReadPacked(FileStream stream, string path, int maximumBits)
    {
        if (8 * stream.Length > maximumBits)
        {
            throw TooLarge(path, maximumBits);
        }

        var bytes = new byte[8 * WordCount(8 * stream.Length)];
        stream.ReadExactly(bytes, 0, (int)stream.Length);
        var words = new ulong[bytes.Length / 8];
        for (var i = 0; i < words.Length; i++)
        {
            // Eight bytes at once: reversed as a whole, the first bit of the first byte comes to the lowest place.
            words[i] = ReverseBits(BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(8 * i)));
        }

        return new(words, (int)(8 * stream.Length));
    }

    private static InvalidDataException TooLarge(string path, int maximumBits) => new($"{path} holds more than {maximumBits} bits, the most of a block.");

    private static int WordCount(long bits) => (int)((bits + 63) / 64);

    private static string Show(byte character) => character is > 32 and < 127 ? $"'{(char)character}'" : $"byte 0x{character:X2}";

    private static byte Reverse(byte value) => (byte)(ReverseBits(value) >> 56);

    private static ulong ReverseBits(ulong x)
    {
        x = (x >> 1 & 0x5555_5555_5555_5555) | (x & 0x5555_5555_5555_5555) << 1;
        x = (x >> 2 & 0x3333_3333_3333_3333) | (x & 0x3333_3333_3333_3333) << 2;
        x = (x >> 4 & 0x0F0F_0F0F_0F0F_0F0F) | (x & 0x0F0F_0F0F_0F0F_0F0F) << 4;
        return BinaryPrimitives.ReverseEndianness(x);
    }
}
