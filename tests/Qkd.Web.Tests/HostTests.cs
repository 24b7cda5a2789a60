using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Qkd.Keys;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Web.Etsi014;
using Qkd.Web.Hosting;
using Qkd.Web.Tests.Support;

namespace Qkd.Web.Tests;

/// <summary>The host with the real nodes' own keys: what it refuses at the start, and the status page.</summary>
public sealed class HostTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("Bench:Web:StatusPage", "http://127.0.0.1:")]
    [InlineData("Bench:Alice:Keys:Endpoint", "127.0.0.1:")]
    [InlineData("Bench:Bob:Keys:Endpoint", "127.0.0.1:")]
    public void A_port_in_use_is_told_with_its_setting(string path, string prefix)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        var refusal = Should.Throw<ConfigurationException>(() => Build($"--{path}={prefix}{port}"));
        refusal.Path.ShouldBe(path);
        refusal.Message.ShouldContain($"127.0.0.1:{port}");
    }

    [Fact]
    public void The_same_port_in_two_settings_is_told_before_anything_starts()
    {
        var port = FreePort();
        Should.Throw<ConfigurationException>(() => Build($"--Bench:Alice:Keys:Endpoint=127.0.0.1:{port}", $"--Bench:Bob:Keys:Endpoint=127.0.0.1:{port}"))
            .Path.ShouldBe("Bench:Bob:Keys:Endpoint");
    }

    [Theory]
    [InlineData("https://127.0.0.1:0")]
    [InlineData("127.0.0.1:8080")]
    [InlineData("http://127.0.0.1:0/status")]
    [InlineData("nonsense")]
    public void A_status_page_that_is_no_plain_http_address_is_refused(string address)
    {
        var refusal = Should.Throw<ConfigurationException>(() => Build($"--Bench:Web:StatusPage={address}"));
        refusal.Path.ShouldBe("Bench:Web:StatusPage");
        refusal.Message.ShouldContain(address);
    }

    [Fact]
    public void An_address_of_another_machine_is_refused() =>
        Should.Throw<ConfigurationException>(() => Build("--Bench:Bob:Keys:Endpoint=192.0.2.1:0")).Path.ShouldBe("Bench:Bob:Keys:Endpoint");

    [Fact]
    public void A_missing_certificate_is_told_with_its_file_and_the_setting_that_needs_it()
    {
        var options = BenchServer.Options(_folder.Path);
        File.Delete(BenchKeys.Layout(options).Bob.ServerCertificate);
        var refusal = Should.Throw<ConfigurationException>(() => BenchHost.Build(options, Configure));
        refusal.Path.ShouldBe("Bench:Bob:Keys:Endpoint");
        refusal.Message.ShouldContain("kme.pem");
    }

    [Fact]
    public async Task The_nodes_own_keys_are_served_and_the_status_page_shows_them()
    {
        await using var app = Build();
        await app.StartAsync(Cancel);
        var urls = app.Urls.Select(url => new Uri(url)).ToList();
        urls.Select(url => (url.Scheme, url.Host)).ShouldBe([("http", "127.0.0.1"), ("https", "127.0.0.1"), ("https", "127.0.0.1")]);
        var layout = BenchKeys.Layout(app.Services.GetRequiredService<BenchOptions>());
        using var alice = new Caller(Certificates.Load(layout.ClientCertificate("sae-alice"), layout.ClientKey("sae-alice")), layout.AuthorityCertificate);
        (await alice.GetAsync(urls[1], "/api/v1/keys/sae-bob/status")).Json.GetProperty("source_KME_ID").GetString().ShouldBe("kme-alice");
        (await alice.GetAsync(urls[2], "/api/v1/keys/sae-bob/status")).Json.GetProperty("source_KME_ID").GetString().ShouldBe("kme-bob");
        (await alice.GetAsync(urls[1], "/api/v1/keys/sae-bob/enc_keys")).ShouldBeError(503);

        var status = (await alice.GetAsync(urls[0], "/api/status")).Json;
        status.GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("node").GetString()!).ShouldBe(["Alice", "Bob"], Case.Insensitive);
        status.GetProperty("nodes")[0].GetProperty("pool").GetProperty("deliverable_bits").ValueKind.ShouldBe(JsonValueKind.Number);
        var page = await alice.GetAsync(urls[0], "/");
        page.Status.ShouldBe(200);
        page.MediaType.ShouldBe("text/html");
        page.Body.ShouldContain("QKD bench");
        (await alice.GetAsync(urls[0], "/_content/MudBlazor/MudBlazor.min.css")).Status.ShouldBe(200);

        app.Services.GetRequiredService<NodesService>().Failure.ShouldBeNull();
        await app.StopAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_the_configuration_leaves_out_is_not_served(bool keys)
    {
        await using var app = Build([
            "--Bench:Web:StatusPage=",
            .. keys ? [] : (string[])["--Bench:Alice:Keys:Endpoint=", "--Bench:Bob:Keys:Endpoint="],
        ]);
        await app.StartAsync(Cancel);
        var urls = app.Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features
            .Get<Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature>()?.Addresses.ToList() ?? [];
        urls.Count.ShouldBe(keys ? 2 : 0);
        urls.ShouldAllBe(url => url.StartsWith("https:", StringComparison.Ordinal));
        await app.StopAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
    }

    [Fact]
    public async Task Two_nodes_at_the_same_port_of_two_addresses_are_told_apart()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "127.0.0.2 is an address of its own on Linux only.");
        var port = FreePort();
        await using var app = Build("--Bench:Web:StatusPage=http://127.0.0.3:" + port, "--Bench:Alice:Keys:Endpoint=127.0.0.1:" + port, "--Bench:Bob:Keys:Endpoint=127.0.0.2:" + port);
        await app.StartAsync(Cancel);
        var layout = BenchKeys.Layout(app.Services.GetRequiredService<BenchOptions>());
        using var alice = new Caller(Certificates.Load(layout.ClientCertificate("sae-alice"), layout.ClientKey("sae-alice")), layout.AuthorityCertificate);
        (await alice.GetAsync(new Uri($"https://127.0.0.1:{port}"), "/api/v1/keys/sae-bob/status")).Json.GetProperty("source_KME_ID").GetString().ShouldBe("kme-alice");

        // The certificate names 127.0.0.1 and localhost only, so the second is asked under that name.
        using var any = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(context.DnsEndPoint.Host == "localhost" ? "127.0.0.2" : context.DnsEndPoint.Host, port, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
            SslOptions =
            {
                ClientCertificates = [Certificates.Load(layout.ClientCertificate("sae-alice"), layout.ClientKey("sae-alice"))],
                CertificateChainPolicy = TrustPolicy.For(BenchAuthority.LoadAuthority(layout.AuthorityCertificate), TrustPolicy.ServerAuthentication),
            },
        });
        var bob = await any.GetStringAsync(new Uri($"https://localhost:{port}/api/v1/keys/sae-bob/status"), Cancel);
        JsonDocument.Parse(bob).RootElement.GetProperty("source_KME_ID").GetString().ShouldBe("kme-bob");
        (await any.GetAsync(new Uri($"http://127.0.0.3:{port}/api/v1/keys/sae-bob/status"), Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await any.GetAsync(new Uri($"http://127.0.0.3:{port}/api/status"), Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
        await app.StopAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
    }

    private WebApplication Build(params string[] settings) => BenchHost.Build(BenchServer.Options(_folder.Path, settings), Configure);

    private static void Configure(WebApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(BenchServer.Waiting());
    }

    private static int FreePort()
    {
        using var free = new TcpListener(IPAddress.Any, 0);
        free.Start();
        return ((IPEndPoint)free.LocalEndpoint).Port;
    }
}
