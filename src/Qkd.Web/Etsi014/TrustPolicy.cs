using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Qkd.Web.Etsi014;

/// <summary>Whom a side trusts: certificates of one authority for one purpose, and none of the system's.</summary>
internal static class TrustPolicy
{
    /// <summary>Purpose of a server's certificate.</summary>
    public const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>Purpose of a client's certificate.</summary>
    public const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>The policy for one authority and purpose. Revocation is not looked up: the authority publishes no list; to revoke, make a new one.</summary>
    public static X509ChainPolicy For(X509Certificate2 authority, string purpose)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.Add(authority);
        policy.ApplicationPolicy.Add(new Oid(purpose));
        return policy;
    }

    /// <summary>
    /// Whether a certificate states the purpose itself and is no authority's. A chain alone does not tell: a certificate without any purpose, such
    /// as the authority's own, passes for every purpose.
    /// </summary>
    public static bool IsEndEntity(X509Certificate2 certificate, string purpose) =>
        !certificate.Extensions.OfType<X509BasicConstraintsExtension>().Any(constraints => constraints.CertificateAuthority)
        && certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
            .Any(usage => usage.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == purpose));
}
