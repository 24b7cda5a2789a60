using System.Text.Json.Nodes;
using Qkd.Devices;
using Qkd.Transports;
using Qkd.Transports.Framing;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>
/// The control connection: bare JSON to the instrument, messages that end in 0x17 from it. It is listened to all the time. The
/// instrument tells changes unasked and does not say what a message answers, so whoever waits sees every message and knows his own.
/// Thread-safe.
/// </summary>
internal sealed class WebSqConnection : IAsyncDisposable
{
    private const byte EndOfMessage = 0x17;
    private const int LongestMessage = 1 << 18;

    private readonly IByteTransport _transport;
    private readonly string _deviceName;
    private readonly DelimitedReader _reader;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _gate = new();
    private readonly List<Watch> _watches = [];
    private readonly Task _listening;
    private IWebSqObserver? _observer;
    private DeviceException? _lost;
    private bool _lastWords;
    private int _disposed;

    /// <summary>Takes over a transport and begins to listen.</summary>
    /// <param name="transport">The open connection; closed with this one.</param>
    /// <param name="deviceName">For messages.</param>
    public WebSqConnection(IByteTransport transport, string deviceName)
    {
        (_transport, _deviceName) = (transport, deviceName);
        _reader = new(transport, deviceName, EndOfMessage, LongestMessage);
        _listening = Task.Run(ListenAsync);
    }

    /// <summary>Whether the connection has broken.</summary>
    public bool IsLost
    {
        get
        {
            lock (_gate)
            {
                return _lost is not null;
            }
        }
    }

    /// <summary>What came and is no complete message yet, for messages; only once disposed of.</summary>
    public string Unfinished => WebSqMessage.Printable(string.Concat(_reader.Pending.ToArray().Select(value => (char)value)));

    /// <summary>From now on tells an observer what happens; if the connection has broken already, that.</summary>
    public void Observe(IWebSqObserver observer)
    {
        DeviceException? lost;
        lock (_gate)
        {
            _observer = observer;
            lost = _lost;
        }

        if (lost is not null)
        {
            observer.Lost(lost.Message);
        }
    }

    /// <summary>From now on only what is marked as last words is sent: nothing switches on again what is being switched off.</summary>
    public async ValueTask BeginLastWordsAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        _lastWords = true;
        _writing.Release();
    }

    /// <summary>Sends a message.</summary>
    /// <param name="message">A request or a command.</param>
    /// <param name="lastWords">Whether it belongs to the safe state.</param>
    /// <param name="cancellationToken">Keeps it from being sent.</param>
    /// <exception cref="ObjectDisposedException">The device is being closed.</exception>
    public async ValueTask SendAsync(JsonObject message, bool lastWords, CancellationToken cancellationToken)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(message.ToJsonString());
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_lastWords && !lastWords, this);
            await _transport.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>
    /// Announces a wait, before the request goes out; dispose it when done waiting. An error message fails the oldest wait,
    /// what cannot be read fails all.
    /// </summary>
    /// <param name="request">What is waited for, for messages.</param>
    /// <param name="isLast">Is shown every message until it says that this was the one; may throw a <see cref="DeviceException"/>, which ends the wait.</param>
    public Watch Expect(string request, Func<WebSqMessage, bool> isLast)
    {
        var watch = new Watch(this, request, isLast);
        lock (_gate)
        {
            if (_lost is { } lost)
            {
                watch.Fail(Lost(lost));
            }
            else
            {
                _watches.Add(watch);
            }
        }

        return watch;
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
        while (true)
        {
            try
            {
                foreach (var (message, nonsense) in WebSqMessage.ReadAll(await _reader.ReadAsync(_closing.Token).ConfigureAwait(false)))
                {
                    if (message is not null)
                    {
                        Take(message);
                    }
                    else
                    {
                        Complain(nonsense!);
                    }
                }
            }
            catch (DeviceProtocolException endless)
            {
                Complain(endless.Message);
            }
            catch (DeviceException fault)
            {
                Break(fault);
                Observer?.Lost(fault.Message);
                return;
            }
            catch (OperationCanceledException)
            {
                Break(new DeviceDisconnectedException(_deviceName, _transport.Address.Text, "closed by its owner"));
                return;
            }
        }
    }

    private IWebSqObserver? Observer
    {
        get
        {
            lock (_gate)
            {
                return _observer;
            }
        }
    }

    private void Take(WebSqMessage message)
    {
        Observer?.Received(message);
        if (message.IsError)
        {
            if (Take(all: false) is [var oldest])
            {
                oldest.Fail(new DeviceRefusedException(_deviceName, _transport.Address.Text, oldest.Request, $"{message.Label}: {message.Text}"));
            }
            else
            {
                Observer?.Complained($"{message.Label}: {message.Text}");
            }

            return;
        }

        Watch[] present;
        lock (_gate)
        {
            present = [.. _watches];
        }

        foreach (var watch in present)
        {
            watch.Show(message);
        }
    }

    private void Complain(string nonsense)
    {
        var waiting = Take(all: true);
        foreach (var watch in waiting)
        {
            watch.Fail(new DeviceProtocolException(_deviceName, _transport.Address.Text, watch.Request, $"'{nonsense}'"));
        }

        if (waiting.Length == 0)
        {
            Observer?.Muttered(nonsense);
        }
    }

    private void Break(DeviceException fault)
    {
        lock (_gate)
        {
            _lost ??= fault;
        }

        foreach (var watch in Take(all: true))
        {
            watch.Fail(Lost(fault));
        }
    }

    private DeviceDisconnectedException Lost(DeviceException fault) =>
        new(_deviceName, _transport.Address.Text, "while waiting for an answer", fault);

    /// <summary>Takes waits out of the list: the oldest, or all.</summary>
    private Watch[] Take(bool all)
    {
        lock (_gate)
        {
            Watch[] taken = all ? [.. _watches] : [.. _watches.Take(1)];
            _watches.RemoveRange(0, taken.Length);
            return taken;
        }
    }

    /// <summary>One wait.</summary>
    internal sealed class Watch(WebSqConnection owner, string request, Func<WebSqMessage, bool> isLast) : IDisposable
    {
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>What is waited for.</summary>
        public string Request => request;

        /// <summary>Ends with the message that was waited for.</summary>
        /// <exception cref="DeviceException">Refused, not understood, or the connection is lost.</exception>
        public Task Ended => _end.Task;

        /// <inheritdoc/>
        public void Dispose()
        {
            lock (owner._gate)
            {
                owner._watches.Remove(this);
            }
        }

        internal void Show(WebSqMessage message)
        {
            try
            {
                if (isLast(message))
                {
                    _end.TrySetResult();
                }
            }
            catch (DeviceException problem)
            {
                Fail(problem);
            }
        }

        internal void Fail(DeviceException problem)
        {
            _end.TrySetException(problem);
            // Whoever gave up waiting must not raise an unobserved exception.
            _ = _end.Task.Exception;
        }
    }
}

/// <summary>Is told what happens on a <see cref="WebSqConnection"/>, on its listening thread.</summary>
internal interface IWebSqObserver
{
    /// <summary>A message came, asked for or not.</summary>
    void Received(WebSqMessage message);

    /// <summary>An error message came while nobody waited.</summary>
    void Complained(string error);

    /// <summary>Something that is no message came while nobody waited.</summary>
    void Muttered(string nonsense);

    /// <summary>The connection has broken by itself.</summary>
    void Lost(string problem);
}
