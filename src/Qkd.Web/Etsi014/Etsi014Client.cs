using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>A client of ETSI GS QKD 014 V1.1.1: what an application (SAE) needs to fetch key. Thread-safe.</summary>
public sealed class Etsi014Client : IDisposable
{
    private const long LargestAnswer = 16 * 1024 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly HttpClient _http;
    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2 _authority;

    private Etsi014Client(Uri address, X509Certificate2 certificate, X509Certificate2 authority)
    {
        _certificate = certificate;
        _authority = authority;
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        handler.SslOptions.ClientCertificates = [certificate];
        handler.SslOptions.CertificateChainPolicy = TrustPolicy.For(authority, TrustPolicy.ServerAuthentication);
        _http = new HttpClient(handler) { BaseAddress = address, Timeout = Patience, MaxResponseContentBufferSize = LargestAnswer };
    }

    /// <summary>Creates a client. Nothing is sent yet.</summary>
    /// <param name="address">Where the key management entity is, e.g. <c>https://127.0.0.1:8443</c>.</param>
    /// <param name="certificateFile">The application's certificate, PEM.</param>
    /// <param name="keyFile">Its private key, PEM.</param>
    /// <param name="authorityFile">The authority that signed the entity's certificate, PEM; no other is trusted.</param>
    /// <exception cref="KeyStoreException">A file is missing or cannot be used.</exception>
    public static Etsi014Client Create(Uri address, string certificateFile, string keyFile, string authorityFile)
    {
        ArgumentNullException.ThrowIfNull(address);
        var certificate = BenchAuthority.LoadCertificate(certificateFile, keyFile);
        try
        {
            return new Etsi014Client(address, certificate, BenchAuthority.LoadAuthority(authorityFile));
        }
        catch
        {
            certificate.Dispose();
            throw;
        }
    }

    /// <summary>Get status.</summary>
    /// <param name="slaveSaeId">The application at the other end.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="Etsi014Exception">The entity refuses, or its answer is malformed.</exception>
    /// <exception cref="HttpRequestException">It cannot be reached, or does not trust or is not trusted.</exception>
    public Task<Etsi014Status> GetStatusAsync(string slaveSaeId, CancellationToken cancellationToken) =>
        SendAsync<Etsi014Status>(HttpMethod.Get, $"{Escape(slaveSaeId)}/status", null, cancellationToken);

    /// <summary>Get key: fresh keys, which the application at the other end fetches by their ids.</summary>
    /// <param name="slaveSaeId">The application at the other end.</param>
    /// <param name="number">How many.</param>
    /// <param name="sizeBits">Bits of each; null for the entity's own size.</param>
    /// <param name="cancellationToken">Ends the wait. Keys that were on their way are then lost.</param>
    /// <exception cref="Etsi014Exception">The entity refuses, or its answer is malformed.</exception>
    /// <exception cref="HttpRequestException">It cannot be reached, or does not trust or is not trusted.</exception>
    public Task<Etsi014KeyContainer> GetKeysAsync(string slaveSaeId, int number, int? sizeBits, CancellationToken cancellationToken) =>
        SendAsync<Etsi014KeyContainer>(
            HttpMethod.Post, $"{Escape(slaveSaeId)}/enc_keys", new Etsi014KeyRequest { Number = number, Size = sizeBits }, cancellationToken);

    /// <summary>Get key with key ids: the keys that the application at the other end was given.</summary>
    /// <param name="masterSaeId">That application.</param>
    /// <param name="keyIds">The ids.</param>
    /// <param name="cancellationToken">Ends the wait. Keys that were on their way are then lost.</param>
    /// <exception cref="Etsi014Exception">The entity refuses, or its answer is malformed.</exception>
    /// <exception cref="HttpRequestException">It cannot be reached, or does not trust or is not trusted.</exception>
    public Task<Etsi014KeyContainer> GetKeysByIdAsync(string masterSaeId, IReadOnlyList<Guid> keyIds, CancellationToken cancellationToken) =>
        SendAsync<Etsi014KeyContainer>(
            HttpMethod.Post, $"{Escape(masterSaeId)}/dec_keys", new Etsi014KeyIds([.. keyIds.Select(id => new Etsi014KeyId(id))]), cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _certificate.Dispose();
        _authority.Dispose();
    }

    private static string Escape(string saeId) => Uri.EscapeDataString(saeId);

    private async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, $"/api/v1/keys/{path}");
        if (body is not null)
        {
            request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, Etsi014Json.Compact));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        HttpResponseMessage response;
        byte[] content;
        try
        {
            response = await _http.SendAsync(request, cancellationToken);
            content = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"{_http.BaseAddress} did not answer within {Patience.TotalSeconds:0} s.", e);
        }
        catch (HttpRequestException e)
        {
            throw new HttpRequestException($"{_http.BaseAddress} cannot be asked for key: {e.InnerException?.Message ?? e.Message}", e);
        }

        using (response)
        {
            if (response.StatusCode != HttpStatusCode.OK)
            {
                throw new Etsi014Exception(response.StatusCode, string.Create(
                    CultureInfo.InvariantCulture, $"{request.RequestUri} was refused ({(int)response.StatusCode}): {MessageOf(content)}"));
            }

            try
            {
                return JsonSerializer.Deserialize<T>(content, Etsi014Json.Compact) ?? throw new JsonException("null");
            }
            catch (JsonException e)
            {
                throw new Etsi014Exception(response.StatusCode, $"{request.RequestUri} gave an answer that is not as it must be: {e.Message}", e);
            }
            finally
            {
                CryptographicOperations.ZeroMemory(content);
            }
        }
    }

    private static string MessageOf(byte[] content)
    {
        try
        {
            return JsonSerializer.Deserialize<Etsi014Error>(content, Etsi014Json.Compact)?.Message ?? "no reason given";
        }
        catch (JsonException)
        {
            return "no reason given";
        }
    }
}
