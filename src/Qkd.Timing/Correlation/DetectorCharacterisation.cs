namespace Qkd.Timing.Correlation;

/// <summary>A figure and its standard error.</summary>
/// <param name="Value">The figure.</param>
/// <param name="Error">One standard deviation.</param>
public readonly record struct Measured(double Value, double Error);

/// <summary>What the tags of one detector tell of it.</summary>
/// <param name="Tags">Tags.</param>
/// <param name="Seconds">Time from the first to the last of them.</param>
/// <param name="CountRateHertz">Tags a second.</param>
/// <param name="DeadTimePicoseconds">Wait after a click at which the detector is alive again, and half the width of a bin; null if no two tags are close enough to tell.</param>
/// <param name="RateHertz">Clicks a second of what is independent of earlier clicks, while the detector is alive: in the dark, the dark count rate.</param>
/// <param name="AfterpulseProbability">Afterpulses a click; null if there are too few tags.</param>
/// <param name="AfterpulseDelayPicoseconds">Their mean delay after the dead time; null if no afterpulses stand out.</param>
public sealed record DetectorFigures(
    long Tags, double Seconds, double CountRateHertz, Measured? DeadTimePicoseconds, Measured RateHertz, Measured? AfterpulseProbability, double? AfterpulseDelayPicoseconds);

/// <summary>
/// Measures a detector from its own tags under steady light or in the dark: dead time, afterpulsing, and the rate without either, all from how long the next click is
/// waited for. Streaming.
/// </summary>
/// <remarks>
/// The hazard h(t) is the share of those waits that last to t which end within the bin at t. Clicks independent of each other end waits with the same h at all t;
/// before the dead time is over there are none, and afterpulses add to h shortly after it. The level of the last half of the range is the independent
/// rate. Where h first reaches half of this level the detector is alive; the sum of h less the level from there on is the number of afterpulses a click. (The waiting
/// time method, e.g. Humer et al., J. Lightwave Technol. 33 (2015) 3098; the hazard in place of the density needs no correction for bright light.)
/// </remarks>
public sealed class DetectorCharacterisation
{
    private const int FewestTags = 200;

    private readonly int _channel;
    private readonly long _bin;
    private readonly long[] _waits;
    private long? _first;
    private long _last;
    private long _shortest = long.MaxValue;

    /// <summary>Creates a measurement.</summary>
    /// <param name="channel">The detector's channel.</param>
    /// <param name="binPicoseconds">Width of a bin, 1 or more: how exactly the dead time is told.</param>
    /// <param name="rangePicoseconds">Longest wait that is looked at: twice as long as afterpulses last at least.</param>
    public DetectorCharacterisation(int channel, long binPicoseconds = 1000, long rangePicoseconds = 4_000_000)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(binPicoseconds, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rangePicoseconds / binPicoseconds, 8, nameof(rangePicoseconds));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rangePicoseconds / binPicoseconds, 10_000_000, nameof(rangePicoseconds));
        (_channel, _bin, _waits) = (channel, binPicoseconds, new long[(int)(rangePicoseconds / binPicoseconds) + 1]);
    }

    /// <summary>Tags.</summary>
    public long Tags { get; private set; }

    /// <summary>Shortest wait of all, in picoseconds; null before two tags.</summary>
    public long? ShortestPicoseconds => _shortest == long.MaxValue ? null : _shortest;

    /// <summary>Takes the next tags, ascending.</summary>
    public void Add(ReadOnlySpan<long> picoseconds, ReadOnlySpan<byte> channels)
    {
        var beyond = _waits.Length - 1;
        for (var i = 0; i < picoseconds.Length; i++)
        {
            if (channels[i] != _channel)
            {
                continue;
            }

            var time = picoseconds[i];
            if (Tags++ == 0)
            {
                _first = time;
            }
            else
            {
                var wait = time - _last;
                _shortest = Math.Min(_shortest, wait);
                _waits[Math.Min(wait / _bin, beyond)]++;
            }

            _last = time;
        }
    }

    /// <summary>What the tags tell so far.</summary>
    public DetectorFigures Figures()
    {
        var seconds = _first is { } first ? (_last - first) * 1e-12 : 0;
        var counted = seconds > 0 ? (Tags - 1) / seconds : 0;
        if (Tags < FewestTags)
        {
            return new(Tags, seconds, counted, null, new(counted, Math.Sqrt(Math.Max(1, Tags)) / Math.Max(seconds, 1e-12)), null, null);
        }

        var (hazard, variance) = Hazard();
        var bins = hazard.Length;
        var far = bins / 2;
        var ended = 0L;
        double exposure = 0;
        var alive = Tags - 1;
        for (var k = 0; k < bins; k++)
        {
            if (k >= far)
            {
                ended += _waits[k];
                exposure += alive - (_waits[k] / 2.0);
            }

            alive -= _waits[k];
        }

        // All that waits beyond the range is independent too: they last longer by 1/rate in the mean, which is what makes them count.
        var level = Independent(ended, exposure, alive, seconds, out var levelError);
        var aliveFrom = 0;
        while (aliveFrom < far && hazard[aliveFrom] < level / 2)
        {
            aliveFrom++;
        }

        var anyClose = _waits.AsSpan(0, far).ContainsAnyInRange(1L, long.MaxValue);
        Measured? dead = anyClose && aliveFrom < far ? new((aliveFrom + 0.5) * _bin, _bin / 2.0) : null;
        double excess = 0, excessVariance = Math.Pow(levelError * (far - aliveFrom), 2), noise = 0, moment = 0;
        (double Sigmas, int Bins, double Mean) clearest = default;
        for (var k = aliveFrom; k < far; k++)
        {
            excess += hazard[k] - level;
            excessVariance += variance[k];
            noise += variance[k];
            moment += (hazard[k] - level) * (k - aliveFrom + 0.5);
            if (excess / Math.Sqrt(noise) > clearest.Sigmas)
            {
                clearest = (excess / Math.Sqrt(noise), k + 1 - aliveFrom, moment / excess);
            }
        }

        var error = Math.Sqrt(excessVariance);
        return new(
            Tags,
            seconds,
            counted,
            dead,
            new(level / (_bin * 1e-12), levelError / (_bin * 1e-12)),
            new(excess, error),
            excess > 5 * error ? Untruncated(clearest.Mean, clearest.Bins) * _bin : null);
    }

    /// <summary>
    /// Mean of an exponential distribution of which only what lies below a limit was seen, from the mean of that, m = τ - L / (exp(L/τ) - 1): where the background is bright,
    /// the tail says nothing.
    /// </summary>
    private static double Untruncated(double seen, double limit)
    {
        double low = seen, high = 50 * limit;
        for (var step = 0; step < 60; step++)
        {
            var middle = (low + high) / 2;
            (low, high) = middle - (limit / (Math.Exp(Math.Min(limit / middle, 700)) - 1)) < seen ? (middle, high) : (low, middle);
        }

        return low;
    }

    private (double[] Hazard, double[] Variance) Hazard()
    {
        var bins = _waits.Length - 1;
        var (hazard, variance) = (new double[bins], new double[bins]);
        double alive = Tags - 1;
        for (var k = 0; k < bins && alive > 0; k++)
        {
            hazard[k] = _waits[k] / alive;
            variance[k] = Math.Max(1, _waits[k]) / (alive * alive);
            alive -= _waits[k];
        }

        return (hazard, variance);
    }

    /// <summary>The independent rate a bin: what ended in the far half of the range and beyond it, over the time that was waited there.</summary>
    private double Independent(long ended, double exposure, long beyond, double seconds, out double error)
    {
        // Time waited beyond the range: the whole time less what was waited within it.
        double within = 0, alive = Tags - 1;
        for (var k = 0; k < _waits.Length - 1; k++)
        {
            within += alive - (_waits[k] / 2.0);
            alive -= _waits[k];
        }

        var waited = exposure + Math.Max(0, (seconds * 1e12 / _bin) - within);
        var events = ended + beyond;
        error = Math.Sqrt(Math.Max(1, events)) / Math.Max(1, waited);
        return events / Math.Max(1, waited);
    }
}
