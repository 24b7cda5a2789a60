using Qkd.Devices;

namespace Qkd.Transports;

/// <summary>What all byte transports do about faults: remember the first, name the device in it, and refuse every call after it.</summary>
internal sealed class TransportFaults(DeviceAddress address, ByteTransportOptions options)
{
    private string? _problem;

    /// <summary>Whether the connection has ended.</summary>
    public bool IsBroken => Volatile.Read(ref _problem) is not null;

    /// <summary>Notes the end of the connection by its owner.</summary>
    public void Close() => Interlocked.CompareExchange(ref _problem, "closed by its owner", null);

    /// <summary>Notes a fault and gives the exception to throw. The first fault is the one that is told.</summary>
    public DeviceDisconnectedException Break(string problem, Exception? cause = null)
    {
        Interlocked.CompareExchange(ref _problem, problem, null);
        return new(options.DeviceName, address.Text, _problem!, cause);
    }

    /// <summary>Throws if the connection has ended.</summary>
    public void ThrowIfBroken()
    {
        if (Volatile.Read(ref _problem) is { } problem)
        {
            throw new DeviceDisconnectedException(options.DeviceName, address.Text, problem);
        }
    }

    /// <summary>Writes under the write time-out. A write that was cut off leaves half a message on the wire, so it breaks the connection.</summary>
    public async ValueTask WriteAsync(Func<CancellationToken, ValueTask> write, CancellationToken cancellationToken)
    {
        ThrowIfBroken();
        cancellationToken.ThrowIfCancellationRequested();
        using var timer = new CancellationTokenSource(options.WriteTimeout, options.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await write(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException cut)
        {
            Break("a write was cut off");
            if (cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            throw new DeviceTimeoutException(options.DeviceName, address.Text, "writing", options.WriteTimeout, cut);
        }
        catch (Exception fault) when (fault is IOException or System.Net.Sockets.SocketException or ObjectDisposedException or InvalidOperationException)
        {
            throw Break(fault.Message, fault);
        }
    }
}
