namespace Qkd.Timing.Correlation;

/// <summary>Counts of every channel in equal stretches of time. Streaming; memory grows with the stretches alone.</summary>
public sealed class CountRateTrace
{
    private const int MostBins = 10_000_000;

    private readonly long _bin;
    private readonly SortedDictionary<int, List<long>> _counts = [];
    private long? _start;
    private int _bins;

    /// <summary>Creates an empty trace.</summary>
    /// <param name="binPicoseconds">Length of a stretch, 1 or more.</param>
    public CountRateTrace(long binPicoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(binPicoseconds, 1);
        _bin = binPicoseconds;
    }

    /// <summary>Length of a stretch in seconds.</summary>
    public double BinSeconds => _bin * 1e-12;

    /// <summary>Stretches so far; the last one may not be over.</summary>
    public int Bins => _bins;

    /// <summary>Channels that had tags, ascending.</summary>
    public IReadOnlyCollection<int> Channels => _counts.Keys;

    /// <summary>Takes the next tags, ascending.</summary>
    /// <exception cref="ArgumentException">The stream is so long that it has more than 10^7 stretches.</exception>
    public void Add(ReadOnlySpan<long> picoseconds, ReadOnlySpan<byte> channels)
    {
        for (var i = 0; i < picoseconds.Length; i++)
        {
            _start ??= picoseconds[i];
            var bin = (picoseconds[i] - _start.Value) / _bin;
            if (bin >= MostBins)
            {
                throw new ArgumentException($"The stream has more than {MostBins} stretches of {BinSeconds} s.");
            }

            _bins = Math.Max(_bins, (int)bin + 1);
            if (!_counts.TryGetValue(channels[i], out var counts))
            {
                _counts[channels[i]] = counts = [];
            }

            while (counts.Count <= bin)
            {
                counts.Add(0);
            }

            counts[(int)bin]++;
        }
    }

    /// <summary>Counts of a channel, one for each stretch.</summary>
    public IReadOnlyList<long> Counts(int channel)
    {
        var counts = _counts.TryGetValue(channel, out var own) ? own : [];
        return [.. counts, .. Enumerable.Repeat(0L, _bins - counts.Count)];
    }

    /// <summary>Mean rate of a channel over all whole stretches, in counts a second, and its standard error; over what there is if none is over.</summary>
    public (double Hertz, double Error) Mean(int channel)
    {
        var whole = Math.Max(1, _bins - 1);
        double total = Counts(channel).Take(whole).Sum();
        var seconds = whole * BinSeconds;
        return (total / seconds, Math.Sqrt(Math.Max(1, total)) / seconds);
    }
}
