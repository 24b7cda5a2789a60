using System.Globalization;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Transports;
using Qkd.Transports.Framing;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>
/// The counts connection: a line <c>time,c1,c2,...</c> each measurement period, handed to all who read. It is listened to all the
/// time, so that a reader gets no counts from before he began. Thread-safe.
/// </summary>
internal sealed class WebSqCounts : IAsyncDisposable
{
    /// <summary>So many records wait for a slow reader.</summary>
    public const int RecordsKept = 256;

    private readonly IByteTransport _transport;
    private readonly DelimitedReader _reader;
    private readonly int _channelCount;
    private readonly Func<string, DetectorCounts?> _toRecord;
    private readonly Action<string> _muttered;
    private readonly Action<string> _lost;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _gate = new();
    private readonly List<Channel<DetectorCounts>> _readers = [];
    private readonly Task _listening;
    private Exception? _end;
    private DetectorCounts? _last;
    private int _disposed;

    /// <summary>Takes over a transport and begins to listen.</summary>
    /// <param name="transport">The open connection; closed with this one.</param>
    /// <param name="deviceName">For messages.</param>
    /// <param name="channelCount">Number of detectors.</param>
    /// <param name="time">Clock.</param>
    /// <param name="period">Tells the present measurement period.</param>
    /// <param name="muttered">Is told a line that is no record.</param>
    /// <param name="lost">Called once when the connection breaks by itself.</param>
    public WebSqCounts(
        IByteTransport transport,
        string deviceName,
        int channelCount,
        TimeProvider time,
        Func<TimeSpan> period,
        Action<string> muttered,
        Action<string> lost)
    {
        (_transport, _channelCount, _muttered, _lost) = (transport, channelCount, muttered, lost);
        _reader = new(transport, deviceName);
        _toRecord = line => TryReadCounts(line, _channelCount) is { } counts ? new(time.GetUtcNow(), period(), counts) : null;
        _listening = Task.Run(ListenAsync);
    }

    /// <summary>The last record; null before the first.</summary>
    public DetectorCounts? Last
    {
        get
        {
            lock (_gate)
            {
                return _last;
            }
        }
    }

    /// <summary>Reads a line: a time, then as many counts as there are detectors. Null for anything else.</summary>
    public static long[]? TryReadCounts(string line, int channelCount)
    {
        var fields = line.Split(',');
        if (fields.Length != channelCount + 1 || !TryReadNumber(fields[0], out _))
        {
            return null;
        }

        var counts = new long[channelCount];
        for (var channel = 0; channel < channelCount; channel++)
        {
            // A count with a decimal point is a count still.
            if (!TryReadNumber(fields[channel + 1], out var count) || count is not (>= 0 and < 1e15) || count != Math.Floor(count))
            {
                return null;
            }

            counts[channel] = (long)count;
        }

        return counts;
    }

    /// <summary>Begins to read; give the reader back with <see cref="Leave"/>. A reader that is too slow loses the oldest records.</summary>
    public Channel<DetectorCounts> Join()
    {
        var reader = Channel.CreateBounded<DetectorCounts>(
            new BoundedChannelOptions(RecordsKept) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true });
        lock (_gate)
        {
            if (_end is not null)
            {
                reader.Writer.TryComplete(_end);
            }
            else
            {
                _readers.Add(reader);
            }
        }

        return reader;
    }

    /// <summary>Reads no more.</summary>
    public void Leave(Channel<DetectorCounts> reader)
    {
        lock (_gate)
        {
            _readers.Remove(reader);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _closing.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        await _transport.DisposeAsync().ConfigureAwait(false);
        _closing.Dispose();
    }

    private static bool TryReadNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);

    private async Task ListenAsync()
    {
        while (true)
        {
            try
            {
                var line = await _reader.ReadLineAsync(_closing.Token).ConfigureAwait(false);
                if (_toRecord(line) is { } record)
                {
                    Hand(record);
                }
                else if (!string.IsNullOrWhiteSpace(line))
                {
                    _muttered(WebSqMessage.Printable(line));
                }
            }
            catch (DeviceProtocolException endless)
            {
                _muttered(endless.Message);
            }
            catch (DeviceException fault)
            {
                End(fault);
                _lost(fault.Message);
                return;
            }
            catch (OperationCanceledException)
            {
                End(new ObjectDisposedException(nameof(WebSqDetectors)));
                return;
            }
        }
    }

    private void Hand(DetectorCounts record)
    {
        lock (_gate)
        {
            _last = record;
            foreach (var reader in _readers)
            {
                reader.Writer.TryWrite(record);
            }
        }
    }

    private void End(Exception reason)
    {
        lock (_gate)
        {
            _end = reason;
            foreach (var reader in _readers)
            {
                reader.Writer.TryComplete(reason);
            }

            _readers.Clear();
        }
    }
}
