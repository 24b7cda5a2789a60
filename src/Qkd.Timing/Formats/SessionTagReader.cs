using Qkd.Devices;
using Qkd.Timing.Recording;

namespace Qkd.Timing.Formats;

/// <summary>
/// Reads the tags of a session's recording as one stream in picoseconds, all channels together. Times that count from a marker are put on the nominal interval of the
/// markers: (index - 1) x interval + time, so that over long times they are those of the sender's clock.
/// </summary>
/// <remarks>
/// The next acquisition's first marker is taken for the next one after the last that was seen, as the receiver takes it; what losses say of their length is added. Within
/// a batch the tags are put in order, as the runs of its channels lie one after another.
/// </remarks>
public sealed class SessionTagReader : TagReader
{
    private readonly SessionRecordingReader _recording;
    private readonly List<KeyValuePair<string, string>> _header = [];
    private long[] _times = [];
    private byte[] _channels = [];
    private int _count;
    private int _next;
    private double _interval;
    private long _acquisition = -1;
    private long _startMarker;
    private long _lastIndex;
    private long _last = long.MinValue;
    private TagFormatException? _fault;

    /// <summary>Opens a recording.</summary>
    /// <param name="stream">The file at its start. Owned.</param>
    /// <param name="key">The recording key, 32 bytes.</param>
    /// <exception cref="ArgumentException">The key has another length.</exception>
    /// <exception cref="TagFormatException">Not a recording, or one that was sealed with another key.</exception>
    public SessionTagReader(Stream stream, ReadOnlySpan<byte> key)
    {
        _recording = new(stream, key);
        Info = new TagStreamInfo
        {
            Format = TagFormat.Session.Name(),
            RecordType = "recording of a session",
            TickPicoseconds = 1,
            Header = _header,
        };

        // What the recording says of itself stands before the first tag.
        Advance();
    }

    /// <inheritdoc/>
    public override TagStreamInfo Info { get; }

    /// <inheritdoc/>
    public override long Position => _recording.Position;

    /// <inheritdoc/>
    protected override bool Fill(TagBuffer buffer)
    {
        while (buffer.Count < buffer.Capacity)
        {
            if (_next == _count && !Advance())
            {
                break;
            }

            var take = Math.Min(buffer.Capacity - buffer.Count, _count - _next);
            _times.AsSpan(_next, take).CopyTo(buffer.AllTimes.AsSpan(buffer.Count));
            _channels.AsSpan(_next, take).CopyTo(buffer.AllChannels.AsSpan(buffer.Count));
            buffer.AllDelays.AsSpan(buffer.Count, take).Clear();
            buffer.Count += take;
            Counts.Records += take;
            _next += take;
        }

        if (buffer.Count == 0 && _fault is not null)
        {
            throw _fault;
        }

        return buffer.Count > 0;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _recording.Dispose();
        }
    }

    /// <summary>Goes on to the next batch that has tags; false at the end or at a fault, which is then kept.</summary>
    private bool Advance()
    {
        (_count, _next) = (0, 0);
        try
        {
            while (_fault is null && _count == 0 && _recording.Read() is { } entry)
            {
                switch (entry)
                {
                    case SessionEntry session:
                        _header.Add(new("End", session.End));
                        _header.Add(new("Node", session.Node));
                        _header.Add(new("Software", session.Software));
                        _header.Add(new("StartedAt", session.StartedAt.ToString("O", System.Globalization.CultureInfo.InvariantCulture)));
                        break;

                    case ReceptionEntry reception:
                        _interval = reception.Settings.SlotPeriodPicoseconds * reception.Settings.MarkerDivisor;
                        break;

                    case TagsEntry tags:
                        Take(tags.Batch);
                        break;
                }
            }
        }
        catch (TagFormatException e)
        {
            _fault = e;
        }

        return _count > 0;
    }

    private void Take(TagBatch batch)
    {
        var total = batch.Runs.Sum(run => (long)run.Count);
        if (_times.Length < total)
        {
            (_times, _channels) = (new long[total], new byte[total]);
        }

        // Put together before anything is handed out: a batch that makes no sense is a fault as a whole.
        var count = 0;
        Begin(batch);
        foreach (var run in batch.Runs)
        {
            if (run.Channel is < 0 or >= TagBuffer.MarkerFlag)
            {
                throw Fault($"channel {run.Channel} cannot be one of a stream of tags");
            }

            if (batch.TimeBase == TagTimeBase.Referenced && run.ReferenceIndexes.Length != run.Count)
            {
                throw Fault($"{run.Count} tags of channel {run.Channel} have {run.ReferenceIndexes.Length} markers");
            }

            var times = run.TimesPicoseconds.Span;
            var indexes = run.ReferenceIndexes.Span;
            for (var i = 0; i < times.Length; i++)
            {
                _times[count] = batch.TimeBase == TagTimeBase.Absolute
                    ? Within(times[i], times[i]) + Within(batch.AcquisitionStartPicoseconds, batch.AcquisitionStartPicoseconds)
                    : Within(times[i], times[i]) + AtMarker(indexes[i] - 1);
                if (_times[count] < 0)
                {
                    throw Fault("a tag comes before the recording began");
                }

                _channels[count++] = (byte)run.Channel;
            }

            _lastIndex = indexes.IsEmpty ? _lastIndex : Math.Max(_lastIndex, indexes[^1]);
        }

        Order(count);
        _count = count;
    }

    /// <summary>When a marker of this acquisition came, in picoseconds. Whole and broken part of the interval apart: a double alone would be a picosecond off after hours.</summary>
    private long AtMarker(long marker)
    {
        marker = Within(marker, marker * _interval) + _startMarker;
        Within(marker, marker * _interval);
        var whole = (long)_interval;
        return (marker * whole) + (long)Math.Round(marker * (_interval - whole));
    }

    /// <summary>Refuses what no stream of tags comes to, a month and more, and what could not be added up.</summary>
    private long Within(long value, double picoseconds) =>
        Math.Abs(picoseconds) < 1L << 61 ? value : throw Fault("a tag has a time that cannot be");

    private void Begin(TagBatch batch)
    {
        if (batch.TimeBase == TagTimeBase.Absolute)
        {
            return;
        }

        if (!(_interval >= 1))
        {
            throw Fault("tags that count from markers come before anything says how far these are apart");
        }

        if (batch.Acquisition != _acquisition)
        {
            var lost = Math.Round(batch.LossesBefore.Sum(loss => loss.DurationPicoseconds ?? 0.0) / _interval);
            _startMarker += Within(_lastIndex, _lastIndex * _interval) + Within((long)lost, lost * _interval);
            (_acquisition, _lastIndex) = (batch.Acquisition, 0);
        }
    }

    private void Order(int count)
    {
        var times = _times.AsSpan(0, count);
        var channels = _channels.AsSpan(0, count);
        times.Sort(channels);
        for (var i = 0; i < count;)
        {
            // The sort says nothing of tags at the same time: by channel, so that the stream is always the same.
            var end = i + 1;
            while (end < count && times[end] == times[i])
            {
                end++;
            }

            channels[i..end].Sort();

            // A tagger's clock a little off the nominal one, or a marker that was missed: a batch may reach into the next.
            _last = Math.Max(_last, times[i]);
            times[i..end].Fill(_last);
            i = end;
        }
    }

    private TagFormatException Fault(string problem) => new(_recording.ChunkPosition, problem);
}
