namespace Qkd.Timing.Correlation;

/// <summary>The times of buffers in picoseconds, whatever their ticks. What correlates wants one unit.</summary>
public sealed class TagTimes
{
    private readonly TagStreamInfo _info;
    private long[] _times = [];

    /// <summary>Creates a converter.</summary>
    /// <param name="info">The stream that the buffers come from.</param>
    /// <exception cref="ArgumentException">The stream does not tell how long its ticks are.</exception>
    public TagTimes(TagStreamInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        _info = info.TickPicoseconds > 0
            ? info
            : throw new ArgumentException("The file does not say how far its reference edges are apart: the reference period is needed to tell times.", nameof(info));
    }

    /// <summary>Times in picoseconds since the start of the stream, rounded; valid until the next call.</summary>
    public ReadOnlySpan<long> Of(TagBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if (_info is { TickPicoseconds: 1, HasDelays: false })
        {
            return buffer.Times;
        }

        _times = _times.Length >= buffer.Count ? _times : new long[buffer.Capacity];
        var (times, delays) = (buffer.AllTimes, buffer.AllDelays);
        for (var i = 0; i < buffer.Count; i++)
        {
            _times[i] = (long)Math.Round(_info.Picoseconds(times[i], delays[i]));
        }

        return _times.AsSpan(0, buffer.Count);
    }
}
