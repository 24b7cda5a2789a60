namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>One stream that the host has started, seen from the instrument: what waits for the host and what it reports.</summary>
internal sealed class TagStream(string id, int channel, int port, bool withReferenceIndex, long startedAt)
{
    private readonly Queue<StreamMessage> _waiting = new();

    public string Id => id;

    public int Channel => channel;

    public int Port => port;

    /// <summary>Whether each record carries the index of the reference edge.</summary>
    public bool WithReferenceIndex => withReferenceIndex;

    /// <summary>Sub-acquisitions that have ended since the stream began.</summary>
    public long Acquisitions { get; set; }

    /// <summary>Timestamps received from the instrument.</summary>
    public long Timestamps { get; set; }

    /// <summary>When the instrument last gave something, in time-provider ticks.</summary>
    public long LastActivity { get; set; } = startedAt;

    /// <summary>Why the stream has stopped for good; empty while it is well.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>Bytes waiting for the host.</summary>
    public long WaitingBytes { get; private set; }

    /// <summary>Number of the sub-acquisition that waits longest for the host; null if none waits.</summary>
    public long? OldestWaiting => _waiting.TryPeek(out var message) ? message.Acquisition : null;

    public void Enqueue(StreamMessage message)
    {
        _waiting.Enqueue(message);
        WaitingBytes += message.Length;
    }

    public bool TryPeek(out StreamMessage message) => _waiting.TryPeek(out message);

    public bool TryDequeue(out StreamMessage message)
    {
        if (!_waiting.TryDequeue(out message))
        {
            return false;
        }

        WaitingBytes -= message.Length;
        return true;
    }
}
