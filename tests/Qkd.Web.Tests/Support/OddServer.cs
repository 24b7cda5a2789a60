using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Qkd.Keys;

namespace Qkd.Web.Tests.Support;

/// <summary>A key management entity with a good certificate that answers the same to everything.</summary>
internal sealed class OddServer(WebApplication app) : IAsyncDisposable
{
    public Uri Address { get; } = new(app.Urls.Single());

    public static async Task<OddServer> StartAsync(BenchLayout layout, int status, string body, Uri? location = null)
    {
        var certificate = Certificates.Load(layout.Alice.ServerCertificate, layout.Alice.ServerKey);
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var app = builder.Build();
        app.Run(http =>
        {
            http.Response.StatusCode = status;
            http.Response.Headers.Location = location?.ToString();
            return http.Response.WriteAsync(body, http.RequestAborted);
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new OddServer(app);
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
        await app.DisposeAsync();
    }
}
