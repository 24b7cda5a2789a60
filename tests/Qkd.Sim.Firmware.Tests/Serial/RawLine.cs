using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Qkd.Sim.Firmware.Transport;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.Serial;

/// <summary>A host that opens the device file of a terminal, or connects to a TCP port, and knows nothing but bytes.</summary>
internal sealed class RawLine : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket? _socket;
    private readonly SafeFileHandle? _file;
    private readonly FileStream? _terminal;
    private Task<int>? _reading;
    private readonly byte[] _buffer = new byte[4096];
    private readonly Queue<byte> _received = new();

    public RawLine(string address)
    {
        if (address.StartsWith("ASRL", StringComparison.Ordinal))
        {
            _file = File.OpenHandle(address["ASRL".Length..^"::INSTR".Length], FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            _terminal = new FileStream(_file, FileAccess.ReadWrite, bufferSize: 0);
            return;
        }

        var parts = address.Split("::");
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _socket.Connect(parts[1], int.Parse(parts[2]));
    }

    /// <summary>The media that this system has.</summary>
    public static TheoryData<SerialMedium> Media { get; } = OperatingSystem.IsLinux() || OperatingSystem.IsMacOS()
        ? [SerialMedium.PseudoTerminal, SerialMedium.Tcp]
        : [SerialMedium.Tcp];

    public void Send(params ReadOnlySpan<byte> bytes)
    {
        if (_socket is not null)
        {
            _socket.Send(bytes).ShouldBe(bytes.Length);
        }
        else
        {
            _terminal!.Write(bytes);
        }
    }

    /// <summary>Exactly these bytes come next.</summary>
    public void ShouldReceive(params ReadOnlySpan<byte> expected) => Receive(expected.Length).ShouldBe(expected.ToArray());

    public byte[] Receive(int count)
    {
        while (_received.Count < count)
        {
            Fetch(Patience).ShouldBeTrue($"only {_received.Count} of {count} bytes came: {Convert.ToHexString([.. _received])}");
        }

        return [.. Enumerable.Range(0, count).Select(_ => _received.Dequeue())];
    }

    /// <summary>Up to and with this byte.</summary>
    public byte[] ReceiveThrough(byte end)
    {
        while (!_received.Contains(end))
        {
            Fetch(Patience).ShouldBeTrue($"no 0x{end:X2} came: {Convert.ToHexString([.. _received])}");
        }

        var bytes = new List<byte>();
        do
        {
            bytes.Add(_received.Dequeue());
        }
        while (bytes[^1] != end);
        return [.. bytes];
    }

    /// <summary>Nothing comes for a while.</summary>
    public void ShouldBeQuiet()
    {
        if (_received.Count == 0)
        {
            Fetch(TimeSpan.FromMilliseconds(150)).ShouldBeFalse("something came unasked");
        }

        _received.ShouldBeEmpty();
    }

    /// <summary>Whether anything comes within a moment.</summary>
    public bool HasMore() => _received.Count > 0 || Fetch(TimeSpan.FromMilliseconds(50));

    public void ShouldBeClosed()
    {
        var before = _received.Count;
        Fetch(Patience).ShouldBeTrue("the line stayed open");
        _received.Count.ShouldBe(before, "bytes came instead of the end");
    }

    public void Dispose()
    {
        // The end of the socket or file ends a read under way.
        _socket?.Dispose();
        _terminal?.Dispose();
        _file?.Dispose();
    }

    private bool Fetch(TimeSpan patience)
    {
        _reading ??= Task.Run(Read);
        if (!_reading.Wait(patience, TestContext.Current.CancellationToken))
        {
            return false;
        }

        foreach (var value in _buffer.AsSpan(0, _reading.Result))
        {
            _received.Enqueue(value);
        }

        _reading = null;
        return true;
    }

    private int Read()
    {
        try
        {
            return _socket is not null ? _socket.Receive(_buffer) : _terminal!.Read(_buffer);
        }
        catch (Exception ended) when (ended is SocketException or IOException or ObjectDisposedException)
        {
            return 0;
        }
    }
}
