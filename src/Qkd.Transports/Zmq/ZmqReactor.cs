using System.Buffers;
using NetMQ;

namespace Qkd.Transports.Zmq;

/// <summary>
/// The one thread that owns every ZeroMQ socket of this process, since a socket must not be used from several. It sleeps in the
/// system's own wait until a socket has something or an action is handed in; there is no polling interval. A background thread, for
/// the life of the process: it has nothing to flush.
/// </summary>
internal static class ZmqReactor
{
    private static readonly Lazy<NetMQPoller> Poller = new(Start);

    /// <summary>Runs an action on the thread that owns the sockets.</summary>
    public static Task RunAsync(Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Poller.Value.Run(() =>
        {
            try
            {
                action();
                done.SetResult();
            }
            catch (Exception problem)
            {
                done.SetException(problem);
            }
        });
        return done.Task;
    }

    /// <summary>Begins to watch a socket. On the owning thread only.</summary>
    public static void Watch(NetMQSocket socket) => Poller.Value.Add(socket);

    /// <summary>Ceases to watch a socket. On the owning thread only.</summary>
    public static void Unwatch(NetMQSocket socket) => Poller.Value.Remove(socket);

    /// <summary>The poller itself, for a socket's monitor.</summary>
    public static INetMQPoller Instance => Poller.Value;

    private static NetMQPoller Start()
    {
        // Messages of megabytes, many a second: fresh arrays for each would keep the garbage collector busy.
        BufferPool.SetCustomBufferPool(new SharedArrays());
        var poller = new NetMQPoller();
        poller.RunAsync("ZeroMQ", true);
        return poller;
    }

    private sealed class SharedArrays : IBufferPool
    {
        public byte[] Take(int size) => ArrayPool<byte>.Shared.Rent(size);

        public void Return(byte[] buffer) => ArrayPool<byte>.Shared.Return(buffer);

        public void Dispose()
        {
        }
    }
}
