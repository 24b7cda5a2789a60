using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

/// <summary>
/// A host of the reference transmitter on a real socket: configures it, puts the light on, sends random symbols as credit allows and renews the
/// lease. It knows the protocol's bytes and nothing else.
/// </summary>
internal sealed class TransmitterHost : IDisposable
{
    private const byte Configure = 0x10;
    private const byte LaserOn = 0x11;
    private const byte Renew = 0x12;
    private const byte Start = 0x20;
    private const byte Stop = 0x21;
    private const byte Symbols = 0x30;
    private const byte Credit = 0x70;
    private const byte Event = 0x71;

    private readonly TcpClient _client = new() { NoDelay = true };
    private readonly CancellationTokenSource _end = new();
    private readonly SemaphoreSlim _replied = new(0);
    private readonly SemaphoreSlim _creditGiven = new(0);
    private readonly SemaphoreSlim _sending = new(1);
    private readonly NetworkStream _stream;
    private readonly Task _reading;
    private readonly Task _renewing;
    private readonly int _frameSlots;
    private readonly Random _random;
    private long _credit;
    private long _sent;
    private byte _lastReply;

    public TransmitterHost(string address, int frameSlots, int seed)
    {
        var parts = address.Split("::");
        _client.Connect(parts[1], int.Parse(parts[2]));
        _stream = _client.GetStream();
        _frameSlots = frameSlots;
        _random = new Random(seed);
        _reading = Task.Run(ReadAsync);
        _renewing = Task.Run(RenewAsync);
    }

    /// <summary>Kinds of the events that came.</summary>
    public List<byte> Events { get; } = [];

    /// <summary>Slots sent.</summary>
    public long SentSlots => _sent;

    public async Task LightUpAsync(int markerDivisor, int pilotSlots = 0)
    {
        var plan = new byte[15];
        plan[0] = 1;
        BinaryPrimitives.WriteInt32LittleEndian(plan.AsSpan(1), _frameSlots);
        BinaryPrimitives.WriteInt32LittleEndian(plan.AsSpan(5), pilotSlots);
        BinaryPrimitives.WriteInt32LittleEndian(plan.AsSpan(9), markerDivisor);
        await AskAsync(Configure, plan);
        await AskAsync(LaserOn, []);
        await SendFramesAsync(1);
        await AskAsync(Start, new byte[8]);
    }

    public Task StopAsync() => AskAsync(Stop, []);

    public async Task SendFramesAsync(int frames)
    {
        for (var frame = 0; frame < frames; frame++)
        {
            while (Volatile.Read(ref _credit) < _sent + _frameSlots)
            {
                (await _creditGiven.WaitAsync(Waits.Patience, Waits.Token)).ShouldBeTrue("no credit came");
            }

            var payload = new byte[12 + (_frameSlots / 2)];
            BinaryPrimitives.WriteInt64LittleEndian(payload, _sent);
            BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(8), _frameSlots);
            _random.NextBytes(payload.AsSpan(12));

            // The intensity is 0 or 1 only: bright pulses make for much truth in little time.
            var words = MemoryMarshal.Cast<byte, ulong>(payload.AsSpan(12));
            for (var high = 3; high < words.Length; high += 4)
            {
                words[high] = 0;
            }

            await SendAsync(Symbols, payload);
            _sent += _frameSlots;
        }
    }

    public void Dispose()
    {
        _end.Cancel();
        _client.Dispose();
        Task.WaitAll([_reading, _renewing], Waits.Patience).ShouldBeTrue();
    }

    private async Task AskAsync(byte type, byte[] payload)
    {
        await SendAsync(type, payload);
        (await _replied.WaitAsync(Waits.Patience, Waits.Token)).ShouldBeTrue("no reply came");
        _lastReply.ShouldBe((byte)(type | 0x80));
    }

    private async Task SendAsync(byte type, byte[] payload)
    {
        var message = new byte[12 + payload.Length];
        (message[0], message[1], message[2], message[3]) = (0x51, 0x54, 1, type);
        message[4] = 1;
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(8), payload.Length);
        payload.CopyTo(message, 12);
        await _sending.WaitAsync(_end.Token);
        try
        {
            await _stream.WriteAsync(message, _end.Token);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task RenewAsync()
    {
        try
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            while (await timer.WaitForNextTickAsync(_end.Token))
            {
                await SendAsync(Renew, []);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ReadAsync()
    {
        var header = new byte[12];
        try
        {
            while (true)
            {
                await _stream.ReadExactlyAsync(header, _end.Token);
                var payload = new byte[BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(8))];
                await _stream.ReadExactlyAsync(payload, _end.Token);
                Take(header[3], payload);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private void Take(byte type, byte[] payload)
    {
        switch (type)
        {
            case Credit:
                Volatile.Write(ref _credit, BinaryPrimitives.ReadInt64LittleEndian(payload));
                _creditGiven.Release();
                break;
            case Event:
                lock (Events)
                {
                    Events.Add(payload[0]);
                }

                break;
            case Renew | 0x80:
            case 0xFF when _lastReply == 0xFF:
                break;
            case 0xFF when BinaryPrimitives.ReadUInt16LittleEndian(payload) == 4 && payload.AsSpan().IndexOf("laser"u8) >= 0:
                // A renewal while the light was off.
                break;
            default:
                _lastReply = type;
                _replied.Release();
                break;
        }
    }
}

/// <summary>Waiting for what the bench's own thread does.</summary>
internal static class Waits
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(Patience);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!condition())
        {
            try
            {
                await timer.WaitForNextTickAsync(patience.Token);
            }
            catch (OperationCanceledException) when (!Token.IsCancellationRequested)
            {
                throw new TimeoutException($"In {Patience.TotalSeconds} s it did not come to: {what}");
            }
        }
    }
}
