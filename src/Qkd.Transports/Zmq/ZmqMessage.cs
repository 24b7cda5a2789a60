using NetMQ;

namespace Qkd.Transports.Zmq;

/// <summary>A received message. It owns the buffer into which the bytes came from the socket; dispose it to give the buffer back.</summary>
public sealed class ZmqMessage : IDisposable
{
    private Msg _message;
    private int _closed;

    internal ZmqMessage(ref Msg message, DateTimeOffset receivedAt)
    {
        _message.InitEmpty();
        _message.Move(ref message);
        Data = _message.SliceAsMemory();
        ReceivedAt = receivedAt;
    }

    /// <summary>The message; not to be used once it is disposed of.</summary>
    public ReadOnlyMemory<byte> Data { get; private set; }

    /// <summary>When the last byte had been received.</summary>
    public DateTimeOffset ReceivedAt { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            Data = default;
            _message.Close();
        }
    }
}
