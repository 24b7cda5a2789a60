using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>
/// A rearrangement of 2^16 bits that moves 64 at a time. The 1024 words are dealt at random into 16 matrices of 64 words, each turned by a
/// random number of bits; the matrices are transposed, so that a word now has one bit of each of 64 words; and their rows are laid out at
/// random, each run of 16 words taking one row of every matrix.
/// </summary>
internal sealed class CascadeWeave
{
    /// <summary>log2 of the bits.</summary>
    public const int Exponent = 16;

    /// <summary>Words of 64 bits.</summary>
    public const int Words = 1 << (Exponent - 6);

    private const int Size = 64;
    private const int Matrices = Words / Size;
    private const int Lanes = 4;
    private const int TurnShift = 16;

    // Columns and rows are counted through all matrices. Beside the number of a word or column stands by how much the column is turned.
    private readonly uint[] _wordOfColumn = new uint[Words];
    private readonly uint[] _columnOfWord = new uint[Words];
    private readonly ushort[] _placeOfRow = new ushort[Words];
    private readonly ushort[] _rowAtPlace = new ushort[Words];

    /// <summary>Draws one.</summary>
    public CascadeWeave(PublicShuffler shuffler)
    {
        var dealt = shuffler.Shuffle(Words);
        for (var column = 0; column < Words; column++)
        {
            var turn = (uint)shuffler.Below(Size) << TurnShift;
            _wordOfColumn[column] = dealt[column] | turn;
            _columnOfWord[dealt[column]] = (uint)column | turn;
        }

        var rows = Enumerable.Range(0, Matrices).Select(_ => shuffler.Shuffle(Size)).ToArray();
        for (var run = 0; run < Size; run++)
        {
            var within = shuffler.Shuffle(Matrices);
            for (var matrix = 0; matrix < Matrices; matrix++)
            {
                var row = (Size * matrix) + rows[matrix][run];
                var place = (Matrices * run) + within[matrix];
                _placeOfRow[row] = (ushort)place;
                _rowAtPlace[place] = (ushort)row;
            }
        }
    }

    /// <summary>Which bit comes to a place.</summary>
    public int BitAt(int place)
    {
        int row = _rowAtPlace[place >> 6];
        var word = _wordOfColumn[(row & -Size) | (place & (Size - 1))];
        return (int)((word & (Words - 1)) << 6 | (((uint)row + (word >> TurnShift)) & (Size - 1)));
    }

    /// <summary>To which place a bit comes.</summary>
    public int PlaceOf(int bit)
    {
        var column = _columnOfWord[bit >> 6];
        var row = (column & (Words - Size)) | (((uint)bit - (column >> TurnShift)) & (Size - 1));
        return _placeOfRow[row] << 6 | (int)(column & (Size - 1));
    }

    /// <summary>Moves all bits.</summary>
    public void Rearrange(ReadOnlySpan<ulong> bits, Span<ulong> places)
    {
        // Four matrices side by side, a vector holding the same column of each.
        Span<ulong> matrices = stackalloc ulong[Lanes * Size];
        bits = bits[..Words];
        places = places[..Words];
        for (var first = 0; first < Words; first += Lanes * Size)
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                var columns = _wordOfColumn.AsSpan(first + (Size * lane), Size);
                for (var i = 0; i < columns.Length; i++)
                {
                    var column = columns[i];
                    matrices[(Lanes * i) + lane] = ulong.RotateRight(bits[(int)(column & (Words - 1))], (int)(column >> TurnShift));
                }
            }

            Transpose(MemoryMarshal.Cast<ulong, Vector256<ulong>>(matrices));
            for (var lane = 0; lane < Lanes; lane++)
            {
                var rows = _placeOfRow.AsSpan(first + (Size * lane), Size);
                for (var i = 0; i < rows.Length; i++)
                {
                    places[rows[i]] = matrices[(Lanes * i) + lane];
                }
            }
        }

        BitString.Erase(matrices);
    }

    /// <summary>Exchanges rows and columns by halves, quarters and so on (H. S. Warren, "Hacker's Delight", section 7-3).</summary>
    private static void Transpose(Span<Vector256<ulong>> matrices)
    {
        var mask = Vector256.Create(0x0000_0000_FFFF_FFFFUL);
        for (var distance = Size / 2; distance > 0; distance /= 2, mask ^= mask << distance)
        {
            for (var block = 0; block < Size; block += 2 * distance)
            {
                var upper = matrices.Slice(block, distance);
                var lower = matrices.Slice(block + distance, distance);
                for (var i = 0; i < upper.Length; i++)
                {
                    var swapped = ((upper[i] >> distance) ^ lower[i]) & mask;
                    lower[i] ^= swapped;
                    upper[i] ^= swapped << distance;
                }
            }
        }
    }
}
