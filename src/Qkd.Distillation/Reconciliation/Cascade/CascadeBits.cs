using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>Puts the bits of a message together. Used again for each message, so that it allocates only while messages still grow.</summary>
internal sealed class CascadeBitWriter : IDisposable
{
    private ulong[] _words = GC.AllocateArray<ulong>(1024, pinned: true);

    /// <summary>Bits so far.</summary>
    public int Length { get; private set; }

    /// <summary>Appends the lowest <paramref name="count"/> bits, 0 to 64; the others must be zero.</summary>
    public void Append(ulong bits, int count)
    {
        var (word, shift) = (Length >> 6, Length & 63);
        if (word + 1 >= _words.Length)
        {
            Grow();
        }

        // The word after the last one is written whole, so that nothing must be zeroed beforehand.
        _words[word] |= bits << shift;
        _words[word + 1] = shift == 0 ? 0 : bits >> (64 - shift);
        Length = checked(Length + count);
    }

    /// <summary>Appends packed bits.</summary>
    public void Append(ReadOnlySpan<ulong> words, int count)
    {
        for (var i = 0; count > 0; i++, count -= 64)
        {
            Append(count < 64 ? words[i] & ((1UL << count) - 1) : words[i], Math.Min(count, 64));
        }
    }

    /// <summary>Writes the bits out, padded with zeros to whole words, and begins anew.</summary>
    public void Flush(IBufferWriter<byte> message)
    {
        message.WriteWords(_words.AsSpan(0, BitString.WordCount(Length)));
        Length = 0;
        _words[0] = 0;
    }

    public void Dispose()
    {
        BitString.Erase(_words);
        Length = 0;
    }

    private void Grow()
    {
        var larger = GC.AllocateArray<ulong>(checked(_words.Length * 2), pinned: true);
        _words.CopyTo(larger, 0);
        BitString.Erase(_words);
        _words = larger;
    }
}

/// <summary>Reads the bits of a message, which are padded with zeros to whole words.</summary>
internal ref struct CascadeBitReader
{
    private readonly ReadOnlySpan<ulong> _words;
    private readonly string _name;
    private long _next;

    public CascadeBitReader(ReadOnlySpan<byte> message, string name)
    {
        _name = name;
        if ((message.Length & 7) != 0)
        {
            throw Malformed($"its {message.Length} bytes are not whole words");
        }

        _words = MemoryMarshal.Cast<byte, ulong>(message);
    }

    /// <summary>The next bits, 0 to 64 of them.</summary>
    public ulong Read(int count)
    {
        var bits = Peek();
        Skip(count);
        return count < 64 ? bits & ((1UL << count) - 1) : bits;
    }

    /// <summary>Ones before the next zero, which is read too; at most a limit.</summary>
    public int ReadOnes(int limit)
    {
        var ones = 0;
        while (true)
        {
            var here = BitOperations.TrailingZeroCount(~Peek());
            ones += here;
            if (ones > limit)
            {
                throw Malformed("a number is too large");
            }

            if (here < 64)
            {
                Skip(here + 1);
                return ones;
            }

            Skip(64);
        }
    }

    /// <summary>Refuses what follows the last bit.</summary>
    public readonly void End()
    {
        var left = (64L * _words.Length) - _next;
        if (left >= 64 || (left > 0 && _words[^1] >> (int)(_next & 63) != 0))
        {
            throw Malformed("bits follow its end");
        }
    }

    /// <summary>What to throw for a message that is not as it must be.</summary>
    public readonly DistillationException Malformed(string why) => new($"The peer's {_name} is malformed: {why}.");

    private readonly ulong Peek()
    {
        var (word, shift) = ((int)(_next >> 6), (int)(_next & 63));
        if (word + 1 < _words.Length)
        {
            // In two steps, because a shift by 64 is none.
            return _words[word] >> shift | (_words[word + 1] << 1) << (63 - shift);
        }

        return word < _words.Length ? _words[word] >> shift : 0;
    }

    private void Skip(int count)
    {
        _next += count;
        if (_next > 64L * _words.Length)
        {
            throw Malformed($"it breaks off: {_next} bits were due, {64L * _words.Length} are there");
        }
    }
}

/// <summary>
/// The messages. Alice's first: <c>u32 bits of the block; u8 log2 of the block size</c> of each of the first three passes; then, as in all
/// others, bits, padded with zeros to 64-bit words: here the parities of the first pass, frame by frame. After that each message goes
/// through the frames that are not finished. Bob's has for each frame one bit for each block that is still searched, 1 if the error is
/// in its second half; if none is left, what to do next (5 bits): search a pass, tell the parities of the passes to come, or
/// nothing, which ends the frame. Alice's has for each block that is searched the parity of its first half, or the parities of the passes to come.
/// </summary>
/// <remarks>
/// A search begins with the blocks that differ: their number (4 bits for the number of its digits less one, then the digits after the first),
/// and for each, ascending, its distance from the one before less one, in the code of Golomb and Rice with the parameter that suits the
/// number; then how many times Bob can halve it with what he knows already, as so many ones and a zero; and which half he takes
/// each time. So the questions take about one bit each.
/// </remarks>
internal static class CascadeMessages
{
    /// <summary>Bits that say what a frame does next: the number of a pass to search, or one of these.</summary>
    public const int NextBits = 5;

    /// <summary>Alice is to tell the parities of the passes to come.</summary>
    public const int Tell = 30;

    /// <summary>The frame is finished.</summary>
    public const int Finish = 31;

    /// <summary>Bits for the number of digits of a count.</summary>
    public const int DigitBits = 4;

    /// <summary>The parameter of the code for distances, when so many of the blocks are named.</summary>
    public static int RiceBits(int blocks, int named) => BitOperations.Log2((uint)(blocks / named));
}
