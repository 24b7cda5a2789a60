using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.IntegralTransforms;

namespace Qkd.Timing.Correlation;

/// <summary>How two receivers of photon pairs find each other, and how far they may be apart.</summary>
public sealed record PairSettings
{
    /// <summary>
    /// Largest difference of the two clocks' readings, in picoseconds. Clocks set over a network agree to a few milliseconds; beyond half of what a transform spans, 134 ms, the
    /// search takes longer in proportion.
    /// </summary>
    public long LargestOffsetPicoseconds { get; init; } = 130_000_000_000;

    /// <summary>Largest difference of their frequencies, in parts per million.</summary>
    public double LargestDeviationPpm { get; init; } = 50;

    /// <summary>Width of the coarse bins, in picoseconds.</summary>
    public long CoarseBinPicoseconds { get; init; } = 2_048_000;

    /// <summary>Probability that a search ends with a wrong answer.</summary>
    public double FalseLockProbability { get; init; } = 1e-9;
}

/// <summary>How the second clock reads when the first reads t: t + offset + deviation · t.</summary>
/// <param name="OffsetPicoseconds">At the first clock's zero.</param>
/// <param name="DeviationPpm">How much faster the second clock runs, in parts per million.</param>
/// <param name="Pairs">Pairs that were found in the last window of the fit.</param>
/// <param name="JitterPicoseconds">Standard deviation of the pairs' differences about it.</param>
/// <param name="Chance">Probability that chance made the coarse peak anywhere in the search.</param>
public sealed record PairClock(double OffsetPicoseconds, double DeviationPpm, long Pairs, double JitterPicoseconds, double Chance)
{
    /// <summary>The second clock's reading.</summary>
    public double At(double first) => first + OffsetPicoseconds + (DeviationPpm * 1e-6 * first);
}

/// <summary>
/// Finds offset and frequency difference of two receivers of a continuous source of photon pairs: a cross-correlation by Fourier transform in coarse bins, then finer and finer
/// histograms of differences about the peak.
/// </summary>
/// <remarks>
/// After Ho, Lamas-Linares, Kurtsiefer, New J. Phys. 11 (2009) 045011 (2^17 points; coarse 2048 ns, then fine 2 ns). Frequencies that would smear a coarse peak over more than a bin are tried one by one.
/// </remarks>
public sealed class PairSynchroniser(PairSettings settings)
{
    private const int Points = 1 << 17;

    /// <summary>Bins on either side of a place that tell how many accidental pairs to expect there, and those next to it that do not.</summary>
    private const int Around = 512;

    private const int Near = 4;

    /// <summary>Looks longer than this many times the first one do not help: what is not seen by then is not there.</summary>
    private const int LongestLook = 16;

    private static readonly long[] FineBins = [512_000, 64_000, 8_000, 2_000, 500, 100];

    private long Span => Points * settings.CoarseBinPicoseconds;

    /// <summary>Finds the second clock in the first.</summary>
    /// <param name="first">Times of the first receiver in picoseconds, ascending.</param>
    /// <param name="second">Times of the second.</param>
    /// <returns>The clock; null if no pairs stand out.</returns>
    public PairClock? Find(ReadOnlySpan<long> first, ReadOnlySpan<long> second)
    {
        if (first.Length < 100 || second.Length < 100)
        {
            return null;
        }

        for (var look = 1; look <= LongestLook; look *= 2)
        {
            var length = Span * look;
            if (Coarse(first, second, length) is { } peak)
            {
                return Refine(first, second, peak, length);
            }

            if (first[^1] - first[0] < length)
            {
                break;
            }
        }

        return null;
    }

    private static ReadOnlySpan<long> Between(ReadOnlySpan<long> times, double from, double to)
    {
        var start = LowerBound(times, from);
        return times[start..Math.Max(start, LowerBound(times, to))];
    }

    private static int LowerBound(ReadOnlySpan<long> times, double limit)
    {
        int low = 0, high = times.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            (low, high) = times[middle] < limit ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static Complex[] Transform(ReadOnlySpan<long> times, long origin, double stretch, long bin)
    {
        var values = new Complex[Points];
        foreach (var time in times)
        {
            var place = (long)Math.Floor((time - origin) * stretch / bin) % Points;
            values[place < 0 ? place + Points : place] += 1;
        }

        Fourier.Forward(values, FourierOptions.NoScaling);
        return values;
    }

    /// <summary>Offset at the first tag and deviation, to a coarse bin.</summary>
    private (double Offset, double DeviationPpm, double Chance)? Coarse(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long length)
    {
        var origin = first[0];
        var a = Between(first, origin, origin + (double)length);
        var transformed = Transform(a, origin, 1, settings.CoarseBinPicoseconds);

        // Over the look a frequency that is off by half a step moves the peak by half a bin.
        var step = settings.CoarseBinPicoseconds / (double)length * 1e6;
        var steps = (int)Math.Ceiling(settings.LargestDeviationPpm / step);

        // A transform tells offsets apart within its span; others are looked for in stretches of the second stream that lie further away.
        var blocks = (int)Math.Ceiling(Math.Max(0, settings.LargestOffsetPicoseconds - (Span / 2.0)) / Span);
        (double Offset, double Deviation, double Chance) best = (0, 0, double.PositiveInfinity);
        for (var block = -blocks; block <= blocks; block++)
        {
            var centre = origin + (block * Span);
            var b = Between(second, centre - (Span / 2.0), centre + (double)length + (Span / 2.0));
            for (var i = -steps; i <= steps && b.Length > 0; i++)
            {
                var (place, height, expected) = Peak(transformed, b, centre, 1 / (1 + (i * step * 1e-6)));
                var trials = (double)Points * ((2 * steps) + 1) * ((2 * blocks) + 1);
                var chance = trials * SpecialFunctions.GammaLowerRegularized(Math.Max(1, Math.Round(height)), Math.Max(expected, 1e-3));
                if (chance < best.Chance || (chance == best.Chance && chance == 0))
                {
                    best = ((block * (double)Span) + ((place + 1) * settings.CoarseBinPicoseconds), i * step, chance);
                }
            }
        }

        if (!(best.Chance < settings.FalseLockProbability))
        {
            return null;
        }

        // Pairs from beyond the span fold into it: of the offsets that look alike the right one is that with the pairs.
        (double Offset, long Pairs) right = (best.Offset, -1);
        for (var fold = -1; fold <= 1; fold++)
        {
            var offset = best.Offset + (fold * (double)Span);
            var pairs = Differences(a, second, origin, offset, best.Deviation, 2 * settings.CoarseBinPicoseconds, null);
            right = pairs > right.Pairs ? (offset, pairs) : right;
        }

        return best with { Offset = right.Offset };
    }

    /// <summary>
    /// The place of a cross-correlation that stands out most, two neighbouring bins taken together: a peak on the edge of a bin is none the worse. What is
    /// expected there by chance is told by the bins around it: rates may change in a look.
    /// </summary>
    private (int Place, double Height, double Expected) Peak(Complex[] first, ReadOnlySpan<long> second, long centre, double stretch)
    {
        var product = Transform(second, centre, stretch, settings.CoarseBinPicoseconds);
        for (var k = 0; k < Points; k++)
        {
            product[k] *= Complex.Conjugate(first[k]);
        }

        Fourier.Inverse(product, FourierOptions.NoScaling);
        double Pairs(int k) => (product[(k + Points) % Points].Real + product[(k + 1 + Points) % Points].Real) / Points;
        double wide = 0, narrow = 0;
        for (var k = -Around; k <= Around; k++)
        {
            wide += Pairs(k);
            narrow += Math.Abs(k) <= Near ? Pairs(k) : 0;
        }

        var best = (Place: 0, Height: 0.0, Expected: 0.0, Sigmas: double.NegativeInfinity);
        for (var k = 0; k < Points; k++)
        {
            var (height, expected) = (Pairs(k), Math.Max(0, (wide - narrow) / (2 * (Around - Near))));
            var sigmas = (height - expected) / Math.Sqrt(expected + 1);
            best = sigmas > best.Sigmas ? (k < Points / 2 ? k : k - Points, height, expected, sigmas) : best;
            wide += Pairs(k + Around + 1) - Pairs(k - Around);
            narrow += Pairs(k + Near + 1) - Pairs(k - Near);
        }

        return (best.Place, best.Height, best.Expected);
    }

    /// <summary>Pairs whose difference, offset and deviation taken off, is at most a half width; into a histogram if there is one.</summary>
    private static long Differences(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long origin, double offset, double deviationPpm, double half, long[]? histogram)
    {
        long count = 0;
        var from = 0;
        var scale = histogram is null ? 0 : histogram.Length / (2 * half);
        foreach (var time in first)
        {
            var expected = time + offset + (deviationPpm * 1e-6 * (time - origin));
            while (from < second.Length && second[from] < expected - half)
            {
                from++;
            }

            for (var i = from; i < second.Length && second[i] - expected < half; i++)
            {
                count++;
                if (histogram is not null)
                {
                    histogram[Math.Min((int)((second[i] - expected + half) * scale), histogram.Length - 1)]++;
                }
            }
        }

        return count;
    }

    /// <summary>
    /// Finer and finer: the peak's place at the beginning, then at the end of longer and longer stretches, whose slope corrects the deviation.
    /// </summary>
    private PairClock? Refine(ReadOnlySpan<long> first, ReadOnlySpan<long> second, (double Offset, double DeviationPpm, double Chance) peak, long length)
    {
        var origin = first[0];
        var (offset, deviation) = (peak.Offset, peak.DeviationPpm);
        var half = 2.0 * settings.CoarseBinPicoseconds;
        var window = Math.Min(length, first[^1] - origin);
        PeakFit? fit = null;
        var width = 0.0;
        foreach (var bin in FineBins)
        {
            // Before the deviation is known to a bin over the window, the peak is as wide as what it moves by.
            for (var round = 0; round < 3; round++)
            {
                var early = Place(first, second, origin, 0, window / 2.0, offset, deviation, half, bin);
                var late = Place(first, second, origin, window / 2.0, window, offset, deviation, half, bin);
                if (early is not { } e || late is not { } l)
                {
                    break;
                }

                // The means of the two halves lie half a window apart, a quarter and three quarters in.
                var slope = (l.Centre - e.Centre) / (window / 2.0);
                deviation += slope * 1e6;
                offset += e.Centre - (slope * window / 4.0);
                (fit, width) = (l.Fit, l.Sigma);
            }

            half = Math.Max(40.0 * bin, 6 * width);
        }

        // Longer stretches tell the deviation better, as far as the clocks are steady.
        for (var stretch = 2.0 * window; fit is not null && stretch <= first[^1] - origin; stretch *= 2)
        {
            if (Place(first, second, origin, stretch - window, stretch, offset, deviation, Math.Max(half, 20_000), Math.Max(FineBins[^1], 100)) is not { } end)
            {
                break;
            }

            deviation += end.Centre / (stretch - (window / 2.0)) * 1e6;
            (fit, width) = (end.Fit, end.Sigma);
        }

        return fit is null ? null : new(offset - (deviation * 1e-6 * origin), deviation, (long)fit.Area, width, peak.Chance);
    }

    private static (double Centre, double Sigma, PeakFit Fit)? Place(
        ReadOnlySpan<long> first, ReadOnlySpan<long> second, long origin, double from, double to, double offset, double deviation, double half, double bin)
    {
        var histogram = new long[Math.Max(16, (int)Math.Min(100_000, 2 * half / bin))];
        var a = Between(first, origin + from, origin + to);
        if (a.Length == 0)
        {
            return null;
        }

        var b = Between(second, a[0] + offset - (2 * half) - 1e9, a[^1] + offset + (2 * half) + 1e9);
        Differences(a, b, origin, offset, deviation, half, histogram);
        if (PeakFit.Of(histogram) is not { } fit)
        {
            return null;
        }

        var scale = 2 * half / histogram.Length;
        return ((fit.Centre * scale) - half, fit.Sigma * scale, fit);
    }
}
