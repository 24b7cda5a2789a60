namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>One of the four RAW blocks: it turns the pulses of an input into timestamps and sends them to a stream.</summary>
internal sealed class RawChannel(int number, int maxMessageBytes)
{
    private readonly TagBuffer _buffer = new(maxMessageBytes);

    private TagStream? _active;
    private InputTrack? _activeReference;
    private ulong _edgeIndex;
    private long _edgeTime;

    /// <summary>The input whose pulses are stamped.</summary>
    public int StopInput { get; set; } = number;

    /// <summary>The input whose edges are the reference; null for the start of the sub-acquisition.</summary>
    public int? ReferenceInput { get; set; }

    /// <summary>Whether timestamps are sent.</summary>
    public bool Send { get; set; }

    /// <summary>Timestamps lost since the errors were cleared.</summary>
    public long Errors { get; set; }

    /// <summary>Where they go; null if the host has not asked for a stream.</summary>
    public TagStream? Stream { get; set; }

    /// <summary>Whether this sub-acquisition goes to a stream: what was configured when it began.</summary>
    public bool Active => _active is not null && _active == Stream && _active.Errors.Count == 0;

    /// <summary>Bytes collected in this sub-acquisition and not yet handed over.</summary>
    public long CollectedBytes => _buffer.Length;

    /// <summary>Begins a sub-acquisition.</summary>
    public void Open(IReadOnlyList<InputTrack> inputs)
    {
        _buffer.Clear();
        _active = Send && Stream is { Errors.Count: 0 } ? Stream : null;
        _activeReference = ReferenceInput is { } input ? inputs[input] : null;
        (_edgeIndex, _edgeTime) = (0, 0);
    }

    /// <summary>
    /// Stamps the waiting pulses of the stop input that are earlier than <paramref name="end"/>. With a reference, a pulse gets the
    /// time since the last edge and the number of edges seen in this sub-acquisition, 1 for the first; an edge at the same
    /// picosecond counts as earlier. A pulse before the first edge has no reference and gives no timestamp.
    /// </summary>
    public void Collect(InputTrack stops, long acquisitionStart, long end)
    {
        var pulses = stops.Waiting[..stops.CountBefore(end)];
        var edges = _activeReference is { } reference ? reference.Waiting[..reference.CountBefore(end)] : [];
        var (edgeTime, edgeIndex, nextEdge) = (_edgeTime, _edgeIndex, 0);
        if (_activeReference is null)
        {
            // The start of the sub-acquisition is the only edge there is; its index is given as 0.
            edgeTime = acquisitionStart;
        }

        var placeable = _activeReference is null || edgeIndex > 0;
        var withIndex = _active!.WithReferenceIndex;
        var wordsPerRecord = withIndex ? 2 : 1;
        var nextEdgeTime = edges.IsEmpty ? long.MaxValue : edges[0];
        for (var i = 0; i < pulses.Length;)
        {
            var words = _buffer.Free();
            var written = 0;
            for (; i < pulses.Length && written <= words.Length - wordsPerRecord; i++)
            {
                var time = pulses[i];
                while (time >= nextEdgeTime)
                {
                    edgeTime = nextEdgeTime;
                    edgeIndex++;
                    placeable = true;
                    nextEdgeTime = ++nextEdge < edges.Length ? edges[nextEdge] : long.MaxValue;
                }

                if (!placeable)
                {
                    continue;
                }

                words[written++] = (ulong)(time - edgeTime);
                if (withIndex)
                {
                    words[written++] = edgeIndex;
                }
            }

            _buffer.Commit(written);
        }

        // The edges behind the last pulse count too.
        if (nextEdge < edges.Length)
        {
            edgeIndex += (ulong)(edges.Length - nextEdge);
            edgeTime = edges[^1];
        }

        (_edgeTime, _edgeIndex) = (edgeTime, edgeIndex);
    }

    /// <summary>Counts the pulses earlier than <paramref name="end"/> as lost, and follows the reference all the same.</summary>
    public void Skip(InputTrack stops, long end)
    {
        Errors += stops.CountBefore(end);
        if (_activeReference is { } reference && reference.CountBefore(end) is > 0 and var edges)
        {
            _edgeIndex += (ulong)edges;
            _edgeTime = reference.Waiting[edges - 1];
        }
    }

    /// <summary>Hands over what was collected so far, as messages for the stream.</summary>
    public void Take(long acquisition, List<StreamMessage> messages) => _buffer.Take(acquisition, messages);

    /// <summary>Forgets what was collected in this sub-acquisition and stops collecting.</summary>
    public void Abandon()
    {
        if (_active is { WithReferenceIndex: var withIndex })
        {
            Errors += _buffer.Length / (withIndex ? 16 : 8);
        }

        _buffer.Clear();
        _active = null;
    }
}
