namespace Qkd.Sim.Optics;

/// <summary>A candidate for a click: when, and the slot and kind of light that it comes from (<c>slot &lt;&lt; 8 | resent &lt;&lt; 4 | symbol</c>).</summary>
internal readonly record struct Candidate(long Picoseconds, long Origin)
{
    public long Slot => Origin >> 8;
}

/// <summary>
/// One detector: merges light, dark counts and afterpulses in the order of time and lets through what does not fall in its dead time.
/// Its noise is drawn in that order from streams of its own, so it does not depend on how time is cut.
/// </summary>
internal sealed class DetectorChannel
{
    private const long Never = long.MaxValue;

    private readonly int _index;
    private readonly DetectorSettings _settings;
    private readonly double _picosecondsPerDarkCount;
    private readonly double _clicksPerAfterpulse;
    private readonly bool _mayOverlap;
    private CounterRandom _darkCounts;
    private CounterRandom _afterpulses;
    private Candidate[] _held = new Candidate[64];
    private int _heldCount;
    private Candidate[] _joined = [];
    private long _readyAt = long.MinValue;
    private long _lastSlot = -1;
    private long _nextDarkCount = Never;
    private long _clicksToAfterpulse = Never;
    private long[] _pendingAfterpulses = new long[8];
    private int _pendingCount;

    public DetectorChannel(int index, DetectorSettings settings, ulong seed, bool mayOverlap)
    {
        _index = index;
        _settings = settings;
        _mayOverlap = mayOverlap;
        _darkCounts = CounterRandom.At(CounterRandom.Key(seed, Stream.DarkCounts, (ulong)index), 0);
        _afterpulses = CounterRandom.At(CounterRandom.Key(seed, Stream.Afterpulses, (ulong)index), 0);
        _picosecondsPerDarkCount = settings.DarkCountsPerSecond > 0 ? 1e12 / settings.DarkCountsPerSecond : 0;
        if (settings.AfterpulseProbability > 0)
        {
            _clicksPerAfterpulse = -1 / Math.Log(1 - settings.AfterpulseProbability);
            DrawClicksToAfterpulse();
        }
    }

    /// <summary>Begins dark counts.</summary>
    public void Start(long picoseconds)
    {
        if (_picosecondsPerDarkCount > 0)
        {
            _nextDarkCount = picoseconds;
            DrawDarkCount();
        }
    }

    /// <summary>A new run of slots, whose numbers may come again.</summary>
    public void BeginRun() => _lastSlot = -1;

    /// <summary>
    /// Settles everything before a time: light is taken in the order of time together with dark counts and afterpulses, and what falls
    /// in no dead time is a click.
    /// </summary>
    /// <param name="light">
    /// New candidates, ascending unless they may overlap, with one more place behind them that is written to.
    /// </param>
    /// <param name="horizon">Bench time before which no further candidate can follow.</param>
    /// <param name="enabled">Whether the detector is biased.</param>
    /// <param name="clicks">Receives the clicks.</param>
    /// <param name="truth">Is told of each.</param>
    /// <param name="slots">The slots for what clicks between pulses.</param>
    public void Settle(Span<Candidate> light, long horizon, bool enabled, ClickBuffer clicks, GroundTruth truth, in SlotLookup slots)
    {
        if (_heldCount > 0)
        {
            light = Join(light);
        }

        var count = light.Length - 1;
        if (_mayOverlap)
        {
            count = Distinct(light[..count]);
            Sort(light[..count]);
        }

        light[count] = new(Never, 0);
        var output = clicks.Reserve(_index, count);
        var used = 0;
        var deadTime = _settings.DeadTimePicoseconds;
        var readyAt = _readyAt;
        var clicksToAfterpulse = _clicksToAfterpulse;
        var noise = NextNoise();
        var lastSlot = _lastSlot;
        var i = 0;
        while (true)
        {
            var candidate = light[i];
            var time = candidate.Picoseconds;
            if (time <= noise)
            {
                if (time >= horizon)
                {
                    break;
                }

                i++;
                if (candidate.Slot == lastSlot || !enabled)
                {
                    continue;   // a pulse clicks once, however many photoelectrons it brings forth
                }

                lastSlot = candidate.Slot;

                var lost = time < readyAt;
                truth.Light(_index, candidate, lost);
                if (lost)
                {
                    continue;
                }
            }
            else
            {
                if (noise >= horizon)
                {
                    break;
                }

                time = noise;
                var cause = TakeNoise();
                noise = NextNoise();
                if (!enabled || time < readyAt)
                {
                    continue;
                }

                truth.Noise(_index, time, cause, slots);
            }

            if (used == output.Length)
            {
                clicks.Advance(_index, used);
                output = clicks.Reserve(_index, count - i + 64);
                used = 0;
            }

            output[used++] = time;
            readyAt = time + deadTime;
            if (--clicksToAfterpulse == 0)
            {
                DrawClicksToAfterpulse();
                clicksToAfterpulse = _clicksToAfterpulse;
                DrawAfterpulse(readyAt);
                noise = NextNoise();
            }
        }

        clicks.Advance(_index, used);
        Hold(light[i..count]);
        _readyAt = readyAt;
        _lastSlot = lastSlot;
        _clicksToAfterpulse = clicksToAfterpulse;
    }

    /// <summary>Keeps what lies beyond the horizon for the next time.</summary>
    private void Hold(ReadOnlySpan<Candidate> rest)
    {
        if (rest.Length > _held.Length)
        {
            Array.Resize(ref _held, 2 * rest.Length);
        }

        rest.CopyTo(_held);
        _heldCount = rest.Length;
    }

    /// <summary>What was held, then the new light, then the place behind it.</summary>
    private Span<Candidate> Join(ReadOnlySpan<Candidate> light)
    {
        if (_heldCount + light.Length > _joined.Length)
        {
            _joined = new Candidate[2 * (_heldCount + light.Length)];
        }

        _held.AsSpan(0, _heldCount).CopyTo(_joined);
        light.CopyTo(_joined.AsSpan(_heldCount));
        return _joined.AsSpan(0, _heldCount + light.Length);
    }

    private long NextNoise() => Math.Min(_nextDarkCount, _pendingCount == 0 ? Never : _pendingAfterpulses[0]);

    private ClickCause TakeNoise()
    {
        if (_pendingCount > 0 && _pendingAfterpulses[0] <= _nextDarkCount)
        {
            _pendingCount--;
            Array.Copy(_pendingAfterpulses, 1, _pendingAfterpulses, 0, _pendingCount);
            return ClickCause.Afterpulse;
        }

        DrawDarkCount();
        return ClickCause.Dark;
    }

    private void DrawDarkCount() =>
        _nextDarkCount += 1 + (long)(Exponential.Next(ref _darkCounts) * _picosecondsPerDarkCount);

    /// <summary>How many clicks until one leaves an afterpulse: geometric, as the floor of an exponential is.</summary>
    private void DrawClicksToAfterpulse() =>
        _clicksToAfterpulse = 1 + (long)(Exponential.Next(ref _afterpulses) * _clicksPerAfterpulse);

    private void DrawAfterpulse(long readyAt)
    {
        var due = readyAt + (long)(Exponential.Next(ref _afterpulses) * _settings.AfterpulseDecayPicoseconds);
        if (_pendingCount == _pendingAfterpulses.Length)
        {
            Array.Resize(ref _pendingAfterpulses, 2 * _pendingCount);
        }

        var place = _pendingCount++;
        for (; place > 0 && _pendingAfterpulses[place - 1] > due; place--)
        {
            _pendingAfterpulses[place] = _pendingAfterpulses[place - 1];
        }

        _pendingAfterpulses[place] = due;
    }

    /// <summary>Leaves one candidate a pulse, the first drawn, while those of a pulse still stand together; returns how many are left.</summary>
    private static int Distinct(Span<Candidate> light)
    {
        var kept = 0;
        foreach (var candidate in light)
        {
            if (kept == 0 || candidate.Slot != light[kept - 1].Slot)
            {
                light[kept++] = candidate;
            }
        }

        return kept;
    }

    /// <summary>Puts the queue in the order of time where jitter reaches into the neighbouring slot; it is nearly so already.</summary>
    private static void Sort(Span<Candidate> light)
    {
        for (var i = 1; i < light.Length; i++)
        {
            var candidate = light[i];
            var place = i;
            for (; place > 0 && light[place - 1].Picoseconds > candidate.Picoseconds; place--)
            {
                light[place] = light[place - 1];
            }

            light[place] = candidate;
        }
    }
}
