using System.IO.Pipelines;
using System.IO.Ports;
using Qkd.Devices;

namespace Qkd.Transports.Serial;

/// <summary>
/// A serial port. One pump reads the port for as long as it is open and readers take from its buffer: so a read can be cancelled on
/// every system without losing bytes, and the end of the line is noticed even while nobody reads.
/// </summary>
internal sealed class SerialTransport : IByteTransport
{
    private readonly SerialPort _port;
    private readonly Stream _stream;
    private readonly TransportFaults _faults;
    private readonly CancellationTokenSource _closing = new();
    private readonly Pipe _received = new(new PipeOptions(
        pauseWriterThreshold: 1 << 20, resumeWriterThreshold: 1 << 19, useSynchronizationContext: false));

    private readonly Task _pump;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private int _disposed;

    private SerialTransport(DeviceAddress address, SerialPort port, ByteTransportOptions options)
    {
        Address = address;
        _port = port;
        _stream = port.BaseStream;
        _faults = new(address, options);
        (_patience, _time) = (options.WriteTimeout, options.Time);
        _pump = Task.Run(PumpAsync);
    }

    /// <inheritdoc/>
    public DeviceAddress Address { get; }

    /// <inheritdoc/>
    public bool IsBroken => _faults.IsBroken;

    public static async ValueTask<SerialTransport> OpenAsync(DeviceAddress address, ByteTransportOptions options, CancellationToken cancellationToken)
    {
        var settings = options.Serial;
        var port = new SerialPort(address.Name, address.BaudRate ?? settings.BaudRate, settings.Parity, settings.DataBits, settings.StopBits)
        {
            Handshake = settings.Handshake,
            // Both off while opening: a pseudo-terminal has no such lines, and Open would fail.
            DtrEnable = false,
            RtsEnable = false,
        };
        try
        {
            // Opening blocks in the system, on a bad adapter for seconds.
            await Task.Run(port.Open, cancellationToken).WaitAsync(options.ConnectTimeout, options.Time, cancellationToken).ConfigureAwait(false);
            RaiseLinesBestEffort(port, settings);
            return new(address, port, options);
        }
        catch (TimeoutException late)
        {
            port.Dispose();
            throw new DeviceTimeoutException(options.DeviceName, address.Text, "opening the port", options.ConnectTimeout, late);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException)
        {
            port.Dispose();
            throw new DeviceException(options.DeviceName, address.Text, $"cannot open the serial port: {problem.Message}", problem);
        }
        catch
        {
            port.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        // WaitAsync, because on some systems the port's own write does not look at its token.
        _faults.WriteAsync(async token => await _stream.WriteAsync(data, token).AsTask().WaitAsync(token).ConfigureAwait(false), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        // What arrived before the line broke is still handed out.
        var result = await _received.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        var available = result.Buffer;
        if (available.IsEmpty)
        {
            _received.Reader.AdvanceTo(available.End);
            throw _faults.Break("the port was closed");
        }

        var taken = available.Slice(0, Math.Min(buffer.Length, available.Length));
        var position = 0;
        foreach (var segment in taken)
        {
            segment.CopyTo(buffer[position..]);
            position += segment.Length;
        }

        _received.Reader.AdvanceTo(taken.End);
        return position;
    }

    /// <inheritdoc/>
    public ValueTask DiscardInputAsync(CancellationToken cancellationToken)
    {
        _faults.ThrowIfBroken();
        cancellationToken.ThrowIfCancellationRequested();
        while (_received.Reader.TryRead(out var result))
        {
            _received.Reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                break;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _faults.Close();
        await _closing.CancelAsync().ConfigureAwait(false);
        try
        {
            // Closing waits until what was written is out: for ever, where the other side holds it up by its handshake lines.
            await Task.Run(CloseAsync).WaitAsync(_patience, _time).ConfigureAwait(false);
            _closing.Dispose();
        }
        catch (TimeoutException)
        {
            // It ends when the other side lets it, or with the process.
        }
    }

    private async Task CloseAsync()
    {
        _port.Dispose();
        await _pump.ConfigureAwait(false);
    }

    private async Task PumpAsync()
    {
        try
        {
            while (true)
            {
                var count = await _stream.ReadAsync(_received.Writer.GetMemory(4096), _closing.Token).ConfigureAwait(false);
                if (count == 0)
                {
                    _faults.Break("the other side closed the line");
                    break;
                }

                _received.Writer.Advance(count);
                await _received.Writer.FlushAsync(_closing.Token).ConfigureAwait(false);
            }
        }
        catch (Exception fault) when (fault is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or UnauthorizedAccessException)
        {
            _faults.Break(fault.Message);
        }

        await _received.Writer.CompleteAsync().ConfigureAwait(false);
    }

    private static void RaiseLinesBestEffort(SerialPort port, SerialSettings settings)
    {
        try
        {
            port.DtrEnable = settings.DataTerminalReady;
            if (settings.Handshake is not (Handshake.RequestToSend or Handshake.RequestToSendXOnXOff))
            {
                port.RtsEnable = settings.RequestToSend;
            }
        }
        catch (IOException)
        {
            // A pseudo-terminal or an adapter without these lines.
        }
    }
}
