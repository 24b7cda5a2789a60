using System.Net;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>The second front door.</summary>
public sealed class ServiceTests
{
    [Fact]
    public async Task Makes_key_shows_it_and_ends_when_it_is_told_to()
    {
        using var bench = new TestBench(seed: 81, aligned: true);
        await using var service = QkdProcess.StartService(["--config", Path.Combine(QkdProcess.Root, "config", "bench.json"), .. bench.Everything]);
        await QkdProcess.UntilAsync(
            () => Task.FromResult(service.HasExited || BlockLog.Read(bench.Folder, "bob").Any(block => block.Accepted)), TimeSpan.FromMinutes(2), "a first block");
        using var client = new HttpClient();
        (await client.GetAsync(new Uri(bench.StatusUrl), TestContext.Current.CancellationToken)).StatusCode.ShouldBe(HttpStatusCode.OK);

        service.Terminate();
        (await service.WaitAsync(TimeSpan.FromSeconds(40))).ShouldBe(0, service.Error + service.Output);
        service.Error.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_setting_that_makes_no_sense_is_told_and_nothing_starts()
    {
        using var bench = new TestBench();
        await using var service = QkdProcess.StartService([.. bench.Everything, "--Bench:Protocol:KeyBasisProbability=2"]);
        (await service.WaitAsync(TimeSpan.FromSeconds(30))).ShouldBe(2);
        service.Error.ShouldContain("Bench:Protocol:KeyBasisProbability");
    }
}
