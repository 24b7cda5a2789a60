using System.Buffers;
using NetMQ;
using NetMQ.Sockets;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The PAIR socket of one stream. Sends the arrays in which the recorder collected the tags without copying them, and gives them back
/// to the pool once they have left. Belongs to the thread that owns the sockets.
/// </summary>
/// <remarks>
/// NetMQ does not say when it is done with an array, but its high-water mark does: with a mark of <see cref="HighWaterMark"/> it
/// accepts message k only after the I/O thread has taken message k - <see cref="HighWaterMark"/>, and the I/O thread takes a message
/// only after the one before is wholly in the operating system's hands. So with k accepted, message k - <see cref="HighWaterMark"/> - 1 has
/// left. (If a host goes and another comes in between, an array may be reused early, on its way to the host that is gone.)
/// </remarks>
internal sealed class StreamSocket : IDisposable
{
    private const int HighWaterMark = 2;

    private readonly PairSocket _socket = new();
    private readonly Queue<byte[]?> _leaving = new();

    /// <exception cref="NetMQException">The port cannot be bound.</exception>
    public StreamSocket(TagStream stream, string endpoint)
    {
        Stream = stream;
        _socket.Options.Linger = TimeSpan.Zero;
        _socket.Options.SendHighWatermark = HighWaterMark;

        // A host has nothing to say here, but NetMQ lets go of a host that has left only where somebody reads.
        _socket.ReceiveReady += (_, args) => args.Socket.TrySkipFrame();
        try
        {
            _socket.Bind(endpoint);
        }
        catch (NetMQException)
        {
            _socket.Dispose();
            throw;
        }
    }

    public TagStream Stream { get; }

    public NetMQSocket Socket => _socket;

    /// <summary>Sends a message if the socket takes it now.</summary>
    public bool TrySend(StreamMessage message, int length)
    {
        var frame = default(Msg);
        frame.InitGC(message.Bytes ?? [], length);
        var sent = _socket.TrySend(ref frame, TimeSpan.Zero, more: false);
        frame.Close();
        if (sent)
        {
            _leaving.Enqueue(message.Bytes);
            if (_leaving.Count > HighWaterMark + 1 && _leaving.Dequeue() is { } left)
            {
                ArrayPool<byte>.Shared.Return(left);
            }
        }

        return sent;
    }

    public void Dispose() => _socket.Dispose();
}
