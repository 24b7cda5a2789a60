using System.Globalization;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Devices;

namespace Qkd.Drivers.Tests.Support;

/// <summary>A ZeroMQ REP socket that plays an instrument as a test tells it.</summary>
public sealed class ZmqPeer : IAsyncDisposable
{
    private readonly ResponseSocket _socket = new();
    private readonly NetMQPoller _poller;

    /// <param name="answer">Makes the answer to a request; called on the peer's own thread. Null for silence.</param>
    public ZmqPeer(Func<string, string?> answer)
    {
        _socket.Options.Linger = TimeSpan.Zero;
        Address = DeviceAddress.ForTcp("127.0.0.1", _socket.BindRandomPort("tcp://127.0.0.1"));
        _socket.ReceiveReady += (_, ready) =>
        {
            if (answer(string.Join('\n', ready.Socket.ReceiveMultipartStrings())) is { } text)
            {
                ready.Socket.SendFrame(text);
            }
        };
        _poller = [_socket];
        _poller.RunAsync(string.Create(CultureInfo.InvariantCulture, $"peer at {Address.Port}"), isBackgroundThread: true);
    }

    public DeviceAddress Address { get; }

    public async ValueTask DisposeAsync()
    {
        await Task.Run(_poller.Dispose).WaitAsync(TestLimits.Longest);
        _socket.Dispose();
    }
}
