using System.Globalization;
using Qkd.Cli.Plots;
using Qkd.Distillation;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Qkd.Cli.Commands;

/// <summary>Rates along a fibre as a picture: kilometres across, secret bits on a logarithmic axis up.</summary>
internal static class KeyRatePlot
{
    private const int MostDecades = 12;
    /// <summary>Writes a PNG or, by the file's extension, an SVG.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(string file, KeyRateSweep sweep, IReadOnlyList<KeyRatePoint> points)
    {
        using var plot = Draw(sweep, points);
        HouseStyle.Save(file, plot);
    }

    private static Plot Draw(KeyRateSweep sweep, IReadOnlyList<KeyRatePoint> points)
    {
        var plot = HouseStyle.New();
        double least = double.PositiveInfinity, most = double.NegativeInfinity;
        foreach (var (index, kind) in sweep.Kinds.Index())
        {
            // ScottPlot has no logarithmic axis: the logarithms are plotted, and the ticks labelled with what they stand for.
            KeyRatePoint[] own = [.. points.Where(point => point.Kind == kind && point.Rate.SecretBits > 0)];
            double[] logarithms = [.. own.Select(point => Math.Log10(point.BitsPerSecond ?? point.Rate.SecretBitsPerPulse))];
            var line = plot.Add.Scatter(own.Select(point => point.Kilometres).ToArray(), logarithms, HouseStyle.Colour(index));
            line.LegendText = Capital(KeyRateReport.Title(kind)) + (own.Length == 0 ? ": no key" : "");
            line.LineWidth = 3;
            line.MarkerSize = sweep.Kilometres.Count <= 40 ? 7 : 0;
            if (own.Length > 0)
            {
                (least, most) = (Math.Min(least, logarithms.Min()), Math.Max(most, logarithms.Max()));
            }
        }

        var furthest = points.Where(point => point.Rate.SecretBits > 0).Select(point => point.Kilometres).DefaultIfEmpty(sweep.Kilometres[^1]).Max();
        Axes(plot, sweep, furthest, least, most);
        Words(plot, sweep);
        return plot;
    }

    private static void Axes(Plot plot, KeyRateSweep sweep, double furthest, double least, double most)
    {
        if (least > most)
        {
            (least, most) = (-1, 0);
        }

        var top = Math.Ceiling(most + 0.05);
        var bottom = Math.Max(Math.Min(Math.Floor(least - 0.05), top - 1), top - MostDecades);
        var ticks = new NumericManual();
        for (var decade = (int)bottom; decade <= top; decade++)
        {
            ticks.AddMajor(decade, Power(decade));
            for (var digit = 2; digit < 10 && decade < top; digit++)
            {
                ticks.AddMinor(decade + Math.Log10(digit));
            }
        }

        plot.Axes.Left.TickGenerator = ticks;

        // To where the last key is, and a little of where there is none.
        var from = sweep.Kilometres[0];
        var to = Math.Min(sweep.Kilometres[^1], furthest + (0.08 * (furthest - from)));
        var margin = to > from ? 0.015 * (to - from) : 1;
        plot.Axes.SetLimits(from - margin, to + margin, bottom, top);
        HouseStyle.Frame(plot);
    }

    private static void Words(Plot plot, KeyRateSweep sweep)
    {
        HouseStyle.Words(
            plot,
            "Secret key along the fibre",
            Invariant($"fibre (km, at {sweep.DecibelsPerKilometre:0.###} dB/km)"),
            sweep.Link.RepetitionRateHertz > 0 ? "secret key (bit/s)" : "secret key (bits a pulse)");
        HouseStyle.Note(plot, Conditions(sweep), Alignment.LowerLeft);
        HouseStyle.Legend(plot, Alignment.UpperRight);
    }

    private static string Conditions(KeyRateSweep sweep)
    {
        var (link, settings) = (sweep.Link, sweep.Settings);
        var unit = settings.Unit == BlockUnit.Pulses ? "pulses" : "key-basis bits";
        return Invariant($"{Scientific(settings.BlockSize)} {unit} a block, f = {settings.ErrorCorrectionEfficiency:0.###}\n")
            + Invariant($"detectors: {100 * link.DetectorEfficiency:0.##} %, {Scientific(link.DarkCountProbability)} dark counts a gate, {100 * link.AfterpulseProbability:0.##} % afterpulses\n")
            + Invariant($"misalignment {100 * link.MisalignmentError:0.##} %, receiver loss {link.ReceiverLossDecibels:0.##} dB, ")
            + (sweep.Source is null ? "source settings optimised at each point" : "fixed source settings");
    }

    private static string Scientific(double value)
    {
        if (value is 0 or (>= 0.01 and < 10_000))
        {
            return Invariant($"{value:0.####}");
        }

        var exponent = (int)Math.Floor(Math.Log10(value) + 1e-12);
        var mantissa = value / Math.Pow(10, exponent);
        return Math.Abs(mantissa - 1) < 5e-3 ? Power(exponent) : Invariant($"{mantissa:0.##} × {Power(exponent)}");
    }

    private static string Power(int exponent) =>
        exponent is 0 ? "1" : exponent is 1 ? "10" : "10" + string.Concat(Invariant($"{exponent}").Select(c => c == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c - '0']));

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
