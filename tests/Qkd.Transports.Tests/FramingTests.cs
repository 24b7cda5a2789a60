using Qkd.Devices;
using Qkd.Transports.Framing;
using Qkd.Transports.Transcripts;
using Shouldly;

namespace Qkd.Transports.Tests;

public sealed class FramingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task Lines_come_out_the_same_however_the_stream_is_cut(int piece)
    {
        var text = "first\r\n\r\nthird\n" + new string('x', 5000) + "\r\nlast\r\n";
        var reader = new DelimitedReader(Stream(text, piece), "device");

        foreach (var expected in new[] { "first", "", "third", new string('x', 5000), "last" })
        {
            (await reader.ReadLineAsync(TestLimits.Token).AsTask().WithinLimit()).ShouldBe(expected);
        }
    }

    [Fact]
    public async Task Another_terminator_separates_messages_that_arrive_joined()
    {
        var reader = new DelimitedReader(Stream("{\"a\":1}\u0017{\"b\":2}\u0017", 100), "device", 0x17);
        (await reader.ReadLineAsync(TestLimits.Token).AsTask().WithinLimit()).ShouldBe("{\"a\":1}");
        (await reader.ReadLineAsync(TestLimits.Token).AsTask().WithinLimit()).ShouldBe("{\"b\":2}");
    }

    [Fact]
    public async Task A_stream_without_terminator_is_refused_at_the_stated_length()
    {
        var reader = new DelimitedReader(Stream(new string('?', 5000), 100), "detectors", maximumLength: 1000);
        var error = await Should.ThrowAsync<DeviceProtocolException>(
            async () => await reader.ReadLineAsync(TestLimits.Token).AsTask().WithinLimit());
        error.Message.ShouldContain("detectors");
        error.Message.ShouldContain("without a terminator");
    }

    [Fact]
    public async Task A_cancelled_read_keeps_the_half_line()
    {
        await using var pair = await TcpPair.OpenAsync(new() { DeviceName = "device" });
        var reader = new DelimitedReader(pair.Transport, "device");
        await pair.Peer.GetStream().WriteAsync("ha"u8.ToArray(), TestLimits.Token);
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        await Should.ThrowAsync<OperationCanceledException>(
            async () => await reader.ReadLineAsync(impatient.Token).AsTask().WithinLimit());
        await pair.Peer.GetStream().WriteAsync("lf\n"u8.ToArray(), TestLimits.Token);
        (await reader.ReadLineAsync(TestLimits.Token).AsTask().WithinLimit()).ShouldBe("half");
    }

    [Fact]
    public async Task Replies_find_those_who_wait_whatever_their_order()
    {
        var replies = new PendingReplies<string>();
        using var a = replies.Expect(message => message.StartsWith('a'));
        using var b = replies.Expect(message => message.StartsWith('b'));

        replies.Offer("unsolicited").ShouldBeFalse();
        replies.Offer("b1").ShouldBeTrue();
        replies.Offer("b2").ShouldBeFalse();
        replies.Offer("a1").ShouldBeTrue();

        (await a.WaitAsync(TestLimits.Token).WithinLimit()).ShouldBe("a1");
        (await b.WaitAsync(TestLimits.Token).WithinLimit()).ShouldBe("b1");
    }

    [Fact]
    public async Task The_first_of_two_that_wait_for_the_same_gets_the_first_reply()
    {
        var replies = new PendingReplies<int>();
        using var first = replies.Expect(_ => true);
        using var second = replies.Expect(_ => true);
        replies.Offer(1);
        replies.Offer(2);
        (await first.WaitAsync(TestLimits.Token).WithinLimit()).ShouldBe(1);
        (await second.WaitAsync(TestLimits.Token).WithinLimit()).ShouldBe(2);
    }

    [Fact]
    public void Who_gave_up_gets_nothing()
    {
        var replies = new PendingReplies<int>();
        replies.Expect(_ => true).Dispose();
        replies.Offer(1).ShouldBeFalse();
    }

    [Fact]
    public async Task A_lost_connection_fails_those_who_wait_and_those_who_come_after()
    {
        var replies = new PendingReplies<int>();
        using var before = replies.Expect(_ => true);
        replies.FailAll(new DeviceDisconnectedException("device", "somewhere", "cable pulled"));
        using var after = replies.Expect(_ => true);
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await before.WaitAsync(TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await after.WaitAsync(TestLimits.Token).WithinLimit());
    }

    private static ReplayTransport Stream(string text, int piece) => new(
        System.Text.Encoding.Latin1.GetBytes(text).Chunk(piece)
            .Select(part => new TranscriptRecord(DateTimeOffset.UnixEpoch, "control", false, part)));
}
