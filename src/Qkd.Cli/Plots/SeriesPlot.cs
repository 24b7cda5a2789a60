using ScottPlot;

namespace Qkd.Cli.Plots;

/// <summary>A line of a picture.</summary>
/// <param name="Name">In the legend; empty if there is one line alone.</param>
/// <param name="X">Across.</param>
/// <param name="Y">Up.</param>
internal sealed record Series(string Name, double[] X, double[] Y);

/// <summary>Lines over one axis: rates, histograms, correlations.</summary>
internal static class SeriesPlot
{
    /// <summary>Points beyond which neighbours are drawn as their extremes: more than there are pixels.</summary>
    private const int MostPoints = 20_000;

    /// <summary>Draws and writes a picture.</summary>
    /// <param name="file">PNG or SVG by its extension.</param>
    /// <param name="title">Title.</param>
    /// <param name="across">Label of the axis across.</param>
    /// <param name="up">Label of the axis up.</param>
    /// <param name="series">The lines.</param>
    /// <param name="steps">Whether each point is a bin, drawn as a step.</param>
    /// <param name="note">A few words in the upper left corner.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string file, string title, string across, string up, IReadOnlyList<Series> series, bool steps, string note)
    {
        using var plot = HouseStyle.New();
        double left = double.PositiveInfinity, right = double.NegativeInfinity, top = double.NegativeInfinity;
        foreach (var (index, line) in series.Index())
        {
            if (line.X.Length == 0)
            {
                continue;
            }

            var (x, y) = Thin(line.X, line.Y);
            var drawn = plot.Add.Scatter(x, y, HouseStyle.Colour(index));
            drawn.ConnectStyle = steps ? ConnectStyle.StepHorizontal : ConnectStyle.Straight;
            drawn.LineWidth = 2;
            drawn.MarkerSize = 0;
            drawn.LegendText = line.Name;
            (left, right, top) = (Math.Min(left, x[0]), Math.Max(right, x[^1]), Math.Max(top, y.Max()));
        }

        HouseStyle.Frame(plot);
        if (left < right)
        {
            var margin = 0.01 * (right - left);
            plot.Axes.SetLimits(left - margin, right + margin, 0, top > 0 ? 1.12 * top : 1);
        }

        HouseStyle.Words(plot, title, across, up);
        if (note.Length > 0)
        {
            HouseStyle.Note(plot, note, Alignment.UpperLeft);
        }

        if (series.Any(line => line.Name.Length > 0))
        {
            HouseStyle.Legend(plot, Alignment.UpperRight);
        }

        HouseStyle.Save(file, plot);
    }

    private static (double[] X, double[] Y) Thin(double[] x, double[] y)
    {
        if (x.Length <= MostPoints)
        {
            return (x, y);
        }

        var stride = (x.Length + (MostPoints / 2) - 1) / (MostPoints / 2);
        var (thinX, thinY) = (new List<double>(), new List<double>());
        for (var from = 0; from < x.Length; from += stride)
        {
            var piece = y.AsSpan(from, Math.Min(stride, x.Length - from));
            int low = 0, high = 0;
            for (var i = 1; i < piece.Length; i++)
            {
                low = piece[i] < piece[low] ? i : low;
                high = piece[i] > piece[high] ? i : high;
            }

            foreach (var i in new[] { Math.Min(low, high), Math.Max(low, high) })
            {
                thinX.Add(x[from + i]);
                thinY.Add(piece[i]);
            }
        }

        return ([.. thinX], [.. thinY]);
    }
}
