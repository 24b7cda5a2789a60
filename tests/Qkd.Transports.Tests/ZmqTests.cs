using NetMQ;
using NetMQ.Sockets;
using Qkd.Devices;
using Qkd.Transports.Zmq;
using Shouldly;

namespace Qkd.Transports.Tests;

/// <summary>Against NetMQ peers on loopback.</summary>
public sealed class ZmqTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private static readonly ZmqOptions Options = new() { DeviceName = "tagger", ConnectTimeout = Patience };

    [Fact]
    public async Task A_request_gets_its_reply()
    {
        using var peer = new ResponseSocket();
        var address = Bind(peer);
        var transcript = new RecordedTranscript();
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, transcript, "control", TestLimits.Token).WithinLimit();

        var request = transport.RequestAsync("*IDN?", Patience, TestLimits.Token).WithinLimit();
        (await Task.Run(peer.ReceiveFrameString).WithinLimit()).ShouldBe("*IDN?");
        peer.SendFrame("ID900");

        (await request).ShouldBe("ID900");
        transcript.Lines.ShouldBe(["control > *IDN?", "control < ID900"]);
    }

    [Fact]
    public async Task Requests_take_turns()
    {
        using var peer = new ResponseSocket();
        var address = Bind(peer);
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit();

        var requests = Enumerable.Range(0, 20)
            .Select(number => transport.RequestAsync($"{number}", Patience, TestLimits.Token).WithinLimit()).ToArray();
        await Task.Run(
            () =>
            {
                for (var answered = 0; answered < 20; answered++)
                {
                    peer.SendFrame("re " + peer.ReceiveFrameString());
                }
            },
            TestLimits.Token).WithinLimit();

        for (var number = 0; number < 20; number++)
        {
            (await requests[number]).ShouldBe($"re {number}");
        }
    }

    [Fact]
    public async Task After_a_time_out_the_late_reply_goes_nowhere_and_the_next_request_works()
    {
        using var peer = new RouterSocket();
        var address = Bind(peer);
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit();

        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await transport.RequestAsync("slow?", TimeSpan.FromMilliseconds(50), TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("slow?");
        error.Message.ShouldContain("0.05 s");
        transport.IsBroken.ShouldBeFalse();

        var slow = await Task.Run(() => peer.ReceiveMultipartMessage()).WithinLimit();
        var next = transport.RequestAsync("next?", Patience, TestLimits.Token).WithinLimit();
        var request = await Task.Run(() => peer.ReceiveMultipartMessage()).WithinLimit();
        peer.SendMoreFrame(slow[0].Buffer).SendMoreFrameEmpty().SendFrame("late");
        peer.SendMoreFrame(request[0].Buffer).SendMoreFrameEmpty().SendFrame("in time");
        (await next).ShouldBe("in time");
    }

    [Fact]
    public async Task A_cancelled_request_does_not_spoil_the_next()
    {
        using var peer = new ResponseSocket();
        var address = Bind(peer);
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit();
        using var impatient = new CancellationTokenSource();
        var abandoned = transport.RequestAsync("never?", Patience, impatient.Token);
        (await Task.Run(peer.ReceiveFrameString).WithinLimit()).ShouldBe("never?");
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await abandoned.WithinLimit());
        peer.SendFrame("too late");

        var next = transport.RequestAsync("next?", Patience, TestLimits.Token).WithinLimit();
        (await Task.Run(peer.ReceiveFrameString).WithinLimit()).ShouldBe("next?");
        peer.SendFrame("yes");
        (await next).ShouldBe("yes");
    }

    [Fact]
    public async Task A_peer_that_goes_away_fails_the_request_that_waits()
    {
        var peer = new ResponseSocket();
        var address = Bind(peer);
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit();
        var request = transport.RequestAsync("*IDN?", Patience, TestLimits.Token).WithinLimit();
        await Task.Run(peer.ReceiveFrameString).WithinLimit();
        peer.Dispose();

        var error = await Should.ThrowAsync<DeviceDisconnectedException>(async () => await request);
        error.Message.ShouldContain("tagger");
        transport.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await transport.RequestAsync("*IDN?", Patience, TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task A_host_may_be_given_by_its_name()
    {
        using var peer = new ResponseSocket();
        var address = DeviceAddress.ForTcp("localhost", Bind(peer).Port);
        await using var transport = await ZmqRequestTransport.ConnectAsync(address, Options, null, "control", TestLimits.Token).WithinLimit();
        var request = transport.RequestAsync("*IDN?", Patience, TestLimits.Token).WithinLimit();
        (await Task.Run(peer.ReceiveFrameString).WithinLimit()).ShouldBe("*IDN?");
        peer.SendFrame("ID900");
        (await request).ShouldBe("ID900");
    }

    [Fact]
    public async Task A_serial_port_is_no_ZeroMQ_address()
    {
        var error = await Should.ThrowAsync<FormatException>(async () => await ZmqRequestTransport.ConnectAsync(
            DeviceAddress.ForSerial("/dev/ttyUSB0"), Options, null, "control", TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("tagger");
    }

    [Fact]
    public async Task Nobody_at_the_address_is_said_clearly()
    {
        DeviceAddress address;
        using (var peer = new ResponseSocket())
        {
            address = Bind(peer);
        }

        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await ZmqRequestTransport.ConnectAsync(
            address, Options with { ConnectTimeout = TimeSpan.FromMilliseconds(300) }, null, "control", TestLimits.Token).WithinLimit());
        error.Message.ShouldContain(address.Text);
        error.Message.ShouldContain("connecting");
    }

    [Fact]
    public async Task Pair_messages_arrive_whole_and_in_order_even_when_the_reader_falls_behind()
    {
        const int Messages = 40;
        const int Length = 1 << 20;
        using var peer = new PairSocket { Options = { SendHighWatermark = 2 } };
        var address = Bind(peer);
        await using var receiver = await ZmqPairReceiver.ConnectAsync(
            address, Options with { QueueLength = 2 }, null, "stream", TestLimits.Token).WithinLimit();
        var sent = 0;
        var sending = Task.Run(
            () =>
            {
                var data = new byte[Length];
                for (var number = 0; number < Messages; number++)
                {
                    data.AsSpan().Fill((byte)number);
                    peer.SendFrame(data);
                    Volatile.Write(ref sent, number + 1);
                }
            },
            TestLimits.Token);

        // The reader takes nothing until the receiver has said that it pushes back.
        while (receiver.Pauses == 0)
        {
            await Task.Delay(5, TestLimits.Token);
        }

        Volatile.Read(ref sent).ShouldBeLessThan(Messages);
        for (var number = 0; number < Messages; number++)
        {
            using var message = await receiver.ReceiveAsync(TestLimits.Token).WithinLimit();
            message.Data.Length.ShouldBe(Length);
            message.Data.Span.IndexOfAnyExcept((byte)number).ShouldBe(-1);
        }

        await sending.WithinLimit();
    }

    [Fact]
    public async Task Pair_hands_out_what_arrived_before_the_peer_closed_and_then_says_so()
    {
        var peer = new PairSocket();
        var address = Bind(peer);
        await using var receiver = await ZmqPairReceiver.ConnectAsync(address, Options, null, "stream", TestLimits.Token).WithinLimit();
        peer.SendFrame(new byte[] { 1, 2, 3 });
        using (var message = await receiver.ReceiveAsync(TestLimits.Token).WithinLimit())
        {
            message.Data.ToArray().ShouldBe([1, 2, 3]);
        }

        peer.Dispose();
        var error = await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await receiver.ReceiveAsync(TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("tagger");
    }

    [Fact]
    public async Task A_cancelled_receive_leaves_the_receiver_whole()
    {
        using var peer = new PairSocket();
        var address = Bind(peer);
        await using var receiver = await ZmqPairReceiver.ConnectAsync(address, Options, null, "stream", TestLimits.Token).WithinLimit();
        using var impatient = new CancellationTokenSource();
        var receiving = receiver.ReceiveAsync(impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await receiving.WithinLimit());

        peer.SendFrame(new byte[] { 7 });
        using var message = await receiver.ReceiveAsync(TestLimits.Token).WithinLimit();
        message.Data.ToArray().ShouldBe([7]);
    }

    [Fact]
    public async Task A_receiver_can_be_disposed_of_with_messages_unread()
    {
        using var peer = new PairSocket();
        var address = Bind(peer);
        var receiver = await ZmqPairReceiver.ConnectAsync(address, Options, null, "stream", TestLimits.Token).WithinLimit();
        for (var number = 0; number < 3; number++)
        {
            peer.SendFrame(new byte[100_000]);
        }

        await receiver.DisposeAsync().AsTask().WithinLimit();
        await receiver.DisposeAsync().AsTask().WithinLimit();
        await Should.ThrowAsync<DeviceDisconnectedException>(
            async () => await receiver.ReceiveAsync(TestLimits.Token).WithinLimit());
    }

    private static DeviceAddress Bind(NetMQSocket peer)
    {
        peer.Options.Linger = TimeSpan.Zero;
        return DeviceAddress.ForTcp("127.0.0.1", peer.BindRandomPort("tcp://127.0.0.1"));
    }
}
