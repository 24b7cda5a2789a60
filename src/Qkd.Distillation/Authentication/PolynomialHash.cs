using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// The polynomial hash over GF(2^128): blocks m1 .. mn of 16 bytes become m1 H^n + m2 H^(n-1) + .. + mn H. Two different messages of at
/// most n blocks that end in their length agree for at most n of the 2^128 keys H.
/// </summary>
/// <remarks>
/// Blocks are gathered until <see cref="GroupBlocks"/> of them share one reduction, so that many small pieces cost little more than one
/// large one. Powers of H are made when a group first needs them: a short message pays for few.
/// </remarks>
internal struct PolynomialHash
{
    /// <summary>Blocks that share a reduction.</summary>
    public const int GroupBlocks = 32;

    private const int GroupWords = 2 * GroupBlocks;

    /// <summary>H^32 first, H last; those above <see cref="_known"/> are not made yet.</summary>
    private GroupOfWords _powers;
    private GroupOfWords _waiting;
    private int _known;
    private int _waitingWords;
    private Gf128 _value;

    /// <summary>Begins a hash with the key H.</summary>
    public PolynomialHash(Gf128 key)
    {
        (_powers[GroupWords - 2], _powers[GroupWords - 1]) = (key.Low, key.High);
        _known = 1;
    }

    /// <summary>The hash of what was appended so far. More may follow.</summary>
    public Gf128 Value
    {
        get
        {
            FoldWaiting();
            return _value;
        }
    }

    /// <summary>Blocks appended so far: the degree of the polynomial.</summary>
    public long Blocks { get; private set; }

    /// <summary>Appends bytes, the last block filled up with zeros.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        var whole = bytes.Length / 16;
        AppendBlocks(MemoryMarshal.Cast<byte, ulong>(bytes[..(16 * whole)]));
        if (bytes.Length % 16 != 0)
        {
            Span<byte> last = stackalloc byte[16];
            last.Clear();
            bytes[(16 * whole)..].CopyTo(last);
            AppendBlock(Gf128.Read(last));
        }
    }

    /// <summary>Appends words, the last block filled up with zeros.</summary>
    public void AppendWords(ReadOnlySpan<ulong> words)
    {
        AppendBlocks(words[..(words.Length & ~1)]);
        if (words.Length % 2 != 0)
        {
            AppendBlock(new(words[^1], 0));
        }
    }

    /// <summary>
    /// Appends the bits [<paramref name="start"/>, <paramref name="start"/> + <paramref name="count"/>) of packed words as if they stood in
    /// words of their own, least significant bit first, the last block filled up with zeros.
    /// </summary>
    public void AppendBits(ReadOnlySpan<ulong> words, int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)start + count, 64L * words.Length);
        words = words.Slice(start >> 6, BitString.WordCount((start & 63) + count));
        var (shift, whole) = (start & 63, count >> 6);
        if (shift == 0)
        {
            AppendBlocks(words[..(whole & ~1)]);
            AppendLastBits(words[(whole & ~1)..], 0, count & 127);
            return;
        }

        Span<ulong> buffer = stackalloc ulong[GroupWords];
        while (whole >= 2)
        {
            var moved = buffer[..Math.Min(GroupWords, whole & ~1)];
            BitRange.Copy(words, shift, moved);
            AppendBlocks(moved);
            words = words[moved.Length..];
            whole -= moved.Length;
        }

        AppendLastBits(words, shift, count & 127);
        BitString.Erase(buffer);
    }

    /// <summary>Appends the length that ends a message.</summary>
    public void AppendLength(long length) => AppendBlock(new((ulong)length, 0));

    /// <summary>Appends one block.</summary>
    public void AppendBlock(Gf128 block)
    {
        Span<ulong> waiting = _waiting;
        waiting[_waitingWords + 1] = block.High;
        waiting[_waitingWords] = block.Low;
        _waitingWords += 2;
        Blocks++;
        if (_waitingWords == GroupWords)
        {
            FoldWaiting();
        }
    }

    /// <summary>Appends whole blocks of two words.</summary>
    public void AppendBlocks(ReadOnlySpan<ulong> words)
    {
        Blocks += words.Length / 2;
        if (_waitingWords != 0)
        {
            var filling = words[..Math.Min(words.Length, GroupWords - _waitingWords)];
            Wait(filling);
            words = words[filling.Length..];
        }

        if (words.Length >= GroupWords)
        {
            MakePowers(GroupBlocks);
            var groups = words.Length / GroupWords * GroupWords;
            _value = PolynomialFold.Fold(_value, words[..groups], _powers);
            words = words[groups..];
        }

        Wait(words);
    }

    /// <summary>Erases the key and what is left of the message.</summary>
    public void Erase() => CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(new Span<PolynomialHash>(ref this)));

    private void Wait(ReadOnlySpan<ulong> words)
    {
        words.CopyTo(((Span<ulong>)_waiting)[_waitingWords..]);
        _waitingWords += words.Length;
        if (_waitingWords == GroupWords)
        {
            FoldWaiting();
        }
    }

    /// <summary>Up to 127 bits, at a shift of up to 63 in the first word.</summary>
    private void AppendLastBits(ReadOnlySpan<ulong> words, int shift, int count)
    {
        if (count == 0)
        {
            return;
        }

        var bits = UInt128.Zero;
        for (var i = words.Length - 1; i >= 0; i--)
        {
            // A third word holds what is shifted in at the top.
            bits |= i == 0 ? words[0] >> shift : (UInt128)words[i] << ((64 * i) - shift);
        }

        bits &= (UInt128.One << count) - 1;
        AppendBlock(new((ulong)bits, (ulong)(bits >> 64)));
    }

    private void FoldWaiting()
    {
        if (_waitingWords == 0)
        {
            return;
        }

        ReadOnlySpan<ulong> waiting = _waiting;
        MakePowers(_waitingWords / 2);
        ReadOnlySpan<ulong> powers = _powers;
        _value = PolynomialFold.Fold(_value, waiting[.._waitingWords], powers[^_waitingWords..]);
        _waitingWords = 0;
    }

    private void MakePowers(int count)
    {
        if (_known < count)
        {
            PolynomialFold.MakePowers(_powers, _known, count);
            _known = count;
        }
    }

    [InlineArray(GroupWords)]
    private struct GroupOfWords
    {
        private ulong _first;
    }
}
