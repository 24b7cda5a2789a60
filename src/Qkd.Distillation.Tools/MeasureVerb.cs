using System.Globalization;

namespace Qkd.Distillation.Tools;

/// <summary>
/// <c>measure table frames [name ...]</c>: finds for the codes of the family, or those named, the largest error rate at which no more than one
/// frame in 200 fails, plain, punctured and shortened, and replaces their lines in a table.
/// </summary>
internal static class MeasureVerb
{
    private const double Step = 1.01;
    private const int Seed = 7;

    // Punctured share of what can be, shortened share of all symbols.
    private static readonly (double Punctured, double Shortened)[] Points = [(0, 0), (0.5, 0), (1, 0), (0, 0.35)];

    public static int Run(string[] arguments)
    {
        var table = arguments[0];
        var frames = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        for (var index = 0; index < LdpcFamily.Count; index++)
        {
            var name = LdpcFamily.NameOf(index);
            if (arguments.Length > 2 && !arguments.AsSpan(2).Contains(name))
            {
                continue;
            }

            var code = LdpcFamily.Code(index);
            var lines = new List<string>();
            foreach (var (punctured, shortened) in Points)
            {
                lines.Add(Point(code, punctured, shortened, punctured + shortened == 0 ? frames : Math.Min(frames, 400)));
                Console.WriteLine(lines[^1]);
            }

            Replace(table, name, lines);
        }

        return 0;
    }

    /// <summary>The figures of one point, as a line of the table.</summary>
    private static string Point(LdpcCode code, double puncturedShare, double shortenedShare, int frames)
    {
        var punctured = (int)(puncturedShare * LdpcFrame.LargestPunctured(code));
        var keyBits = code.Symbols - punctured - (int)(shortenedShare * code.Symbols);
        using var trial = new LdpcTrial(code, punctured, keyBits, Seed);

        // From a rate that is sure to be low upwards in quick looks, then down until enough frames have passed.
        var rate = LdpcReach.ErrorRateFor((code.Checks / 1.4 - punctured) / keyBits);
        for (var stride = 1.08; stride > 1.005; stride = Math.Sqrt(stride))
        {
            while (trial.Run(rate * stride, 25, 0).Failures == 0)
            {
                rate *= stride;
            }
        }

        var tolerated = frames / 200;
        LdpcFigures figures;
        for (rate *= Step; ; rate /= Step)
        {
            figures = trial.Run(rate, frames, tolerated);
            if (figures.Failures <= tolerated)
            {
                break;
            }
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"{code.Name} {punctured} {code.Symbols - punctured - keyBits} {rate:0.000000} {figures.Frames} {figures.Failures} {figures.MeanRounds:0.0} {keyBits / figures.SecondsAFrame / 1e6:0.0}");
    }

    private static void Replace(string table, string name, List<string> lines)
    {
        var kept = File.Exists(table) ? File.ReadAllLines(table) : [];
        var order = Enumerable.Range(0, LdpcFamily.Count).Select(LdpcFamily.NameOf).ToList();
        var all = kept.Where(line => line.Length > 0 && line[0] != '#' && line.Split(' ')[0] != name).Concat(lines)
            .OrderBy(line => order.IndexOf(line.Split(' ')[0]));
        File.WriteAllLines(table, ["# code, punctured and shortened symbols, error rate, frames, failures among them, rounds a frame, Mb/s of key bits on one core", .. all]);
    }
}
