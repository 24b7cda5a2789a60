using System.Net.Sockets;
using System.Text;
using Qkd.Sim.Firmware.IdQuantique;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.IdQuantique.RawClient;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>The SCPI side, as the vendor's manual and examples write it.</summary>
public sealed class ControlTests
{
    [Fact]
    public async Task Says_who_it_is_in_any_case()
    {
        await using var client = await StartAsync(new Id900Settings { SerialNumber = "900-42", FirmwareVersion = "9.9" });

        client.Ask("*IDN?").ShouldBe("ID Quantique,ID900,900-42,9.9");
        client.Ask("*idn?").ShouldBe("ID Quantique,ID900,900-42,9.9");
    }

    [Fact]
    public async Task Speaks_plain_ZMTP_on_the_wire()
    {
        await using var client = await StartAsync();
        var parts = client.Emulator.Address.Split("::");
        using var wire = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        wire.ReceiveTimeout = 20_000;
        await wire.ConnectAsync(parts[1], int.Parse(parts[2]), TestContext.Current.CancellationToken);

        // Greeting, then READY of a REQ socket, then an empty delimiter frame and the command.
        wire.Send([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0, .. "NULL"u8, .. new byte[48]]);
        var greeting = Read(64);
        greeting[0].ShouldBe((byte)0xFF);
        greeting[9..11].ShouldBe([0x7F, 3]);
        greeting[12..].ShouldBe([.. "NULL"u8, .. new byte[48]]);
        wire.Send([0x04, 25, 5, .. "READY"u8, 11, .. "Socket-Type"u8, 0, 0, 0, 3, .. "REQ"u8]);
        var ready = Read(2);
        ready[0].ShouldBe((byte)0x04);
        Encoding.ASCII.GetString(Read(ready[1])).ShouldContain("REP");
        wire.Send([0x01, 0, 0x00, 5, .. "*IDN?"u8]);
        Read(2).ShouldBe([0x01, 0]);
        var answer = Read(2);
        answer[0].ShouldBe((byte)0x00);
        Encoding.ASCII.GetString(Read(answer[1])).ShouldStartWith("ID Quantique,ID900,");

        byte[] Read(int count)
        {
            var bytes = new byte[count];
            for (var at = 0; at < count;)
            {
                var received = wire.Receive(bytes, at, count - at, SocketFlags.None);
                received.ShouldBeGreaterThan(0);
                at += received;
            }

            return bytes;
        }
    }

    [Fact]
    public async Task A_semicolon_stays_in_the_branch_and_a_colon_returns_to_the_root()
    {
        await using var client = await StartAsync();

        client.Ask("INPU1:ENAB ON;THRE -0.4V;EDGE RISING;COUP DC;SELE UNSHAPED").ShouldBe(
            "Value set to ON\nValue set to -0.4V\nValue set to RISI\nValue set to DC\nValue set to UNSH");
        client.Ask("INPU1:COUN:INTE 1000;MODE CYCL;:INPU1:COUP AC;EDGE FALLING").ShouldBe(
            "Value set to 1000\nValue set to CYCL\nValue set to AC\nValue set to FALL");
        client.Ask("inpu1:enab?;thre?;edge?;coup?;sele?").ShouldBe("ON\n-0.4V\nFALL\nAC\nUNSH");
        client.Ask("INPU1:ENAB?;*OPC?;THRE?").ShouldBe("ON\n1\n-0.4V");
        client.Ask("RAW1:REF:LINK STAR;SEND ON").ShouldBe("Value set to STAR\n-113,\"Undefined header; RAW1:REF:SEND\"");
    }

    [Fact]
    public async Task Each_input_has_its_own_settings_and_short_and_long_headers_are_one()
    {
        await using var client = await StartAsync();

        client.Ask("INPUt2:THREshold 0.25V;:INPU3:THRE 100mV;:STARt:THRE 1;ENABle ON").Split('\n').Length.ShouldBe(4);

        client.Ask("INPU1:THRE?;:INPU2:THRE?;:INPU3:THRE?;:INPU4:THRE?;:STAR:THRE?").ShouldBe("1V\n0.25V\n0.1V\n1V\n1V");
        client.Ask("STAR:ENAB?;:INPU2:ENAB?").ShouldBe("ON\nOFF");
    }

    [Theory]
    [InlineData("INPU5:ENAB ON", "-114,")]
    [InlineData("INPU0:ENAB?", "-114,")]
    [InlineData("INPU:ENAB?", "-114,")]
    [InlineData("RAW99999999999:SEND ON", "-113,")]
    [InlineData("INPU1:FOO?", "-113,")]
    [InlineData("*IDN", "-113,")]
    [InlineData("INPU1:COUN 5", "-113,")]
    [InlineData("INPU1:THRE 2.01V", "-222,")]
    [InlineData("INPU1:THRE high", "-104,")]
    [InlineData("INPU1:THRE", "-104,")]
    [InlineData("INPU1:EDGE UP", "-104,")]
    [InlineData("INPU1:ENAB MAYBE", "-104,")]
    [InlineData("DELA1:VALU 1.1s", "-222,")]
    [InlineData("DELA1:VALU -1", "-222,")]
    [InlineData("RAW1:REF:LINK INPU7", "-104,")]
    [InlineData("RAW1:STOP:LINK NONE", "-104,")]
    [InlineData("", "-100,")]
    [InlineData(";;:", "-113,")]
    public async Task What_it_cannot_do_is_answered_by_an_error(string command, string start)
    {
        await using var client = await StartAsync();

        client.Ask(command).ShouldStartWith(start);
    }

    [Fact]
    public async Task Errors_wait_in_a_queue()
    {
        await using var client = await StartAsync();
        client.Ask("FOO");

        client.Ask("SYST:ERR?").ShouldBe("-113,\"Undefined header; FOO\"");
        client.Ask("SYST:ERR?").ShouldBe("+0,\"No error\"");
        client.Ask("FOO");
        client.Ask("*CLS").ShouldBe("Done");
        client.Ask("SYST:ERR?").ShouldBe("+0,\"No error\"");
    }

    [Fact]
    public async Task Delays_take_units_and_answer_in_time_base()
    {
        await using var client = await StartAsync();

        client.Ask("DELA1:VALU 1000").ShouldBe("Value set to 1000TB");
        client.Ask("DELA1:VALU 2.5ns;VALU?").ShouldBe("Value set to 2500TB\n2500TB");
        client.Ask("DELA1:VALU 1s;VALU?").ShouldBe("Value set to 1000000000000TB\n1000000000000TB");
        client.Ask("DELA1:LINK INPU1").ShouldBe("Value set to INPU1");
        client.Ask("DELA2:INPO:LINK INPU2;LINK?").ShouldBe("Value set to INPU2\nINPU2");
    }

    [Fact]
    public async Task The_record_generator_answers_as_in_the_examples()
    {
        await using var client = await StartAsync();

        client.Ask("REC:STAGe?").ShouldBe("STOPPED");
        client.Ask("REC:PLAY").ShouldStartWith("-221,"); // neither armed nor enabled
        client.Ask("REC:TRIG:ARM:MODE MANUal").ShouldBe("Value set to MANU");
        client.Ask("REC:ENABle ON").ShouldBe("Value set to ON");
        client.Ask("REC:STOP").ShouldBe("Done");
        client.Ask("REC:NUM 1;NUM?").ShouldBe("Value set to 1\n1");
        client.Ask("REC:DURation 1000000000000.0;DUR?").ShouldBe("Value set to 1000000000000TB\n1000000000000TB");
        client.Ask("REC:NUM INF").ShouldBe("Value set to INF");
        client.Ask("REC:PWID 250000000000;PPER 250000040000").ShouldBe("Value set to 250000000000TB\nValue set to 250000040000TB");
        client.Ask("REC:PLAY").ShouldBe("Done");
        client.Ask("REC:STAGe?;NUMber?").ShouldBe("PLAYING\nINF");
        client.Ask("REC:PWID 300000000000").ShouldStartWith("-221,"); // not while playing
        client.Ask("REC:STOP;STAG?").ShouldBe("Done\nSTOPPED");
    }

    [Theory]
    [InlineData(199_999_999_999, 300_000_000_000, false)]
    [InlineData(200_000_000_000, 200_000_039_999, false)]
    [InlineData(200_000_000_000, 200_000_040_000, true)]
    [InlineData(300_000_000_000, 200_000_040_000, false)]
    public async Task Sub_acquisitions_last_a_fifth_of_a_second_and_are_forty_nanoseconds_apart(long width, long period, bool plays)
    {
        await using var client = await StartAsync();
        client.Ask("REC:TRIG:ARM:MODE MANU;:REC:ENAB ON;NUM INF");

        client.Ask($"REC:PWID {width};PPER {period}");
        client.Ask("REC:PLAY");

        client.Ask("REC:STAG?").ShouldBe(plays ? "PLAYING" : "STOPPED");
    }

    [Fact]
    public async Task Counts_are_those_of_the_last_whole_integration_time()
    {
        await using var client = await StartAsync();
        client.Ask("INPU1:ENAB ON;COUN:INTE 100;MODE CYCL");
        client.Emulator.AdvanceTo(0);

        client.Emulator.RecordClicks(1, [1, 2, 3]);
        client.Emulator.RecordClicks(2, [1, 2, 3]); // off
        client.Emulator.AdvanceTo(Second / 20);
        client.Ask("INPU1:COUN?").ShouldBe("0");
        client.Emulator.RecordClicks(1, [Second / 15]);
        client.Emulator.AdvanceTo(Second / 10);

        client.Ask("INPU1:COUN?;:INPU2:COUN?").ShouldBe("4\n0");
        client.Emulator.AdvanceTo(Second / 5);
        client.Ask("INPU1:COUN?").ShouldBe("0");
        client.Ask("INPU1:COUN:MODE ACCU;RESEt").ShouldBe("Value set to ACCU\nDone");
        client.Emulator.RecordClicks(1, [Second, Second + 1]);
        client.Emulator.AdvanceTo(2 * Second);
        client.Emulator.RecordClicks(1, [2 * Second]);
        client.Emulator.AdvanceTo(3 * Second);
        client.Ask("INPU1:COUN?").ShouldBe("3");
    }

    [Fact]
    public async Task Health_is_well_and_can_be_calibrated()
    {
        await using var client = await StartAsync();

        client.Ask("INPU1:HIRES:ERROR?;:RAW1:ERRORS?").ShouldBe("0\n0");
        client.Ask("INPU1:HIRES:ERROR:CLEAR").ShouldBe("Done");
        client.Ask("RAW1:ERRORS:CLEAR").ShouldBe("Done");
        client.Ask("DEVIce:SAMPling:RECAlibrate").ShouldBe("Done");
        client.Ask("DEVIce:RESolution HIRES").ShouldBe("Value set to HIRES");
        client.Ask("DEVI:RES:BWID?").ShouldBe("1");
    }

    [Fact]
    public async Task Two_instruments_in_one_process_do_not_meet()
    {
        await using var first = await StartAsync(new Id900Settings { SerialNumber = "A" });
        await using var second = await StartAsync(new Id900Settings { SerialNumber = "B" });

        first.Ask("*IDN?").ShouldContain(",A,");
        second.Ask("*IDN?").ShouldContain(",B,");
        Math.Abs(first.StreamPort - second.StreamPort).ShouldBeGreaterThanOrEqualTo(4);
    }

    [Fact]
    public async Task A_port_in_use_is_an_error_that_names_the_instrument_and_the_port()
    {
        await using var first = await StartAsync();
        var port = int.Parse(first.Emulator.Address.Split("::")[2]);
        await using var second = new Id900Emulator(new Id900Settings { Name = "clock", ControlPort = port });

        var exception = await Should.ThrowAsync<IOException>(() => second.StartAsync(TestContext.Current.CancellationToken));

        exception.Message.ShouldContain("clock");
        exception.Message.ShouldContain(port.ToString());
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        Should.Throw<ArgumentException>(() => new Id900Emulator(new Id900Settings { MaxMessageBytes = 100 })).Message.ShouldContain("MaxMessageBytes");
        Should.Throw<ArgumentException>(() => new Id900Emulator(new Id900Settings { ClockOffsetPpm = 2000 })).Message.ShouldContain("ClockOffsetPpm");
    }

    [Fact]
    public async Task A_silent_instrument_answers_when_it_has_come_to_itself()
    {
        await using var client = await StartAsync();
        client.Emulator.Inject(InstrumentFault.Silent);

        client.Send("*IDN?");
        client.HasAnswer(TimeSpan.FromMilliseconds(100)).ShouldBeFalse();
        client.Emulator.Inject(InstrumentFault.None);

        client.Receive().ShouldStartWith("ID Quantique");
    }

    [Fact]
    public async Task A_host_that_gave_up_on_a_silent_instrument_and_came_back_is_answered()
    {
        await using var client = await StartAsync();
        client.Emulator.Inject(InstrumentFault.Silent);
        client.Send("*IDN?");
        client.Reconnect();
        client.Send("REC:STAG?");

        client.Emulator.Inject(InstrumentFault.None);

        client.Receive().ShouldBe("STOPPED");
    }

    [Fact]
    public async Task Garbage_half_answers_and_late_answers()
    {
        await using var client = await StartAsync(new Id900Settings { LateAnswerDelay = TimeSpan.FromMilliseconds(20) });

        client.Emulator.Inject(InstrumentFault.Garbage);
        client.Send("*IDN?");
        Encoding.UTF8.GetString(client.ReceiveBytes()).ShouldNotContain("ID900");
        client.Emulator.Inject(InstrumentFault.HalfAnswer);
        client.Ask("REC:STAG?").ShouldBe("STO");
        client.Emulator.Inject(InstrumentFault.Late);
        client.Ask("REC:STAG?").ShouldBe("STOPPED");
    }

    [Fact]
    public async Task A_pulled_cable_ends_the_streams_and_the_next_host_is_answered()
    {
        await using var client = await StartAsync();
        client.StartStream(1);

        client.Emulator.Inject(InstrumentFault.Disconnect);
        client.Send("*IDN?");
        client.HasAnswer(TimeSpan.FromMilliseconds(100)).ShouldBeFalse();
        client.Emulator.Inject(InstrumentFault.None);
        client.Reconnect();

        client.Ask("*IDN?").ShouldStartWith("ID Quantique");
        client.AskService("list").GetArrayLength().ShouldBe(0);
        client.StartStream(1); // the port is free again
    }
}
