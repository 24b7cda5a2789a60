using System.Buffers.Binary;
using System.Text.Json;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>Alice, Bob and the instruments each in a process of their own.</summary>
public sealed class ThreeProcessesTests
{
    /// <summary>The order in which each has to wait for the next.</summary>
    [Theory]
    [InlineData("bob alice sim")]
    public Task In_any_starting_order_both_nodes_hold_the_same_key(string order) => HoldTheSameKeyAsync(order);

    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData("sim alice bob")]
    [InlineData("sim bob alice")]
    [InlineData("alice sim bob")]
    [InlineData("alice bob sim")]
    [InlineData("bob sim alice")]
    public Task In_any_other_starting_order_too(string order) => HoldTheSameKeyAsync(order);

    private static async Task HoldTheSameKeyAsync(string order)
    {
        using var bench = new TestBench(seed: 41, aligned: true);
        await using var processes = new Processes(bench);
        foreach (var name in order.Split(' '))
        {
            processes.Start(name);

            // Far enough apart that the later one finds the earlier one waiting for it.
            await Task.Delay(1500, TestContext.Current.CancellationToken);
        }

        await processes.KeyAsync(blocks: 3);
        await SameKeyAsync(bench, processes);
        foreach (var name in order.Split(' ').Reverse())
        {
            (await processes.InterruptAsync(name)).ShouldBe(0, processes[name].Error);
        }

        var accepted = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).ToDictionary(block => block.Id);
        foreach (var block in BlockLog.Read(bench.Folder, "bob").Where(block => block.Accepted))
        {
            accepted[block.Id].SecretBits.ShouldBe(block.SecretBits);
        }
    }

    [Fact]
    public async Task Alice_interrupted_leaves_the_laser_off()
    {
        using var bench = new TestBench(seed: 42, aligned: true);
        await using var processes = new Processes(bench);
        processes.Start("sim", "--Bench:Emulation:Truth:PeriodSeconds=0.1");
        processes.Start("alice");
        processes.Start("bob");
        await processes.KeyAsync(blocks: 1);
        LightWas(bench).ShouldBeGreaterThan(0);
        (await processes.InterruptAsync("alice")).ShouldBe(0, processes["alice"].Error);

        // Bench time goes on, the light does not.
        var (time, emitted) = (BenchTime(bench), LightWas(bench));
        await QkdProcess.UntilAsync(() => Task.FromResult(BenchTime(bench) > time + 0.5), TimeSpan.FromSeconds(10), "half a second of bench time");
        var after = LightWas(bench);
        await QkdProcess.UntilAsync(() => Task.FromResult(BenchTime(bench) > time + 1.5), TimeSpan.FromSeconds(10), "one more second of bench time");
        LightWas(bench).ShouldBe(after);

        // Half a second is the most that was under way when she was asked for the time.
        (after - emitted).ShouldBeLessThan(50_000_000);
    }

    [Fact]
    [Trait("Speed", "Slow")]
    public async Task Alice_killed_leaves_the_laser_off_when_its_lease_lapses()
    {
        using var bench = new TestBench(seed: 43, aligned: true);
        await using var processes = new Processes(bench);
        processes.Start("sim", "--Bench:Emulation:Truth:PeriodSeconds=0.1");
        processes.Start("alice");
        processes.Start("bob");
        await processes.KeyAsync(blocks: 1);
        processes["alice"].Kill();
        var time = BenchTime(bench);
        await QkdProcess.UntilAsync(() => Task.FromResult(BenchTime(bench) > time + 2), TimeSpan.FromSeconds(30), "two seconds of bench time");
        var emitted = LightWas(bench);
        await QkdProcess.UntilAsync(() => Task.FromResult(BenchTime(bench) > time + 3), TimeSpan.FromSeconds(30), "one more second of bench time");
        LightWas(bench).ShouldBe(emitted);
    }

    [Fact]
    public async Task Bob_killed_in_a_block_comes_back_and_only_unfinished_blocks_are_lost()
    {
        using var bench = new TestBench(seed: 44, aligned: true);
        await using var processes = new Processes(bench);
        processes.Start("sim");
        processes.Start("alice");
        processes.Start("bob");
        await processes.KeyAsync(blocks: 2);

        // In mid-block: half of the frames of the next one have passed.
        await Task.Delay(200, TestContext.Current.CancellationToken);
        processes["bob"].Kill();
        (await processes["bob"].WaitAsync(TimeSpan.FromSeconds(10))).ShouldNotBe(0);
        var before = BlockLog.Read(bench.Folder, "bob").Where(block => block.Accepted).ToList();
        var used = Positions(bench, "bob");
        used.Max().ShouldBeGreaterThan(0);

        processes.Start("bob");
        await processes.KeyAsync(blocks: before.Count + 2);
        await SameKeyAsync(bench, processes);
        (await processes.InterruptAsync("bob")).ShouldBe(0, processes["bob"].Error);
        (await processes.InterruptAsync("alice")).ShouldBe(0, processes["alice"].Error);

        var bob = BlockLog.Read(bench.Folder, "bob").Where(block => block.Accepted).ToList();
        bob.Select(block => block.Id).ShouldBeUnique();
        before.ShouldAllBe(block => bob.Any(other => other.Id == block.Id && other.SecretBits == block.SecretBits));
        var now = Positions(bench, "bob");
        for (var direction = 0; direction < 2; direction++)
        {
            now[direction].ShouldBeGreaterThanOrEqualTo(used[direction]);
        }

        // Every block that Bob calls accepted Alice has accepted too, with as many bits.
        var alice = BlockLog.Read(bench.Folder, "alice").Where(block => block.Accepted).ToDictionary(block => block.Id);
        bob.ShouldAllBe(block => alice[block.Id].SecretBits == block.SecretBits);
    }

    /// <summary>Takes a key at Alice's side and the same at Bob's.</summary>
    private static async Task SameKeyAsync(TestBench bench, Processes processes)
    {
        JsonElement status = default;
        await QkdProcess.UntilAsync(
            async () => (status = await KeysAsync(bench, "status", "--node", "alice", "--json")).GetProperty("stored_key_count").GetInt64() > 0, TimeSpan.FromSeconds(20), "a key to deliver");
        var given = (await KeysAsync(bench, "get", "--node", "alice")).GetProperty("keys")[0];
        var taken = (await KeysAsync(bench, "get-with-ids", "--node", "bob", given.GetProperty("key_ID").GetString()!)).GetProperty("keys")[0];
        taken.GetProperty("key").GetString().ShouldBe(given.GetProperty("key").GetString());
        Convert.FromBase64String(taken.GetProperty("key").GetString()!).Length.ShouldBe(32);
        processes["alice"].HasExited.ShouldBeFalse();
    }

    private static Task<JsonElement> KeysAsync(TestBench bench, string verb, string nodeOption, string node, params string[] more) =>
        QkdProcess.RunJsonAsync(
            TimeSpan.FromSeconds(30),
            ["keys", verb, "--config", $"config/{node}.json", nodeOption, node, .. more, .. bench.Settings, .. node == "alice" ? bench.Alice : bench.Bob]);

    private static JsonElement Truth(TestBench bench) =>
        JsonDocument.Parse(BlockLog.ReadLines(Path.Combine(bench.Folder, "ground-truth.jsonl")).LastOrDefault() ?? """{"bench_time_s":0,"latest_emission":null}""").RootElement;

    private static double BenchTime(TestBench bench) => Truth(bench).GetProperty("bench_time_s").GetDouble();

    /// <summary>Slots that the latest emission has had so far.</summary>
    private static long LightWas(TestBench bench) =>
        Truth(bench).GetProperty("latest_emission") is { ValueKind: JsonValueKind.Object } emission ? emission.GetProperty("slot_count").GetInt64() : 0;

    /// <summary>The used part of the pre-shared key for each direction, from its file; the node must not be running.</summary>
    private static long[] Positions(TestBench bench, string node)
    {
        const int PositionsAt = 64;
        const int SlotLength = 16;
        var file = File.ReadAllBytes(Path.Combine(bench.Folder, node, "preshared.key"));
        return [.. Enumerable.Range(0, 2).Select(direction => Enumerable.Range(0, 2).Max(slot =>
            BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(PositionsAt + (((2 * direction) + slot) * SlotLength)))))];
    }

    /// <summary>The three processes of a bench by name.</summary>
    private sealed class Processes(TestBench bench) : IAsyncDisposable
    {
        private static readonly string[] Nodes = ["alice", "bob"];
        private readonly Dictionary<string, QkdProcess> _running = [];
        private readonly List<QkdProcess> _all = [];

        public QkdProcess this[string name] => _running[name];

        public void Start(string name, params string[] more)
        {
            string[] arguments = name switch
            {
                "sim" => ["sim", "--config", "config/bench.json", .. bench.Settings, .. bench.Emulation, .. more],
                "alice" => ["run", "--json", "--config", "config/alice.json", .. bench.Settings, .. bench.Alice, .. more],
                _ => ["run", "--json", "--config", "config/bob.json", .. bench.Settings, $"--Bench:Web:StatusPage={bench.SecondStatusUrl}", .. bench.Bob, .. more],
            };
            _all.Add(_running[name] = QkdProcess.Start(arguments));
        }

        /// <summary>Waits until both nodes have accepted so many blocks.</summary>
        public Task KeyAsync(int blocks) => QkdProcess.UntilAsync(
            () =>
            {
                foreach (var (name, process) in _running)
                {
                    if (process.HasExited && process == _running[name])
                    {
                        throw new InvalidOperationException($"{name} has ended: {process.Error} {process.Output}");
                    }
                }

                return Task.FromResult(Nodes.All(node => BlockLog.Read(bench.Folder, node).Count(block => block.Accepted) >= blocks));
            },
            TimeSpan.FromSeconds(90),
            $"{blocks} blocks at both nodes");

        public async Task<int> InterruptAsync(string name)
        {
            _running[name].Interrupt();
            return await _running[name].WaitAsync(TimeSpan.FromSeconds(30));
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var process in _all)
            {
                await process.DisposeAsync();
            }
        }
    }
}
