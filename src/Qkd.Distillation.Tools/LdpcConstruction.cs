namespace Qkd.Distillation.Tools;

/// <summary>
/// Makes a quasi-cyclic code: block columns in the order of their degrees, each in the block rows that have the fewest entries so far, with
/// shifts drawn until no cycle of four edges remains and, for symbols of a low degree, as few of six as a number of draws can reach.
/// </summary>
internal sealed class LdpcConstruction
{
    private const int Draws = 200;
    private const int LargestLowDegree = 4;
    private readonly Random _random;
    private readonly int _rows;
    private readonly int _lift;
    private readonly List<(int Column, int Shift)>[] _entries;

    // For each pair of rows the differences of the shifts of columns that are in both: the same one twice is a cycle of four edges.
    private readonly List<int>[,] _differences;

    private LdpcConstruction(int rows, int lift, int seed)
    {
        (_rows, _lift, _random) = (rows, lift, new Random(seed));
        _entries = [.. Enumerable.Range(0, rows).Select(_ => new List<(int, int)>())];
        _differences = new List<int>[rows, rows];
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < rows; j++)
            {
                _differences[i, j] = [];
            }
        }
    }

    /// <summary>What decides a code besides its degrees and its seed, as lines of its file.</summary>
    public static IEnumerable<string> Parameters =>
    [
        "rows-of-a-column zigzag for degree 2, disjoint for the first of degree 3, else those with the fewest entries, ties drawn",
        $"cycles none of 4 edges; of 6 the fewest in {Draws} draws up to degree {LargestLowDegree}",
        "generator System.Random with a seed",
    ];

    /// <summary>Makes a code.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="rows">Block rows.</param>
    /// <param name="degrees">Degree of each block column, ascending.</param>
    /// <param name="lift">Z.</param>
    /// <param name="seed">Seed of all draws.</param>
    public static LdpcCode Make(string name, int rows, int[] degrees, int lift, int seed)
    {
        var construction = new LdpcConstruction(rows, lift, seed);
        var twos = degrees.Count(degree => degree == 2);
        var threes = degrees.Count(degree => degree == 3);
        for (var column = 0; column < degrees.Length; column++)
        {
            construction.Place(column, construction.RowsFor(column, degrees[column], twos, threes));
        }

        var punctured = Enumerable.Range(twos, Math.Min(threes, rows / 3)).ToArray();
        return new(name, lift, degrees.Length, [.. construction._entries.Select(row => row.OrderBy(entry => entry.Column).ToArray())], punctured);
    }

    private int[] RowsFor(int column, int degree, int twos, int threes)
    {
        if (degree == 2)
        {
            // A zigzag through the rows, closed if there are as many.
            return [column, (column + 1) % _rows];
        }

        var order = Enumerable.Range(0, _rows).ToArray();
        _random.Shuffle(order);
        var placed = column - twos;
        if (degree == 3 && placed < Math.Min(threes, _rows / 3))
        {
            // The first ones share no row: these are the ones that can be punctured.
            var used = _entries.Select(row => row.Any(entry => entry.Column >= twos)).ToArray();
            order = [.. order.Where(row => !used[row])];
        }

        return [.. order.OrderBy(row => _entries[row].Count).Take(degree)];
    }

    private void Place(int column, int[] rows)
    {
        int[]? best = null;
        var bestScore = int.MaxValue;
        for (var draw = 0; draw < Draws && bestScore > 0; draw++)
        {
            var shifts = Draw(rows);
            var score = rows.Length > LargestLowDegree ? 0 : CyclesOfSix(rows, shifts);
            if (score < bestScore)
            {
                (best, bestScore) = (shifts, score);
            }
        }

        for (var i = 0; i < rows.Length; i++)
        {
            _entries[rows[i]].Add((column, best![i]));
            for (var j = 0; j < rows.Length; j++)
            {
                if (i != j)
                {
                    _differences[rows[i], rows[j]].Add((best[i] - best[j]) & (_lift - 1));
                }
            }
        }
    }

    /// <summary>Shifts without a cycle of four edges, row by row.</summary>
    private int[] Draw(int[] rows)
    {
        for (var attempt = 0; attempt < 1000; attempt++)
        {
            var shifts = new int[rows.Length];
            var done = 0;
            for (; done < rows.Length; done++)
            {
                var found = false;
                for (var draw = 0; draw < 4 * _lift && !found; draw++)
                {
                    shifts[done] = _random.Next(_lift);
                    found = true;
                    for (var i = 0; i < done && found; i++)
                    {
                        found = !_differences[rows[i], rows[done]].Contains((shifts[i] - shifts[done]) & (_lift - 1));
                    }
                }

                if (!found)
                {
                    break;
                }
            }

            if (done == rows.Length)
            {
                return shifts;
            }
        }

        throw new InvalidOperationException($"No shifts without a cycle of four edges are left at a lift of {_lift}.");
    }

    private int CyclesOfSix(int[] rows, int[] shifts)
    {
        var count = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            for (var j = i + 1; j < rows.Length; j++)
            {
                var difference = (shifts[i] - shifts[j]) & (_lift - 1);
                for (var k = 0; k < _rows; k++)
                {
                    foreach (var first in _differences[rows[i], k])
                    {
                        foreach (var second in _differences[k, rows[j]])
                        {
                            count += ((first + second) & (_lift - 1)) == difference ? 1 : 0;
                        }
                    }
                }
            }
        }

        return count;
    }
}
