using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;

namespace Qkd.Drivers.Tests.Reference;

/// <summary>
/// A transmitter as the tests need it: it grants everything, and a test may take over the answer to any message. Written from the page of
/// the protocol, without a line of the driver's.
/// </summary>
internal sealed class TransmitterPeer : IAsyncDisposable
{
    public const byte Identify = 0x01, Capabilities = 0x02, Status = 0x03, Configure = 0x10, LaserOn = 0x11, Renew = 0x12, LaserOff = 0x13;
    public const byte Start = 0x20, Stop = 0x21, Symbols = 0x30;
    private const byte Reply = 0x80;

    private readonly ScriptedPeer _peer;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private ScriptedConnection? _line;

    public TransmitterPeer() => _peer = new(ConverseAsync);

    public DeviceAddress Address => _peer.Address;

    public string Model { get; set; } = "Fast board";

    public byte[] CapabilitiesPayload { get; set; } = Able();

    public byte[] StatusPayload { get; set; } = StatusOf(emitting: 0, interlock: 0, running: 0);

    /// <summary>Told right after CONFIGURE; null for nothing.</summary>
    public long? FirstCredit { get; set; } = 6400;

    /// <summary>Everything received, without the headers' magic and version.</summary>
    public ConcurrentQueue<Message> Received { get; } = new();

    /// <summary>Takes the answer to a message over: true if it is dealt with.</summary>
    public Func<Message, Task<bool>> Override { get; set; } = _ => Task.FromResult(false);

    public IEnumerable<Message> ReceivedOf(byte type) => Received.Where(message => message.Type == type);

    public static byte[] Able(
        double rate = 1e8, long buffer = 6400, uint divisor = 1000, uint frame = 6400, uint lease = 1000, byte modes = 1, params double[] photons) =>
    [
        .. BitConverter.GetBytes(rate), .. BitConverter.GetBytes(buffer), .. BitConverter.GetBytes(divisor), .. BitConverter.GetBytes(frame),
        .. BitConverter.GetBytes(lease), modes, 1, (byte)(photons.Length == 0 ? 1 : photons.Length),
        .. (photons.Length == 0 ? [4.0] : photons).SelectMany(BitConverter.GetBytes),
    ];

    public static byte[] StatusOf(byte emitting, byte interlock, byte running, long nextSlot = 0, long buffered = 0, uint underruns = 0, string fault = "") =>
    [
        emitting, interlock, running, .. BitConverter.GetBytes(25f), .. BitConverter.GetBytes(nextSlot), .. BitConverter.GetBytes(buffered),
        .. BitConverter.GetBytes(underruns), .. Text(fault),
    ];

    public static byte[] Frame(byte type, uint sequence, params byte[] payload) =>
        [0x51, 0x54, 1, type, .. BitConverter.GetBytes(sequence), .. BitConverter.GetBytes(payload.Length), .. payload];

    public async Task SendAsync(params byte[] bytes)
    {
        await _writing.WaitAsync(TestLimits.Token);
        try
        {
            await _line!.WriteAsync(bytes, TestLimits.Token);
        }
        finally
        {
            _writing.Release();
        }
    }

    public Task ReplyAsync(Message request, params byte[] payload) => SendAsync(Frame((byte)(request.Type | Reply), request.Sequence, payload));

    public Task RefuseAsync(Message request, ushort code, string text) =>
        SendAsync(Frame(0xFF, request.Sequence, [.. BitConverter.GetBytes(code), .. Encoding.UTF8.GetBytes(text)]));

    public Task SendCreditAsync(long total) => SendAsync(Frame(0x70, 0, BitConverter.GetBytes(total)));

    public Task SendEventAsync(byte kind, string text) => SendAsync(Frame(0x71, 0, [kind, .. Text(text)]));

    public async Task AnswerAsync(Message message)
    {
        switch (message.Type)
        {
            case Identify:
                await ReplyAsync(message, [.. Text("Bench works"), .. Text(Model), .. Text("17"), .. Text("2.1")]);
                break;
            case Capabilities:
                await ReplyAsync(message, CapabilitiesPayload);
                break;
            case Status:
                await ReplyAsync(message, StatusPayload);
                break;
            case LaserOn or Renew:
                await ReplyAsync(message, BitConverter.GetBytes(1000));
                break;
            case Configure:
                await ReplyAsync(message);
                if (FirstCredit is { } credit)
                {
                    await SendCreditAsync(credit);
                }

                break;
            case Symbols:
                break;
            default:
                await ReplyAsync(message);
                break;
        }
    }

    public void HangUp() => _peer.HangUp();

    public ValueTask DisposeAsync() => _peer.DisposeAsync();

    private static byte[] Text(string text) => [(byte)Encoding.UTF8.GetByteCount(text), .. Encoding.UTF8.GetBytes(text)];

    private async Task ConverseAsync(ScriptedConnection line, CancellationToken token)
    {
        _line = line;
        while (true)
        {
            var header = await line.ReadAsync(12, token);
            var payload = await line.ReadAsync(BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(8)), token);
            var message = new Message(header[3], BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4)), payload);
            Received.Enqueue(message);
            if (!await Override(message))
            {
                await AnswerAsync(message);
            }
        }
    }

    internal sealed record Message(byte Type, uint Sequence, byte[] Payload)
    {
        /// <summary>Of SYMBOLS.</summary>
        public long Position => BinaryPrimitives.ReadInt64LittleEndian(Payload);

        /// <summary>Of SYMBOLS.</summary>
        public int Slots => BinaryPrimitives.ReadInt32LittleEndian(Payload.AsSpan(8));
    }
}
