using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>What goes wrong before or while key is made: one clear sentence, never half a key.</summary>
public sealed class BadInputTests
{
    private const int FaultAfterSeconds = 6;

    /// <summary>A command's time-out is 2 s, a stream's 5 s, the transmitter's lease a few seconds; a lost instrument is found within their sum.</summary>
    private const int LongestToDarkSeconds = 12;

    public static TheoryData<string, string> Settings => new()
    {
        { "--Bench:Bob:Devices:tagger:Driver=acme.tagger", "acme.tagger" },
        { "--Bench:Protocol:KeyBasisProbability=1.5", "Bench:Protocol:KeyBasisProbability" },
        { "--Bench:Protocol:Intensities:0=-1", "Bench:Protocol:Intensities" },
        { "--Bench:Emulation:Channel:LengthKm=-3", "Bench:Emulation:Channel:LengthKm" },
        { "--Bench:Emulation:Chanel:LengthKm=3", "Bench:Emulation:Chanel" },
        { "--Bench:Alice:Link:Endpoint=nowhere", "Bench:Alice:Link:Endpoint" },
        { "--Bench:Alice:Roles:Source=laser", "Bench:Alice:Roles:Source" },
    };

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task A_setting_that_makes_no_sense_ends_the_command_with_its_path(string setting, string named)
    {
        using var bench = new TestBench();
        await using var run = QkdProcess.Start(["run", "--for", "20s", "--json", .. bench.Everything, setting]);
        (await run.WaitAsync(TimeSpan.FromSeconds(40))).ShouldBe(2, run.Error + run.Output);
        run.Error.ShouldContain(named);
        run.Error.Trim().ShouldNotContain('\n');
        run.Output.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_configuration_file_that_is_not_there_or_not_json_is_wrong_use()
    {
        using var bench = new TestBench();
        await using var absent = QkdProcess.Start("run", "--config", "config/none.json");
        (await absent.WaitAsync(TimeSpan.FromSeconds(20))).ShouldBe(2);
        absent.Error.ShouldContain("config/none.json");

        var file = Path.Combine(bench.Folder, "broken.json");
        await File.WriteAllTextAsync(file, "{ \"Bench\": { ", TestContext.Current.CancellationToken);
        await using var broken = QkdProcess.Start("run", "--config", file);
        (await broken.WaitAsync(TimeSpan.FromSeconds(20))).ShouldBe(2);
        broken.Error.ShouldContain("broken.json");
    }

    [Theory]
    [InlineData("Bench:Web:StatusPage")]
    [InlineData("Bench:Alice:Link:Endpoint")]
    [InlineData("Bench:Bob:Keys:Endpoint")]
    public async Task A_port_in_use_is_named_by_its_setting(string path)
    {
        using var bench = new TestBench();
        var port = path switch
        {
            "Bench:Web:StatusPage" => bench.PagePort,
            "Bench:Alice:Link:Endpoint" => bench.LinkPort,
            _ => bench.BobPort,
        };
        using var taken = new TcpListener(IPAddress.Loopback, port);
        taken.Start();
        await using var run = QkdProcess.Start(["run", "--for", "20s", "--json", .. bench.Everything]);
        (await run.WaitAsync(TimeSpan.FromSeconds(40))).ShouldBeOneOf(1, 2);
        run.Error.ShouldContain(path);
        run.Error.ShouldContain(port.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Real_instruments_without_a_pre_shared_key_are_not_started()
    {
        using var bench = new TestBench();
        await using var run = QkdProcess.Start([
            "run", "--config", "config/alice.json", .. bench.Settings, .. bench.Alice, "--Bench:Alice:Devices:attenuator:Address=ASRL/dev/ttyUSB0::INSTR",
        ]);
        (await run.WaitAsync(TimeSpan.FromSeconds(20))).ShouldBe(2);
        run.Error.ShouldContain("preshared.key");
        run.Error.ShouldContain("qkd init");
    }

    [Fact]
    public async Task An_address_where_nothing_listens_is_an_alarm_that_names_it_and_there_is_no_light()
    {
        using var bench = new TestBench();
        await using var init = QkdProcess.Start(["init", .. bench.Settings]);
        (await init.WaitAsync(TimeSpan.FromSeconds(20))).ShouldBe(0, init.Error);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench, () => BlockLog.Alarms(bench.Folder, "bob").Count > 0, "an alarm", "--Bench:Bob:Devices:tagger:Address=TCPIP0::127.0.0.1::1::SOCKET");
        summary.GetProperty("secret_bits").GetInt64().ShouldBe(0);
        summary.GetProperty("detections").GetInt64().ShouldBe(0);
        summary.GetProperty("alarms").EnumerateArray().First().GetProperty("detail").GetString()!.ShouldContain("TCPIP0::127.0.0.1::1::SOCKET");
    }

    [Fact]
    public async Task The_wrong_instrument_at_an_address_is_an_alarm_that_names_both_and_there_is_no_key()
    {
        using var bench = new TestBench();
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench, () => BlockLog.Alarms(bench.Folder, "bob").Count > 0, "an alarm", "--Bench:Bob:Devices:detectors:Address=sim:transmitter");
        summary.GetProperty("secret_bits").GetInt64().ShouldBe(0);
        var alarm = summary.GetProperty("alarms").EnumerateArray().First();
        alarm.GetProperty("kind").GetString().ShouldBe("device");
        alarm.GetProperty("detail").GetString()!.ShouldContain("detectors");
    }

    [Fact]
    public Task A_tagger_whose_cable_is_pulled_is_an_alarm_and_key_making_recovers() => RecoversFromAsync("tagger", "Disconnect");

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task A_tagger_that_streams_random_records_of_the_right_form_is_an_alarm_and_key_making_recovers()
    {
        var alarm = await RecoversFromAsync("tagger", "RandomRecords");
        alarm.ShouldContain("TCPIP0::127.0.0.1::");
        alarm.ShouldContain("the stream of channel");
        alarm.ShouldContain(" ps");
    }

    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData("transmitter", "Silent")]
    [InlineData("transmitter", "Disconnect")]
    [InlineData("detectors", "Disconnect")]
    [InlineData("paddles", "Disconnect")]
    [InlineData("attenuator", "Disconnect")]
    [InlineData("tagger", "Silent")]
    [InlineData("tagger", "HalfAnswer")]
    [InlineData("tagger", "Garbage")]
    [InlineData("transmitter", "Garbage")]
    public Task An_instrument_that_fails_while_running_is_an_alarm_and_key_making_recovers(string instrument, string fault) => RecoversFromAsync(instrument, fault);

    /// <summary>Key, the fault, an alarm that names the instrument, the light off, key again, and the same key at both ends. Returns the alarm.</summary>
    private static async Task<string> RecoversFromAsync(string instrument, string fault)
    {
        using var bench = new TestBench(seed: 61, aligned: true);
        string? alarm = null;
        var before = 0;
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () =>
            {
                var accepted = BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted);
                if (alarm is null)
                {
                    alarm = BlockLog.Alarms(bench.Folder, "alice").Concat(BlockLog.Alarms(bench.Folder, "bob"))
                        .Select(a => a.Detail).FirstOrDefault(detail => detail.Contains(instrument, StringComparison.Ordinal));
                    before = accepted;
                }

                // Two may have been under way.
                return alarm is not null && accepted >= before + 4;
            },
            "an alarm and key after it",
            $"--Bench:Emulation:Faults:0:Instrument={instrument}",
            $"--Bench:Emulation:Faults:0:Fault={fault}",
            $"--Bench:Emulation:Faults:0:AfterSeconds={FaultAfterSeconds}",
            "--Bench:Emulation:Faults:0:ForSeconds=6",
            "--Bench:Emulation:Truth:PeriodSeconds=0.05");
        TestContext.Current.TestOutputHelper!.WriteLine(alarm!);
        before.ShouldBeGreaterThan(0);
        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue();
        summary.GetProperty("alarms").GetArrayLength().ShouldBeGreaterThan(0);
        ShouldHaveGoneDark(bench);
        return alarm!;
    }

    /// <summary>
    /// By the emulation's own record, not by what a node says: the light that was on when the fault came went off, within the time that the nodes'
    /// time-outs allow, and stayed off until they began anew.
    /// </summary>
    private static void ShouldHaveGoneDark(TestBench bench)
    {
        var lit = BlockLog.ReadLines(Path.Combine(bench.Folder, "ground-truth.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.GetProperty("latest_emission").ValueKind == JsonValueKind.Object)
            .Select(line => (
                Bench: line.GetProperty("bench_time_s").GetDouble(),
                From: line.GetProperty("latest_emission").GetProperty("from_picoseconds").GetInt64() * 1e-12,
                To: line.GetProperty("latest_emission").GetProperty("to_picoseconds").GetInt64() * 1e-12))
            .ToList();
        var fault = lit[0].From + FaultAfterSeconds;

        // The emission that the fault met, as the last line about it tells it, and the first one after it.
        var met = lit.Last(line => line.From <= fault);
        var next = lit.First(line => line.From > fault);
        TestContext.Current.TestOutputHelper!.WriteLine($"fault at {fault:0.00} s, dark from {met.To:0.00} s, light again at {next.From:0.00} s");
        met.From.ShouldBe(lit[0].From, "the light was on without a break until then");
        met.To.ShouldBeGreaterThan(fault);
        met.To.ShouldBeLessThan(fault + LongestToDarkSeconds);
        next.From.ShouldBeGreaterThan(met.To + 0.1);

        // Dark means dark: every line in between tells of no slot more.
        lit.Where(line => line.Bench > met.To + 0.05 && line.Bench < next.From).ShouldAllBe(line => line.To == met.To);
    }
}
