using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>Copies and sums of packed bits that begin anywhere in a word.</summary>
internal static class BitRange
{
    /// <summary>
    /// The bits of <paramref name="source"/> from place <paramref name="from"/> on, as many as the target has words for. Before the first
    /// word and after the last one there are zeros, so <paramref name="from"/> may be negative.
    /// </summary>
    public static void Copy(ReadOnlySpan<ulong> source, long from, Span<ulong> target)
    {
        var word = (int)(from >> 6);
        var shift = (int)(from & 63);

        // Places whose both words are there.
        var first = Math.Clamp(-word, 0, target.Length);
        var last = Math.Clamp(source.Length - 1 - word, first, target.Length);
        for (var i = 0; i < first; i++)
        {
            target[i] = Joined(source, word + i, shift);
        }

        if (shift == 0)
        {
            source.Slice(first == last ? 0 : word + first, last - first).CopyTo(target[first..last]);
        }
        else
        {
            ref var to = ref MemoryMarshal.GetReference(target);
            ref var words = ref MemoryMarshal.GetReference(source);
            var i = first;
            for (; i + 4 <= last; i += 4)
            {
                var lower = Vector256.LoadUnsafe(ref words, (nuint)(word + i)) >> shift;
                var upper = Vector256.LoadUnsafe(ref words, (nuint)(word + i + 1)) << (64 - shift);
                (lower | upper).StoreUnsafe(ref to, (nuint)i);
            }

            for (; i < last; i++)
            {
                target[i] = Joined(source, word + i, shift);
            }
        }

        for (var i = last; i < target.Length; i++)
        {
            target[i] = Joined(source, word + i, shift);
        }
    }

    /// <summary>The <paramref name="count"/> bits from <paramref name="from"/> on; the rest of their last word becomes zero.</summary>
    public static void Copy(ReadOnlySpan<ulong> source, int from, int count, Span<ulong> target)
    {
        target = target[..BitString.WordCount(count)];
        Copy(source, from, target);
        if ((count & 63) != 0)
        {
            target[^1] &= (1UL << count) - 1;
        }
    }

    /// <summary>Adds <paramref name="source"/>, moved up by <paramref name="to"/> places, to <paramref name="target"/>; what falls outside is lost.</summary>
    public static void Add(ReadOnlySpan<ulong> source, long to, Span<ulong> target)
    {
        // Word i of the target meets the source's words from place 64 i - to on.
        var from = -to;
        var word = (int)(from >> 6);
        var shift = (int)(from & 63);
        var first = Math.Clamp(-word - 1, 0, target.Length);
        var end = Math.Clamp(source.Length - word, first, target.Length);
        ref var sum = ref MemoryMarshal.GetReference(target);
        ref var words = ref MemoryMarshal.GetReference(source);
        var i = first;
        for (; i < end && word + i < 0; i++)
        {
            target[i] ^= Joined(source, word + i, shift);
        }

        if (shift != 0)
        {
            for (; i + 4 <= end && word + i + 5 <= source.Length; i += 4)
            {
                var lower = Vector256.LoadUnsafe(ref words, (nuint)(word + i)) >> shift;
                var upper = Vector256.LoadUnsafe(ref words, (nuint)(word + i + 1)) << (64 - shift);
                (Vector256.LoadUnsafe(ref sum, (nuint)i) ^ (lower | upper)).StoreUnsafe(ref sum, (nuint)i);
            }
        }

        for (; i < end; i++)
        {
            target[i] ^= Joined(source, word + i, shift);
        }
    }

    /// <summary>Adds <paramref name="count"/> bits from a place of one to a place of another; nothing beside them changes.</summary>
    public static void Add(ReadOnlySpan<ulong> from, int fromBit, Span<ulong> to, int toBit, int count)
    {
        while (count > 0)
        {
            var (word, shift) = (toBit >> 6, toBit & 63);
            var taken = Math.Min(count, 64 - shift);
            to[word] ^= Read(from, fromBit, taken) << shift;
            fromBit += taken;
            toBit += taken;
            count -= taken;
        }
    }

    /// <summary>Reads 1 to 64 bits.</summary>
    public static ulong Read(ReadOnlySpan<ulong> words, int bit, int count)
    {
        var (word, shift) = (bit >> 6, bit & 63);
        var bits = words[word] >> shift;
        if (shift + count > 64)
        {
            bits |= words[word + 1] << (64 - shift);
        }

        return count == 64 ? bits : bits & ((1UL << count) - 1);
    }

    private static ulong Joined(ReadOnlySpan<ulong> words, int word, int shift)
    {
        var lower = (uint)word < (uint)words.Length ? words[word] : 0;
        var upper = (uint)(word + 1) < (uint)words.Length ? words[word + 1] : 0;
        return shift == 0 ? lower : lower >> shift | upper << (64 - shift);
    }
}
