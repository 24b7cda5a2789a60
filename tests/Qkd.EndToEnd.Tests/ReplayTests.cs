using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>A whole bench is recorded at both nodes, and each node's recording replayed to the keys that were stored. In short: the sessions of Qkd.Link.Tests.</summary>
public sealed class ReplayTests
{
    private const int Blocks = 2;

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task A_recorded_run_is_replayed_at_each_node_to_the_keys_that_both_stored_bit_for_bit()
    {
        using var bench = new TestBench(seed: 71, aligned: true);
        var summary = await QkdProcess.RunJsonUntilAsync(
            bench,
            () => BlockLog.Read(bench.Folder, "alice").Count(block => block.Accepted) >= Blocks && BlockLog.Read(bench.Folder, "bob").Count(block => block.Accepted) >= Blocks,
            "two blocks",
            "--Bench:Protocol:BlockKeyBits=600000",
            "--Bench:Protocol:InitialBlockFrames=24",
            "--Bench:Alice:Recording:Enabled=true",
            "--Bench:Bob:Recording:Enabled=true");
        summary.GetProperty("alarms").EnumerateArray().ShouldBeEmpty(summary.ToString());
        summary.GetProperty("keys_match").GetBoolean().ShouldBeTrue(summary.ToString());

        foreach (var node in new[] { "alice", "bob" })
        {
            var file = RecordingOf(bench, node);
            var replay = await QkdProcess.RunJsonAsync(TimeSpan.FromMinutes(2), "replay", file, "--json");
            replay.GetProperty("fault").ValueKind.ShouldBe(JsonValueKind.Null);
            replay.GetProperty("ended").GetString().ShouldBe("the session ended");
            replay.GetProperty("different").GetInt32().ShouldBe(0, replay.ToString());
            replay.GetProperty("unfinished").GetInt32().ShouldBe(0, replay.ToString());
            (replay.GetProperty("tag_batches").GetInt64() > 0).ShouldBe(node == "bob");

            // What the replay makes is, block for block, what the node made and its store took: as many bits, and the digest that was taken of them.
            var stored = BlockLog.Read(bench.Folder, node).Where(block => block.Accepted).ToDictionary(block => block.Id, block => block.SecretBits);
            var replayed = replay.GetProperty("blocks").EnumerateArray()
                .Where(block => block.GetProperty("outcome").GetString() == "same")
                .ToDictionary(block => block.GetProperty("block_id").GetInt64(), block => block.GetProperty("key_bits").GetInt64());
            replayed.OrderBy(block => block.Key).ShouldBe(stored.OrderBy(block => block.Key));
            replayed.Count.ShouldBeGreaterThanOrEqualTo(Blocks);
            BlockLog.ReadLines(Path.Combine(bench.Folder, node, "audit.jsonl")).ShouldContain(line => line.Contains("recording_began", StringComparison.Ordinal));
        }

        await ShouldRefuseAsync(bench);
    }

    private static async Task ShouldRefuseAsync(TestBench bench)
    {
        var (alice, bob) = (RecordingOf(bench, "alice"), RecordingOf(bench, "bob"));
        await FailsAsync("another key", bob, "--key", Path.Combine(bench.Folder, "alice", "recording.key"));

        // A byte turned near the end: the blocks before it are the same, and the file is not whole.
        var bytes = await File.ReadAllBytesAsync(alice, TestContext.Current.CancellationToken);
        bytes[^200] ^= 1;
        await File.WriteAllBytesAsync(alice, bytes, TestContext.Current.CancellationToken);
        await FailsAsync("altered", alice);

        static async Task FailsAsync(string problem, params string[] arguments)
        {
            await using var run = QkdProcess.Start(["replay", .. arguments]);
            (await run.WaitAsync(TimeSpan.FromMinutes(1))).ShouldBe(1, run.Output);
            run.Error.ShouldMatch(problem);
        }
    }

    private static string RecordingOf(TestBench bench, string node) =>
        Directory.EnumerateFiles(Path.Combine(bench.Folder, "recordings"), $"{node}-*.qkdrec").ShouldHaveSingleItem();
}
