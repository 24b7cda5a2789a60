using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>A TCP port. Unplugged, it keeps its number and closes whoever connects.</summary>
internal sealed class TcpPort(string instrument, IPAddress address, int port, bool newestOnly) : EmulatedPort
{
    private readonly Lock _gate = new();
    private readonly HashSet<TcpLine> _lines = [];
    private readonly CancellationTokenSource _closing = new();
    private TcpListener? _listener;
    private Task _accepting = Task.CompletedTask;
    private ILineHandler? _handler;
    private bool _unplugged;

    /// <inheritdoc/>
    public override void Open(ILineHandler handler)
    {
        _handler = handler;
        var listener = new TcpListener(address, port);
        try
        {
            listener.Start();
        }
        catch (SocketException refused)
        {
            listener.Dispose();
            throw new IOException(
                string.Create(CultureInfo.InvariantCulture, $"Emulated {instrument} cannot listen on {address} port {port}: {refused.Message}"),
                refused);
        }

        _listener = listener;
        var bound = ((IPEndPoint)listener.LocalEndpoint).Port;
        Address = string.Create(CultureInfo.InvariantCulture, $"TCPIP0::{address}::{bound}::SOCKET");
        _accepting = AcceptAsync(listener);
    }

    /// <inheritdoc/>
    public override void Unplug()
    {
        TcpLine[] lines;
        lock (_gate)
        {
            _unplugged = true;
            lines = [.. _lines];
        }

        foreach (var line in lines)
        {
            line.Drop();
        }
    }

    /// <inheritdoc/>
    public override void PlugIn()
    {
        lock (_gate)
        {
            _unplugged = false;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        Unplug();
        _listener?.Dispose();
        await _accepting.ConfigureAwait(false);
        Task[] running;
        lock (_gate)
        {
            running = [.. _lines.Select(line => line.Running)];
        }

        await Task.WhenAll(running).ConfigureAwait(false);
        _closing.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener)
    {
        while (!_closing.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptSocketAsync(_closing.Token).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // The host gave up before it was taken.
                continue;
            }
            catch (Exception closing) when (closing is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            Take(socket);
        }
    }

    private void Take(Socket socket)
    {
        TcpLine[] replaced;
        TcpLine line;
        lock (_gate)
        {
            if (_unplugged)
            {
                socket.Dispose();
                return;
            }

            replaced = newestOnly ? [.. _lines] : [];
            line = new TcpLine(socket);
            _lines.Add(line);
        }

        foreach (var older in replaced)
        {
            older.Drop();
        }

        line.Running = Task.Run(() => ServeAsync(line));
    }

    private async Task ServeAsync(TcpLine line)
    {
        _handler!.Opened(line);
        try
        {
            await line.RunAsync(_handler).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _lines.Remove(line);
            }

            _handler.Closed(line);
        }
    }

    private sealed class TcpLine : EmulatedLine
    {
        private const int MessagesKept = 4096;

        private readonly Socket _socket;
        private readonly Channel<byte[]> _outgoing = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MessagesKept) { SingleReader = true });

        public TcpLine(Socket socket)
        {
            _socket = socket;
            _socket.NoDelay = true;
        }

        public Task Running { get; set; } = Task.CompletedTask;

        public override void Send(ReadOnlySpan<byte> bytes)
        {
            // A host that takes nothing would otherwise fill the memory.
            if (!_outgoing.Writer.TryWrite(bytes.ToArray()))
            {
                Drop();
            }
        }

        public void Drop()
        {
            _outgoing.Writer.TryComplete();
            _socket.Dispose();
        }

        public async Task RunAsync(ILineHandler handler)
        {
            var sending = SendAllAsync();
            var buffer = new byte[16384];
            try
            {
                int count;
                while ((count = await _socket.ReceiveAsync(buffer).ConfigureAwait(false)) > 0)
                {
                    handler.Received(this, buffer.AsSpan(0, count));
                }
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                // The host is gone, or the cable was pulled.
            }
            finally
            {
                Drop();
            }

            await sending.ConfigureAwait(false);
        }

        private async Task SendAllAsync()
        {
            try
            {
                await foreach (var bytes in _outgoing.Reader.ReadAllAsync().ConfigureAwait(false))
                {
                    for (var sent = 0; sent < bytes.Length;)
                    {
                        sent += await _socket.SendAsync(bytes.AsMemory(sent)).ConfigureAwait(false);
                    }
                }
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
            {
                Drop();
            }
        }
    }
}
