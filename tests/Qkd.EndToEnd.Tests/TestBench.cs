using System.Net;
using System.Net.Sockets;

namespace Qkd.EndToEnd.Tests;

/// <summary>A bench of its own for one test: a fresh data folder and free ports, given as settings on the command line.</summary>
internal sealed class TestBench : IDisposable
{
    /// <param name="seed">Seed of the emulated world.</param>
    /// <param name="aligned">
    /// Nothing to align and nothing to follow: a fibre that turns nothing and stands still, plates without retardance, tracking off. For tests of
    /// everything else: a bench as it comes takes ten seconds to be aligned.
    /// </param>
    public TestBench(int seed = 1, bool aligned = false)
    {
        var ports = FreePorts(5);
        (LinkPort, AlicePort, BobPort, PagePort) = (ports[0], ports[1], ports[2], ports[3]);
        SecondStatusUrl = $"http://127.0.0.1:{ports[4]}";
        Settings =
        [
            $"--Bench:DataFolder={Folder}",
            $"--Bench:Web:StatusPage=http://127.0.0.1:{PagePort}",
        ];
        Emulation = [$"--Bench:Emulation:Seed={seed}", .. aligned ? AlreadyAligned : []];
        Alice = [$"--Bench:Alice:Link:Endpoint=127.0.0.1:{LinkPort}", $"--Bench:Alice:Keys:Endpoint=127.0.0.1:{AlicePort}"];
        Bob = [$"--Bench:Bob:Link:Endpoint=127.0.0.1:{LinkPort}", $"--Bench:Bob:Keys:Endpoint=127.0.0.1:{BobPort}", .. aligned ? ["--Bench:Bob:Polarization:Tracking=false", "--Bench:Bob:Polarization:AlignedBelow=0.03"] : Array.Empty<string>()];
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("qkd-test-").FullName;

    public int LinkPort { get; }

    public int AlicePort { get; }

    public int BobPort { get; }

    public int PagePort { get; }

    public string[] Settings { get; }

    public string[] Emulation { get; }

    public string[] Alice { get; }

    public string[] Bob { get; }

    /// <summary>Settings for one process with everything in it.</summary>
    public string[] Everything => [.. Settings, .. Emulation, .. Alice, .. Bob];

    /// <summary>Photons at the output of which 50 dB leave exactly the configured means, where the attenuator's steps would leave 0.05 % less.</summary>
    public static string[] ExactMeans =>
    [
        "--Bench:Emulation:Transmitter:OutputPhotonsPerPulse:0=45000",
        "--Bench:Emulation:Transmitter:OutputPhotonsPerPulse:1=15000",
        "--Bench:Emulation:Transmitter:OutputPhotonsPerPulse:2=100",
    ];

    private static string[] AlreadyAligned =>
    [
        "--Bench:Emulation:Channel:RandomRotation=false",
        "--Bench:Emulation:Channel:DriftRadiansPerRootSecond=0",
        "--Bench:Emulation:Receiver:PaddleRetardanceWaves:0=0",
        "--Bench:Emulation:Receiver:PaddleRetardanceWaves:1=0",
        "--Bench:Emulation:Receiver:PaddleRetardanceWaves:2=0",
    ];

    public string StatusUrl => $"http://127.0.0.1:{PagePort}";

    /// <summary>For a second process of the same bench.</summary>
    public string SecondStatusUrl { get; }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    public static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners)
        {
            listener.Start();
        }

        var ports = listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port).ToArray();
        foreach (var listener in listeners)
        {
            listener.Dispose();
        }

        return ports;
    }
}
