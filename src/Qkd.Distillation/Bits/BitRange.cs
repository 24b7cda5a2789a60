namespace Qkd.Distillation;

/// <summary>Moves runs of packed bits that begin anywhere within a word.</summary>
internal static class BitRange
{
    /// <summary>Copies the <paramref name="count"/> bits from <paramref name="start"/> on to the beginning of the target; the rest of its last word becomes zero.</summary>
    public static void Copy(ReadOnlySpan<ulong> source, int start, int count, Span<ulong> target)
    {
        var (word, shift) = (start >> 6, start & 63);
        target = target[..BitString.WordCount(count)];
        if (shift == 0)
        {
            source.Slice(word, target.Length).CopyTo(target);
        }
        else
        {
            for (var i = 0; i < target.Length; i++)
            {
                target[i] = source[word + i] >> shift;
                if (word + i + 1 < source.Length)
                {
                    target[i] |= source[word + i + 1] << (64 - shift);
                }
            }
        }

        if ((count & 63) != 0)
        {
            target[^1] &= (1UL << count) - 1;
        }
    }

    /// <summary>Adds (exclusive or) the first <paramref name="count"/> bits of the source to the target's bits from <paramref name="start"/> on. Bits of the source beyond are zero.</summary>
    public static void Add(ReadOnlySpan<ulong> source, int count, Span<ulong> target, int start)
    {
        var (word, shift) = (start >> 6, start & 63);
        source = source[..BitString.WordCount(count)];
        for (var i = 0; i < source.Length; i++)
        {
            target[word + i] ^= source[i] << shift;
            if (shift != 0 && word + i + 1 < target.Length)
            {
                target[word + i + 1] ^= source[i] >> (64 - shift);
            }
        }
    }
}

/// <summary>Reads packed bits one after the other. Reading beyond the end is a mistake of the caller, who knows how many there are.</summary>
internal ref struct BitCursor(ReadOnlySpan<ulong> words)
{
    private readonly ReadOnlySpan<ulong> _words = words;
    private int _next;

    /// <summary>The next bits, 1 to 64 of them, the first one lowest.</summary>
    public ulong Read(int count)
    {
        var (word, shift) = (_next >> 6, _next & 63);
        _next += count;
        var bits = _words[word] >> shift;
        if (shift + count > 64)
        {
            bits |= _words[word + 1] << (64 - shift);
        }

        return count == 64 ? bits : bits & ((1UL << count) - 1);
    }

    /// <summary>The next <paramref name="count"/> bits, into words.</summary>
    public void Read(int count, Span<ulong> target)
    {
        BitRange.Copy(_words, _next, count, target);
        _next += count;
    }
}
