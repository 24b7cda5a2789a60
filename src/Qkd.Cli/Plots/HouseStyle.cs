using ScottPlot;
using SkiaSharp;

namespace Qkd.Cli.Plots;

/// <summary>How all pictures of the command look, and how they are written.</summary>
internal static class HouseStyle
{
    private const int Width = 1200;
    private const int Height = 760;
    private static readonly Color Ink = Color.FromHex("#1f2933");
    private static readonly Color Quiet = Color.FromHex("#616e7c");
    private static readonly Color Line = Color.FromHex("#dde3e9");
    private static readonly Color FaintLine = Color.FromHex("#f0f3f6");

    // After Okabe and Ito: told apart by every kind of colour vision.
    private static readonly Color[] Colours =
        [.. new[] { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00" }.Select(Color.FromHex)];

    private static readonly string[] FontFamilies = ["Inter", "Segoe UI", "Helvetica Neue", "Arial", "Liberation Sans", "Noto Sans", "DejaVu Sans"];

    /// <summary>The colour of a line.</summary>
    public static Color Colour(int index) => Colours[index % Colours.Length];

    /// <summary>An empty picture with a font that the system has.</summary>
    public static Plot New()
    {
        var plot = new Plot();
        if (FontFamilies.Intersect(SKFontManager.Default.FontFamilies).FirstOrDefault() is { } font)
        {
            plot.Font.Set(font);
            plot.Legend.FontName = font;
        }

        return plot;
    }

    /// <summary>Axes, grid and margins.</summary>
    public static void Frame(Plot plot)
    {
        plot.Axes.Color(Quiet);
        plot.Axes.Right.FrameLineStyle.Width = 0;
        plot.Axes.Top.FrameLineStyle.Width = 0;
        plot.Axes.Left.MinimumSize = 85;
        plot.Axes.Right.MinimumSize = 30;
        plot.Axes.Bottom.MinimumSize = 65;
        plot.Axes.Left.TickLabelStyle.FontSize = 17;
        plot.Axes.Bottom.TickLabelStyle.FontSize = 17;
        plot.Grid.MajorLineColor = Line;
        plot.Grid.MajorLineWidth = 1;
        plot.Grid.YAxisStyle.MinorLineStyle.Color = FaintLine;
        plot.Grid.YAxisStyle.MinorLineStyle.Width = 1;
    }

    /// <summary>Title and axis labels.</summary>
    public static void Words(Plot plot, string title, string across, string up)
    {
        plot.Title(title, 24);
        plot.XLabel(across, 19);
        plot.YLabel(up, 19);
        foreach (var label in new[] { plot.Axes.Title.Label, plot.Axes.Left.Label, plot.Axes.Bottom.Label })
        {
            label.ForeColor = Ink;
            label.Bold = false;
        }
    }

    /// <summary>A few quiet lines of text in a corner.</summary>
    public static void Note(Plot plot, string text, Alignment corner)
    {
        var note = plot.Add.Annotation(text, corner);
        note.LabelFontSize = 15;
        note.LabelFontColor = Quiet;
        note.LabelBackgroundColor = Colors.White.WithAlpha(0.85);
        note.LabelBorderWidth = 0;
        note.LabelShadowColor = Colors.Transparent;
        note.LabelStyle.FontName = plot.Legend.FontName ?? note.LabelStyle.FontName;
    }

    /// <summary>The legend.</summary>
    public static void Legend(Plot plot, Alignment corner)
    {
        plot.ShowLegend(corner);
        plot.Legend.FontSize = 17;
        plot.Legend.FontColor = Ink;
        plot.Legend.OutlineColor = Line;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.BackgroundColor = Colors.White.WithAlpha(0.9);
    }

    /// <summary>Writes a PNG or, by the file's extension, an SVG.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string file, Plot plot)
    {
        if (Path.GetExtension(file).Equals(".svg", StringComparison.OrdinalIgnoreCase))
        {
            File.WriteAllText(file, plot.GetSvgXml(Width, Height));
        }
        else
        {
            File.WriteAllBytes(file, plot.GetImageBytes(Width, Height, ImageFormat.Png));
        }
    }
}
