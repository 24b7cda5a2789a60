using Qkd.Devices;
using Qkd.Transports;
using Qkd.Transports.Framing;

namespace Qkd.Drivers.Thorlabs.Apt;

/// <summary>
/// Frames over a byte stream. Everything that arrives is offered to those who wait for it, and shown to the driver; what nobody
/// waits for is no error, since APT devices talk unasked. Writes are spaced: a device that is polled too fast falls silent.
/// </summary>
internal sealed class AptConnection : IAsyncDisposable
{
    /// <summary>Least time between two writes.</summary>
    public static readonly TimeSpan WriteSpacing = TimeSpan.FromMilliseconds(3);

    // Longer than any frame takes at 115200 baud, with the latency of a USB bridge.
    private static readonly TimeSpan LongestPauseWithinFrame = TimeSpan.FromMilliseconds(100);

    private readonly IByteTransport _transport;
    private readonly TimeProvider _time;
    private readonly Action<AptFrame> _received;
    private readonly Action _unasked;
    private readonly Action<string> _lost;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly PendingReplies<AptFrame> _replies = new();
    private readonly AptDecoder _decoder = new();
    private Task _listening = Task.CompletedTask;
    private long? _lastWrite;
    private volatile bool _repliesMissing;
    private int _disposed;

    /// <summary>Takes over a transport.</summary>
    /// <param name="transport">The open line; closed with the connection.</param>
    /// <param name="time">Clock of the spacing.</param>
    /// <param name="received">Sees every frame, before those who wait for it; must be quick.</param>
    /// <param name="unasked">Called for every frame that nobody waited for.</param>
    /// <param name="lost">Called once when the connection breaks by itself.</param>
    public AptConnection(IByteTransport transport, TimeProvider time, Action<AptFrame> received, Action unasked, Action<string> lost) =>
        (_transport, _time, _received, _unasked, _lost) = (transport, time, received, unasked, lost);

    /// <summary>Begins to listen; once.</summary>
    public void Start() => _listening = Task.Run(ListenAsync);

    /// <summary>Bytes received that were neither frames nor stray zeros.</summary>
    public long Unintelligible => _decoder.Unintelligible;

    /// <summary>What came and was no frame, in hex, for messages; only once the connection is disposed of.</summary>
    public string Heard => _decoder.Heard;

    /// <summary>Announces a wait for a frame; before the request goes out.</summary>
    public PendingReplies<AptFrame>.Expectation Expect(Func<AptFrame, bool> matches) => _replies.Expect(matches);

    /// <summary>Sends a frame.</summary>
    public async ValueTask SendAsync(AptFrame frame, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_lastWrite is { } last && WriteSpacing - _time.GetElapsedTime(last) is { Ticks: > 0 } wait)
            {
                await Task.Delay(wait, _time, cancellationToken).ConfigureAwait(false);
            }

            await _transport.WriteAsync(frame.ToBytes(), cancellationToken).ConfigureAwait(false);
            _lastWrite = _time.GetTimestamp();
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Sends a frame and waits for its answer.</summary>
    public async ValueTask<AptFrame> RequestAsync(AptFrame request, Func<AptFrame, bool> matches, CancellationToken cancellationToken)
    {
        using var reply = Expect(matches);
        await SendAsync(request, cancellationToken).ConfigureAwait(false);
        try
        {
            return await reply.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _repliesMissing = true;
            throw;
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

    private async Task ListenAsync()
    {
        var buffer = new byte[4096];
        var lastRead = _time.GetTimestamp();
        try
        {
            while (true)
            {
                var count = await _transport.ReadAsync(buffer, _closing.Token).ConfigureAwait(false);
                if (_repliesMissing)
                {
                    // A reply stayed away and half a frame is here: the other half was lost, and what comes now begins anew.
                    _repliesMissing = false;
                    if (_decoder.IsWithinFrame && _time.GetElapsedTime(lastRead) > LongestPauseWithinFrame)
                    {
                        _decoder.Drop();
                    }
                }

                lastRead = _time.GetTimestamp();
                _decoder.Append(buffer.AsSpan(0, count));
                while (_decoder.Next() is { } frame)
                {
                    _received(frame);
                    if (!_replies.Offer(frame))
                    {
                        _unasked();
                    }
                }
            }
        }
        catch (DeviceException fault)
        {
            _replies.FailAll(fault);
            _lost(fault.Message);
        }
        catch (OperationCanceledException)
        {
            _replies.FailAll(new ObjectDisposedException(nameof(AptConnection)));
        }
    }
}
