namespace Qkd.Distillation;

/// <summary>
/// A quasi-cyclic low-density parity-check code: a small matrix of block rows and block columns, each of its entries standing for a cyclic
/// permutation of Z places. Symbol c Z + i is place i of block column c, check r Z + i is place i of block row r; an entry with shift s
/// joins check i of its row to the symbol (i + s) mod Z of its column.
/// </summary>
internal sealed class LdpcCode
{
    private readonly int[] _rowStarts;
    private readonly int[] _columns;
    private readonly int[] _shifts;
    private readonly int[] _punctured;

    /// <summary>Takes over a matrix: for each block row its entries, columns ascending.</summary>
    public LdpcCode(string name, int lift, int columns, IReadOnlyList<(int Column, int Shift)[]> rows, int[] punctured)
    {
        Name = name;
        Lift = lift;
        BlockColumns = columns;
        BlockRows = rows.Count;
        _punctured = punctured;
        _rowStarts = new int[rows.Count + 1];
        for (var row = 0; row < rows.Count; row++)
        {
            _rowStarts[row + 1] = _rowStarts[row] + rows[row].Length;
        }

        _columns = [.. rows.SelectMany(row => row.Select(entry => entry.Column))];
        _shifts = [.. rows.SelectMany(row => row.Select(entry => entry.Shift))];
    }

    /// <summary>Rate and lift, e.g. <c>r80-1024</c>.</summary>
    public string Name { get; }

    /// <summary>Z: places of a block, a power of two and a multiple of 64.</summary>
    public int Lift { get; }

    /// <summary>Block columns.</summary>
    public int BlockColumns { get; }

    /// <summary>Block rows.</summary>
    public int BlockRows { get; }

    /// <summary>n: symbols.</summary>
    public int Symbols => BlockColumns * Lift;

    /// <summary>m: checks, which are the bits of a syndrome.</summary>
    public int Checks => BlockRows * Lift;

    /// <summary>Entries of the small matrix.</summary>
    public int Entries => _columns.Length;

    /// <summary>Most entries of a block row.</summary>
    public int LargestRow => Enumerable.Range(0, BlockRows).Max(row => ColumnsOf(row).Length);

    /// <summary>
    /// Block columns whose symbols may be punctured, no two of which share a block row. No check then has two punctured symbols, so that the
    /// columns of the punctured symbols are linearly independent: see <see cref="LdpcFrame"/> for what follows from it.
    /// </summary>
    public ReadOnlySpan<int> PuncturedColumns => _punctured;

    /// <summary>Columns of a block row's entries, ascending.</summary>
    public ReadOnlySpan<int> ColumnsOf(int row) => _columns.AsSpan(_rowStarts[row].._rowStarts[row + 1]);

    /// <summary>Shifts of a block row's entries.</summary>
    public ReadOnlySpan<int> ShiftsOf(int row) => _shifts.AsSpan(_rowStarts[row].._rowStarts[row + 1]);

    /// <summary>Number of entries before a block row.</summary>
    public int EntriesBefore(int row) => _rowStarts[row];

    /// <summary>The parities of all checks.</summary>
    /// <param name="symbols">n bits.</param>
    /// <param name="syndrome">m bits, written over.</param>
    public void Syndrome(ReadOnlySpan<ulong> symbols, Span<ulong> syndrome)
    {
        var words = Lift / 64;
        for (var row = 0; row < BlockRows; row++)
        {
            var sum = syndrome.Slice(row * words, words);
            sum.Clear();
            var columns = ColumnsOf(row);
            var shifts = ShiftsOf(row);
            for (var entry = 0; entry < columns.Length; entry++)
            {
                AddRotated(symbols.Slice(columns[entry] * words, words), shifts[entry], sum);
            }
        }
    }

    /// <summary>Adds a block to another so that place (i + shift) of the first comes upon place i of the second.</summary>
    private static void AddRotated(ReadOnlySpan<ulong> block, int shift, Span<ulong> sum)
    {
        var (word, bit) = (shift >> 6, shift & 63);
        for (var i = 0; i < sum.Length; i++)
        {
            var low = block[(word + i) & (sum.Length - 1)];
            var high = block[(word + i + 1) & (sum.Length - 1)];

            // A shift by 64 - 0 would be one by 0.
            sum[i] ^= (low >> bit) | (high << 1 << (63 - bit));
        }
    }
}
