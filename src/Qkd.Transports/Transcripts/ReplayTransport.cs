using System.Text;
using Qkd.Devices;

namespace Qkd.Transports.Transcripts;

/// <summary>The host sent something else than the transcript holds.</summary>
public sealed class TranscriptDeviationException(string device, string address, long position, string expected, string actual)
    : DeviceException(device, address, $"deviates from the transcript at byte {position} of what was sent: expected {expected}, got {actual}");

/// <summary>
/// Plays the instrument's part of a recorded conversation: it answers only after everything that was sent before the answer has been
/// sent again, and fails on the first byte that differs. Both directions are byte streams; how they were cut into calls does not
/// matter. When the transcript is used up, or waits for the host, it is silent.
/// </summary>
public sealed class ReplayTransport : IByteTransport
{
    private readonly string _deviceName;
    private readonly Lock _gate = new();
    private readonly Queue<TranscriptRecord> _script;
    private readonly Queue<ReadOnlyMemory<byte>> _arrived = new();
    private ReadOnlyMemory<byte> _arriving;
    private ReadOnlyMemory<byte> _expected;
    private long _position;
    private bool _closed;
    private TranscriptDeviationException? _deviation;
    private TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Replays one channel of a transcript.</summary>
    /// <param name="records">The transcript.</param>
    /// <param name="channel">The channel's name in it; null takes all records.</param>
    /// <param name="deviceName">The device's name, for messages.</param>
    /// <param name="address">The address to show; null for one that says it is a replay.</param>
    public ReplayTransport(
        IEnumerable<TranscriptRecord> records, string? channel = null, string deviceName = "replay", DeviceAddress? address = null)
    {
        _deviceName = deviceName;
        Address = address ?? DeviceAddress.Parse("sim:replay");
        _script = new(records.Where(record => (channel is null || record.Channel == channel) && !record.Data.IsEmpty));
        Advance();
    }

    /// <inheritdoc/>
    public DeviceAddress Address { get; }

    /// <inheritdoc/>
    public bool IsBroken
    {
        get
        {
            lock (_gate)
            {
                return _closed || _deviation is not null;
            }
        }
    }

    /// <summary>Whether the whole conversation has taken place: everything sent, and everything received read or thrown away.</summary>
    public bool IsComplete
    {
        get
        {
            lock (_gate)
            {
                return _expected.IsEmpty && _arriving.IsEmpty && _arrived.Count == 0;
            }
        }
    }

    /// <inheritdoc/>
    /// <exception cref="TranscriptDeviationException">Other bytes than in the transcript, or earlier than there.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            ThrowIfUnusable();
            while (!data.IsEmpty)
            {
                var length = Math.Min(data.Length, _expected.Length);
                if (length == 0 || !data.Span[..length].SequenceEqual(_expected.Span[..length]))
                {
                    _deviation = new(_deviceName, Address.Text, _position, length == 0 ? "nothing more" : Show(_expected.Span), Show(data.Span));
                    Wake();
                    throw _deviation;
                }

                data = data[length..];
                _position += length;
                _expected = _expected[length..];
                if (_expected.IsEmpty)
                {
                    Advance();
                }
            }

            Wake();
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task progress;
            lock (_gate)
            {
                ThrowIfUnusable();
                if (!_arriving.IsEmpty || _arrived.TryDequeue(out _arriving))
                {
                    var length = Math.Min(buffer.Length, _arriving.Length);
                    _arriving[..length].CopyTo(buffer);
                    _arriving = _arriving[length..];
                    return length;
                }

                progress = _progress.Task;
            }

            await progress.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public ValueTask DiscardInputAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfUnusable();
            _arrived.Clear();
            _arriving = default;
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _closed = true;
            Wake();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>All that the instrument says next arrives, up to what it then waits for.</summary>
    private void Advance()
    {
        while (_expected.IsEmpty && _script.TryDequeue(out var record))
        {
            if (record.Sent)
            {
                _expected = record.Data;
            }
            else
            {
                _arrived.Enqueue(record.Data);
            }
        }
    }

    private void Wake()
    {
        var woken = _progress;
        _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);
        woken.SetResult();
    }

    private void ThrowIfUnusable()
    {
        if (_deviation is not null)
        {
            throw _deviation;
        }

        if (_closed)
        {
            throw new DeviceDisconnectedException(_deviceName, Address.Text, "closed by its owner");
        }
    }

    private static string Show(ReadOnlySpan<byte> data)
    {
        var shown = data[..Math.Min(data.Length, 32)];
        var text = new StringBuilder(Convert.ToHexString(shown)).Append(" '");
        foreach (var value in shown)
        {
            text.Append(value is >= 0x20 and < 0x7F ? (char)value : '.');
        }

        return text.Append('\'').ToString();
    }
}
