using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.IntegralTransforms;

namespace Qkd.Timing.Correlation;

/// <summary>How two receivers of photon pairs find each other, and how far they may be apart.</summary>
public sealed record PairSettings
{
    /// <summary>Largest difference of the two clocks' readings, in picoseconds.</summary>
    public long LargestOffsetPicoseconds { get; init; } = 2_000_000_000_000;

    /// <summary>Largest difference of their frequencies, in parts per million.</summary>
    public double LargestDeviationPpm { get; init; } = 50;

    /// <summary>Width of the coarse bins, in picoseconds.</summary>
    public long CoarseBinPicoseconds { get; init; } = 2_048_000;

    /// <summary>Length of the first look, in picoseconds; it grows until the pairs stand out.</summary>
    public long FirstLookPicoseconds { get; init; } = 200_000_000_000;

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
/// After Ho, Lamas-Linares, Kurtsiefer, New J. Phys. 11 (2009) 045011 (2^17 points; coarse 2048 ns, then fine 2 ns). Readings that differ by more than a transform
/// spans fold into it; which multiple it is, is settled by counting pairs for each. Frequencies that would smear a coarse peak over more than a bin are tried one by one.
/// </remarks>
public sealed class PairSynchroniser(PairSettings settings)
{
    private const int Points = 1 << 17;

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
            var length = settings.FirstLookPicoseconds * look;
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

    /// <summary>Offset and deviation to a coarse bin.</summary>
    private (double Offset, double DeviationPpm, double Chance)? Coarse(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long length)
    {
        var origin = first[0];
        var a = Between(first, origin, origin + (double)length);
        var b = Between(second, origin - settings.LargestOffsetPicoseconds, origin + (double)length + settings.LargestOffsetPicoseconds);

        // Over the look a frequency that is off by half a step moves the peak by half a bin.
        var step = settings.CoarseBinPicoseconds / (double)length * 1e6;
        var steps = (int)Math.Ceiling(settings.LargestDeviationPpm / step);
        var folds = 2 + (int)(2 * settings.LargestOffsetPicoseconds / Span);
        var transformed = Transform(a, origin, 1, settings.CoarseBinPicoseconds);
        (int Place, double Deviation, double Height, double Mean) best = default;
        for (var i = -steps; i <= steps; i++)
        {
            var deviation = i * step;
            var product = Transform(b, origin, 1 / (1 + (deviation * 1e-6)), settings.CoarseBinPicoseconds);
            for (var k = 0; k < Points; k++)
            {
                product[k] *= Complex.Conjugate(transformed[k]);
            }

            Fourier.Inverse(product, FourierOptions.NoScaling);
            for (var k = 0; k < Points; k++)
            {
                // Two neighbours together: a peak on the edge of a bin is none the worse.
                var height = (product[k].Real + product[(k + 1) % Points].Real) / Points;
                if (height > best.Height)
                {
                    best = (k, deviation, height, 2.0 * a.Length * b.Length / Points);
                }
            }
        }

        var trials = (double)Points * ((2 * steps) + 1) * folds;
        var chance = trials * SpecialFunctions.GammaLowerRegularized(Math.Max(1, Math.Round(best.Height)), Math.Max(best.Mean, 1e-3));
        if (!(chance < settings.FalseLockProbability))
        {
            return null;
        }

        // Which fold: the one with the pairs.
        var folded = best.Place * (double)settings.CoarseBinPicoseconds;
        (double Offset, long Count) right = default;
        for (var fold = -folds; fold <= folds; fold++)
        {
            var offset = folded + (fold * (double)Span);
            if (Math.Abs(offset) <= settings.LargestOffsetPicoseconds + Span)
            {
                var count = Differences(a, b, origin, offset + settings.CoarseBinPicoseconds, best.Deviation, 2 * settings.CoarseBinPicoseconds, null);
                right = count > right.Count ? (offset, count) : right;
            }
        }

        return (right.Offset + settings.CoarseBinPicoseconds, best.Deviation, Math.Max(chance, double.Epsilon));
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
