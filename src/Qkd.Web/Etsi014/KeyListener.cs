using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Qkd.Distillation;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>Where one node serves keys, and with which certificates: a caller that its authority has not named never gets as far as HTTP.</summary>
internal sealed class KeyListener : IDisposable
{
    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2 _authority;

    /// <summary>Loads the certificates.</summary>
    /// <exception cref="KeyStoreException">A file is missing or cannot be used.</exception>
    public KeyListener(LinkEnd end, IPEndPoint endpoint, NodeKeyFolder folder)
    {
        End = end;
        Endpoint = endpoint;
        _certificate = BenchAuthority.LoadCertificate(folder.ServerCertificate, folder.ServerKey);
        try
        {
            _authority = BenchAuthority.LoadAuthority(folder.AuthorityCertificate);
        }
        catch
        {
            _certificate.Dispose();
            throw;
        }
    }

    /// <summary>Whose keys are served.</summary>
    public LinkEnd End { get; }

    /// <summary>Where it listens.</summary>
    public IPEndPoint Endpoint { get; }

    /// <summary>
    /// The listener that a request came in at; null if it came in where no keys are served. Known from the connection itself: two listeners may
    /// have the same port on different addresses.
    /// </summary>
    public static KeyListener? Of(HttpContext http) => http.Features.Get<KeyListener>();

    /// <summary>Adds the listener to the server.</summary>
    public void Listen(KestrelServerOptions kestrel) => kestrel.Listen(Endpoint, listen =>
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.Use(next => connection =>
        {
            connection.Features.Set(this);
            return next(connection);
        });
        listen.UseHttps(new HttpsConnectionAdapterOptions
        {
            ServerCertificate = _certificate,
            SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateMode = ClientCertificateMode.RequireCertificate,
            ClientCertificateValidation = (certificate, _, errors) => errors == SslPolicyErrors.None && TrustPolicy.IsEndEntity(certificate, TrustPolicy.ClientAuthentication),

            // The handshake itself builds the chain by this policy: it trusts one authority, and fetches nothing that a stranger's certificate points to.
            OnAuthenticate = (_, tls) => tls.CertificateChainPolicy = TrustPolicy.For(_authority, TrustPolicy.ClientAuthentication),
        });
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _certificate.Dispose();
        _authority.Dispose();
    }
}
