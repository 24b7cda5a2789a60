using System.Text.Json;
using Qkd.Link;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Status;

public sealed class AuditLogTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private static readonly DateTimeOffset Start = new ManualTime().GetUtcNow();

    private readonly ManualTime _time = new();

    private string File => _folder["alice/audit.jsonl"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_happens_to_blocks_and_every_alarm_is_one_line_each()
    {
        using (var audit = new AuditLog(File, _time))
        {
            var monitor = Make.Monitor(_time, audit);
            _time.Advance(1);
            monitor.BlockAccepted(Make.Block(1, secretBits: 700));
            monitor.BlockDiscarded(Make.Block(2), "phase error 0.5 or more");
            monitor.Alarm(AlarmKind.MultiClick, "double clicks have doubled");
        }

        var records = Records();
        records.Select(record => record.GetProperty("what").GetString()).ShouldBe(["block_accepted", "block_discarded", "alarm"]);
        records.ShouldAllBe(record => record.GetProperty("time").GetDateTimeOffset() == Start.AddSeconds(1));
        var block = records[0].GetProperty("details");
        block.GetProperty("block_id").GetInt64().ShouldBe(1);
        block.GetProperty("secret_bits").GetInt64().ShouldBe(700);
        block.GetProperty("key_counts").EnumerateArray().Select(count => count.GetInt64()).ShouldBe([8000, 1800, 200]);
        block.GetProperty("phase_error_rate").GetString().ShouldBe("NaN");
        records[1].GetProperty("details").GetProperty("reason").GetString().ShouldBe("phase error 0.5 or more");
        records[1].GetProperty("details").GetProperty("report").GetProperty("block_id").GetInt64().ShouldBe(2);
        records[2].GetProperty("details").GetProperty("kind").GetString().ShouldBe("multi_click");
    }

    [Fact]
    public void The_failure_probabilities_of_accepted_blocks_add_up_also_over_restarts()
    {
        for (var start = 1; start <= 2; start++)
        {
            using var audit = new AuditLog(File, _time);
            audit.WriteAccepted(Make.Block(start, secretBits: 1) with { Epsilon = 1e-9 });
            audit.Write("block_discarded", new { reason = "none of its epsilon counts" });
        }

        var sums = Records().Where(record => record.GetProperty("what").GetString() == "block_accepted")
            .Select(record => record.GetProperty("epsilon_sum").GetDouble()).ToArray();
        sums.Length.ShouldBe(2);
        sums[0].ShouldBe(1e-9, 1e-15);
        sums[1].ShouldBe(2e-9, 1e-15);
    }

    [Fact]
    public void A_line_that_a_crash_cut_off_does_not_stop_the_next_start()
    {
        using (var audit = new AuditLog(File, _time))
        {
            audit.WriteAccepted(Make.Block(1, secretBits: 1) with { Epsilon = 3e-9 });
        }

        System.IO.File.AppendAllText(File, """{"time":"1970-01-01T00:00:00+00:00","what":"block_accepted","epsilon_sum":4e-""");
        using (var audit = new AuditLog(File, _time))
        {
            audit.WriteAccepted(Make.Block(2, secretBits: 1) with { Epsilon = 1e-9 });
        }

        // The remains of the line end where the next record begins: that one must be readable.
        using var last = JsonDocument.Parse(System.IO.File.ReadLines(File).Last());
        last.RootElement.GetProperty("epsilon_sum").GetDouble().ShouldBe(4e-9, 1e-15);
    }

    [Fact]
    public void It_is_on_disk_as_soon_as_it_is_written()
    {
        using var audit = new AuditLog(File, _time);
        audit.Write("alarm", new { kind = "link" });
        using var reader = new StreamReader(new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        reader.ReadToEnd().ShouldContain("\"kind\":\"link\"");
    }

    [Fact]
    public void An_empty_path_writes_nowhere()
    {
        using var audit = new AuditLog("", _time);
        audit.Write("alarm", new { kind = "link" });
        audit.WriteAccepted(Make.Block(1, secretBits: 1));
        Directory.EnumerateFileSystemEntries(_folder.Path).ShouldBeEmpty();
    }

    private List<JsonElement> Records() => [.. System.IO.File.ReadLines(File).Select(line =>
    {
        using var document = JsonDocument.Parse(line);
        return document.RootElement.Clone();
    })];
}
