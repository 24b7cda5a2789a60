using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Qkd.Web.Tests.Support;

/// <summary>One caller's raw requests, as curl makes them: nothing of the product's own client.</summary>
internal sealed class Caller : IDisposable
{
    private readonly HttpClient _http;
    private readonly X509Certificate2? _certificate;

    public Caller(X509Certificate2? certificate, string authorityFile, SslProtocols protocols = SslProtocols.None)
    {
        _certificate = certificate;
        var handler = new SocketsHttpHandler();
        handler.SslOptions.EnabledSslProtocols = protocols;
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        handler.SslOptions.CertificateChainPolicy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificateFromFile(authorityFile));
        if (certificate is not null)
        {
            // Sent whatever the server asks for.
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate;
        }

        _http = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30) };
    }

    public Task<Answer> GetAsync(Uri server, string path) => SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(server, path)));

    public Task<Answer> PostAsync(Uri server, string path, string? body, string? contentType = "application/json") =>
        PostAsync(server, path, body is null ? null : Encoding.UTF8.GetBytes(body), contentType);

    public Task<Answer> PostAsync(Uri server, string path, byte[]? body, string? contentType = "application/json")
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server, path));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = contentType is null ? null : MediaTypeHeaderValue.Parse(contentType);
        }

        return SendAsync(request);
    }

    public async Task<Answer> SendAsync(HttpRequestMessage request)
    {
        using (request)
        using (var response = await _http.SendAsync(request, TestContext.Current.CancellationToken))
        {
            return new Answer(
                (int)response.StatusCode,
                await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
                response.Content.Headers.ContentType?.MediaType,
                response.Headers.CacheControl?.NoStore == true);
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        _certificate?.Dispose();
    }
}

/// <summary>What came back.</summary>
internal sealed record Answer(int Status, string Body, string? MediaType, bool NoStore)
{
    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    /// <summary>The one key of a container of one.</summary>
    public (Guid Id, byte[] Key) Only() => Keys().ShouldHaveSingleItem();

    public IReadOnlyList<(Guid Id, byte[] Key)> Keys()
    {
        Status.ShouldBe((int)HttpStatusCode.OK, Body);
        return [.. Json.GetProperty("keys").EnumerateArray().Select(key =>
            (Guid.ParseExact(key.GetProperty("key_ID").GetString()!, "D"), Convert.FromBase64String(key.GetProperty("key").GetString()!)))];
    }

    /// <summary>The answer is an Error of the standard: an object with a message.</summary>
    public string ShouldBeError(int status)
    {
        Status.ShouldBe(status, Body);
        MediaType.ShouldBe("application/json");
        NoStore.ShouldBeTrue();
        Json.EnumerateObject().Select(member => member.Name).ShouldBeSubsetOf(["message", "details"]);
        return Json.GetProperty("message").GetString().ShouldNotBeNull();
    }
}
