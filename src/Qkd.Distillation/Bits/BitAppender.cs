using System.Numerics;

namespace Qkd.Distillation;

/// <summary>Secret bits that are still being gathered, a word's worth at a time. Zeroes what it outgrows and what it leaves.</summary>
internal sealed class BitAppender : IDisposable
{
    private ulong[] _words = GC.AllocateArray<ulong>(1024, pinned: true);
    private int _length;
    private bool _disposed;

    /// <summary>Bits so far.</summary>
    public int Length => _length;

    /// <summary>The words so far; bits beyond the length are zero.</summary>
    public ReadOnlySpan<ulong> Words => _words.AsSpan(0, BitString.WordCount(_length));

    /// <summary>Appends the lowest <paramref name="count"/> bits; the others must be zero.</summary>
    public void Append(ulong bits, int count)
    {
        var word = _length >> 6;
        var shift = _length & 63;
        if (word + 1 >= _words.Length)
        {
            Grow();
        }

        _words[word] |= bits << shift;
        if (shift + count > 64)
        {
            _words[word + 1] = bits >> (64 - shift);
        }

        _length = checked(_length + count);
    }

    /// <summary>Appends <paramref name="count"/> bits of packed words from <paramref name="start"/> on.</summary>
    public void AppendRange(ReadOnlySpan<ulong> words, int start, int count)
    {
        for (var done = 0; done < count; done += 64)
        {
            var here = Math.Min(64, count - done);
            var (word, shift) = ((start + done) >> 6, (start + done) & 63);
            var bits = words[word] >> shift;
            if (shift + here > 64)
            {
                bits |= words[word + 1] << (64 - shift);
            }

            Append(here == 64 ? bits : bits & ((1UL << here) - 1), here);
        }
    }

    /// <summary>Appends the bits of many words where their masks are set, moved together.</summary>
    /// <param name="values">The words.</param>
    /// <param name="masks">As many masks.</param>
    /// <param name="count">How many bits the masks have set in all.</param>
    public void AppendSelected(ReadOnlySpan<ulong> values, ReadOnlySpan<ulong> masks, int count)
    {
        var length = checked(_length + count);
        while ((length >> 6) + 1 >= _words.Length)
        {
            Grow();
        }

        // The word that is being filled is kept in a register; without branches, since how many bits a mask has set cannot be foreseen.
        var words = _words.AsSpan();
        var (word, filled) = (_length >> 6, _length & 63);
        var filling = words[word];
        for (var i = 0; i < values.Length; i++)
        {
            var mask = masks[i];
            var bits = BitExtraction.Extract(values[i], mask);
            filling |= bits << filled;
            words[word] = filling;
            var left = bits >> 1 >> (63 - filled);
            filled += BitOperations.PopCount(mask);
            var full = filled >> 6;
            word += full;
            filling ^= (filling ^ left) & (ulong)-full;
            filled &= 63;
        }

        words[word] = filling;
        if ((word << 6) + filled != length)
        {
            throw new ArgumentException($"The masks select {(word << 6) + filled - _length} bits, not {count}.", nameof(count));
        }

        _length = length;
    }

    /// <summary>Hands the bits over.</summary>
    public BitString Take()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _disposed = true;
        var taken = BitString.Adopt(_words, _length);
        _words = [];
        _length = 0;
        return taken;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        BitString.Erase(_words);
        _words = [];
        _length = 0;
    }

    private void Grow()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var larger = GC.AllocateArray<ulong>(checked(_words.Length * 2), pinned: true);
        _words.CopyTo(larger, 0);
        BitString.Erase(_words);
        _words = larger;
    }
}
