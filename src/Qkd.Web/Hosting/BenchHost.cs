using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using MudBlazor.Services;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Web.Etsi014;
using Qkd.Web.Pages;

namespace Qkd.Web.Hosting;

/// <summary>
/// The host that both front doors run: the nodes, the status page, and one ETSI GS QKD 014 server for each node. What is served is told by
/// the port that a connection came in at, never by anything the caller says.
/// </summary>
public static class BenchHost
{
    private const int MostConnections = 200;

    /// <summary>Builds the host; nothing is opened before it starts, but everything that can be refused is.</summary>
    /// <param name="options">The validated configuration.</param>
    /// <param name="configure">Adds drivers, the emulated bench, logging.</param>
    /// <exception cref="ConfigurationException">A port is in use, an address cannot be listened at, or certificates are missing.</exception>
    public static WebApplication Build(BenchOptions options, Action<WebApplicationBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(configure);
        var page = StatusPage(options);
        var listeners = Listeners(options);

        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            ApplicationName = typeof(BenchHost).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory,
            EnvironmentName = Environments.Production,
        });
        builder.WebHost.UseStaticWebAssets();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = Etsi014Server.LargestBody;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxConcurrentUpgradedConnections = MostConnections;
            if (page is not null)
            {
                kestrel.Listen(page);
            }

            foreach (var listener in listeners.Values)
            {
                listener.Listen(kestrel);
            }
        });

        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddRazorComponents().AddInteractiveServerComponents();
        builder.Services.AddMudServices();
        configure(builder);

        // After the emulated bench, which the nodes' instruments belong to.
        builder.Services.AddSingleton<NodesService>();
        builder.Services.AddHostedService(services => services.GetRequiredService<NodesService>());
        builder.Services.AddSingleton<StatusHistory>();
        builder.Services.AddHostedService(services => services.GetRequiredService<StatusHistory>());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(15));

        var app = builder.Build();
        app.Lifetime.ApplicationStopped.Register(() =>
        {
            foreach (var listener in listeners.Values)
            {
                listener.Dispose();
            }
        });
        Map(app, page, listeners);
        return app;
    }

    private static void Map(WebApplication app, IPEndPoint? page, IReadOnlyDictionary<LinkEnd, KeyListener> listeners)
    {
        var nodes = app.Services.GetRequiredService<NodesService>();
        app.Use((http, next) =>
        {
            var forKeys = http.Request.Path.StartsWithSegments("/api/v1/keys", StringComparison.Ordinal);
            if (forKeys == (EndOf(http, listeners) is not null))
            {
                return next();
            }

            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        Etsi014Server.Map(app, http => EndOf(http, listeners) is { } end ? DeliveryOf(nodes, end) : null);
        if (page is not null)
        {
            app.UseAntiforgery();
            app.MapStaticAssets();
            app.MapGet("/api/status", () => StatusJson.From(nodes));
            app.MapRazorComponents<App>().AddInteractiveServerRenderMode();
        }
    }

    private static LinkEnd? EndOf(HttpContext http, IReadOnlyDictionary<LinkEnd, KeyListener> listeners)
    {
        foreach (var (end, listener) in listeners)
        {
            if (listener.Endpoint.Port == http.Connection.LocalPort)
            {
                return end;
            }
        }

        return null;
    }

    private static IKeyDelivery? DeliveryOf(NodesService nodes, LinkEnd end) =>
        nodes.Nodes.FirstOrDefault(node => (node is AliceNode) == (end == LinkEnd.Alice))?.Keys.Delivery;

    private static IPEndPoint? StatusPage(BenchOptions options)
    {
        const string path = "Bench:Web:StatusPage";
        if (options.Web.StatusPage.Length == 0)
        {
            return null;
        }

        var url = new Uri(options.Web.StatusPage);
        var address = url.IsLoopback ? IPAddress.Loopback : IPAddress.TryParse(url.Host, out var given) ? given : IPAddress.Any;
        return Free(path, new IPEndPoint(address, url.Port));
    }

    private static Dictionary<LinkEnd, KeyListener> Listeners(BenchOptions options)
    {
        var layout = BenchKeys.Layout(options);
        var listeners = new Dictionary<LinkEnd, KeyListener>();
        foreach (var (end, node) in new (LinkEnd, NodeOptions?)[] { (LinkEnd.Alice, options.Alice), (LinkEnd.Bob, options.Bob) })
        {
            if (node is not { Keys.Endpoint.Length: > 0 })
            {
                continue;
            }

            var path = $"Bench:{end}:Keys:Endpoint";
            try
            {
                var endpoint = HostAndPort.Parse(node.Keys.Endpoint).ResolveAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult();
                listeners.Add(end, new KeyListener(Free(path, endpoint), layout.Node(end)));
            }
            catch (Exception e) when (e is KeyStoreException or SocketException)
            {
                throw new ConfigurationException(path, e.Message, e);
            }
        }

        return listeners;
    }

    /// <summary>Tries to listen before anything else is started, so that a port in use is told with its setting and no light was ever on.</summary>
    private static IPEndPoint Free(string path, IPEndPoint endpoint)
    {
        try
        {
            using var probe = new TcpListener(endpoint);
            probe.Start();
            return endpoint;
        }
        catch (SocketException e)
        {
            throw new ConfigurationException(path, $"cannot listen at {endpoint}: {e.Message}", e);
        }
    }
}
