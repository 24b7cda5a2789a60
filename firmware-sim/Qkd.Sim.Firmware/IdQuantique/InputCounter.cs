namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>How an input's counter runs.</summary>
internal enum CounterMode
{
    /// <summary>The answer is the count of the last whole integration time.</summary>
    Cycle,

    /// <summary>The answer is everything since the last reset.</summary>
    Accumulate,
}

/// <summary>The pulse counter of one input. Its integration time runs in device time, to the stretch in which the bench reports.</summary>
internal sealed class InputCounter
{
    private const long PicosecondsPerMillisecond = 1_000_000_000;

    private long _running;
    private long _latched;
    private long _cycleEnd = long.MinValue;

    public CounterMode Mode { get; set; }

    /// <summary>Integration time in milliseconds.</summary>
    public long IntegrationMilliseconds
    {
        get;
        set
        {
            field = value;
            Reset();
        }
    } = 1000;

    public long Reading => Mode == CounterMode.Cycle ? _latched : _running;

    public void Reset() => (_running, _latched, _cycleEnd) = (0, 0, long.MinValue);

    /// <summary>Takes the pulses of a stretch that ended at a device time.</summary>
    public void Advance(long pulses, long now)
    {
        var cycle = IntegrationMilliseconds * PicosecondsPerMillisecond;
        if (_cycleEnd == long.MinValue)
        {
            _cycleEnd = now + cycle;
        }

        _running += pulses;
        if (Mode == CounterMode.Cycle && now >= _cycleEnd)
        {
            (_latched, _running) = (_running, 0);
            _cycleEnd += ((now - _cycleEnd) / cycle * cycle) + cycle;
        }
    }
}
