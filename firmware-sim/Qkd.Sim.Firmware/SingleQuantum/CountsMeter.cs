namespace Qkd.Sim.Firmware.SingleQuantum;

/// <summary>
/// Adds up counts and closes measurement periods at their times. Counts come with the time up to which the world has got, so that a
/// period is exact however late anybody looks. Not thread-safe.
/// </summary>
internal sealed class CountsMeter(int detectors)
{
    private readonly long[] _counts = new long[detectors];

    /// <summary>Length of a period in seconds.</summary>
    public double PeriodSeconds { get; private set; } = 0.1;

    /// <summary>When the period ends.</summary>
    public double End { get; private set; }

    /// <summary>Begins a new period now, of another length.</summary>
    public void Restart(double now, double seconds)
    {
        PeriodSeconds = seconds;
        End = now + seconds;
        Array.Clear(_counts);
    }

    /// <summary>Adds counts to the present period.</summary>
    public void Add(int detector, long counts) => _counts[detector] += counts;

    /// <summary>Closes the period if it has ended; after a pause only one is given, with all its counts.</summary>
    public bool TryClose(double now, out long[] counts)
    {
        if (now < End)
        {
            counts = [];
            return false;
        }

        counts = [.. _counts];
        Array.Clear(_counts);
        End += Math.Floor(1 + ((now - End) / PeriodSeconds)) * PeriodSeconds;
        return true;
    }
}
