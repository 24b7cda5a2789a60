using System.Text;
using Shouldly;
using IOFile = System.IO.File;

namespace Qkd.Cli.Tests;

/// <summary><c>qkd distill</c>: bits in files become the same key on both sides, or one clear error.</summary>
public sealed class DistillCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qkd-distill-").FullName;

    [Theory]
    [InlineData("cascade", false)]
    [InlineData("ldpc", true)]
    [InlineData("auto", false)]
    public async Task Brought_bits_become_the_same_key_on_both_sides(string method, bool packed)
    {
        var (alice, bob) = Write(1_000_000, 0.03, packed);
        var summary = await QkdCommand.JsonAsync(
            $"distill --alice {alice} --bob {bob} --source single-photon --method {method} --out-alice {Out("a")} --out-bob {Out("b")}{(packed ? " --packed" : "")}");

        var key = await IOFile.ReadAllBytesAsync(Out("a"), TestContext.Current.CancellationToken);
        (await IOFile.ReadAllBytesAsync(Out("b"), TestContext.Current.CancellationToken)).ShouldBe(key);
        var secret = summary.GetProperty("secret_bits").GetInt32();
        key.Length.ShouldBe(packed ? secret / 8 : secret + 1);
        secret.ShouldBeGreaterThan(300_000);
        summary.GetProperty("bits").GetInt32().ShouldBe(900_000);

        // Five sigma of 9 x 10^5 draws at 3 %.
        summary.GetProperty("qber").GetDouble().ShouldBe(0.03, 5 * Math.Sqrt(0.03 * 0.97 / 900_000));
        summary.GetProperty("verified").GetBoolean().ShouldBeTrue();
        summary.GetProperty("grade").GetString().ShouldBe("Laboratory");
        foreach (var member in new[] { "leaked_bits", "efficiency", "rounds", "frames", "frames_failed", "elapsed_s", "throughput_mbps" })
        {
            summary.TryGetProperty(member, out _).ShouldBeTrue(member);
        }
    }

    [Fact]
    public async Task Corrected_bits_are_not_secret_and_are_not_written()
    {
        var (alice, bob) = Write(100_000, 0.02, packed: false);
        var summary = await QkdCommand.JsonAsync($"distill --alice {alice} --bob {bob} --reconcile-only");
        summary.GetProperty("bits").GetInt32().ShouldBe(100_000);
        summary.GetProperty("secret_bits").GetInt32().ShouldBe(0);
        (await QkdCommand.RunAsync($"distill --alice {alice} --bob {bob} --reconcile-only --out-alice {Out("a")}")).ExitCode.ShouldBe(2);
    }

    [Fact]
    public async Task Bad_input_is_one_clear_error()
    {
        var (alice, bob) = Write(20_000, 0.02, packed: false);
        await FailsAsync(alice, File("shorter", "0101"), "--source single-photon", 1, "must bring the same number");
        await FailsAsync(File("empty", ""), bob, "--source single-photon", 1, "holds no bits");
        await FailsAsync(File("letters", "01\n0x"), bob, "--source single-photon", 1, "line 2, column 2");
        await FailsAsync(Out("missing"), bob, "--source single-photon", 1, "missing");
        await FailsAsync(alice, bob, "--source single-photon --qber-limit 0.005", 1, "above the limit");
        await FailsAsync(alice, bob, "", 2, "--source is missing");
        await FailsAsync(alice, bob, "--source laser", 2, "--source laser");
        await FailsAsync(alice, bob, "--source decoy-counts-file", 2, "--counts is missing");
        await FailsAsync(alice, bob, "--source single-photon --method magic", 2, "--method magic");
        await FailsAsync(alice, bob, $"--source decoy-counts-file --counts {File("counts", "{}")}", 1, "holds no decoy counts");
    }

    [Fact]
    public async Task Too_many_errors_leave_no_key()
    {
        var (alice, bob) = Write(100_000, 0.1, packed: false);
        var run = await QkdCommand.RunAsync($"distill --alice {alice} --bob {bob} --source pair --out-alice {Out("a")}");
        run.ExitCode.ShouldBe(1);
        run.Error.ShouldContain("no secret key");
        IOFile.Exists(Out("a")).ShouldBeFalse();
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task FailsAsync(string alice, string bob, string options, int code, string message)
    {
        var run = await QkdCommand.RunAsync($"distill --alice {alice} --bob {bob} {options}");
        run.ExitCode.ShouldBe(code, run.Error);
        run.Error.ShouldContain(message);
        run.Error.Trim().Split('\n').Length.ShouldBe(1, run.Error);
    }

    private string Out(string name) => Path.Combine(_folder, name);

    private string File(string name, string text)
    {
        IOFile.WriteAllText(Out(name), text);
        return Out(name);
    }

    private (string Alice, string Bob) Write(int count, double errorRate, bool packed)
    {
        var random = new Random(count);
        var (alice, bob) = (new bool[count], new bool[count]);
        for (var i = 0; i < count; i++)
        {
            alice[i] = random.Next(2) == 1;
            bob[i] = alice[i] ^ random.NextDouble() < errorRate;
        }

        return (Put("alice", alice), Put("bob", bob));

        string Put(string name, bool[] bits)
        {
            if (packed)
            {
                var bytes = new byte[count / 8];
                for (var i = 0; i < count; i++)
                {
                    bytes[i / 8] |= (byte)(bits[i] ? 0x80 >> (i % 8) : 0);
                }

                IOFile.WriteAllBytes(Out(name), bytes);
                return Out(name);
            }

            var text = new StringBuilder();
            foreach (var bit in bits)
            {
                text.Append(bit ? '1' : '0').Append(text.Length % 81 == 80 ? "\n" : "");
            }

            return File(name, text.ToString());
        }
    }
}
