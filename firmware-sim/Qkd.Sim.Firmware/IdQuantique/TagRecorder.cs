using System.Buffers;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The part of the instrument that stamps pulses: inputs, the record generator with its sub-acquisitions, and the memory in which
/// timestamps wait for the host. Works in device time throughout. Not thread-safe: the emulator holds a lock around it.
/// </summary>
/// <remarks>
/// A sub-acquisition lasts the record's width and begins every record's period, counted from the bench time last advanced to when
/// the record was started. What it recorded is handed over when it has ended, never before, unless it would not fit into half of the
/// memory. With a finite number of records everything is held back until the last one has ended.
/// </remarks>
internal sealed class TagRecorder
{
    private const int BytesPerTag = 16;

    private readonly Id900Settings _settings;
    private readonly DeviceClock _clock;
    private readonly TimeProvider _time;
    private readonly List<(TagStream Stream, StreamMessage Message)> _held = [];
    private readonly List<StreamMessage> _messages = [];

    private long _horizon;
    private long _start;
    private long _acquisition;
    private long _acquisitionTags;
    private long _newest = -1;
    private bool _open;
    private bool _dropping;
    private bool _delivered;
    private int _backlog;

    public TagRecorder(Id900Settings settings, TimeProvider time)
    {
        _settings = settings;
        _time = time;
        _clock = new DeviceClock(settings.ClockOffsetPicoseconds, settings.ClockOffsetPpm, settings.ClockDriftPpmPerSecond);
        _horizon = _clock.ToDevice(0);
        Inputs = [.. Enumerable.Range(0, 5).Select(_ => new InputTrack())];
        Counters = [.. Enumerable.Range(0, 5).Select(_ => new InputCounter())];
        Channels = [.. Enumerable.Range(1, 4).Select(number => new RawChannel(number, settings.MaxMessageBytes))];
    }

    /// <summary>STAR at 0, INPU1 to INPU4 behind it.</summary>
    public IReadOnlyList<InputTrack> Inputs { get; }

    /// <summary>Their counters.</summary>
    public IReadOnlyList<InputCounter> Counters { get; }

    /// <summary>RAW1 to RAW4.</summary>
    public IReadOnlyList<RawChannel> Channels { get; }

    /// <summary>Records to make; null for no end. Only without end are the sub-acquisitions delivered as they end.</summary>
    public long? RecordCount { get; set; } = 1;

    /// <summary>Length of a record in device picoseconds.</summary>
    public long Width { get; set; } = 1_000_000_000_000;

    /// <summary>From one record's start to the next one's, in device picoseconds.</summary>
    public long Period { get; set; } = 1_000_000_040_000;

    /// <summary>Whether records are being made.</summary>
    public bool Playing { get; private set; }

    /// <summary>How many sub-acquisitions the host is behind. May be read without the lock.</summary>
    public int Backlog
    {
        get => Volatile.Read(ref _backlog);
        private set => Volatile.Write(ref _backlog, value);
    }

    /// <summary>Raised on an input whose tags came faster than the instrument sustains.</summary>
    public Action<int>? RateExceeded { get; set; }

    /// <summary>Begins to make records, from the bench time last advanced to.</summary>
    public void Play()
    {
        Stop();
        _start = _horizon;
        _acquisition = 0;
        Playing = true;
    }

    /// <summary>Ends the record in progress, which is delivered with what it has.</summary>
    public void Stop()
    {
        if (_open)
        {
            Close();
        }

        Release();
        Playing = false;
    }

    public void RecordPulses(int input, ReadOnlySpan<long> bench)
    {
        if (Inputs[input].Enabled)
        {
            Inputs[input].Add(bench, _clock);
        }
    }

    public void RecordTrain(int input, long firstBench, long periodBench, int count)
    {
        if (Inputs[input].Enabled)
        {
            Inputs[input].Add(firstBench, periodBench, count, _clock);
        }
    }

    /// <summary>Everything before this bench time has been recorded: stamps it and closes the sub-acquisitions that ended.</summary>
    /// <returns>Whether the streams were given something.</returns>
    public bool AdvanceTo(long bench)
    {
        _delivered = false;
        var now = _clock.ToDevice(bench);
        ArgumentOutOfRangeException.ThrowIfLessThan(now, _horizon, nameof(bench));
        for (var i = 0; i < Inputs.Count; i++)
        {
            Inputs[i].Settle(_horizon);
            Counters[i].Advance(Inputs[i].Counted, now);
            Inputs[i].Counted = 0;
        }

        Follow(now);
        ConsumeInputs(now);
        _horizon = now;
        return _delivered;
    }

    /// <summary>Works out anew how far the host is behind; call after taking messages from a stream.</summary>
    public void UpdateBacklog()
    {
        var oldest = _newest + 1;
        foreach (var channel in Channels)
        {
            if (channel.Stream?.OldestWaiting is { } waiting)
            {
                oldest = Math.Min(oldest, waiting);
            }
        }

        Backlog = (int)Math.Min(_newest + 1 - oldest, int.MaxValue);
    }

    /// <summary>Ends a stream and forgets what waits in it.</summary>
    public void Remove(TagStream stream)
    {
        Channels[stream.Channel - 1].Stream = null;
        foreach (var (_, message) in _held.Where(held => held.Stream == stream))
        {
            Discard(message);
        }

        _held.RemoveAll(held => held.Stream == stream);
        while (stream.TryDequeue(out var message))
        {
            Discard(message);
        }

        UpdateBacklog();
    }

    private void Follow(long now)
    {
        while (Playing)
        {
            if (!_open)
            {
                if (_start >= now)
                {
                    return;
                }

                Open();
            }

            var end = Math.Min(now, _start + Width);
            Collect(end);
            if (_start + Width > now)
            {
                return;
            }

            Close();
            _start += Period;
            if (++_acquisition == RecordCount)
            {
                Release();
                Playing = false;
            }
        }
    }

    private void Open()
    {
        ConsumeInputs(_start);
        foreach (var channel in Channels)
        {
            channel.Open(Inputs);
        }

        _acquisitionTags = 0;
        _open = true;
        _dropping = Backlog >= _settings.OverflowAcquisitions;
    }

    private void Collect(long end)
    {
        long collected = 0;
        long waiting = _held.Sum(held => (long)held.Message.Length);
        var unsent = waiting;
        foreach (var channel in Channels)
        {
            collected += channel.CollectedBytes;
            waiting += channel.Stream?.WaitingBytes ?? 0;
        }

        var full = _dropping || collected + waiting >= _settings.BufferTags * BytesPerTag;
        foreach (var channel in Channels.Where(channel => channel.Active))
        {
            var stops = Inputs[channel.StopInput];
            _acquisitionTags += stops.CountBefore(end);
            if (full)
            {
                channel.Skip(stops, end);
            }
            else
            {
                channel.Collect(stops, _start, end);
            }
        }

        ConsumeInputs(end);
        if (_acquisitionTags > _settings.MaximumTagRateHertz * Width * 1e-12)
        {
            Trip();
        }
        else if (collected + unsent > _settings.BufferTags * BytesPerTag / 2)
        {
            // Longer than the memory: what there is goes out before the record has ended.
            HandOver(endsAcquisition: false);
            Release();
        }
    }

    /// <summary>The tags came faster than the instrument sustains: the streams break off until the host starts new ones.</summary>
    private void Trip()
    {
        foreach (var channel in Channels.Where(channel => channel.Active))
        {
            var stream = channel.Stream!;
            channel.Abandon();
            stream.Errors.Add($"more than {_settings.MaximumTagRateHertz:0} timestamps/s: stream stopped");
            RateExceeded?.Invoke(channel.StopInput);
        }
    }

    private void Close()
    {
        HandOver(endsAcquisition: true);
        if (RecordCount is null)
        {
            Release();
        }

        _open = false;
    }

    /// <summary>Takes what the channels have collected. A sub-acquisition without tags still gives one message, an empty one.</summary>
    private void HandOver(bool endsAcquisition)
    {
        if (endsAcquisition)
        {
            _newest++;
        }

        foreach (var channel in Channels.Where(channel => channel.Active))
        {
            var stream = channel.Stream!;
            _messages.Clear();
            channel.Take(endsAcquisition ? _newest : _newest + 1, _messages);
            if (endsAcquisition)
            {
                stream.Acquisitions++;
                if (_messages.Count == 0 && !_dropping)
                {
                    _messages.Add(new StreamMessage(null, 0, _newest));
                }
            }

            _held.AddRange(_messages.Select(message => (stream, message)));
        }
    }

    /// <summary>Gives everything handed over to the streams.</summary>
    private void Release()
    {
        _delivered |= _held.Count > 0;
        foreach (var (stream, message) in _held)
        {
            stream.Enqueue(message);
            stream.Timestamps += message.Length / (stream.WithReferenceIndex ? BytesPerTag : BytesPerTag / 2);
            stream.LastActivity = _time.GetTimestamp();
        }

        _held.Clear();
        UpdateBacklog();
    }

    private void ConsumeInputs(long before)
    {
        foreach (var input in Inputs)
        {
            input.Consume(before);
        }
    }

    private static void Discard(StreamMessage message)
    {
        if (message.Bytes is not null)
        {
            ArrayPool<byte>.Shared.Return(message.Bytes);
        }
    }
}
