using System.Net;
using System.Net.Sockets;
using System.Text;
using Qkd.Devices;

namespace Qkd.Drivers.Tests.Support;

/// <summary>A TCP listener that plays an instrument as a test tells it, one connection at a time.</summary>
public sealed class ScriptedPeer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _serving;
    private TcpClient? _client;

    /// <param name="converse">Plays the part on one connection; ending it closes the connection.</param>
    public ScriptedPeer(Func<ScriptedConnection, CancellationToken, Task> converse)
    {
        _listener.Start();
        Address = DeviceAddress.ForTcp("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);
        _serving = Task.Run(() => ServeAsync(converse));
    }

    public DeviceAddress Address { get; }

    /// <summary>A peer that takes everything and says nothing.</summary>
    public static ScriptedPeer Silent() => new(async (connection, token) =>
    {
        while (true)
        {
            await connection.ReadByteAsync(token);
        }
    });

    /// <summary>A peer that answers every line, whatever ends it, with the same text.</summary>
    public static ScriptedPeer Answering(string text) => new(async (connection, token) =>
    {
        while (true)
        {
            await connection.ReadByteAsync(token);
            await connection.WriteAsync(text, token);
        }
    });

    /// <summary>Pulls the cable.</summary>
    public void HangUp() => _client?.Dispose();

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Dispose();
        _client?.Dispose();
        await _serving.WaitAsync(TestLimits.Longest);
        _closing.Dispose();
    }

    private async Task ServeAsync(Func<ScriptedConnection, CancellationToken, Task> converse)
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync(_closing.Token);
                client.NoDelay = true;
                _client = client;
                try
                {
                    await converse(new(client.GetStream()), _closing.Token);
                }
                catch (Exception end) when (end is IOException or ObjectDisposedException)
                {
                    // The driver closed the connection, or the test did.
                }
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or InvalidOperationException)
        {
            // The test is over.
        }
    }
}

/// <summary>The peer's end of a connection.</summary>
public sealed class ScriptedConnection(NetworkStream stream)
{
    private readonly byte[] _one = new byte[1];

    public async Task<byte> ReadByteAsync(CancellationToken cancellationToken)
    {
        await stream.ReadExactlyAsync(_one, cancellationToken);
        return _one[0];
    }

    public async Task<byte[]> ReadAsync(int length, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }

    /// <summary>Reads up to a carriage return.</summary>
    public async Task<string> ReadCommandAsync(CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        while (await ReadByteAsync(cancellationToken) is var value && value != '\r')
        {
            text.Append((char)value);
        }

        return text.ToString();
    }

    public Task WriteAsync(string text, CancellationToken cancellationToken) =>
        WriteAsync(Encoding.Latin1.GetBytes(text), cancellationToken);

    public Task WriteAsync(byte[] bytes, CancellationToken cancellationToken) => stream.WriteAsync(bytes, cancellationToken).AsTask();
}
