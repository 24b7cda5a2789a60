using Qkd.Sim.Firmware.OzOptics;
using Qkd.Sim.Firmware.Tests.ReferenceTransmitter;
using Qkd.Sim.Firmware.Tests.Serial;
using Qkd.Sim.Firmware.Transport;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.OzOptics;

/// <summary>
/// The attenuator byte for byte, as OZ Optics' manual of the DD-100-MC family gives it: commands end in CR, answers are lines ending in CR LF,
/// then <c>Done</c>, then an empty line.
/// </summary>
public sealed class Dd100McWireTests
{
    public static TheoryData<SerialMedium> Media => RawLine.Media;

    [Theory]
    [MemberData(nameof(Media))]
    public async Task Moves_to_an_attenuation_and_shows_it(SerialMedium medium)
    {
        await using var attenuator = await StartAsync(new() { Medium = medium, DecibelsPerSecond = 1e6, PowerUpDecibels = 30 });
        using var line = new RawLine(attenuator.Address);

        line.Send("A12.50\r"u8);
        line.ShouldReceive("Pos:2500\r\nDone\r\n\r\n"u8);
        line.Send("D\r"u8);
        line.ShouldReceive("DPos:2500\r\nATTEN:12.50\r\nDone\r\n\r\n"u8);
        attenuator.AttenuationDecibels.ShouldBe(12.5);
        line.ShouldBeQuiet();
    }

    [Theory]
    [MemberData(nameof(Media))]
    public async Task Homes_before_it_moves_when_it_does_not_know_its_position(SerialMedium medium)
    {
        await using var attenuator = await StartAsync(new()
        {
            Medium = medium,
            PositionKnown = false,
            DecibelsPerSecond = 1e6,
            HomingTime = TimeSpan.FromMilliseconds(20),
        });
        using var line = new RawLine(attenuator.Address);

        line.Send("A12.50\r"u8);
        line.ShouldReceive("Error: position unknown, home first\r\nDone\r\n\r\n"u8);
        line.Send("D\r"u8);
        line.ShouldReceive("DPos:0\r\nATTEN:?\r\nDone\r\n\r\n"u8);
        line.Send("H\r"u8);
        line.ShouldReceive("Done\r\n\r\n"u8);
        attenuator.AttenuationDecibels.ShouldBe(0);
        line.Send("A0.05\r"u8);
        line.ShouldReceive("Pos:10\r\nDone\r\n\r\n"u8);
    }

    [Theory]
    [MemberData(nameof(Media))]
    public async Task Refuses_what_it_cannot_do_and_stays_where_it_is(SerialMedium medium)
    {
        await using var attenuator = await StartAsync(new() { Medium = medium });
        using var line = new RawLine(attenuator.Address);

        line.Send("A60.01\r"u8);
        line.ShouldReceive("Error: 60.01 dB is out of range 0.00 to 60.00 dB\r\nDone\r\n\r\n"u8);
        line.Send("A-1\r"u8);
        line.ShouldReceive("Error: unknown command 'A-1'\r\nDone\r\n\r\n"u8);
        line.Send("XYZZY\r"u8);
        line.ShouldReceive("Error: unknown command 'XYZZY'\r\nDone\r\n\r\n"u8);
        attenuator.AttenuationDecibels.ShouldBe(30);
    }

    [Theory]
    [MemberData(nameof(Media))]
    public async Task Shows_its_configuration_and_takes_small_letters_and_pieces(SerialMedium medium)
    {
        await using var attenuator = await StartAsync(new() { Medium = medium });
        using var line = new RawLine(attenuator.Address);

        line.Send("CD\r"u8);
        line.ShouldReceive("DD-100-MC\r\nRANGE:0.00-60.00\r\nSTEPS/DB:200\r\nDone\r\n\r\n"u8);
        line.Send("c"u8);
        line.ShouldBeQuiet();
        line.Send("d\r\n"u8);
        line.ShouldReceive("DD-100-MC\r\nRANGE:0.00-60.00\r\nSTEPS/DB:200\r\nDone\r\n\r\n"u8);
    }

    [Fact]
    public async Task Works_at_one_command_after_the_other_at_the_pace_of_motor_and_line()
    {
        var time = new ManualTime();
        await using var attenuator = await StartAsync(new() { Medium = SerialMedium.Tcp, PowerUpDecibels = 30, DecibelsPerSecond = 10 }, time);
        using var line = new RawLine(attenuator.Address);

        line.Send("A10.00\rD\r"u8);
        while (attenuator.AttenuationDecibels == 30)
        {
            // The commands are on their way.
            await Task.Delay(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken);
            time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var from = attenuator.AttenuationDecibels;
        time.Advance(TimeSpan.FromSeconds(1));
        attenuator.AttenuationDecibels.ShouldBe(from - 10, 1e-5);
        time.Advance(TimeSpan.FromSeconds((from - 20) / 10));
        attenuator.AttenuationDecibels.ShouldBe(10, 1e-5);
        line.ShouldBeQuiet();

        // 7 characters there and 18 back at 960 a second.
        time.Advance(TimeSpan.FromSeconds(25.01 / 960));
        line.ShouldReceive("Pos:2000\r\nDone\r\n\r\n"u8);
        line.ShouldBeQuiet();
        time.Advance(TimeSpan.FromSeconds(0.1));
        line.ShouldReceive("DPos:2000\r\nATTEN:10.00\r\nDone\r\n\r\n"u8);
    }

    [Theory]
    [MemberData(nameof(Media))]
    public async Task Misbehaves_as_told(SerialMedium medium)
    {
        await using var attenuator = await StartAsync(new() { Medium = medium });
        using (var line = new RawLine(attenuator.Address))
        {
            attenuator.Inject(InstrumentFault.Silent);
            line.Send("D\r"u8);
            line.ShouldBeQuiet();
            attenuator.Inject(InstrumentFault.HalfAnswer);
            line.Send("CD\r"u8);
            line.ShouldReceive("DD-100-MC\r\nRANGE:0.00-60."u8);
            line.ShouldBeQuiet();
            attenuator.Inject(InstrumentFault.Garbage);
            line.Send("D\r"u8);
            line.Receive(32).ShouldNotBe("DPos:6000\r\nATTEN:30.00\r\nDone\r\n\r\n"u8.ToArray());
            attenuator.Inject(InstrumentFault.Disconnect);
            line.ShouldBeClosed();
        }

        attenuator.Inject(InstrumentFault.None);
        using var again = new RawLine(attenuator.Address);
        again.Send("D\r"u8);
        again.ShouldReceive("DPos:6000\r\nATTEN:30.00\r\nDone\r\n\r\n"u8);
    }

    private static async Task<Dd100McEmulator> StartAsync(Dd100McSettings settings, TimeProvider? time = null)
    {
        var attenuator = new Dd100McEmulator(settings, time);
        await attenuator.StartAsync(TestContext.Current.CancellationToken);
        return attenuator;
    }
}
