using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// Secret bits, packed into 64-bit words from the least significant bit upwards; bits beyond the length are zero. The memory is pinned,
/// so that the collector leaves no copy behind, and is zeroed on dispose.
/// </summary>
internal sealed class BitString : IDisposable
{
    private ulong[]? _words;

    /// <summary>Creates a string of zeros.</summary>
    public BitString(int length)
        : this(GC.AllocateArray<ulong>(WordCount(length), pinned: true), length)
    {
    }

    private BitString(ulong[] words, int length) => (_words, Length) = (words, length);

    /// <summary>Length in bits.</summary>
    public int Length { get; }

    /// <summary>The words.</summary>
    /// <exception cref="ObjectDisposedException">The bits have been erased.</exception>
    public Span<ulong> Words => _words ?? throw new ObjectDisposedException(nameof(BitString));

    /// <summary>64-bit words that hold so many bits.</summary>
    public static int WordCount(int bits) => (int)(((uint)bits + 63) / 64);

    /// <summary>Bytes that hold so many bits.</summary>
    public static int ByteCount(int bits) => (int)(((uint)bits + 7) / 8);

    /// <summary>Takes over an appender's memory, which is at least as long as needed.</summary>
    public static BitString Adopt(ulong[] words, int length)
    {
        // Words is used by length everywhere: cut to size once, erasing the longer one.
        var exact = new BitString(length);
        words.AsSpan(0, WordCount(length)).CopyTo(exact.Words);
        Erase(words);
        return exact;
    }

    /// <summary>Bit <paramref name="index"/>, 0 or 1.</summary>
    public int this[int index] => (int)(Words[index >> 6] >> index & 1);

    /// <summary>Copies the bits as bytes, least significant bit first.</summary>
    public void CopyTo(Span<byte> destination) =>
        MemoryMarshal.AsBytes<ulong>(Words)[..ByteCount(Length)].CopyTo(destination);

    /// <summary>Sum of all bits.</summary>
    public int CountOnes()
    {
        var count = 0;
        foreach (var word in Words)
        {
            count += BitOperations.PopCount(word);
        }

        return count;
    }

    /// <summary>Zeroes the words of an array that held secret bits.</summary>
    public static void Erase(Span<ulong> words) => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(words));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _words, null) is { } words)
        {
            Erase(words);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Length} bits";
}
