using System.Text;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Transports.Tests;

/// <summary>Real pseudo-terminals; Windows has none, and serial instruments are there emulated over TCP.</summary>
public sealed class SerialTransportTests
{
    private static readonly ByteTransportOptions Options = new() { DeviceName = "paddles" };

    [Fact]
    public async Task Passes_every_byte_value_both_ways()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var everyByte = Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
        using var terminal = new PseudoTerminal();
        await using var transport = await OpenAsync(terminal);

        await transport.WriteAsync(everyByte, TestLimits.Token).WithinLimit();
        (await terminal.ReadAsync(256).WithinLimit()).ShouldBe(everyByte);

        await terminal.WriteAsync(everyByte).WithinLimit();
        var received = new byte[256];
        await transport.ReadExactlyAsync(received, TestLimits.Token).WithinLimit();
        received.ShouldBe(everyByte);
    }

    [Fact]
    public async Task Opens_with_hardware_handshake_on_a_line_that_has_none()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var terminal = new PseudoTerminal();
        await using var transport = await ByteTransport.ConnectAsync(
            DeviceAddress.Parse($"serial:{terminal.Name}:baudrate=115200"),
            Options with { Serial = new() { Handshake = System.IO.Ports.Handshake.RequestToSend } },
            null,
            "control",
            TestLimits.Token).WithinLimit();

        await transport.WriteAsync("D\r"u8.ToArray(), TestLimits.Token).WithinLimit();
        (await terminal.ReadAsync(2).WithinLimit()).ShouldBe("D\r"u8.ToArray());
    }

    [Fact]
    public async Task A_cancelled_read_loses_no_byte()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var terminal = new PseudoTerminal();
        await using var transport = await OpenAsync(terminal);
        using var impatient = new CancellationTokenSource();

        var read = transport.ReadAsync(new byte[8], impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await read.WithinLimit());
        transport.IsBroken.ShouldBeFalse();

        await terminal.WriteAsync("Done").WithinLimit();
        var received = new byte[4];
        await transport.ReadExactlyAsync(received, TestLimits.Token).WithinLimit();
        Encoding.Latin1.GetString(received).ShouldBe("Done");
    }

    [Fact]
    public async Task Hands_out_what_came_before_the_line_was_cut_and_then_says_so()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var terminal = new PseudoTerminal();
        await using var transport = await OpenAsync(terminal);
        await terminal.WriteAsync("Pos").WithinLimit();
        var received = new byte[3];
        await transport.ReadExactlyAsync(received, TestLimits.Token).WithinLimit();

        terminal.HangUp();

        var error = await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await transport.ReadAsync(new byte[1], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("paddles");
        error.Message.ShouldContain(terminal.Name);
        transport.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await transport.WriteAsync(new byte[1], TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task Throws_away_what_arrived_before()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var terminal = new PseudoTerminal();
        await using var transport = await OpenAsync(terminal);
        await terminal.WriteAsync("old").WithinLimit();
        var first = new byte[1];
        await transport.ReadExactlyAsync(first, TestLimits.Token).WithinLimit();

        await transport.DiscardInputAsync(TestLimits.Token).WithinLimit();
        await terminal.WriteAsync("new").WithinLimit();

        var received = new byte[3];
        await transport.ReadExactlyAsync(received, TestLimits.Token).WithinLimit();
        Encoding.Latin1.GetString(received).ShouldBe("new");
    }

    [Fact]
    public async Task A_peer_that_takes_nothing_ends_in_a_time_out_and_does_not_hold_up_the_end()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var terminal = new PseudoTerminal();
        var transport = await ByteTransport.ConnectAsync(
            DeviceAddress.ForSerial(terminal.Name),
            Options with { WriteTimeout = TimeSpan.FromMilliseconds(100) },
            null,
            "control",
            TestLimits.Token).WithinLimit();

        // More than a terminal's buffer holds.
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await transport.WriteAsync(new byte[1 << 20], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("0.1 s");
        transport.IsBroken.ShouldBeTrue();
        await transport.DisposeAsync().WithinLimit();
    }

    [Fact]
    public async Task Names_a_port_that_is_not_there()
    {
        var error = await Should.ThrowAsync<DeviceException>(async () => await ByteTransport.ConnectAsync(
            DeviceAddress.ForSerial("/dev/ttyNOWHERE"), Options, null, "control", TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("paddles");
        error.Message.ShouldContain("/dev/ttyNOWHERE");
    }

    [Fact]
    public async Task Refuses_addresses_that_are_no_byte_stream()
    {
        foreach (var address in new[] { "sim:paddles", "USB0::0x1313::0x804F::M00295819::INSTR" })
        {
            var error = await Should.ThrowAsync<FormatException>(async () => await ByteTransport.ConnectAsync(
                DeviceAddress.Parse(address), Options, null, "control", TestLimits.Token).WithinLimit());
            error.Message.ShouldContain("paddles");
            error.Message.ShouldContain(address);
        }
    }

    private static Task<IByteTransport> OpenAsync(PseudoTerminal terminal) =>
        ByteTransport.ConnectAsync(DeviceAddress.ForSerial(terminal.Name), Options, null, "control", TestLimits.Token).WithinLimit();
}
