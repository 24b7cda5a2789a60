using System.Text;
using Qkd.Transports.Transcripts;
using Shouldly;

namespace Qkd.Transports.Tests;

public sealed class TranscriptTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void What_was_written_is_read_back()
    {
        var everyByte = Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
        var text = new StringWriter();
        using (var writer = new TranscriptWriter(text, new StoppedClock(Noon)))
        {
            writer.Record("control", true, "A12.50\r"u8);
            writer.Record("counts", false, everyByte);
            writer.Record("control", false, "Pos:1234\r\nDone\r\n"u8);
            writer.Record("control", false, []);
        }

        var records = TranscriptReader.Read(new StringReader(text.ToString()));
        records.Select(record => (record.Time, record.Channel, record.Sent)).ShouldBe(
            [(Noon, "control", true), (Noon, "counts", false), (Noon, "control", false), (Noon, "control", false)]);
        records.Select(record => record.Data.ToArray()).ShouldBe(
            ["A12.50\r"u8.ToArray(), everyByte, "Pos:1234\r\nDone\r\n"u8.ToArray(), []]);
    }

    [Fact]
    public void A_line_shows_time_channel_direction_hex_and_text()
    {
        var text = new StringWriter();
        using (var writer = new TranscriptWriter(text, new StoppedClock(Noon)))
        {
            writer.Record("control", true, "A12.50\r"u8);
        }

        text.ToString().Split('\n')[1].ShouldBe(
            "2026-01-31T12:00:00.0000000Z control > 41 31 32 2E 35 30 0D                            |A12.50.|");
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData(" + 41 |A|")]
    [InlineData("2026-01-31T12:00:00.0000000Z control ? 41 |A|")]
    [InlineData("2026-01-31T12:00:00.0000000Z control > 4 |A|")]
    [InlineData("2026-01-31T12:00:00.0000000Z control > XY |A|")]
    [InlineData("yesterday control > 41 |A|")]
    public void A_damaged_transcript_names_its_line(string line)
    {
        var error = Should.Throw<FormatException>(() => TranscriptReader.Read(new StringReader("# wire transcript 1\n" + line)));
        error.Message.ShouldContain("line 2");
    }

    [Fact]
    public async Task A_conversation_over_tcp_is_recorded_to_a_file_and_replays()
    {
        var folder = Directory.CreateTempSubdirectory("qkd-transcript-");
        var path = Path.Combine(folder.FullName, "wire", "attenuator.txt");
        try
        {
            using (var transcript = new TranscriptWriter(path))
            {
                await using var pair = await TcpPair.OpenAsync(new() { DeviceName = "attenuator" }, transcript);
                await pair.Transport.WriteAsync("D\r"u8.ToArray(), TestLimits.Token).WithinLimit();
                await pair.Peer.GetStream().WriteAsync("DPos:5\r\nDone\r\n"u8.ToArray(), TestLimits.Token).WithinLimit();
                await pair.Transport.ReadExactlyAsync(new byte[14], TestLimits.Token).WithinLimit();
            }

            await using var replay = new ReplayTransport(TranscriptReader.ReadFile(path), "control");
            replay.IsComplete.ShouldBeFalse();
            await replay.WriteAsync("D"u8.ToArray(), TestLimits.Token);
            await replay.WriteAsync("\r"u8.ToArray(), TestLimits.Token);
            var received = new byte[14];
            await replay.ReadExactlyAsync(received, TestLimits.Token).WithinLimit();
            Encoding.ASCII.GetString(received).ShouldBe("DPos:5\r\nDone\r\n");
            replay.IsComplete.ShouldBeTrue();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_replay_is_silent_until_it_is_asked()
    {
        await using var replay = new ReplayTransport(Conversation());
        using var impatient = new CancellationTokenSource();
        var buffer = new byte[8];
        var read = replay.ReadAsync(buffer, impatient.Token);
        read.IsCompleted.ShouldBeFalse();
        await replay.WriteAsync("H\r"u8.ToArray(), TestLimits.Token);
        (await read.WithinLimit()).ShouldBe(4);

        var second = replay.ReadAsync(buffer, impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await second.WithinLimit());
    }

    [Fact]
    public async Task A_replay_fails_on_the_first_byte_that_differs()
    {
        await using var replay = new ReplayTransport(Conversation(), deviceName: "attenuator");
        var error = await Should.ThrowAsync<TranscriptDeviationException>(
            async () => await replay.WriteAsync("D\r"u8.ToArray(), TestLimits.Token));
        error.Message.ShouldContain("attenuator");
        error.Message.ShouldContain("'H.'");
        error.Message.ShouldContain("'D.'");
        replay.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<TranscriptDeviationException>(
            async () => await replay.ReadAsync(new byte[1], TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task A_replay_fails_on_what_is_sent_beyond_its_end()
    {
        await using var replay = new ReplayTransport(Conversation());
        await replay.WriteAsync("H\rA1\r"u8.ToArray(), TestLimits.Token);
        var error = await Should.ThrowAsync<TranscriptDeviationException>(
            async () => await replay.WriteAsync("X"u8.ToArray(), TestLimits.Token));
        error.Message.ShouldContain("byte 5");
        error.Message.ShouldContain("nothing more");
    }

    private static TranscriptRecord[] Conversation() =>
    [
        new(Noon, "control", true, "H\r"u8.ToArray()),
        new(Noon, "control", false, "Done"u8.ToArray()),
        new(Noon, "control", true, "A1\r"u8.ToArray()),
    ];

    private sealed class StoppedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
