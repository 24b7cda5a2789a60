namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The pulses on one input that have arrived but not yet been looked at, in device time with the input's delay added, ascending.
/// Delayed pulses may wait here for up to the longest delay.
/// </summary>
internal sealed class InputTrack
{
    private long[] _times = new long[256];
    private int _first;
    private int _end;
    private bool _unsorted;

    /// <summary>Whether the input is switched on; pulses on an input that is off leave no trace.</summary>
    public bool Enabled { get; set; }

    /// <summary>Added to each pulse's time, in picoseconds. Pulses that wait at a change are forgotten.</summary>
    public long Delay
    {
        get;
        set
        {
            if (field != value)
            {
                field = value;
                _first = _end = 0;
            }
        }
    }

    /// <summary>Pulses since the counter was read out.</summary>
    public long Counted { get; set; }

    /// <summary>Pulses that came earlier than the time already advanced to, and are lost.</summary>
    public long Late { get; private set; }

    /// <summary>The pulses waiting.</summary>
    public ReadOnlySpan<long> Waiting => _times.AsSpan(_first, _end - _first);

    /// <summary>Adds pulses at ascending bench times.</summary>
    public void Add(ReadOnlySpan<long> bench, DeviceClock clock)
    {
        Reserve(bench.Length);
        Counted += bench.Length;
        var times = _times.AsSpan(_end, bench.Length);
        var previous = _end > _first ? _times[_end - 1] : long.MinValue;
        for (var i = 0; i < times.Length;)
        {
            var segment = clock.SegmentAt(bench[i]);
            for (; i < times.Length && segment.Contains(bench[i]); i++)
            {
                var time = segment.ToDevice(bench[i]) + Delay;
                times[i] = time;
                _unsorted |= time < previous;
                previous = time;
            }
        }

        _end += bench.Length;
    }

    /// <summary>Adds a train of pulses at equal bench intervals.</summary>
    public void Add(long firstBench, long periodBench, int count, DeviceClock clock)
    {
        Reserve(count);
        Counted += count;
        var previous = _end > _first ? _times[_end - 1] : long.MinValue;
        for (var i = 0; i < count; i++)
        {
            var time = clock.ToDevice(firstBench + (i * periodBench)) + Delay;
            _times[_end++] = time;
            _unsorted |= time < previous;
            previous = time;
        }
    }

    /// <summary>Puts what was added in order and drops what is earlier than the given device time.</summary>
    public void Settle(long horizon)
    {
        if (_unsorted)
        {
            Array.Sort(_times, _first, _end - _first);
            _unsorted = false;
        }

        var late = CountBefore(horizon);
        Late += late;
        _first += late;
    }

    /// <summary>How many of the waiting pulses are earlier than a device time.</summary>
    public int CountBefore(long time)
    {
        // Mostly all or none of them: look at the ends before searching.
        var waiting = Waiting;
        if (waiting.IsEmpty || waiting[^1] < time)
        {
            return waiting.Length;
        }

        if (waiting[0] >= time)
        {
            return 0;
        }

        var (low, high) = (0, waiting.Length - 1);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            (low, high) = waiting[middle] < time ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    /// <summary>Forgets the pulses earlier than a device time.</summary>
    public void Consume(long before)
    {
        _first += CountBefore(before);
        if (_first == _end)
        {
            _first = _end = 0;
        }
    }

    private void Reserve(int count)
    {
        if (_end + count <= _times.Length)
        {
            return;
        }

        var waiting = _end - _first;
        var target = waiting + count <= _times.Length / 2 ? _times : new long[Math.Max(_times.Length * 2, waiting + count)];
        Array.Copy(_times, _first, target, 0, waiting);
        (_times, _first, _end) = (target, 0, waiting);
    }
}
