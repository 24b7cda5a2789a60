using System.Text.Json;
using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Status;

/// <summary>What the audit log makes of files that a crash, a long silence or another hand has left.</summary>
public sealed class AuditLogRecoveryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    private string Log => _folder["audit.jsonl"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(200)]
    public void A_last_line_that_a_crash_has_torn_spoils_neither_the_sum_nor_the_next_record(int lost)
    {
        Write(log => log.WriteAccepted(Block(1)), log => log.WriteAccepted(Block(2)));
        using (var file = File.OpenWrite(Log))
        {
            file.SetLength(file.Length - Environment.NewLine.Length - lost + 1);
        }

        Write(log => log.WriteAccepted(Block(3)));

        // Without its line end alone the second record is whole, with any less it is lost.
        var lines = File.ReadAllLines(Log);
        lines.Length.ShouldBe(3);
        BlockOf(lines[0]).ShouldBe(1);
        BlockOf(lines[2]).ShouldBe(3);
        SumOf(lines[2]).ShouldBe(lost == 1 ? 3e-10 : 2e-10, 1e-20);
    }

    [Fact]
    public void A_whole_log_gets_no_empty_lines()
    {
        Write(log => log.Write("alarm", new { }));
        Write();
        Write(log => log.Write("alarm", new { }));
        File.ReadAllLines(Log).ShouldAllBe(line => line.StartsWith('{'));
    }

    [Fact]
    public void The_sum_is_found_behind_megabytes_of_other_records()
    {
        Write(log => log.WriteAccepted(Block(1)));
        Write(log =>
        {
            for (var record = 0; record < 40; record++)
            {
                log.Write("alarm", new { Detail = new string('x', 100_000) });
            }
        });
        Write(log => log.WriteAccepted(Block(2)));
        SumOf(File.ReadLines(Log).Last()).ShouldBe(2e-10, 1e-20);
    }

    [Fact]
    public void A_log_without_accepted_blocks_has_the_sum_zero()
    {
        Write(log => log.Write("alarm", new { Detail = new string('x', 3_000_000) }));
        Write(log => log.WriteAccepted(Block(1)));
        SumOf(File.ReadLines(Log).Last()).ShouldBe(1e-10, 1e-20);
    }

    [Theory]
    [InlineData("""{"what":"note","details":{"epsilon_sum":0.5}}""")]
    [InlineData("""{"what":"note","details":"\"epsilon_sum\":0.5"}""")]
    [InlineData("""{"what":"note","epsilon_sum":"much"}""")]
    [InlineData("""{"what":"note","epsilon_sum":{}}""")]
    [InlineData("""["epsilon_sum"]""")]
    [InlineData("""
        "epsilon_sum"
        """)]
    [InlineData("epsilon_sum")]
    public void A_line_that_only_speaks_of_the_sum_is_not_taken_for_it(string line)
    {
        Write(log => log.WriteAccepted(Block(1)));
        File.AppendAllText(Log, line + "\n");
        Write(log => log.WriteAccepted(Block(2)));
        SumOf(File.ReadLines(Log).Last()).ShouldBe(2e-10, 1e-20);
    }

    [Fact]
    public void A_sum_that_became_unknown_stays_unknown_and_does_not_stop_the_node()
    {
        Write(log => log.WriteAccepted(Block(1) with { Epsilon = double.NaN }));
        Write(log => log.WriteAccepted(Block(2)));
        File.ReadAllLines(Log).Length.ShouldBe(2);
        Parse(File.ReadLines(Log).Last()).GetProperty("epsilon_sum").GetString().ShouldBe("NaN");
    }

    [Fact]
    public void Words_with_line_ends_and_quotes_stay_on_one_line()
    {
        const string words = "two\r\nlines, \"quoted\" \u2028 é";
        Write(log => log.Write("alarm", new { FirstDetail = words }));
        var line = File.ReadAllLines(Log).ShouldHaveSingleItem();
        Parse(line).GetProperty("details").GetProperty("first_detail").GetString().ShouldBe(words);
    }

    [Fact]
    public async Task Records_from_several_threads_do_not_mix()
    {
        using (var log = new AuditLog(Log, _time))
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(
                () =>
                {
                    for (var record = 0; record < 100; record++)
                    {
                        log.WriteAccepted(Block((thread * 100) + record) with { Epsilon = 1 });
                    }
                },
                TestContext.Current.CancellationToken))).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        }

        File.ReadAllLines(Log).Select(SumOf).ShouldBe(Enumerable.Range(1, 400).Select(sum => (double)sum));
    }

    private static BlockReport Block(long id) => Make.Block(id, secretBits: 700) with { Epsilon = 1e-10 };

    /// <summary>Opens the log, writes and closes it again.</summary>
    private void Write(params Action<AuditLog>[] records)
    {
        using var log = new AuditLog(Log, _time);
        foreach (var record in records)
        {
            record(log);
        }
    }

    private static double SumOf(string line) => Parse(line).GetProperty("epsilon_sum").GetDouble();

    private static long BlockOf(string line) => Parse(line).GetProperty("details").GetProperty("block_id").GetInt64();

    private static JsonElement Parse(string line)
    {
        using var document = JsonDocument.Parse(line);
        return document.RootElement.Clone();
    }
}
