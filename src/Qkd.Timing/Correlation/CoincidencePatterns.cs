using System.Numerics;

namespace Qkd.Timing.Correlation;

/// <summary>
/// Coincidences of any number of channels in one stream: tags within a window from the first of them form a group, and each group's set of channels is
/// counted. Streaming: a group may go on from one buffer to the next.
/// </summary>
public sealed class CoincidencePatterns
{
    private const int MostChannels = 16;

    private readonly int[] _indexOf = new int[256];
    private readonly long[] _delays;
    private readonly int[] _channels;
    private readonly long _window;
    private readonly long _spread;
    private readonly long[] _counts;
    private readonly long[] _singles;
    private readonly PriorityQueue<int, long> _waiting = new();
    private long _groupStart = long.MinValue / 2;
    private int _group;
    private long? _first;
    private long _last;

    /// <summary>Creates a counter.</summary>
    /// <param name="channels">Channels that count, at most 16; others are ignored.</param>
    /// <param name="windowPicoseconds">How long after the first tag of a group others still belong to it.</param>
    /// <param name="delaysPicoseconds">How much later each of the channels' tags come; none if empty.</param>
    public CoincidencePatterns(IReadOnlyList<int> channels, long windowPicoseconds, IReadOnlyList<long>? delaysPicoseconds = null)
    {
        ArgumentNullException.ThrowIfNull(channels);
        ArgumentOutOfRangeException.ThrowIfNegative(windowPicoseconds);
        if (channels.Count is < 1 or > MostChannels || channels.Distinct().Count() != channels.Count || channels.Any(c => c is < 0 or > 255)
            || delaysPicoseconds is { Count: > 0 } && delaysPicoseconds.Count != channels.Count)
        {
            throw new ArgumentException($"One to {MostChannels} different channels are needed, and a delay for each or for none.", nameof(channels));
        }

        _channels = [.. channels];
        _delays = delaysPicoseconds is { Count: > 0 } ? [.. delaysPicoseconds] : new long[channels.Count];
        _spread = _delays.Max() - _delays.Min();
        _window = windowPicoseconds;
        _counts = new long[1 << channels.Count];
        _singles = new long[channels.Count];
        _indexOf.AsSpan().Fill(-1);
        foreach (var (index, channel) in channels.Index())
        {
            _indexOf[channel] = index;
        }
    }

    /// <summary>Time between the first and the last tag, in seconds.</summary>
    public double Seconds => _first is { } first ? (_last - first) * 1e-12 : 0;

    /// <summary>Takes the next tags, ascending.</summary>
    public void Add(ReadOnlySpan<long> picoseconds, ReadOnlySpan<byte> channels)
    {
        for (var i = 0; i < picoseconds.Length; i++)
        {
            var index = _indexOf[channels[i]];
            if (index < 0)
            {
                continue;
            }

            var time = picoseconds[i];
            _first ??= time;
            _last = time;
            if (_spread == 0)
            {
                Take(index, time);
                continue;
            }

            // Delays change the order: a tag waits until none can come before it any more.
            _waiting.Enqueue(index, time - _delays[index]);
            Release(time - _delays.Max());
        }
    }

    /// <summary>Ends the last group. More tags may follow.</summary>
    public void Complete()
    {
        Release(long.MaxValue);
        CloseGroup();
    }

    /// <summary>Tags of a channel.</summary>
    public long Singles(int channel) => _singles[IndexOf(channel)];

    /// <summary>Groups in which exactly these channels fired.</summary>
    public long Exactly(IEnumerable<int> channels) => _counts[Mask(channels)];

    /// <summary>Groups in which at least these channels fired.</summary>
    public long AtLeast(IEnumerable<int> channels)
    {
        var mask = Mask(channels);
        long count = 0;
        for (var pattern = 0; pattern < _counts.Length; pattern++)
        {
            count += (pattern & mask) == mask ? _counts[pattern] : 0;
        }

        return count;
    }

    /// <summary>All sets of two channels and more that occurred, the most frequent first.</summary>
    public IReadOnlyList<(IReadOnlyList<int> Channels, long Count)> Patterns() =>
    [
        .. Enumerable.Range(1, _counts.Length - 1)
            .Where(mask => _counts[mask] > 0 && BitOperations.PopCount((uint)mask) > 1)
            .OrderByDescending(mask => _counts[mask])
            .Select(mask => ((IReadOnlyList<int>)[.. _channels.Where((_, index) => (mask >> index & 1) != 0)], _counts[mask])),
    ];

    /// <summary>
    /// Coincidences of these channels, exactly or with others, that independent tags would give by chance: n τ^(n-1) Π R_i T for n channels of rates R_i over a
    /// time T (Eckart, Shonka 1938, Phys. Rev. 53, 752), for windows in which tags are rare.
    /// </summary>
    public double Accidentals(IReadOnlyList<int> channels)
    {
        ArgumentNullException.ThrowIfNull(channels);
        var rate = channels.Aggregate(1.0, (product, channel) => product * Singles(channel) / Seconds);
        return channels.Count * Math.Pow(_window * 1e-12, channels.Count - 1) * rate * Seconds;
    }

    private int IndexOf(int channel) =>
        channel is >= 0 and <= 255 && _indexOf[channel] is >= 0 and var index ? index : throw new ArgumentException($"Channel {channel} is not counted.", nameof(channel));

    private int Mask(IEnumerable<int> channels) => channels.Aggregate(0, (mask, channel) => mask | 1 << IndexOf(channel));

    private void Release(long before)
    {
        while (_waiting.TryPeek(out var index, out var time) && time <= before)
        {
            _waiting.Dequeue();
            Take(index, time);
        }
    }

    private void Take(int index, long time)
    {
        _singles[index]++;
        if (time - _groupStart > _window)
        {
            CloseGroup();
            _groupStart = time;
        }

        _group |= 1 << index;
    }

    private void CloseGroup()
    {
        if (_group != 0)
        {
            _counts[_group]++;
            _group = 0;
        }
    }
}
