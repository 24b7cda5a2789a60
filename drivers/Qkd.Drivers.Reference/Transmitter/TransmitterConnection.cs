using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Qkd.Devices;
using Qkd.Transports;
using Qkd.Transports.Framing;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>
/// Frames over a byte stream. Replies find their requests by the sequence number; what comes without a request goes to the driver. A frame
/// that is none ends the connection: after it no boundary between messages can be trusted.
/// </summary>
internal sealed class TransmitterConnection : IAsyncDisposable
{
    // Set in the sequence numbers of messages that nobody waits for, so that a refusal of one is told from a late one of a request.
    private const uint Posted = 0x8000_0000;

    private readonly IByteTransport _transport;
    private readonly string _deviceName;
    private readonly Action<TransmitterFrame> _received;
    private readonly Action<string> _lost;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly PendingReplies<TransmitterFrame> _replies = new();
    private Task _listening = Task.CompletedTask;
    private byte[] _outgoing = new byte[256];
    private uint _sequence;
    private int _disposed;

    /// <summary>Takes over a transport.</summary>
    /// <param name="transport">The open socket; closed with the connection.</param>
    /// <param name="deviceName">For messages.</param>
    /// <param name="received">Sees every frame in the order of arrival, before those who wait for it; must be quick.</param>
    /// <param name="lost">Called once when the connection breaks by itself.</param>
    public TransmitterConnection(IByteTransport transport, string deviceName, Action<TransmitterFrame> received, Action<string> lost) =>
        (_transport, _deviceName, _received, _lost) = (transport, deviceName, received, lost);

    /// <summary>Whether a sound frame has ever come.</summary>
    public bool HeardFrame { get; private set; }

    /// <summary>What came where a header should be, in hex, if it was none or is not complete yet; else empty.</summary>
    public string Heard { get; private set; } = "";

    /// <summary>Whether <see cref="Heard"/> cannot be the beginning of a header either.</summary>
    public bool HeardNonsense => Heard is { Length: > 0 } heard && !TransmitterFrame.MayBegin(Convert.FromHexString(heard));

    /// <summary>Begins to listen; once.</summary>
    public void Start() => _listening = Task.Run(ListenAsync);

    /// <summary>Sends a request and waits for its reply or refusal.</summary>
    public async ValueTask<TransmitterFrame> RequestAsync(MessageKind kind, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        PendingReplies<TransmitterFrame>.Expectation reply;
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var sequence = NextSequence();
            reply = _replies.Expect(frame => frame.Sequence == sequence);
            try
            {
                await WriteAsync(kind, sequence, payload, default, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                reply.Dispose();
                throw;
            }
        }
        finally
        {
            _writing.Release();
        }

        using (reply)
        {
            return await reply.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Sends a message that has no reply unless it is refused; one write for head and words. If this is cancelled, nothing has been sent.
    /// </summary>
    public async ValueTask PostAsync(MessageKind kind, ReadOnlyMemory<byte> head, ReadOnlyMemory<ulong> words, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await WriteAsync(kind, NextSequence() | Posted, head, words, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Whether a frame refuses a message of <see cref="PostAsync"/>.</summary>
    public static bool RefusesPosted(TransmitterFrame frame) => frame.Kind == (byte)MessageKind.Error && (frame.Sequence & Posted) != 0;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _closing.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        await _transport.DisposeAsync().ConfigureAwait(false);
        _closing.Dispose();
    }

    /// <summary>0 is for messages without request.</summary>
    private uint NextSequence() => _sequence = (_sequence + 1) % Posted is 0 ? 1 : (_sequence + 1) % Posted;

    private async ValueTask WriteAsync(
        MessageKind kind, uint sequence, ReadOnlyMemory<byte> head, ReadOnlyMemory<ulong> words, CancellationToken cancellationToken)
    {
        var payload = head.Length + (words.Length * sizeof(ulong));
        var length = TransmitterFrame.HeaderLength + payload;
        if (_outgoing.Length < length)
        {
            _outgoing = new byte[length];
        }

        Compose(kind, sequence, head.Span, words.Span, payload);
        try
        {
            await _transport.WriteAsync(_outgoing.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        }
        catch (DeviceException fault) when (_transport.IsBroken)
        {
            // The listener may not notice: what was cut off is the way out.
            End(fault);
            throw;
        }
    }

    private void Compose(MessageKind kind, uint sequence, ReadOnlySpan<byte> head, ReadOnlySpan<ulong> words, int payload)
    {
        TransmitterFrame.WriteHeader(_outgoing, kind, sequence, payload);
        head.CopyTo(_outgoing.AsSpan(TransmitterFrame.HeaderLength));
        var body = _outgoing.AsSpan(TransmitterFrame.HeaderLength + head.Length);
        if (BitConverter.IsLittleEndian)
        {
            MemoryMarshal.AsBytes(words).CopyTo(body);
            return;
        }

        for (var i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(body[(i * sizeof(ulong))..], words[i]);
        }
    }

    private void End(DeviceException fault)
    {
        _replies.FailAll(fault as DeviceDisconnectedException ?? new(_deviceName, _transport.Address.Text, fault.Message, fault));
        _lost(fault.Message);
    }

    private async Task ListenAsync()
    {
        var header = new byte[TransmitterFrame.HeaderLength];
        try
        {
            while (true)
            {
                await ReadHeaderAsync(header).ConfigureAwait(false);
                if (!TransmitterFrame.TryReadHeader(header, out var kind, out var sequence, out var length))
                {
                    Heard = Convert.ToHexString(header);
                    throw new DeviceDisconnectedException(_deviceName, _transport.Address.Text, $"{Heard} is no frame of the reference transmitter");
                }

                var payload = new byte[length];
                await _transport.ReadExactlyAsync(payload, _closing.Token).ConfigureAwait(false);
                HeardFrame = true;
                Take(new TransmitterFrame(kind, sequence, payload));
            }
        }
        catch (DeviceException fault)
        {
            End(fault);
        }
        catch (OperationCanceledException)
        {
            _replies.FailAll(new ObjectDisposedException(nameof(TransmitterConnection)));
        }
    }

    /// <summary>Reads a header; when the stream ends or falls silent in the middle of one, what came is kept for the message.</summary>
    private async ValueTask ReadHeaderAsync(byte[] header)
    {
        for (var have = 0; have < header.Length;)
        {
            have += await _transport.ReadAsync(header.AsMemory(have), _closing.Token).ConfigureAwait(false);
            Heard = have < header.Length ? Convert.ToHexString(header.AsSpan(0, have)) : "";
        }
    }

    private void Take(TransmitterFrame frame)
    {
        if (frame is { Kind: (byte)MessageKind.Error, Sequence: 0 })
        {
            var (code, text) = ReadError(frame);
            throw new DeviceDisconnectedException(
                _deviceName, _transport.Address.Text, code == ErrorCode.InUse ? $"in use by another host ({text})" : $"error {(int)code}: {text}");
        }

        _received(frame);
        _replies.Offer(frame);
    }

    /// <summary>Code and text of a refusal.</summary>
    public static (ErrorCode Code, string Text) ReadError(TransmitterFrame frame)
    {
        var payload = frame.Payload.Span;
        return payload.Length < 2
            ? (0, "an error message without a code")
            : ((ErrorCode)BinaryPrimitives.ReadUInt16LittleEndian(payload), System.Text.Encoding.UTF8.GetString(payload[2..]));
    }
}
