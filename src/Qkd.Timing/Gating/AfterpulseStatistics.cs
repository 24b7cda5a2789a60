using System.Numerics;

namespace Qkd.Timing.Gating;

/// <summary>
/// How often a detector clicks again soon after a click, counted live: afterpulses are what exceeds the level that is reached later. Counting costs a few
/// additions a click.
/// </summary>
/// <remarks>
/// h(k) is the share of clicks that are followed by the detector's next click k slots later among those not followed sooner (the hazard of the waiting
/// time). Light and dark counts give the same h at every k; the level of the last five eighths of <see cref="LongestSlots"/> is theirs. From the first k
/// on at which the detector is alive again the sum of h(k) less this level is the mean number of afterpulses a click, which for small numbers is
/// their probability.
/// </remarks>
public sealed class AfterpulseStatistics
{
    /// <summary>Longest wait that is told apart, in slots.</summary>
    public const int LongestSlots = 128;

    private readonly long[] _waits;
    private readonly long[] _last;
    private readonly int _detectors;

    /// <summary>Creates empty statistics.</summary>
    /// <param name="detectors">Detectors, 1 to 4.</param>
    public AfterpulseStatistics(int detectors)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(detectors, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(detectors, 4);
        _detectors = detectors;

        // Wait 0 takes everything longer than the longest.
        _waits = new long[detectors * (LongestSlots + 1)];
        _last = new long[detectors];
        Interrupt();
    }

    /// <summary>Clicks between which nothing was recorded do not follow each other: the next one has no predecessor.</summary>
    public void Interrupt() => _last.AsSpan().Fill(long.MinValue / 2);

    /// <summary>Takes the clicks of one slot; slots ascend.</summary>
    /// <param name="slot">The slot.</param>
    /// <param name="detectors">Bit d is set if detector d clicked.</param>
    public void Add(long slot, int detectors)
    {
        for (var rest = (uint)detectors & ((1U << _detectors) - 1); rest != 0; rest &= rest - 1)
        {
            var detector = BitOperations.TrailingZeroCount(rest);
            var wait = slot - _last[detector];
            _last[detector] = slot;
            if (wait < long.MaxValue / 4)
            {
                _waits[(detector * (LongestSlots + 1)) + (wait > LongestSlots ? 0 : (int)wait)]++;
            }
        }
    }

    /// <summary>Share of the clicks of a detector that are followed by its next one so many slots later, among those not followed sooner.</summary>
    public double Hazard(int detector, int slots)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slots, LongestSlots);
        var waits = Of(detector);
        var alive = Total(waits);
        for (var k = 1; k < slots; k++)
        {
            alive -= waits[k];
        }

        return alive > 0 ? (double)waits[slots] / alive : 0;
    }

    /// <summary>Afterpulses a click within three eighths of <see cref="LongestSlots"/> slots, and the standard error; null before a thousand clicks.</summary>
    public (double Probability, double Error)? Afterpulses(int detector)
    {
        var waits = Of(detector);
        var alive = Total(waits);
        if (alive < 1000)
        {
            return null;
        }

        Span<double> hazard = stackalloc double[LongestSlots + 1];
        Span<double> variance = stackalloc double[LongestSlots + 1];
        for (var k = 1; k <= LongestSlots && alive > 0; k++)
        {
            hazard[k] = (double)waits[k] / alive;
            variance[k] = Math.Max(1, waits[k]) / ((double)alive * alive);
            alive -= waits[k];
        }

        const int far = LongestSlots * 3 / 8;
        double level = 0, levelVariance = 0;
        for (var k = far + 1; k <= LongestSlots; k++)
        {
            level += hazard[k] / (LongestSlots - far);
            levelVariance += variance[k] / Math.Pow(LongestSlots - far, 2);
        }

        var first = 1;
        while (first < far && hazard[first] < level / 2)
        {
            first++;
        }

        double sum = 0, sumVariance = levelVariance * Math.Pow(far + 1 - first, 2);
        for (var k = first; k <= far; k++)
        {
            sum += hazard[k] - level;
            sumVariance += variance[k];
        }

        return (sum, Math.Sqrt(sumVariance));
    }

    private ReadOnlySpan<long> Of(int detector) => _waits.AsSpan(detector * (LongestSlots + 1), LongestSlots + 1);

    private static long Total(ReadOnlySpan<long> waits)
    {
        long total = 0;
        foreach (var count in waits)
        {
            total += count;
        }

        return total;
    }
}
