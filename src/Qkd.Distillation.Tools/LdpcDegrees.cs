namespace Qkd.Distillation.Tools;

/// <summary>How many block columns of each degree a code has.</summary>
/// <remarks>
/// From 0.50 to 0.75 and at 0.85: shares of edges from D. Elkouss et al., "Efficient reconciliation protocol for discrete-variable quantum key
/// distribution", arXiv:0901.2140, Table I; but where these give more symbols of degree 2 than there are checks, the rest get degree 3, for
/// cycles of such symbols alone are words of low weight. The others were found by trying out frames with this decoder: at 0.80 the table's
/// distribution takes more rounds and fails more often near its limit, at 0.90 it falls short (threshold 0.0109 where the limit is 0.0130).
/// </remarks>
internal static class LdpcDegrees
{
    private static readonly Dictionary<int, (int Degree, double Share)[]> Edges = new()
    {
        [24] = [(2, .04528), (3, .20537), (4, .05878), (5, .094274), (6, .08454), (7, .01176), (9, .05137), (21, .50015)],
        [40] = [(2, .10805), (3, .09511), (4, .01449), (5, .13764), (6, .10667), (7, .05288), (28, .01107), (31, .47408)],
        [48] = [(2, .05343), (3, .29406), (6, .00896), (9, .15571), (12, .12189), (25, .19872), (46, .09572), (62, .02741), (65, .04056), (73, .00354)],
        [56] = [(2, .10451), (3, .15652), (4, .08057), (5, .00056), (9, .12151), (13, .10485), (15, .10719), (21, .00771), (51, .31656)],
        [64] = [(2, .11040), (3, .20804), (8, .14163), (9, .14858), (26, .14438), (27, .08909), (46, .00748), (71, .15038)],
        [72] = [(2, .16880), (3, .20994), (6, .18095), (15, .03846), (16, .02635), (18, .23454), (19, .05815), (31, .08280)],
        [80] =
        [
            (2, .14438), (3, .19026), (4, .01836), (5, .00233), (6, .04697), (8, .053943), (9, .05590), (10, .01290), (11, .00162), (14, .06159),
            (15, .13115), (17, .01481), (47, .00879), (49, .00650), (55, .00210), (56, .00099), (57, .11178), (58, .06238), (59, .05094), (66, .02230),
        ],
        [88] = [(2, .16), (3, .22), (4, .05), (6, .08), (9, .08), (15, .19), (50, .22)],
    };

    // Block columns of 160.
    private static readonly Dictionary<int, (int Degree, int Columns)[]> Columns = new()
    {
        [8] = [(3, 110), (7, 50)],
        [12] = [(2, 9), (3, 101), (9, 50)],
        [16] = [(2, 12), (3, 100), (10, 48)],
        [20] = [(2, 16), (3, 104), (16, 40)],
        [28] = [(2, 26), (3, 92), (6, 10), (20, 32)],
        [32] = [(2, 31), (3, 81), (6, 16), (10, 12), (20, 20)],
    };

    /// <summary>Degree of each block column, ascending.</summary>
    /// <param name="rows">Block rows, which say the rate.</param>
    /// <param name="columns">Block columns.</param>
    public static int[] Of(int rows, int columns) =>
        Columns.TryGetValue(rows, out var counts)
            ? [.. counts.SelectMany(part => Enumerable.Repeat(part.Degree, part.Columns))]
            : FromEdges(Edges[rows], rows, columns);

    private static int[] FromEdges((int Degree, double Share)[] edges, int rows, int columns)
    {
        var nodes = edges.Sum(part => part.Share / part.Degree);
        var degrees = new int[columns];
        var (reached, next) = (0.0, 0);
        foreach (var (degree, share) in edges)
        {
            reached += share / degree / nodes * columns;
            for (; next < columns && next < Math.Round(reached); next++)
            {
                degrees[next] = degree == 2 && next >= rows ? 3 : Math.Min(degree, rows);
            }
        }

        return degrees;
    }
}
