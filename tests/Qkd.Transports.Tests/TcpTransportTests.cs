using System.Net;
using System.Net.Sockets;
using System.Text;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Transports.Tests;

public sealed class TcpTransportTests
{
    private static readonly ByteTransportOptions Options = new() { DeviceName = "detectors" };

    [Fact]
    public async Task Passes_bytes_both_ways()
    {
        await using var pair = await TcpPair.OpenAsync(Options);

        await pair.Transport.WriteAsync("ping"u8.ToArray(), TestLimits.Token).WithinLimit();
        var buffer = new byte[4];
        await pair.Peer.GetStream().ReadExactlyAsync(buffer, TestLimits.Token).WithinLimit();
        Encoding.ASCII.GetString(buffer).ShouldBe("ping");

        await pair.Peer.GetStream().WriteAsync("pong"u8.ToArray(), TestLimits.Token).WithinLimit();
        await pair.Transport.ReadExactlyAsync(buffer, TestLimits.Token).WithinLimit();
        Encoding.ASCII.GetString(buffer).ShouldBe("pong");
        pair.Transport.IsBroken.ShouldBeFalse();
    }

    [Fact]
    public async Task Says_that_the_other_side_closed()
    {
        await using var pair = await TcpPair.OpenAsync(Options);
        pair.Peer.Dispose();

        var error = await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await pair.Transport.ReadAsync(new byte[1], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("detectors");
        error.Message.ShouldContain(pair.Transport.Address.Text);
        pair.Transport.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await pair.Transport.WriteAsync(new byte[1], TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task A_cancelled_read_leaves_the_connection_whole()
    {
        await using var pair = await TcpPair.OpenAsync(Options);
        using var impatient = new CancellationTokenSource();
        var read = pair.Transport.ReadAsync(new byte[1], impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await read.WithinLimit());

        await pair.Peer.GetStream().WriteAsync(new byte[] { 42 }, TestLimits.Token).WithinLimit();
        var buffer = new byte[1];
        await pair.Transport.ReadExactlyAsync(buffer, TestLimits.Token).WithinLimit();
        buffer[0].ShouldBe((byte)42);
    }

    [Fact]
    public async Task A_peer_that_takes_nothing_ends_in_a_time_out_and_breaks_the_connection()
    {
        await using var pair = await TcpPair.OpenAsync(Options with { WriteTimeout = TimeSpan.FromMilliseconds(100) });

        // More than any socket buffer holds.
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await pair.Transport.WriteAsync(new byte[64 << 20], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("0.1 s");
        pair.Transport.IsBroken.ShouldBeTrue();
    }

    [Fact]
    public async Task Throws_away_what_arrived_before()
    {
        await using var pair = await TcpPair.OpenAsync(Options);
        await pair.Peer.GetStream().WriteAsync("xold"u8.ToArray(), TestLimits.Token).WithinLimit();
        var buffer = new byte[1];
        await pair.Transport.ReadExactlyAsync(buffer, TestLimits.Token).WithinLimit();
        await pair.Transport.DiscardInputAsync(TestLimits.Token).WithinLimit();

        await pair.Peer.GetStream().WriteAsync("n"u8.ToArray(), TestLimits.Token).WithinLimit();
        await pair.Transport.ReadExactlyAsync(buffer, TestLimits.Token).WithinLimit();
        buffer[0].ShouldBe((byte)'n');
    }

    [Fact]
    public async Task Names_the_address_at_which_nobody_listens()
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        var address = DeviceAddress.ForTcp("127.0.0.1", port);
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await ByteTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit());
        error.Message.ShouldStartWith($"detectors ({address.Text}): cannot connect");
    }

    [Fact]
    public async Task A_disposed_transport_refuses_and_can_be_disposed_of_again()
    {
        await using var pair = await TcpPair.OpenAsync(Options);
        await pair.Transport.DisposeAsync();
        await pair.Transport.DisposeAsync();
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await pair.Transport.WriteAsync(new byte[1], TestLimits.Token).WithinLimit());
    }
}
