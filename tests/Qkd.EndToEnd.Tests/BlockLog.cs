using System.Text.Json;

namespace Qkd.EndToEnd.Tests;

/// <summary>A block's public figures as the audit log tells them.</summary>
internal sealed record LoggedBlock(
    bool Accepted, DateTimeOffset Time, long Id, long FirstFrame, int FrameCount, long[] KeyCounts, long[] KeyErrors, long[] TestCounts, long[] TestErrors, long LeakedBits, long SecretBits, string Reason)
{
    public double QberZ => (double)KeyErrors.Sum() / KeyCounts.Sum();

    public double QberX => (double)TestErrors.Sum() / TestCounts.Sum();
}

/// <summary>Reads a node's audit log.</summary>
internal static class BlockLog
{
    /// <summary>All blocks that ended, in the order in which they ended.</summary>
    public static IReadOnlyList<LoggedBlock> Read(string folder, string node)
    {
        var blocks = new List<LoggedBlock>();
        foreach (var line in ReadLines(Path.Combine(folder, node, "audit.jsonl")))
        {
            var record = JsonDocument.Parse(line).RootElement;
            var what = record.GetProperty("what").GetString();
            if (what is not ("block_accepted" or "block_discarded"))
            {
                continue;
            }

            var details = record.GetProperty("details");
            var accepted = what == "block_accepted";
            var report = accepted ? details : details.GetProperty("report");
            blocks.Add(new LoggedBlock(
                accepted,
                record.GetProperty("time").GetDateTimeOffset(),
                report.GetProperty("block_id").GetInt64(),
                report.GetProperty("first_frame").GetInt64(),
                report.GetProperty("frame_count").GetInt32(),
                Counts(report, "key_counts"),
                Counts(report, "key_errors"),
                Counts(report, "test_counts"),
                Counts(report, "test_errors"),
                report.GetProperty("leaked_bits").GetInt64(),
                report.GetProperty("secret_bits").GetInt64(),
                accepted ? "" : details.GetProperty("reason").GetString()!));
        }

        return blocks;
    }

    /// <summary>All alarms of a node so far: kind, detail and time.</summary>
    public static IReadOnlyList<(string Kind, string Detail, DateTimeOffset Time)> Alarms(string folder, string node) =>
        [.. ReadLines(Path.Combine(folder, node, "audit.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Where(record => record.GetProperty("what").GetString() == "alarm")
            .Select(record => (
                record.GetProperty("details").GetProperty("kind").GetString()!,
                record.GetProperty("details").GetProperty("detail").GetString()!,
                record.GetProperty("time").GetDateTimeOffset()))];

    /// <summary>The whole lines of a file that may still be growing.</summary>
    public static IEnumerable<string> ReadLines(string file)
    {
        if (!File.Exists(file))
        {
            yield break;
        }

        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        var text = reader.ReadToEnd();
        foreach (var line in text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            yield return line;
        }
    }

    private static long[] Counts(JsonElement report, string name) => [.. report.GetProperty(name).EnumerateArray().Select(count => count.GetInt64())];
}
