using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NSubstitute;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Web.Etsi014;
using Qkd.Web.Hosting;

namespace Qkd.Web.Tests.Support;

/// <summary>
/// The host as the front doors build it, with every server on a free port of the loopback and the bench's own certificates. Its nodes wait for
/// instruments that never come; the keys are those that the test gives.
/// </summary>
internal sealed class BenchServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly WebApplication _app;

    private BenchServer(TempFolder folder, WebApplication app, BenchLayout layout, CapturedLog log)
    {
        (_folder, _app, Layout, Logged) = (folder, app, layout, log);
        var urls = app.Urls.Select(url => new Uri(url)).ToList();
        (Page, Alice, Bob) = (urls[0], urls[1], urls[2]);
    }

    public BenchLayout Layout { get; }

    public CapturedLog Logged { get; }

    public Uri Page { get; }

    public Uri Alice { get; }

    public Uri Bob { get; }

    public static async Task<BenchServer> StartAsync(IKeyDelivery? alice, IKeyDelivery? bob)
    {
        var folder = new TempFolder();
        var options = Options(folder.Path);
        var log = new CapturedLog();
        var app = BenchHost.Build(options, builder =>
        {
            builder.Logging.ClearProviders().AddProvider(log);
            builder.Services.AddSingleton<IKeyDeliveries>(new Given(alice, bob));
            builder.Services.AddSingleton(Waiting());
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new BenchServer(folder, app, BenchKeys.Layout(options), log);
    }

    /// <summary>The emulated bench's configuration with free ports, secrets in place, and one instrument a node that is never there.</summary>
    public static BenchOptions Options(string folder, params IEnumerable<string> settings)
    {
        var options = BenchConfiguration.Bind(BenchConfiguration.Load(Path.Combine(AppContext.BaseDirectory, "config", "bench.json"),
        [
            $"--Bench:DataFolder={folder}",
            "--Bench:Web:StatusPage=http://127.0.0.1:0",
            "--Bench:Alice:Link:Endpoint=127.0.0.1:0",
            "--Bench:Alice:Keys:Endpoint=127.0.0.1:0",
            "--Bench:Bob:Keys:Endpoint=127.0.0.1:0",
            .. settings,
        ]));
        var absent = new Dictionary<string, DeviceOptions> { ["absent"] = new() { Driver = "test.absent", Address = "sim:absent" } };
        options = options with { Alice = options.Alice! with { Devices = absent }, Bob = options.Bob! with { Devices = absent } };
        BenchKeys.Ensure(options, static _ => { });
        BenchAuthority.Initialise(BenchKeys.Layout(options), new BenchAuthorityOptions { SaeIds = ["sae-alice", "sae-bob", "sae-carol"] });
        return options;
    }

    /// <summary>A driver that nobody asks, since the address of its instrument is never known.</summary>
    public static IDeviceDriver Waiting()
    {
        var driver = Substitute.For<IDeviceDriver>();
        driver.Id.Returns("test.absent");
        return driver;
    }

    /// <summary>An application with the certificate that the bench made for it.</summary>
    public Caller As(string sae) => new(Certificates.Load(Layout.ClientCertificate(sae), Layout.ClientKey(sae)), Layout.AuthorityCertificate);

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
        await _app.DisposeAsync();
        _folder.Dispose();
    }

    private sealed class Given(IKeyDelivery? alice, IKeyDelivery? bob) : IKeyDeliveries
    {
        public IKeyDelivery? Of(LinkEnd end) => end == LinkEnd.Alice ? alice : bob;
    }
}
