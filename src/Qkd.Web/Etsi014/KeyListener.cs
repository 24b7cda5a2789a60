using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>Where one node serves keys, and with which certificates: a caller that its authority has not named never gets as far as HTTP.</summary>
internal sealed class KeyListener : IDisposable
{
    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2 _authority;

    /// <summary>Loads the certificates.</summary>
    /// <exception cref="KeyStoreException">A file is missing or cannot be used.</exception>
    public KeyListener(IPEndPoint endpoint, NodeKeyFolder folder)
    {
        Endpoint = endpoint;
        _certificate = BenchAuthority.LoadCertificate(folder.ServerCertificate, folder.ServerKey);
        _authority = BenchAuthority.LoadAuthority(folder.AuthorityCertificate);
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint Endpoint { get; }

    /// <summary>Adds the listener to the server.</summary>
    public void Listen(KestrelServerOptions kestrel) => kestrel.Listen(Endpoint, listen =>
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.UseHttps(new HttpsConnectionAdapterOptions
        {
            ServerCertificate = _certificate,
            SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            ClientCertificateMode = ClientCertificateMode.RequireCertificate,
            ClientCertificateValidation = (certificate, _, _) => TrustPolicy.Accepts(_authority, TrustPolicy.ClientAuthentication, certificate),
        });
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _certificate.Dispose();
        _authority.Dispose();
    }
}
