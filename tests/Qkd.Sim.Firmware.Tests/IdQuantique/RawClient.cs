using System.Text.Json;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Sim.Firmware.IdQuantique;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>An emulated ID900 with a client that knows ZeroMQ and the texts to send, nothing else.</summary>
internal sealed class RawClient : IAsyncDisposable
{
    public const long Second = 1_000_000_000_000;

    /// <summary>Shortest sub-acquisition, and the shortest time from one to the next.</summary>
    public const long Width = Second / 5;
    public const long Period = Width + 40_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly List<PairSocket> _streams = [];
    private RequestSocket _control;
    private RequestSocket _service;

    private RawClient(Id900Emulator emulator)
    {
        Emulator = emulator;
        _control = Connect(emulator.Address);
        _service = Connect(emulator.Endpoints["Stream"]);
    }

    public Id900Emulator Emulator { get; }

    public int StreamPort => int.Parse(Emulator.Options["StreamPort"]);

    public static async Task<RawClient> StartAsync(Id900Settings? settings = null)
    {
        var emulator = new Id900Emulator(settings);
        await emulator.StartAsync(TestContext.Current.CancellationToken);
        return new RawClient(emulator);
    }

    public static RequestSocket Connect(string address)
    {
        var parts = address.Split("::");
        var socket = new RequestSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Connect($"tcp://{parts[1]}:{parts[2]}");
        return socket;
    }

    /// <summary>Gives up what has been asked and connects anew.</summary>
    public void Reconnect()
    {
        _control.Dispose();
        _service.Dispose();
        _control = Connect(Emulator.Address);
        _service = Connect(Emulator.Endpoints["Stream"]);
    }

    public string Ask(string command)
    {
        Send(command);
        return Receive();
    }

    public void Send(string command) => _control.SendFrame(command);

    public string Receive()
    {
        _control.TryReceiveFrameString(Patience, out var answer).ShouldBeTrue("no answer");
        return answer!;
    }

    public byte[] ReceiveBytes()
    {
        _control.TryReceiveFrameBytes(Patience, out var answer).ShouldBeTrue("no answer");
        return answer!;
    }

    public bool HasAnswer(TimeSpan within) => _control.Poll(PollEvents.PollIn, within) != PollEvents.None;

    public JsonElement AskService(string command)
    {
        _service.SendFrame(command);
        _service.TryReceiveFrameString(Patience, out var answer).ShouldBeTrue("no answer");
        return JsonDocument.Parse(answer!).RootElement;
    }

    /// <summary>Starts the stream of a channel and connects to it.</summary>
    public PairSocket OpenStream(int channel, bool withReferenceIndex = true)
    {
        StartStream(channel, withReferenceIndex);
        return ConnectStream(channel);
    }

    public string StartStream(int channel, bool withReferenceIndex = true)
    {
        var option = withReferenceIndex ? " --with-ref-index" : "";
        var answer = AskService($"start-stream --address 127.0.0.1 --channel {channel} --stream-port {StreamPort + channel - 1}{option}");
        Ask($"RAW{channel}:SEND ON").ShouldBe("Value set to ON");
        return answer.GetProperty("id").GetString()!;
    }

    public PairSocket ConnectStream(int channel)
    {
        var socket = new PairSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Connect($"tcp://127.0.0.1:{StreamPort + channel - 1}");
        _streams.Add(socket);
        return socket;
    }

    public void Disconnect(PairSocket stream)
    {
        _streams.Remove(stream);
        stream.Dispose();
    }

    /// <summary>All inputs on, live sub-acquisitions of 0.2 s, STAR as the reference of all channels.</summary>
    public void ConfigureLive()
    {
        foreach (var input in (string[])["STAR", "INPU1", "INPU2", "INPU3", "INPU4"])
        {
            Ask($"{input}:ENAB ON");
        }

        for (var raw = 1; raw <= 4; raw++)
        {
            Ask($"RAW{raw}:REF:LINK STAR");
        }

        Ask("REC:TRIG:ARM:MODE MANUal");
        Ask("REC:ENABle ON");
        Ask("REC:NUM INF");
        Ask($"REC:PWID {Width};PPER {Period}");
    }

    public void Play()
    {
        Ask("REC:PLAY").ShouldBe("Done");
        Ask("REC:STAGe?").ShouldBe("PLAYING");
    }

    /// <summary>The words of the next message.</summary>
    public static ulong[] ReceiveWords(PairSocket stream)
    {
        stream.TryReceiveFrameBytes(Patience, out var bytes, out var more).ShouldBeTrue("no stream message");
        more.ShouldBeFalse();
        (bytes!.Length % 8).ShouldBe(0);
        return [.. Enumerable.Range(0, bytes.Length / 8).Select(i => BitConverter.ToUInt64(bytes, i * 8))];
    }

    public static byte[] ReceiveBytes(PairSocket stream)
    {
        stream.TryReceiveFrameBytes(Patience, out var bytes).ShouldBeTrue("no stream message");
        return bytes!;
    }

    public static void ShouldBeQuiet(PairSocket stream) =>
        stream.TryReceiveFrameBytes(TimeSpan.FromMilliseconds(100), out _).ShouldBeFalse("a message came too early");

    public async ValueTask DisposeAsync()
    {
        _control.Dispose();
        _service.Dispose();
        _streams.ForEach(stream => stream.Dispose());
        await Emulator.DisposeAsync().AsTask().WaitAsync(Patience);
    }
}
