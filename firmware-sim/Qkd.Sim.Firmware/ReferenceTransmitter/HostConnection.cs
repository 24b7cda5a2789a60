using System.Buffers.Binary;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>
/// One host's connection: cuts what arrives into messages, answers them in order, and sends what the instrument has to say unasked.
/// The symbols of a SYMBOLS message are received straight into the ring.
/// </summary>
internal sealed class HostConnection : IAsyncDisposable
{
    private const int MessagesWaiting = 256;
    private const int LongestRequest = 4096;
    private const int SymbolsHeader = 12;

    private readonly Socket _socket;
    private readonly TransmitterCore _core;
    private readonly Func<InstrumentFault> _fault;
    private readonly TimeSpan _lateBy;
    // Has neither timer nor link, so that leaving it to the collector costs nothing and cancelling it twice is harmless.
    private readonly CancellationTokenSource _end = new();
    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly Channel<byte[]> _outgoing = Channel.CreateBounded<byte[]>(
        new BoundedChannelOptions(MessagesWaiting) { SingleReader = true });

    private int _start;
    private int _filled;

    // How much of a payload has been consumed when it is refused.
    private int _consumed;

    public HostConnection(Socket socket, TransmitterCore core, Func<InstrumentFault> fault, TimeSpan lateBy)
    {
        (_socket, _core, _fault, _lateBy) = (socket, core, fault, lateBy);
        socket.NoDelay = true;
        core.Attach(_outgoing.Writer.TryWrite);
        Completion = RunAsync();
    }

    /// <summary>Ends when the connection has been closed by either side and the laser is off. Does not fail.</summary>
    public Task Completion { get; }

    /// <summary>Whether the host has closed its side, which the reading may not have noticed yet.</summary>
    public bool HostLeft
    {
        get
        {
            try
            {
                return _socket.Poll(TimeSpan.Zero, SelectMode.SelectRead) && _socket.Available == 0;
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return true;
            }
        }
    }

    /// <summary>Drops the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await Completion.ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        var writing = WriteAsync();
        try
        {
            while (await ReadMessageAsync().ConfigureAwait(false))
            {
            }
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The host has gone, or the instrument has dropped it: the same to the light.
        }

        _core.Detach();
        _outgoing.Writer.TryComplete();
        if (!_end.IsCancellationRequested)
        {
            await _end.CancelAsync().ConfigureAwait(false);
        }

        await writing.ConfigureAwait(false);
        _socket.Dispose();
    }

    /// <summary>Reads and answers one message; false at the end of the connection or where nonsense begins.</summary>
    private async ValueTask<bool> ReadMessageAsync()
    {
        if (!await FillAsync(MessageHeader.Length).ConfigureAwait(false)
            || !MessageHeader.TryRead(_buffer.AsSpan(_start, MessageHeader.Length), out var header))
        {
            return false;
        }

        _start += MessageHeader.Length;
        var length = (int)header.PayloadLength;
        if (_fault() == InstrumentFault.Silent)
        {
            return await SkipAsync(length).ConfigureAwait(false);
        }

        var type = (MessageType)header.Type;
        try
        {
            if (type == MessageType.Symbols)
            {
                return await ReceiveSymbolsAsync(length).ConfigureAwait(false);
            }

            if (length > LongestRequest)
            {
                throw new RefusalException(RefusalCode.WrongForm, $"payload of {length} bytes");
            }

            if (!await FillAsync(length).ConfigureAwait(false))
            {
                return false;
            }

            _start += length;
            length = 0;
            var reply = _core.Request(type, _buffer.AsSpan(_start - (int)header.PayloadLength, (int)header.PayloadLength));
            if (reply is not null)
            {
                await SendAsync(TransmitterMessage.Reply(type, header.Sequence, reply)).ConfigureAwait(false);
            }

            if (type == MessageType.Configure)
            {
                _core.GrantFirstCredit();
            }

            return true;
        }
        catch (RefusalException refusal)
        {
            await SendAsync(TransmitterMessage.Refusal(header.Sequence, refusal.Code, refusal.Message)).ConfigureAwait(false);
            return await SkipAsync(length - _consumed).ConfigureAwait(false);
        }
        finally
        {
            _consumed = 0;
        }
    }

    private async ValueTask<bool> ReceiveSymbolsAsync(int length)
    {
        if (length < SymbolsHeader)
        {
            throw new RefusalException(RefusalCode.WrongForm, $"payload of {length} bytes");
        }

        if (!await FillAsync(SymbolsHeader).ConfigureAwait(false))
        {
            return false;
        }

        var position = BinaryPrimitives.ReadUInt64LittleEndian(_buffer.AsSpan(_start));
        var slots = BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(_start + 8));
        _start += SymbolsHeader;
        _consumed = SymbolsHeader;
        if (length != SymbolsHeader + (slots / 2L))
        {
            throw new RefusalException(RefusalCode.WrongForm, $"{length - SymbolsHeader} bytes of symbols for {slots} slots");
        }

        var generation = _core.AcceptSymbols(position, slots);
        var at = (long)(position / 2);
        for (var remaining = length - SymbolsHeader; remaining > 0;)
        {
            var region = _core.Ring.Region(at);
            region = region[..Math.Min(region.Length, remaining)];
            int received;
            if (_start < _filled)
            {
                received = Math.Min(region.Length, _filled - _start);
                _buffer.AsMemory(_start, received).CopyTo(region);
                _start += received;
            }
            else
            {
                received = await _socket.ReceiveAsync(region, SocketFlags.None, _end.Token).ConfigureAwait(false);
                if (received == 0)
                {
                    return false;
                }
            }

            remaining -= received;
            at += received;
        }

        _core.CommitSymbols(generation, slots);
        return true;
    }

    /// <summary>Makes sure that so many bytes are in the buffer; false if the connection ends before.</summary>
    private async ValueTask<bool> FillAsync(int count)
    {
        if (_buffer.Length - _start < count || _start == _filled)
        {
            _buffer.AsSpan(_start, _filled - _start).CopyTo(_buffer);
            (_start, _filled) = (0, _filled - _start);
        }

        while (_filled - _start < count)
        {
            var received = await _socket.ReceiveAsync(_buffer.AsMemory(_filled), SocketFlags.None, _end.Token).ConfigureAwait(false);
            if (received == 0)
            {
                return false;
            }

            _filled += received;
        }

        return true;
    }

    private async ValueTask<bool> SkipAsync(int count)
    {
        while (count > 0)
        {
            if (!await FillAsync(1).ConfigureAwait(false))
            {
                return false;
            }

            var skipped = Math.Min(count, _filled - _start);
            _start += skipped;
            count -= skipped;
        }

        return true;
    }

    private ValueTask SendAsync(byte[] message) => _outgoing.Writer.WriteAsync(message, _end.Token);

    private async Task WriteAsync()
    {
        try
        {
            await foreach (var message in _outgoing.Reader.ReadAllAsync(_end.Token).ConfigureAwait(false))
            {
                var fault = _fault();
                if (fault == InstrumentFault.Silent)
                {
                    continue;
                }

                if (fault == InstrumentFault.Late)
                {
                    await Task.Delay(_lateBy, _end.Token).ConfigureAwait(false);
                }

                await SendAllAsync(Spoil(message, fault)).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Reading notices too and ends the connection.
        }
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, _end.Token).ConfigureAwait(false)..];
        }
    }

    private static ReadOnlyMemory<byte> Spoil(byte[] message, InstrumentFault fault)
    {
        switch (fault)
        {
            case InstrumentFault.HalfAnswer:
                return message.AsMemory(0, message.Length / 2);
            case InstrumentFault.Garbage:
                // Never a valid header: the magic's first byte does not occur.
                Array.Fill(message, (byte)0xA5);
                return message;
            default:
                return message;
        }
    }
}
