namespace Qkd.Timing.Gating;

/// <summary>
/// When clicks come within a slot, a histogram for each detector, live: bins of equal width from half a slot before the slot's centre to half a slot
/// after it. Counting costs an addition a click; a snapshot may be taken from any thread and is then at most a few clicks off. Where a count would outgrow 32 bits, all
/// are halved: the shape stays, and what is older weighs less.
/// </summary>
public sealed class ArrivalHistogram
{
    private readonly uint[] _counts;

    /// <summary>Creates empty histograms.</summary>
    /// <param name="detectors">Detectors, 1 to 64.</param>
    /// <param name="bins">Bins a slot, 16 to 65536.</param>
    public ArrivalHistogram(int detectors, int bins = 512)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(detectors, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(detectors, 64);
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 16);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bins, 65_536);
        (Detectors, Bins) = (detectors, bins);

        // One more row takes the clicks of channels that are no detectors, so that nobody has to ask.
        _counts = new uint[(detectors + 1) * bins];
    }

    /// <summary>Detectors.</summary>
    public int Detectors { get; }

    /// <summary>Bins a slot.</summary>
    public int Bins { get; }

    /// <summary>Counts of a detector, early to late.</summary>
    public ReadOnlySpan<uint> this[int detector]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(detector);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(detector, Detectors);
            return _counts.AsSpan(detector * Bins, Bins);
        }
    }

    /// <summary>All rows in turn, with the one for nobody's clicks last.</summary>
    internal Span<uint> Cells => _counts;

    /// <summary>Halves all counts if one has become large. Between pieces of work that count less than 2^31 clicks.</summary>
    internal void Settle()
    {
        if (_counts.AsSpan().ContainsAnyInRange(1U << 31, uint.MaxValue))
        {
            for (var cell = 0; cell < _counts.Length; cell++)
            {
                _counts[cell] >>= 1;
            }
        }
    }

    /// <summary>Starts anew.</summary>
    public void Clear() => Array.Clear(_counts);

    /// <summary>The bin of a click that is late by so many slots, -½ to ½.</summary>
    public int BinOf(double late) => Math.Clamp((int)((late + 0.5) * Bins), 0, Bins - 1);

    /// <summary>Counts a click that is late by so many slots, -½ to ½.</summary>
    public void Count(int detector, double late)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(detector);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(detector, Detectors);
        _counts[(detector * Bins) + BinOf(late)]++;
    }

    /// <summary>Where a detector's light lies, once there is enough to tell: about its highest bin, background taken off.</summary>
    /// <param name="detector">The detector.</param>
    /// <returns>The peak; null if it does not stand out of the background by five standard deviations.</returns>
    public ArrivalPeak? Peak(int detector)
    {
        var counts = this[detector];
        var top = 0;
        long total = 0;
        for (var bin = 0; bin < counts.Length; bin++)
        {
            top = counts[bin] > counts[top] ? bin : top;
            total += counts[bin];
        }

        if (total == 0)
        {
            return null;
        }

        // The half of the slot that is furthest from the peak holds background alone.
        var quarter = Bins / 4;
        long far = 0;
        for (var step = quarter; step < quarter + (Bins / 2); step++)
        {
            far += counts[(top + step) % Bins];
        }

        var background = 2.0 * far / Bins;
        double light = 0, mean = 0, squares = 0;
        for (var step = -quarter; step < quarter; step++)
        {
            var net = counts[(top + step + Bins) % Bins] - background;
            light += net;
            mean += net * step;
            squares += net * step * step;
        }

        if (!(light > 5 * Math.Sqrt(total)))
        {
            return null;
        }

        mean /= light;
        var variance = Math.Max((squares / light) - (mean * mean), 1.0 / 12);
        var centre = ((top + mean + 0.5) / Bins) - 0.5;
        return new(
            centre - Math.Round(centre),
            Math.Sqrt(variance) / Bins,
            Math.Sqrt(((variance * light) + (background * Bins * Bins * Bins / 96.0)) / (light * light)) / Bins,
            (long)Math.Round(light),
            background * Bins / total);
    }
}

/// <summary>Where one detector's light arrives within a slot.</summary>
/// <param name="CentreSlots">Mean, in slots after the slot's centre, -½ to ½.</param>
/// <param name="WidthSlots">Standard deviation, in slots, the pulse and the jitter of detector and tagger together.</param>
/// <param name="CentreErrorSlots">Standard error of the mean, in slots.</param>
/// <param name="Light">Clicks of light.</param>
/// <param name="BackgroundShare">Share of all clicks that are not.</param>
public readonly record struct ArrivalPeak(double CentreSlots, double WidthSlots, double CentreErrorSlots, long Light, double BackgroundShare);
