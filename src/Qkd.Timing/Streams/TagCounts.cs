namespace Qkd.Timing;

/// <summary>What a reader has met so far.</summary>
public sealed class TagCounts
{
    private readonly long[] _byChannel = new long[128];

    /// <summary>Records in the file's own sense, those without a tag among them.</summary>
    public long Records { get; set; }

    /// <summary>Records that only say that the counter of time wrapped.</summary>
    public long Overflows { get; set; }

    /// <summary>Records that stand for nothing at all (dummies, rollovers of S-Fifteen streams).</summary>
    public long Dummies { get; set; }

    /// <summary>How often an acquisition began anew within the file, with times from 0. What passed in between is not known.</summary>
    public long Restarts { get; set; }

    /// <summary>Events on marker inputs.</summary>
    public long Markers { get; set; }

    /// <summary>Events on the sync or reference input.</summary>
    public long Syncs => _byChannel[TagBuffer.SyncChannel];

    /// <summary>Events on detector channels. A record with several detectors is as many photons.</summary>
    public long Photons { get; private set; }

    /// <summary>Time of the first event in ticks; null before it.</summary>
    public long? FirstTime { get; private set; }

    /// <summary>Time of the last event in ticks; null before it.</summary>
    public long? LastTime { get; private set; }

    /// <summary>Events of each channel, index 0 the sync input.</summary>
    public ReadOnlySpan<long> ByChannel => _byChannel;

    /// <summary>Channels that had events, ascending.</summary>
    public IReadOnlyList<int> Channels => [.. Enumerable.Range(0, _byChannel.Length).Where(channel => _byChannel[channel] > 0)];

    /// <summary>Counts what a buffer holds.</summary>
    public void Add(TagBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if (buffer.Count == 0)
        {
            return;
        }

        FirstTime ??= buffer.Times[0];
        LastTime = buffer.Times[^1];

        // Four tables: the same channel twice in a row need not wait for its own count.
        Span<int> counts = stackalloc int[4 * 256];
        counts.Clear();
        var channels = buffer.Channels;
        var i = 0;
        for (; i + 4 <= channels.Length; i += 4)
        {
            counts[channels[i]]++;
            counts[256 + channels[i + 1]]++;
            counts[512 + channels[i + 2]]++;
            counts[768 + channels[i + 3]]++;
        }

        for (; i < channels.Length; i++)
        {
            counts[channels[i]]++;
        }

        for (var channel = 0; channel < 256; channel++)
        {
            long count = counts[channel] + counts[256 + channel] + counts[512 + channel] + counts[768 + channel];
            if (channel >= TagBuffer.MarkerFlag)
            {
                Markers += count;
                continue;
            }

            _byChannel[channel] += count;
            Photons += channel == TagBuffer.SyncChannel ? 0 : count;
        }
    }
}
