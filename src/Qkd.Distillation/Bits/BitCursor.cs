namespace Qkd.Distillation;

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
