using System.Net;
using System.Net.Sockets;
using Qkd.Devices;

namespace Qkd.Transports.Tests;

/// <summary>A transport and the socket at its other end.</summary>
internal sealed record TcpPair(IByteTransport Transport, TcpClient Peer) : IAsyncDisposable
{
    public static async Task<TcpPair> OpenAsync(ByteTransportOptions options, IWireTranscript? transcript = null)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = DeviceAddress.ForTcp("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port);
        var accepting = listener.AcceptTcpClientAsync(TestLimits.Token).WithinLimit();
        var transport = await ByteTransport.ConnectAsync(address, options, transcript, "control", TestLimits.Token).WithinLimit();
        return new(transport, await accepting);
    }

    public async ValueTask DisposeAsync()
    {
        Peer.Dispose();
        await Transport.DisposeAsync();
    }
}
