using System.Collections.Concurrent;
using Qkd.Drivers.Tests.Support;

namespace Qkd.Drivers.Tests.Thorlabs;

/// <summary>
/// A paddle controller as the tests need it: it moves at once, and a test may take over the answer to any message. Written from the
/// protocol document, without a line of the driver's.
/// </summary>
internal sealed class AptPeer : IAsyncDisposable
{
    private const uint Resting = 0x8000_0500;
    private readonly ScriptedPeer _peer;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private ScriptedConnection? _line;

    public AptPeer() => _peer = new(ConverseAsync);

    public Qkd.Devices.DeviceAddress Address => _peer.Address;

    public string Model { get; set; } = "MPC320";

    public uint SerialNumber { get; set; } = 38000123;

    public int[] Positions { get; } = [0, 0, 0];

    public uint StatusBits { get; set; } = Resting;

    public byte Mask { get; private set; }

    public byte[] PolarizerParameters { get; set; } = Convert.FromHexString("00003200AD02190019001900");

    /// <summary>Everything received, in hex.</summary>
    public ConcurrentQueue<string> Received { get; } = new();

    /// <summary>Takes the answer to a message over: true if it is dealt with.</summary>
    public Func<byte[], Task<bool>> Override { get; set; } = _ => Task.FromResult(false);

    public IEnumerable<string> ReceivedOf(string id) => Received.Where(frame => frame.StartsWith(id, StringComparison.Ordinal));

    public async Task SendAsync(byte[] bytes)
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

    public Task SendAsync(string hex) => SendAsync(Convert.FromHexString(hex));

    public Task SendStatusAsync(int channel, uint? bits = null) => SendAsync(MotorMessage("9104", channel, Position(channel), bits ?? StatusBits));

    public Task SendCompletedAsync(int channel, int position, uint? bits = null) => SendAsync(MotorMessage("6404", channel, position, bits ?? StatusBits));

    public void HangUp() => _peer.HangUp();

    public ValueTask DisposeAsync() => _peer.DisposeAsync();

    public static int ChannelOf(byte[] longFrame) => longFrame[6];

    public static int TargetOf(byte[] moveAbsolute) => BitConverter.ToInt32(moveAbsolute, 8);

    public void Arrive(int channel, int position) => Positions[channel >> 1 > 1 ? 2 : channel >> 1] = position;

    private int Position(int channel) => Positions[channel >> 1 > 1 ? 2 : channel >> 1];

    private static byte[] MotorMessage(string id, int channel, int position, uint bits) =>
    [
        .. Convert.FromHexString(id + "0E008150"), (byte)channel, 0, .. BitConverter.GetBytes(position), 0, 0, 30, 0, .. BitConverter.GetBytes(bits),
    ];

    private async Task ConverseAsync(ScriptedConnection line, CancellationToken token)
    {
        _line = line;
        while (true)
        {
            var header = await line.ReadAsync(6, token);
            var frame = (header[4] & 0x80) == 0 ? header : [.. header, .. await line.ReadAsync(header[2], token)];
            Received.Enqueue(Convert.ToHexString(frame));
            if (!await Override(frame))
            {
                await AnswerAsync(frame);
            }
        }
    }

    private async Task AnswerAsync(byte[] frame)
    {
        switch (frame[0] | frame[1] << 8)
        {
            case 0x0005:
                var data = new byte[84];
                BitConverter.GetBytes(SerialNumber).CopyTo(data, 0);
                System.Text.Encoding.ASCII.GetBytes(Model).CopyTo(data, 4);
                (data[14], data[15], data[16], data[82]) = (7, 0, 1, 3);
                await SendAsync([.. Convert.FromHexString("060054008150"), .. data]);
                break;
            case 0x0210:
                Mask = frame[3] == 1 ? frame[2] : (byte)(Mask & ~frame[2]);
                break;
            case 0x0211:
                // The real one sometimes sends stray zeros after this answer.
                await SendAsync([0x12, 0x02, Mask, (byte)(Mask == 0 ? 2 : 1), 0x01, 0x50, 0, 0, 0]);
                break;
            case 0x0443:
                Arrive(frame[2], 685);
                await SendAsync([0x44, 0x04, frame[2], 0, 0x01, 0x50]);
                break;
            case 0x0453:
                Arrive(ChannelOf(frame), TargetOf(frame));
                await SendCompletedAsync(ChannelOf(frame), TargetOf(frame));
                break;
            case 0x0465:
                await SendAsync(MotorMessage("6604", frame[2], Position(frame[2]), StatusBits));
                break;
            case 0x0490:
                await SendStatusAsync(frame[2]);
                break;
            case 0x0530:
                PolarizerParameters = frame[6..];
                break;
            case 0x0531:
                await SendAsync([.. Convert.FromHexString("32050C008150"), .. PolarizerParameters]);
                break;
        }
    }
}
