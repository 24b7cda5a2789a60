using System.Net.Sockets;
using System.Text;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.Transport;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

/// <summary>A small bench: slow, short frames, bright and aligned, no noise, so that little time shows much.</summary>
internal sealed class TestBench : IAsyncDisposable
{
    public const int FrameSlots = 64_000;
    public const int PilotSlots = 640;
    public const int MarkerDivisor = 1000;

    private readonly bool _ownsFolder;

    public TestBench(EmulationSettings settings, string? folder = null)
    {
        _ownsFolder = folder is null;
        Folder = folder ?? Directory.CreateTempSubdirectory("bench").FullName;
        Bench = new EmulatedBench(settings, Folder);
    }

    public static EmulationSettings Small { get; } = new()
    {
        SerialMedium = SerialMedium.Tcp,
        Transmitter = new() { RepetitionRateMHz = 10, OutputPhotonsPerPulse = [1, 0.5, 0.1], BufferSlots = 10 * FrameSlots },
        Channel = new() { LengthKm = 5, RandomRotation = false, DriftRadiansPerRootSecond = 0 },
        Receiver = new() { PaddleRetardanceWaves = [0, 0, 0], DarkCountsPerSecond = 0, AfterpulseProbability = 0 },
        Motors = new() { AttenuatorPowerUpDb = 0 },
        Truth = new() { FrameSlots = FrameSlots, PilotSlots = PilotSlots },
    };

    public EmulatedBench Bench { get; }

    public string Folder { get; }

    public string AddressBook => Path.Combine(Folder, "instruments.json");

    public static async Task<TestBench> StartAsync(EmulationSettings? settings = null)
    {
        var bench = new TestBench(settings ?? Small);
        await bench.Bench.StartAsync(Waits.Token);
        return bench;
    }

    public IEmulatedInstrument Find(string name) => Bench.Instruments.Single(instrument => instrument.Name == name);

    public TransmitterHost ConnectTransmitter(int seed = 1) => new(Find("transmitter").Address, FrameSlots, seed);

    public async Task BiasDetectorsAsync()
    {
        using var client = Connect(Find("detectors").Address);
        await client.GetStream().WriteAsync("""{"command":"DetectorEnable","value":true}"""u8.ToArray(), Waits.Token);
        (await ReadUntilAsync(client.GetStream(), "\x17")).ShouldContain("true");
    }

    public static TcpClient Connect(string address)
    {
        var parts = address.Split("::");
        return new TcpClient(parts[1], int.Parse(parts[2])) { NoDelay = true };
    }

    public static async Task<string> ReadUntilAsync(NetworkStream stream, string end)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Waits.Token);
        patience.CancelAfter(Waits.Patience);
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(buffer, patience.Token);
            count.ShouldBeGreaterThan(0, "the instrument closed the connection");
            text.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }

        return text.ToString();
    }

    public RequestSocket ConnectTagger(bool service = false)
    {
        var parts = (service ? Find("tagger").Endpoints["Stream"] : Find("tagger").Address).Split("::");
        var socket = new RequestSocket();
        socket.Options.Linger = TimeSpan.Zero;
        socket.Connect($"tcp://{parts[1]}:{parts[2]}");
        return socket;
    }

    public static string Ask(RequestSocket socket, string command)
    {
        socket.SendFrame(command);
        socket.TryReceiveFrameString(Waits.Patience, out var answer).ShouldBeTrue($"no answer to {command}");
        return answer!;
    }

    public long Emitted()
    {
        var (payload, pilots) = (Bench.Truth.Payload(), Bench.Truth.Pilots());
        return Enumerable.Range(0, 4).Sum(i => payload.Emitted(i, 0) + payload.Emitted(i, 1) + pilots.Emitted(i, 0) + pilots.Emitted(i, 1));
    }

    public async ValueTask DisposeAsync()
    {
        await Bench.DisposeAsync().AsTask().WaitAsync(Waits.Patience);
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}
