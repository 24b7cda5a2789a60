using System.Net;
using System.Net.Sockets;
using Qkd.Link.Wire;
using Shouldly;

namespace Qkd.Link.Tests.Wire;

public sealed class LinkConnectionTests
{
    private static CancellationToken Ending => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Messages_arrive_whole_in_order_and_unchanged()
    {
        var (a, b) = await PairAsync();
        await using (a)
        await using (b)
        {
            var sent = Enumerable.Range(1, 20)
                .Select(i => new LinkMessage(MessageType.Detections, 7, (uint)i, (uint)(i / 2), a.NowMicroseconds, new byte[i * 1000]))
                .ToArray();
            var sending = Task.Run(async () =>
            {
                foreach (var message in sent)
                {
                    await a.SendAsync(message, Ending);
                }
            }, Ending);
            foreach (var message in sent)
            {
                var received = await b.ReceiveAsync(Ending);
                received.ToBytes().ShouldBe(message.ToBytes());
                received.ReceivedMicroseconds.ShouldBeGreaterThanOrEqualTo(received.SentMicroseconds);
            }

            await sending;
        }
    }

    [Fact]
    public async Task A_header_of_another_version_is_refused() =>
        await ShouldBeRefusedAsync(header => header[5] = 2, "version");

    [Fact]
    public async Task An_unknown_message_type_is_refused() =>
        await ShouldBeRefusedAsync(header => header[4] = 200, "Unknown message type 200");

    [Fact]
    public async Task A_payload_larger_than_allowed_is_refused_before_it_is_allocated() =>
        await ShouldBeRefusedAsync(header => header[3] = 0x7F, "larger than");

    [Fact]
    public async Task A_negative_length_is_refused() =>
        await ShouldBeRefusedAsync(header => header[3] = 0xFF, "larger than");

    /// <summary>Before anybody is known, and where no tag says who speaks, nobody makes this end allocate much.</summary>
    [Theory]
    [InlineData(MessageType.Hello, LinkMessage.MaximumGreeting)]
    [InlineData(MessageType.HelloFinish, LinkMessage.MaximumGreeting)]
    [InlineData(MessageType.BlockAbort, LinkMessage.MaximumControl)]
    [InlineData(MessageType.Control, LinkMessage.MaximumControl)]
    [InlineData(MessageType.ControlReply, LinkMessage.MaximumControl)]
    [InlineData(MessageType.KeepAlive, 0)]
    public async Task What_anybody_may_send_is_short(MessageType type, int maximum)
    {
        await ShouldBeRefusedAsync(
            header =>
            {
                header[4] = (byte)type;
                BitConverter.TryWriteBytes(header, maximum + 1).ShouldBeTrue();
            },
            "larger than");
    }

    [Fact]
    public async Task A_peer_who_takes_nothing_ends_the_connection()
    {
        var (raw, b) = await RawPairAsync();
        await using (b)
        {
            await using var sending = new LinkConnection(new NetworkStream(raw, ownsSocket: true), "b", TimeProvider.System) { SendLimit = TimeSpan.FromMilliseconds(200) };
            var error = await Should.ThrowAsync<LinkException>(async () =>
            {
                for (var i = 0u; i < 100; i++)
                {
                    await sending.SendAsync(new LinkMessage(MessageType.Matches, 1, i, 0, 0, new byte[1 << 20]), Ending);
                }
            });
            error.Message.ShouldContain("took no Matches message");
            await Should.ThrowAsync<LinkException>(async () =>
                await sending.SendAsync(new LinkMessage(MessageType.Matches, 1, 1, 0, 0, ReadOnlyMemory<byte>.Empty), Ending));
        }
    }

    [Fact]
    public async Task A_truncated_message_is_told_apart_from_an_orderly_end()
    {
        var (raw, connection) = await RawPairAsync();
        await using (connection)
        {
            var bytes = new LinkMessage(MessageType.Matches, 1, 1, 0, 0, new byte[100]).ToBytes();
            await raw.SendAsync(bytes.AsMemory(0, 80), Ending);
            raw.Shutdown(SocketShutdown.Both);
            raw.Dispose();
            (await Should.ThrowAsync<LinkProtocolException>(async () => await connection.ReceiveAsync(Ending))).Message.ShouldContain("truncated");
        }

        (raw, connection) = await RawPairAsync();
        await using (connection)
        {
            raw.Dispose();
            (await Should.ThrowAsync<LinkException>(async () => await connection.ReceiveAsync(Ending))).Message.ShouldContain("closed");
        }
    }

    private static async Task ShouldBeRefusedAsync(Action<byte[]> spoil, string text)
    {
        var (raw, connection) = await RawPairAsync();
        await using (connection)
        {
            var bytes = new LinkMessage(MessageType.Matches, 1, 1, 0, 0, ReadOnlyMemory<byte>.Empty).ToBytes();
            spoil(bytes);
            await raw.SendAsync(bytes, Ending);
            (await Should.ThrowAsync<LinkProtocolException>(async () => await connection.ReceiveAsync(Ending))).Message.ShouldContain(text);
            raw.Dispose();
        }
    }

    private static async Task<(LinkConnection A, LinkConnection B)> PairAsync()
    {
        var (raw, b) = await RawPairAsync();
        return (LinkConnection.FromSocket(raw, TimeProvider.System), b);
    }

    private static async Task<(Socket Raw, LinkConnection Connection)> RawPairAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var raw = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await raw.ConnectAsync(listener.LocalEndpoint, Ending);
        return (raw, LinkConnection.FromSocket(await listener.AcceptSocketAsync(Ending), TimeProvider.System));
    }
}
