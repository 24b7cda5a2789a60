namespace Qkd.Timing.Formats;

/// <summary>
/// What all writers share: they bring the events to the ticks of the file, and where the file counts sync pulses and the source does not, they count the source's own.
/// </summary>
internal abstract class RecordWriter : TagWriter
{
    private const int BufferBytes = 1 << 16;

    private readonly TagStreamInfo _source;
    private readonly byte[] _bytes = new byte[BufferBytes];
    private int _count;
    private long _last = long.MinValue;
    private long _syncs;
    private double _lastSync;
    private bool _complete;

    protected RecordWriter(Stream stream, TagStreamInfo source, double tickPicoseconds, double? delayTickPicoseconds)
    {
        if (!(tickPicoseconds > 0) || double.IsNaN(source.TickPicoseconds) && delayTickPicoseconds is null)
        {
            throw new ArgumentException("The file does not say how far its reference edges are apart: the reference period is needed to tell times.", nameof(source));
        }

        (Stream, _source, Tick, DelayTick) = (stream, source, tickPicoseconds, delayTickPicoseconds);
    }

    /// <summary>The file.</summary>
    protected Stream Stream { get; }

    /// <summary>Picoseconds a tick of the file; the sync's period where it has delays.</summary>
    protected double Tick { get; }

    /// <summary>Picoseconds a tick of the delay; null in files without delays.</summary>
    protected double? DelayTick { get; }

    /// <inheritdoc/>
    public sealed override void Write(TagBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        ObjectDisposedException.ThrowIf(_complete, this);
        var (times, channels, delays) = (buffer.AllTimes, buffer.AllChannels, buffer.AllDelays);
        var asIs = _source.TickPicoseconds == Tick && _source.HasDelays == DelayTick is not null;
        for (var i = 0; i < buffer.Count; i++)
        {
            var (time, delay) = (times[i], _source.HasDelays ? delays[i] : 0);
            if (DelayTick is { } delayTick)
            {
                if (!_source.HasDelays && !CountSync(times[i], channels[i], delayTick, out time, out delay))
                {
                    continue;
                }

                delay = _source.HasDelays && _source.DelayTickPicoseconds != delayTick ? Scaled(delays[i] * _source.DelayTickPicoseconds / delayTick) : delay;
            }
            else if (!asIs)
            {
                time = (long)Math.Round(_source.Picoseconds(times[i], delays[i]) / Tick);
            }

            // Rounding to coarser ticks keeps the order; delays longer than the sync's period may not.
            time = Math.Max(time, _last);
            _last = time;
            WriteEvent(time, channels[i], delay);
        }
    }

    /// <inheritdoc/>
    public sealed override void Complete()
    {
        if (!_complete)
        {
            _complete = true;
            Finish();
            Flush();
            AfterFlush();
        }
    }

    /// <summary>Writes one event; ascending.</summary>
    protected abstract void WriteEvent(long time, byte channel, uint delay);

    /// <summary>Writes what is held back.</summary>
    protected virtual void Finish()
    {
    }

    /// <summary>Puts the header right.</summary>
    protected virtual void AfterFlush()
    {
    }

    /// <summary>Room for a record of so many bytes, to be filled at once.</summary>
    protected Span<byte> Record(int bytes)
    {
        if (_count + bytes > _bytes.Length)
        {
            Flush();
        }

        _count += bytes;
        return _bytes.AsSpan(_count - bytes, bytes);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Complete();
            Stream.Dispose();
        }
    }

    private static uint Scaled(double delay) => (uint)Math.Clamp(Math.Round(delay), 0, uint.MaxValue);

    private bool CountSync(long sourceTime, byte channel, double delayTick, out long time, out uint delay)
    {
        var picoseconds = sourceTime * _source.TickPicoseconds;
        (time, delay) = (_syncs, 0);
        if (channel == TagBuffer.SyncChannel)
        {
            (_syncs, _lastSync) = (_syncs + 1, picoseconds);
            return false;
        }

        if (_syncs == 0)
        {
            Omitted++;
            return false;
        }

        delay = Scaled((picoseconds - _lastSync) / delayTick);
        return true;
    }

    private void Flush()
    {
        Stream.Write(_bytes, 0, _count);
        _count = 0;
    }
}
