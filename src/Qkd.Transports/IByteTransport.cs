using Qkd.Devices;

namespace Qkd.Transports;

/// <summary>
/// A byte stream to an instrument: a serial port or a TCP socket. One owner: calls are not made concurrently, except that one
/// read and one write may overlap. After an I/O fault <see cref="IsBroken"/> is true and every call throws; open a new one.
/// </summary>
public interface IByteTransport : IAsyncDisposable
{
    /// <summary>The address it was opened at, for messages.</summary>
    DeviceAddress Address { get; }

    /// <summary>Whether an I/O fault has ended the connection.</summary>
    bool IsBroken { get; }

    /// <summary>Writes all bytes. Cancelling keeps a write from beginning but does not cut it off, since half a message would be out.</summary>
    /// <exception cref="DeviceTimeoutException">Not accepted within the write time-out; the connection is then broken.</exception>
    /// <exception cref="DeviceDisconnectedException">The connection is lost.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Reads at least one byte, at most the buffer's length, and returns how many. Waits without limit; cancel it to stop.</summary>
    /// <exception cref="DeviceDisconnectedException">The connection is lost or the peer closed it.</exception>
    ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Throws away bytes received and not yet read.</summary>
    ValueTask DiscardInputAsync(CancellationToken cancellationToken);
}
