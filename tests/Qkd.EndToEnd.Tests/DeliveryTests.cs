using System.Diagnostics;
using System.Text.Json;
using Microsoft.Playwright;
using Shouldly;

namespace Qkd.EndToEnd.Tests;

/// <summary>An application fetches keys with curl and the generated certificates, and a person looks at the status page.</summary>
public sealed class DeliveryTests
{
    [Fact]
    public async Task Curl_gets_a_key_from_alice_and_the_same_from_bob_once_and_the_status_page_shows_the_bench()
    {
        using var bench = new TestBench(seed: 51, aligned: true);
        await using var run = QkdProcess.Start(["run", .. bench.Everything]);
        await QkdProcess.UntilAsync(
            () => Task.FromResult(run.HasExited || BlockLog.Read(bench.Folder, "bob").Any(block => block.Accepted)), TimeSpan.FromSeconds(60), "a first block");
        var (alice, bob) = ($"https://127.0.0.1:{bench.AlicePort}/api/v1/keys", $"https://127.0.0.1:{bench.BobPort}/api/v1/keys");

        // Until a block is confirmed by a later message there may be nothing to give: 503, and the caller asks again.
        var got = default(Answer);
        await QkdProcess.UntilAsync(
            async () => (got = await CurlAsync(bench, "sae-alice", $"{alice}/sae-bob/enc_keys?number=1&size=256")).Status == 200, TimeSpan.FromSeconds(20), "a key");
        var given = got!.Json.GetProperty("keys")[0];
        Convert.FromBase64String(given.GetProperty("key").GetString()!).Length.ShouldBe(32);

        var id = given.GetProperty("key_ID").GetString();
        var taken = await CurlAsync(bench, "sae-bob", $"{bob}/sae-alice/dec_keys?key_ID={id}");
        taken.Status.ShouldBe(200, taken.Body);
        taken.Json.GetProperty("keys")[0].GetProperty("key").GetString().ShouldBe(given.GetProperty("key").GetString());

        var again = await CurlAsync(bench, "sae-bob", $"{bob}/sae-alice/dec_keys?key_ID={id}");
        again.Status.ShouldBe(400, again.Body);
        again.Body.ShouldNotContain(given.GetProperty("key").GetString()!);
        again.Json.GetProperty("message").GetString().ShouldNotBeNullOrWhiteSpace();

        // Without a certificate there is no connection at all, so no status either.
        var stranger = await CurlAsync(bench, null, $"{alice}/sae-bob/enc_keys?number=1");
        stranger.Status.ShouldBe(0, stranger.Body);
        stranger.Body.ShouldBeEmpty();

        await ShouldShowTheBenchAsync(bench);

        // To look at instruments that are at work does not disturb them.
        await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(30), ["devices", "probe", "sim:tagger", "sim:detectors", "--json", .. bench.Settings]);
        await QkdProcess.RunJsonAsync(TimeSpan.FromSeconds(30), ["devices", "snapshot", "detectors", "--json", .. bench.Settings]);
        var blocks = BlockLog.Read(bench.Folder, "bob").Count(block => block.Accepted);
        await QkdProcess.UntilAsync(
            () => Task.FromResult(BlockLog.Read(bench.Folder, "bob").Count(block => block.Accepted) >= blocks + 4), TimeSpan.FromSeconds(30), "key after a look at the detectors");
        run.Interrupt();
        (await run.WaitAsync(TimeSpan.FromSeconds(30))).ShouldBe(0, run.Error);
        run.Output.ShouldContain("Both stores hold the same keys.");
        run.Output.ShouldContain(bench.StatusUrl);
    }

    private static async Task ShouldShowTheBenchAsync(TestBench bench)
    {
        using var client = new HttpClient();
        var status = JsonDocument.Parse(await client.GetStringAsync(new Uri($"{bench.StatusUrl}/api/status"), TestContext.Current.CancellationToken)).RootElement;
        status.ToString().ShouldContain("Alice");

        // Drawn only by a live connection, and only once that has brought figures: not in the page as the server first draws it.
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Select(folder => Path.Combine(folder, "chromium")).First(File.Exists),
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        var page = await browser.NewPageAsync();
        await page.GotoAsync(bench.StatusUrl, new() { Timeout = 60_000 });
        var updated = page.Locator("#updated");
        await updated.WaitForAsync(new() { Timeout = 60_000 });
        var first = await updated.InnerTextAsync();
        await QkdProcess.UntilAsync(async () => await updated.InnerTextAsync() != first, TimeSpan.FromSeconds(30), "a page that goes on");
        var text = await page.ContentAsync();
        (await client.GetStringAsync(new Uri(bench.StatusUrl), TestContext.Current.CancellationToken)).ShouldNotContain("id=\"updated\"");
        text.ShouldContain("Alice");
        text.ShouldContain("Bob");
        text.ShouldContain("QBER");
        text.ShouldContain("transmitter");
        text.ShouldContain("tagger");

        // Without its script the page would stay as it was first drawn.
        (await client.GetAsync(new Uri($"{bench.StatusUrl}/_framework/blazor.web.js"), TestContext.Current.CancellationToken)).IsSuccessStatusCode.ShouldBeTrue();

        // The page is not where keys are served.
        (await client.GetAsync(new Uri($"{bench.StatusUrl}/api/v1/keys/sae-bob/status"), TestContext.Current.CancellationToken)).IsSuccessStatusCode.ShouldBeFalse();
    }

    private static async Task<Answer> CurlAsync(TestBench bench, string? sae, string url)
    {
        string[] identity = sae is null ? [] : ["--cert", Path.Combine(bench.Folder, "sae", $"{sae}.pem"), "--key", Path.Combine(bench.Folder, "sae", $"{sae}.key")];
        var (output, _) = await RunAsync(
            "curl", ["--silent", "--max-time", "10", "--cacert", Path.Combine(bench.Folder, "authority", "ca.pem"), .. identity, "--write-out", "\n%{http_code}", url]);
        var end = output.LastIndexOf('\n');
        return new Answer(int.Parse(output[(end + 1)..], System.Globalization.CultureInfo.InvariantCulture), output[..end]);
    }

    private static async Task<(string Output, string Error)> RunAsync(string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        late.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(late.Token);
            var error = process.StandardError.ReadToEndAsync(late.Token);
            await process.WaitForExitAsync(late.Token);
            return (await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private sealed record Answer(int Status, string Body)
    {
        public JsonElement Json => JsonDocument.Parse(Body).RootElement;
    }
}
