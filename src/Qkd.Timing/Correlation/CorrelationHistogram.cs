namespace Qkd.Timing.Correlation;

/// <summary>
/// Second-order correlation g²(τ) of two channels, or of one with itself: every pair of tags within a range of lags is counted, not the next one alone, so that bright
/// light does not distort it. Streaming; the work grows with the pairs.
/// </summary>
/// <remarks>
/// With N₁ and N₂ tags over a time T independent streams give N₁ N₂ w (T - |τ|) / T² pairs in a bin of width w: the lag leaves only T - |τ| in which both can
/// fall. A bin's count over this is g² (Glauber 1963), its standard error that of a Poisson count. A tag is not paired with itself.
/// </remarks>
public sealed class CorrelationHistogram
{
    private readonly int _first;
    private readonly int _second;
    private readonly long _bin;
    private readonly int _halfBins;
    private readonly long _range;
    private readonly long[] _counts;
    private readonly RecentTags _recentFirst = new();
    private readonly RecentTags _recentSecond = new();
    private long? _start;
    private long _end;

    /// <summary>Creates an empty histogram.</summary>
    /// <param name="first">The channel that lags count from.</param>
    /// <param name="second">The other channel, or the same for the autocorrelation.</param>
    /// <param name="binPicoseconds">Width of a bin, 1 or more.</param>
    /// <param name="rangePicoseconds">Largest lag either way; rounded up so that a bin is centred on zero.</param>
    public CorrelationHistogram(int first, int second, long binPicoseconds, long rangePicoseconds)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(binPicoseconds, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rangePicoseconds, binPicoseconds);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rangePicoseconds / binPicoseconds, 10_000_000, nameof(rangePicoseconds));
        (_first, _second, _bin) = (first, second, binPicoseconds);
        _halfBins = (int)((rangePicoseconds + binPicoseconds - 1) / binPicoseconds);

        // Bin k holds lags in [(k - ½) w, (k + ½) w).
        _range = (_halfBins * _bin) + (_bin / 2);
        _counts = new long[(2 * _halfBins) + 1];
    }

    /// <summary>Pairs by lag, from the most negative to the most positive.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Tags of the first channel.</summary>
    public long FirstTags { get; private set; }

    /// <summary>Tags of the second channel.</summary>
    public long SecondTags { get; private set; }

    /// <summary>Time between the first and the last tag of any channel, in seconds.</summary>
    public double Seconds => _start is { } start ? (_end - start) * 1e-12 : 0;

    /// <summary>The middle of a bin, in picoseconds: positive if the second channel is later.</summary>
    public long Lag(int bin) => (bin - _halfBins) * _bin;

    /// <summary>g² and its standard error in a bin; not numbers before both channels had tags.</summary>
    public (double Value, double Error) At(int bin)
    {
        var time = Seconds;
        var expected = (double)FirstTags * SecondTags * _bin * 1e-12 * (time - (Math.Abs(Lag(bin)) * 1e-12)) / (time * time);
        return (_counts[bin] / expected, Math.Sqrt(Math.Max(1, _counts[bin])) / expected);
    }

    /// <summary>Takes the next tags, ascending; those of other channels count for the duration alone.</summary>
    public void Add(ReadOnlySpan<long> picoseconds, ReadOnlySpan<byte> channels)
    {
        if (picoseconds.Length == 0)
        {
            return;
        }

        _start ??= picoseconds[0];
        _end = picoseconds[^1];
        for (var i = 0; i < picoseconds.Length; i++)
        {
            var (time, channel) = (picoseconds[i], channels[i]);
            if (channel == _second && _first != _second)
            {
                SecondTags++;
                Pair(_recentFirst, time, 1);
                _recentSecond.Add(time);
            }

            if (channel == _first)
            {
                FirstTags++;
                if (_first == _second)
                {
                    SecondTags++;
                    Pair(_recentFirst, time, 1);
                    Pair(_recentFirst, time, -1);
                }
                else
                {
                    Pair(_recentSecond, time, -1);
                }

                _recentFirst.Add(time);
            }
        }
    }

    private void Pair(RecentTags earlier, long time, int sign)
    {
        foreach (var other in earlier.Since(time - _range))
        {
            var lag = sign * (time - other);
            var bin = (lag + _range) / _bin;
            if ((ulong)bin < (ulong)_counts.Length)
            {
                _counts[bin]++;
            }
        }
    }
}

/// <summary>The tags of one channel that are not older than something; older ones are forgotten.</summary>
internal sealed class RecentTags
{
    private long[] _times = new long[64];
    private int _from;
    private int _to;

    public void Add(long time)
    {
        if (_to == _times.Length)
        {
            var kept = _times.AsSpan(_from, _to - _from);
            var target = kept.Length > _times.Length / 2 ? new long[2 * _times.Length] : _times;
            kept.CopyTo(target);
            (_times, _from, _to) = (target, 0, kept.Length);
        }

        _times[_to++] = time;
    }

    /// <summary>Those not before a time, ascending. The others are forgotten: times asked for ascend.</summary>
    public ReadOnlySpan<long> Since(long time)
    {
        while (_from < _to && _times[_from] < time)
        {
            _from++;
        }

        return _times.AsSpan(_from, _to - _from);
    }
}
