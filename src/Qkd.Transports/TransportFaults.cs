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

    /// <summary>
    /// Writes under the write time-out. Once begun it goes to its end whatever the caller's token says: a write that is cut off
    /// leaves half a message on the wire, and the connection would be of no use any more.
    /// </summary>
    public async ValueTask WriteAsync(Func<CancellationToken, ValueTask> write, CancellationToken cancellationToken)
    {
        ThrowIfBroken();
        cancellationToken.ThrowIfCancellationRequested();
        using var timer = new CancellationTokenSource(options.WriteTimeout, options.Time);
        try
        {
            await write(timer.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException cut)
        {
            Break("a write was cut off");
            throw new DeviceTimeoutException(options.DeviceName, address.Text, "writing", options.WriteTimeout, cut);
        }
        catch (Exception fault) when (fault is IOException or System.Net.Sockets.SocketException or ObjectDisposedException or InvalidOperationException)
        {
            throw Break(fault.Message, fault);
        }
    }
}
