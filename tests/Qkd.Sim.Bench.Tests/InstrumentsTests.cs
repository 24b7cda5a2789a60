using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using NetMQ.Sockets;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.Transport;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

public sealed class InstrumentsTests
{
    [Fact]
    public async Task The_address_book_tells_all_five_and_goes_with_the_bench()
    {
        var folder = Directory.CreateTempSubdirectory("bench").FullName;
        try
        {
            var bench = new TestBench(TestBench.Small, folder);
            await File.WriteAllTextAsync(bench.AddressBook, "stale", Waits.Token);
            await bench.Bench.StartAsync(Waits.Token);

            var book = JsonDocument.Parse(await File.ReadAllBytesAsync(bench.AddressBook, Waits.Token)).RootElement.GetProperty("instruments");
            book.EnumerateObject().Select(entry => entry.Name).ShouldBe(["transmitter", "attenuator", "paddles", "detectors", "tagger"]);
            foreach (var instrument in bench.Bench.Instruments)
            {
                var entry = book.GetProperty(instrument.Name);
                entry.GetProperty("driver").GetString().ShouldBe(instrument.DriverId);
                entry.GetProperty("address").GetString().ShouldBe(instrument.Address);
            }

            book.GetProperty("detectors").GetProperty("endpoints").GetProperty("Counts").GetString().ShouldStartWith("TCPIP0::127.0.0.1::");
            book.GetProperty("tagger").GetProperty("endpoints").GetProperty("Stream").GetString().ShouldStartWith("TCPIP0::127.0.0.1::");
            int.Parse(book.GetProperty("tagger").GetProperty("options").GetProperty("StreamPort").GetString()!).ShouldBeGreaterThan(0);

            await bench.DisposeAsync();
            File.Exists(bench.AddressBook).ShouldBeFalse();
            bench.Bench.Completion.IsCompletedSuccessfully.ShouldBeTrue();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task The_address_book_of_a_later_bench_in_the_same_folder_stays()
    {
        await using var earlier = await TestBench.StartAsync();
        await using (var later = new TestBench(TestBench.Small, earlier.Folder))
        {
            await later.Bench.StartAsync(Waits.Token);
            await earlier.Bench.DisposeAsync();
            (await File.ReadAllTextAsync(later.AddressBook, Waits.Token)).ShouldContain(later.Find("transmitter").Address);
        }

        File.Exists(earlier.AddressBook).ShouldBeFalse();
    }

    [Fact]
    public async Task A_port_in_use_is_a_clear_error()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        foreach (var (ports, name) in new (PortEmulation, string)[]
        {
            (new() { Transmitter = port }, "transmitter"), (new() { Attenuator = port }, "attenuator"), (new() { Paddles = port }, "paddles"),
            (new() { Detectors = port }, "detectors"), (new() { DetectorCounts = port }, "detectors"), (new() { Tagger = port }, "tagger"),
            (new() { TaggerService = port }, "tagger"),
        })
        {
            await using var bench = new TestBench(TestBench.Small with { Ports = ports });
            var error = await bench.Bench.StartAsync(Waits.Token).ShouldThrowAsync<IOException>();
            error.Message.ShouldContain($"'{name}'");
            error.Message.ShouldContain($"{port}");
            File.Exists(bench.AddressBook).ShouldBeFalse();
        }
    }

    [Fact]
    public async Task Every_instrument_answers_on_its_wire()
    {
        await using var bench = await TestBench.StartAsync();

        using var attenuator = TestBench.Connect(bench.Find("attenuator").Address);
        await attenuator.GetStream().WriteAsync("D\r"u8.ToArray(), Waits.Token);
        (await TestBench.ReadUntilAsync(attenuator.GetStream(), "Done\r\n\r\n")).ShouldBe("DPos:0\r\nATTEN:0.00\r\nDone\r\n\r\n");

        using var paddles = TestBench.Connect(bench.Find("paddles").Address);
        await paddles.GetStream().WriteAsync(new byte[] { 0x11, 0x04, 0x01, 0x00, 0x50, 0x01 }, Waits.Token);
        var position = new byte[12];
        await paddles.GetStream().ReadExactlyAsync(position, Waits.Token);
        position.ShouldBe([0x12, 0x04, 0x06, 0x00, 0x81, 0x50, 0x01, 0x00, 0xAD, 0x02, 0x00, 0x00]);

        using var detectors = TestBench.Connect(bench.Find("detectors").Address);
        await detectors.GetStream().WriteAsync("""{"request":"NumberOfDetectors"}"""u8.ToArray(), Waits.Token);
        (await TestBench.ReadUntilAsync(detectors.GetStream(), "\x17")).ShouldBe("{\"label\":\"NumberOfDetectors\",\"value\":4}\x17");

        using var tagger = bench.ConnectTagger();
        TestBench.Ask(tagger, "*IDN?").ShouldContain("ID900");

        using var transmitter = TestBench.Connect(bench.Find("transmitter").Address);
        await transmitter.GetStream().WriteAsync(new byte[] { 0x51, 0x54, 1, 1, 9, 0, 0, 0, 0, 0, 0, 0 }, Waits.Token);
        var header = new byte[12];
        await transmitter.GetStream().ReadExactlyAsync(header, Waits.Token);
        header[..8].ShouldBe([0x51, 0x54, 1, 0x81, 9, 0, 0, 0]);
    }

    [Fact]
    public async Task Motors_move_in_bench_time()
    {
        await using var bench = await TestBench.StartAsync();
        using var attenuator = TestBench.Connect(bench.Find("attenuator").Address);
        var before = bench.Bench.BenchTime;
        await attenuator.GetStream().WriteAsync("A6.00\r"u8.ToArray(), Waits.Token);
        (await TestBench.ReadUntilAsync(attenuator.GetStream(), "Done\r\n\r\n")).ShouldBe("Pos:1200\r\nDone\r\n\r\n");

        // 30 dB/s.
        (bench.Bench.BenchTime - before).ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(0.2));
    }

    [Fact]
    public async Task A_cable_pulled_and_put_back_is_found_again_by_the_address_book()
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
        {
            return;
        }

        await using var bench = await TestBench.StartAsync(TestBench.Small with { SerialMedium = SerialMedium.PseudoTerminal });
        var paddles = bench.Find("paddles");
        paddles.Address.ShouldStartWith("ASRL/dev/");
        bench.Bench.Inject("Paddles", InstrumentFault.Disconnect);
        bench.Bench.Inject("Paddles", InstrumentFault.None);

        await Waits.UntilAsync(
            () => File.ReadAllText(bench.AddressBook).Contains($"\"{paddles.Address}\"", StringComparison.Ordinal), "the book has the new address");
        Should.Throw<ArgumentException>(() => bench.Bench.Inject("laser", InstrumentFault.None)).Message.ShouldContain("laser");
    }

    [Fact]
    public async Task Faults_of_the_settings_come_and_go_by_themselves()
    {
        await using var bench = await TestBench.StartAsync(TestBench.Small with
        {
            Faults = [new() { Instrument = "tagger", Fault = InstrumentFault.Garbage, ForSeconds = 0.5 }],
        });
        using var tagger = bench.ConnectTagger();
        await Waits.UntilAsync(() => !Identifies(tagger), "the tagger answers nonsense");
        await Waits.UntilAsync(() => Identifies(tagger), "the tagger is mended");
        bench.Bench.BenchTime.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(0.5));

        static bool Identifies(RequestSocket tagger) => TestBench.Ask(tagger, "*IDN?").Contains("ID900", StringComparison.Ordinal);
    }
}
