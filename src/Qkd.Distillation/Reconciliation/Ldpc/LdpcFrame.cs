namespace Qkd.Distillation;

/// <summary>
/// Where the key bits of a frame stand among the symbols of a code: in each block column the punctured symbols come first, then key bits,
/// then shortened symbols, which are zeros and known to both ends. The same at both ends, from three numbers.
/// </summary>
/// <remarks>
/// <para>A punctured symbol is a random bit that Alice draws and tells nobody. Let S be the m bits of a syndrome, H_p the columns of the p
/// punctured symbols, r their values, x the key bits: S = H_x x + H_p r with r uniform and independent of everything. S says no more of x
/// than H_x x modulo the space that the columns of H_p span, which has m - rank H_p bits. No check has two punctured symbols (see
/// <see cref="LdpcCode.PuncturedColumns"/>), and each has at least one check, so that the columns of H_p have their ones in different
/// places and the rank is p: m - p bits leak. It cannot be negative, p independent columns of m bits being no more than m.</para>
/// <para>If Alice tells some of r, these become part of the message and p falls by their number: one more bit each. A key bit told leaks
/// one bit, whatever else is known. And whatever is told of a frame, once all its key bits are told it is these that have leaked: given
/// them, all the rest is made of r alone.</para>
/// </remarks>
internal sealed class LdpcFrame
{
    private readonly LdpcCode _code;
    private readonly int[] _first;
    private readonly int[] _count;

    /// <summary>Lays out a frame.</summary>
    /// <param name="code">The code.</param>
    /// <param name="punctured">Number of punctured symbols, at most <see cref="LargestPunctured(LdpcCode)"/>.</param>
    /// <param name="keyBits">Number of key bits; what is left of the code is shortened.</param>
    public LdpcFrame(LdpcCode code, int punctured, int keyBits)
    {
        (_code, Punctured, KeyBits) = (code, punctured, keyBits);
        (_first, _count) = (new int[code.BlockColumns], new int[code.BlockColumns]);
        var columns = code.PuncturedColumns;
        for (var i = 0; i < columns.Length; i++)
        {
            _first[columns[i]] = Part(punctured, i, i + 1, columns.Length);
        }

        // The same share of every block column.
        var (before, room) = (0, code.Symbols - punctured);
        for (var column = 0; column < code.BlockColumns; column++)
        {
            var next = before + code.Lift - _first[column];
            _count[column] = Part(keyBits, before, next, room);
            before = next;
        }
    }

    /// <summary>Number of punctured symbols.</summary>
    public int Punctured { get; }

    /// <summary>Number of key bits.</summary>
    public int KeyBits { get; }

    /// <summary>Most symbols of a code that can be punctured.</summary>
    /// <param name="blockRows">Block rows of the code, three of which each puncturable column takes.</param>
    /// <param name="lift">Z.</param>
    public static int LargestPunctured(int blockRows, int lift) => blockRows / 3 * lift;

    /// <summary>Most symbols of a code that can be punctured.</summary>
    public static int LargestPunctured(LdpcCode code) => code.PuncturedColumns.Length * code.Lift;

    /// <summary>Whether a symbol is punctured.</summary>
    public bool IsPunctured(int symbol) => (symbol & (_code.Lift - 1)) < _first[symbol / _code.Lift];

    /// <summary>Whether a symbol is a zero that both know.</summary>
    public bool IsShortened(int symbol)
    {
        var column = symbol / _code.Lift;
        return (symbol & (_code.Lift - 1)) >= _first[column] + _count[column];
    }

    /// <summary>Puts the key bits among the symbols.</summary>
    /// <param name="key">Bits of the block.</param>
    /// <param name="start">First bit of the frame.</param>
    /// <param name="symbols">n bits, all zero.</param>
    public void Spread(ReadOnlySpan<ulong> key, int start, Span<ulong> symbols)
    {
        for (var column = 0; column < _first.Length; column++)
        {
            BitRange.Add(key, start, symbols, (column * _code.Lift) + _first[column], _count[column]);
            start += _count[column];
        }
    }

    /// <summary>Takes the key bits out of the symbols.</summary>
    /// <param name="symbols">n bits.</param>
    /// <param name="key">Bits of a block, all zero where the frame is.</param>
    /// <param name="start">First bit of the frame.</param>
    public void Gather(ReadOnlySpan<ulong> symbols, Span<ulong> key, int start)
    {
        for (var column = 0; column < _first.Length; column++)
        {
            BitRange.Add(symbols, (column * _code.Lift) + _first[column], key, start, _count[column]);
            start += _count[column];
        }
    }

    /// <summary>Puts random bits into the punctured symbols.</summary>
    /// <param name="random">As many bits as are punctured.</param>
    /// <param name="symbols">n bits, those of punctured symbols zero.</param>
    public void Puncture(ReadOnlySpan<ulong> random, Span<ulong> symbols)
    {
        var taken = 0;
        foreach (var column in _code.PuncturedColumns)
        {
            BitRange.Add(random, taken, symbols, column * _code.Lift, _first[column]);
            taken += _first[column];
        }
    }

    /// <summary>Tells a decoder which symbols are unknown and which are known.</summary>
    public void Prepare(LdpcDecoder decoder)
    {
        for (var column = 0; column < _first.Length; column++)
        {
            decoder.Erase(column, 0, _first[column]);
            decoder.Fix(column, _first[column] + _count[column], _code.Lift - _first[column] - _count[column]);
        }
    }

    /// <summary>What of a total falls to the part from a to b of a whole.</summary>
    private static int Part(int total, int from, int to, int whole) => (int)(((long)total * to / whole) - ((long)total * from / whole));
}
