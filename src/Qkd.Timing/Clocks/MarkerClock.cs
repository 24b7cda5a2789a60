namespace Qkd.Timing.Clocks;

/// <summary>
/// Recovers the sender's clock from its marker, an edge every so many slots, on an instrument with absolute times. Markers that are missing, and edges that
/// are none, are told by their place and counted; neither disturbs the numbering.
/// </summary>
public sealed class MarkerClock
{
    /// <summary>Edges that must follow each other at the right distance before the clock is believed.</summary>
    private const int EdgesToStart = 12;

    private readonly SignalClockSettings _settings;
    private readonly int _divisor;
    private readonly double _interval;
    private readonly List<long> _first = [];
    private ClockTracker? _tracker;
    private long _lastMarker = -1;

    /// <summary>Creates a clock that has seen no marker.</summary>
    /// <param name="slotPeriodPicoseconds">Nominal length of a slot in picoseconds.</param>
    /// <param name="markerDivisor">Slots from marker to marker, 1 or more.</param>
    /// <param name="largestDeviationPpm">How far the clocks' frequencies may differ, in parts per million.</param>
    /// <exception cref="ArgumentException">Markers would come more often than every 50 ps or more seldom than every millisecond, or the deviation makes no sense.</exception>
    public MarkerClock(double slotPeriodPicoseconds, int markerDivisor, double largestDeviationPpm = 55)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(markerDivisor, 1);
        _divisor = markerDivisor;
        _interval = slotPeriodPicoseconds * markerDivisor;
        _settings = new SignalClockSettings { SlotPeriodPicoseconds = _interval, Detectors = 1, LargestDeviationPpm = largestDeviationPpm };
        _settings.Validate();
    }

    /// <summary>
    /// Where slots lie, counted so that the first marker taken is slot 0; null before the clock is believed. Where the marker was away for so long that it was lost, counting begins
    /// anew: see <see cref="Losses"/>.
    /// </summary>
    public SlotClock? Clock => _tracker?.Clock.Subdivided(_divisor);

    /// <summary>Markers taken.</summary>
    public long Markers { get; private set; }

    /// <summary>Markers that should have been there.</summary>
    public long Missing { get; private set; }

    /// <summary>Edges that were no markers.</summary>
    public long Extra { get; private set; }

    /// <summary>How often the marker was lost.</summary>
    public int Losses { get; private set; }

    /// <summary>Jitter of the markers about the clock, one standard deviation over the last thousand or two, in picoseconds.</summary>
    public double JitterPicoseconds => (_tracker?.JitterSlots ?? 0) * _interval;

    /// <summary>Takes the next edges of the marker's channel, in picoseconds, ascending.</summary>
    public void Add(ReadOnlySpan<long> edges)
    {
        Span<byte> nobody = stackalloc byte[64];
        nobody.Clear();
        while (edges.Length > 0)
        {
            if (_tracker is null)
            {
                Start(edges[0]);
                edges = edges[1..];
                continue;
            }

            var some = edges[..Math.Min(edges.Length, nobody.Length)];
            _tracker.Step(some, nobody[..some.Length]);
            Number(some);
            edges = edges[some.Length..];
            if (_tracker.IsLost)
            {
                (_tracker, _lastMarker, Losses) = (null, -1, Losses + 1);
                _first.Clear();
            }
        }
    }

    /// <summary>Gathers edges until enough of them lie where markers must.</summary>
    private void Start(long edge)
    {
        var tolerance = 2 * _settings.LargestDeviationPpm * 1e-6;
        if (_first.Count > 0)
        {
            var intervals = (edge - _first[^1]) / _interval;
            if (intervals > 0.5 && Math.Abs(intervals - Math.Round(intervals)) > tolerance * Math.Max(1, intervals) + 0.002)
            {
                // Either this edge or the one before is no marker: the later one is as good a start.
                Extra += _first.Count;
                _first.Clear();
            }
            else if (intervals <= 0.5)
            {
                Extra++;
                return;
            }
        }

        _first.Add(edge);
        if (_first.Count < EdgesToStart)
        {
            return;
        }

        // Least squares of time against number; the middle is the pivot.
        var numbers = _first.Select(time => Math.Round((time - _first[0]) / _interval)).ToArray();
        var (meanNumber, meanTime) = (numbers.Average(), _first.Average(time => (double)(time - _first[0])));
        double across = 0, along = 0;
        for (var i = 0; i < numbers.Length; i++)
        {
            along += (numbers[i] - meanNumber) * (numbers[i] - meanNumber);
            across += (numbers[i] - meanNumber) * (_first[i] - _first[0] - meanTime);
        }

        var period = across / along;
        var middle = _first[0] + (long)Math.Round(meanTime);
        var whole = (long)Math.Floor(meanNumber);
        var clock = new SlotClock(middle, whole, meanNumber - whole, 1 / period, 0);
        _tracker = new ClockTracker(_settings, new(clock, [0], 0.01 / (_first[^1] - _first[0]), 0));
        Missing += (long)numbers[^1] + 1 - numbers.Length;
        Markers += numbers.Length;
        _lastMarker = (long)numbers[^1];
    }

    private void Number(ReadOnlySpan<long> edges)
    {
        var clock = _tracker!.Clock;
        foreach (var edge in edges)
        {
            var (marker, late) = clock.At(edge);
            if (Math.Abs(late) > _tracker.Window || marker <= _lastMarker)
            {
                Extra++;
                continue;
            }

            Missing += marker - _lastMarker - 1;
            Markers++;
            _lastMarker = marker;
        }
    }
}
