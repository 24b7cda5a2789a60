namespace Qkd.Timing.Correlation;

/// <summary>Classic start-stop: the time from each start to the first stop after it. A start without a stop before the next start is started anew.</summary>
public sealed class StartStopHistogram
{
    private readonly int _startChannel;
    private readonly int _stopChannel;
    private readonly long _bin;
    private readonly long[] _counts;
    private long? _started;

    /// <summary>Creates an empty histogram.</summary>
    /// <param name="startChannel">Channel of the starts.</param>
    /// <param name="stopChannel">Channel of the stops; the same for the times between neighbours.</param>
    /// <param name="binPicoseconds">Width of a bin, 1 or more.</param>
    /// <param name="bins">Bins, 1 to 10^7.</param>
    public StartStopHistogram(int startChannel, int stopChannel, long binPicoseconds, int bins)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(binPicoseconds, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bins, 10_000_000);
        (_startChannel, _stopChannel, _bin, _counts) = (startChannel, stopChannel, binPicoseconds, new long[bins]);
    }

    /// <summary>Counts by time after the start.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Starts.</summary>
    public long Starts { get; private set; }

    /// <summary>Stops that were later than the last bin.</summary>
    public long Later { get; private set; }

    /// <summary>Takes the next tags, ascending.</summary>
    public void Add(ReadOnlySpan<long> picoseconds, ReadOnlySpan<byte> channels)
    {
        for (var i = 0; i < picoseconds.Length; i++)
        {
            if (channels[i] == _stopChannel && _started is { } start)
            {
                var bin = (picoseconds[i] - start) / _bin;
                if (bin < _counts.Length)
                {
                    _counts[bin]++;
                }
                else
                {
                    Later++;
                }

                _started = null;
            }

            if (channels[i] == _startChannel)
            {
                Starts++;
                _started = picoseconds[i];
            }
        }
    }
}

/// <summary>Histogram of the delays after the sync pulse that T3 streams carry, for one channel: a lifetime, or an instrument's response.</summary>
public sealed class LifetimeHistogram
{
    private readonly int _channel;
    private readonly int _ticks;
    private readonly long[] _counts;

    /// <summary>Creates an empty histogram.</summary>
    /// <param name="channel">The channel; -1 for all detectors.</param>
    /// <param name="bins">Bins, 1 to 10^7.</param>
    /// <param name="ticksPerBin">Ticks of the delay a bin, 1 or more.</param>
    public LifetimeHistogram(int channel, int bins, int ticksPerBin = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bins, 10_000_000);
        ArgumentOutOfRangeException.ThrowIfLessThan(ticksPerBin, 1);
        (_channel, _ticks, _counts) = (channel, ticksPerBin, new long[bins]);
    }

    /// <summary>Counts by delay.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Photons whose delay is beyond the last bin.</summary>
    public long Later { get; private set; }

    /// <summary>Takes the next events of a T3 stream.</summary>
    public void Add(TagBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        var (channels, delays) = (buffer.AllChannels, buffer.AllDelays);
        for (var i = 0; i < buffer.Count; i++)
        {
            if (channels[i] != _channel && (_channel >= 0 || channels[i] == TagBuffer.SyncChannel || TagBuffer.IsMarker(channels[i])))
            {
                continue;
            }

            var bin = delays[i] / (uint)_ticks;
            if (bin < (uint)_counts.Length)
            {
                _counts[bin]++;
            }
            else
            {
                Later++;
            }
        }
    }
}
