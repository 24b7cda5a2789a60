using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
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
/// the listener that a connection came in at, never by anything the caller says.
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
        var (page, listeners) = Endpoints(options);

        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            ApplicationName = AssetsOf(Assembly.GetEntryAssembly()) ?? AssetsOf(typeof(BenchHost).Assembly),
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

            foreach (var listener in listeners)
            {
                listener.Listen(kestrel);
            }
        });

        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddRazorComponents().AddInteractiveServerComponents();
        builder.Services.AddMudServices();
        builder.Services.AddSingleton<CallerLimits>();
        builder.Services.AddSingleton<Etsi014Server>();
        configure(builder);
        builder.Services.TryAddSingleton<IKeyDeliveries, NodeDeliveries>();
        if (page is null && listeners.Count == 0)
        {
            // Kestrel would listen at a port of its own choice.
            builder.Services.AddSingleton<IServer, NoServer>();
        }

        // After the emulated bench, which the nodes' instruments belong to.
        builder.Services.AddSingleton<NodesService>();
        builder.Services.AddHostedService(services => services.GetRequiredService<NodesService>());
        builder.Services.AddSingleton<StatusHistory>();
        builder.Services.AddHostedService(services => services.GetRequiredService<StatusHistory>());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(15));

        var app = builder.Build();
        app.Lifetime.ApplicationStopped.Register(() =>
        {
            foreach (var listener in listeners)
            {
                listener.Dispose();
            }
        });
        Map(app, page is not null);
        return app;
    }

    /// <summary>
    /// The name under which the page's scripts and style sheets are listed beside the program: a front door's own, which is all that a published
    /// one has; null if an assembly has no such list.
    /// </summary>
    private static string? AssetsOf(Assembly? assembly) =>
        assembly?.GetName().Name is { } name && File.Exists(Path.Combine(AppContext.BaseDirectory, $"{name}.staticwebassets.endpoints.json")) ? name : null;

    private static void Map(WebApplication app, bool page)
    {
        app.Use((http, next) =>
        {
            var forKeys = http.Request.Path.StartsWithSegments(Etsi014Server.Root, StringComparison.OrdinalIgnoreCase);
            if (forKeys == (KeyListener.Of(http) is not null))
            {
                return next();
            }

            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        app.Services.GetRequiredService<Etsi014Server>().Map(app);
        if (page)
        {
            var nodes = app.Services.GetRequiredService<NodesService>();
            app.UseAntiforgery();
            app.MapStaticAssets();
            app.MapGet("/api/status", () => StatusJson.From(nodes));
            app.MapRazorComponents<App>().AddInteractiveServerRenderMode();
        }
    }

    /// <summary>
    /// Where to listen. Every port is tried before anything is started, so that a port in use is told with its setting and no light was ever on;
    /// each stays taken until all have been tried, so that the same port in two settings is found too.
    /// </summary>
    private static (IPEndPoint? Page, IReadOnlyList<KeyListener> Listeners) Endpoints(BenchOptions options)
    {
        var probes = new List<TcpListener>();
        var listeners = new List<KeyListener>();
        try
        {
            var page = StatusPage(options, probes);
            var layout = BenchKeys.Layout(options);
            foreach (var (end, node) in new (LinkEnd, NodeOptions?)[] { (LinkEnd.Alice, options.Alice), (LinkEnd.Bob, options.Bob) })
            {
                if (node is not { Keys.Endpoint.Length: > 0 })
                {
                    continue;
                }

                var path = $"Bench:{end}:Keys:Endpoint";
                var endpoint = Free(path, HostAndPort.Parse(node.Keys.Endpoint), probes);
                try
                {
                    listeners.Add(new KeyListener(end, endpoint, layout.Node(end)));
                }
                catch (KeyStoreException e)
                {
                    throw new ConfigurationException(path, e.Message, e);
                }
            }

            return (page, listeners);
        }
        catch
        {
            foreach (var listener in listeners)
            {
                listener.Dispose();
            }

            throw;
        }
        finally
        {
            foreach (var probe in probes)
            {
                probe.Dispose();
            }
        }
    }

    private static IPEndPoint? StatusPage(BenchOptions options, List<TcpListener> probes)
    {
        const string path = "Bench:Web:StatusPage";
        if (options.Web.StatusPage.Length == 0)
        {
            return null;
        }

        return Uri.TryCreate(options.Web.StatusPage, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttp && url.PathAndQuery == "/"
            ? Free(path, new HostAndPort(url.DnsSafeHost, url.Port), probes)
            : throw new ConfigurationException(path, $"'{options.Web.StatusPage}' is not http://host:port");
    }

    private static IPEndPoint Free(string path, HostAndPort endpoint, List<TcpListener> probes)
    {
        try
        {
            var address = endpoint.ResolveAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult();
            var probe = new TcpListener(address);
            probes.Add(probe);
            probe.Start();
            return address;
        }
        catch (SocketException e)
        {
            throw new ConfigurationException(path, $"cannot listen at {endpoint}: {e.Message}", e);
        }
    }

    /// <summary>For a configuration that serves nothing.</summary>
    private sealed class NoServer : IServer
    {
        public IFeatureCollection Features { get; } = new FeatureCollection();

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
