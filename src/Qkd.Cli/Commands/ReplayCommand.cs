using System.CommandLine;
using Qkd.Keys;
using Qkd.Link.Replay;
using Qkd.Timing.Recording;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary>
/// <c>qkd replay</c>: runs a recorded session of one node once more, from the tags or the prepared symbols to the key, and says whether every message and every key is the
/// one that it was. No key comes of it.
/// </summary>
internal static class ReplayCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "Recording of a session.", HelpName = "FILE" };
        var key = new Option<string?>("--key")
        {
            Description = "File with the key of recordings. Without it: recording.key in the folder of the node, beside that of the recordings.",
            HelpName = "FILE",
        };
        var json = CommonOptions.Json();
        var command = new Command("replay", "Replays the recording of a session and compares every message and every key, bit for bit. No key comes of it.") { file, key, json };
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(
            () => RunAsync(parsed.GetValue(file)!, parsed.GetValue(key), parsed.GetValue(json), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(string file, string? keyFile, bool json, CancellationToken cancellationToken)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 16);
        using var replay = Open(stream, keyFile ?? UsualKeyFile(file));
        var blocks = new List<BlockLine>();
        await foreach (var block in replay.BlocksAsync(cancellationToken))
        {
            using (block)
            {
                blocks.Add(new(
                    block.BlockId, block.FirstFrame, block.FrameCount, Name(block.Outcome), block.KeyBits, block.MessagesCompared, block.Detail));
            }
        }

        var summary = new Summary(
            file, replay.Session?.End, replay.Session?.Node, replay.Session?.Software, replay.Session?.StartedAt, replay.Batches, blocks, Count(ReplayOutcome.Same), Count(ReplayOutcome.Different),
            Count(ReplayOutcome.Discarded), Count(ReplayOutcome.Unfinished), blocks.Where(block => block.Outcome == Name(ReplayOutcome.Same)).Sum(block => block.KeyBits), replay.EndReason, replay.Fault?.Message);
        if (json)
        {
            Console.WriteLine(JsonOutput.Serialize(summary));
        }
        else
        {
            Print(summary);
        }

        return await JudgeAsync(summary);

        int Count(ReplayOutcome outcome)
        {
            var name = Name(outcome);
            return blocks.Count(block => block.Outcome == name);
        }
    }

    private static string Name(ReplayOutcome outcome) => outcome.ToString().ToLowerInvariant();

    private static SessionReplay Open(Stream stream, string keyFile)
    {
        using var key = RecordingKey.Open(keyFile);
        return new(new SessionRecordingReader(stream, key.Bytes));
    }

    /// <summary>A node names its recordings <c>alice-…</c> or <c>bob-…</c>, and its folder lies beside the one that they are in.</summary>
    internal static string UsualKeyFile(string file)
    {
        var name = Path.GetFileName(file);
        var end = name.IndexOf('-', StringComparison.Ordinal);
        return end > 0
            ? Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, "..", name[..end], RecordingKey.FileName))
            : throw new UsageException("--key is missing: the name of the file does not say which node recorded it");
    }

    private static async Task<int> JudgeAsync(Summary summary)
    {
        if (summary.Different > 0)
        {
            await Console.Error.WriteLineAsync($"{summary.Different} of {summary.Blocks.Count} blocks came out otherwise than they were recorded.");
            return ExitCodes.Failure;
        }

        if (summary.Fault is { } fault)
        {
            await Console.Error.WriteLineAsync($"The recording is not whole: {fault}.");
            return ExitCodes.Failure;
        }

        return ExitCodes.Success;
    }

    private static void Print(Summary summary)
    {
        AnsiConsole.WriteLine($"{summary.End} ({summary.Node}), recorded from {summary.StartedAt:u} by {summary.Software}");
        var table = new Table().Border(TableBorder.Rounded).AddColumns("block", "frames", "outcome", "key bits", "messages", "");
        foreach (var block in summary.Blocks)
        {
            table.AddRow(
                FormattableString.Invariant($"{block.BlockId}"),
                FormattableString.Invariant($"{block.FirstFrame}+{block.Frames}"),
                block.Outcome,
                FormattableString.Invariant($"{block.KeyBits}"),
                FormattableString.Invariant($"{block.MessagesCompared}"),
                Markup.Escape(block.Detail));
        }

        AnsiConsole.Write(table);
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"{summary.Same} keys the same bit for bit ({summary.KeyBits} bits), {summary.Different} different; {summary.Discarded} blocks discarded as before, {summary.Unfinished} unfinished."));
        if (summary.Ended is { } ended)
        {
            AnsiConsole.WriteLine($"The recording ends because {ended}.");
        }
    }

    private sealed record BlockLine(long BlockId, long FirstFrame, int Frames, string Outcome, long KeyBits, int MessagesCompared, string Detail);

    private sealed record Summary(
        string File, string? End, string? Node, string? Software, DateTimeOffset? StartedAt, long TagBatches, IReadOnlyList<BlockLine> Blocks, int Same, int Different,
        int Discarded, int Unfinished, long KeyBits, string? Ended, string? Fault);
}
