using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Qkd.Keys;

namespace Qkd.Web.Tests.Support;

/// <summary>Client certificates as the bench's authority would never make them.</summary>
internal static class Certificates
{
    public const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";
    public const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    public static X509Certificate2 Load(string certificateFile, string keyFile) => BenchAuthority.LoadCertificate(certificateFile, keyFile);

    /// <summary>A certificate signed by the bench's authority.</summary>
    /// <param name="layout">Where the authority lies.</param>
    /// <param name="subject">Distinguished name, e.g. <c>CN=sae-alice</c>.</param>
    /// <param name="usage">Its one purpose; null for none stated.</param>
    /// <param name="fromDays">Valid from, in days from now; above -1.</param>
    /// <param name="untilDays">Valid until, in days from now.</param>
    public static X509Certificate2 Sign(BenchLayout layout, string subject, string? usage = ClientAuthentication, double fromDays = -0.02, double untilDays = 1) =>
        Sign(layout, new X500DistinguishedName(subject), usage, fromDays, untilDays);

    /// <summary>A certificate signed by the bench's authority, valid for a day.</summary>
    public static X509Certificate2 Sign(BenchLayout layout, X500DistinguishedName subject) => Sign(layout, subject, ClientAuthentication, -0.02, 1);

    /// <summary>A distinguished name of one element that has several attributes.</summary>
    public static X500DistinguishedName NameOfParts(params IEnumerable<(string Oid, string Value)> parts)
    {
        var der = new AsnWriter(AsnEncodingRules.DER);
        using (der.PushSequence())
        using (der.PushSetOf())
        {
            foreach (var (oid, value) in parts)
            {
                using (der.PushSequence())
                {
                    der.WriteObjectIdentifier(oid);
                    der.WriteCharacterString(UniversalTagNumber.UTF8String, value);
                }
            }
        }

        return new X500DistinguishedName(der.Encode());
    }

    private static X509Certificate2 Sign(BenchLayout layout, X500DistinguishedName subject, string? usage, double fromDays, double untilDays)
    {
        using var authority = Load(layout.AuthorityCertificate, layout.AuthorityKey);
        var request = Request(subject, usage, out var key);
        using (key)
        using (var certificate = request.Create(
            authority, DateTimeOffset.UtcNow.AddDays(fromDays), DateTimeOffset.UtcNow.AddDays(untilDays), RandomNumberGenerator.GetBytes(8)))
        {
            return certificate.CopyWithPrivateKey(key);
        }
    }

    /// <summary>A certificate that an application signed as if it were an authority.</summary>
    public static X509Certificate2 SignedByApplication(BenchLayout layout, string signer, string subject)
    {
        using var application = Load(layout.ClientCertificate(signer), layout.ClientKey(signer));
        using var signingKey = application.GetECDsaPrivateKey()!;
        var request = Request(new X500DistinguishedName(subject), ClientAuthentication, out var key);
        using (key)
        using (var certificate = request.Create(
            application.SubjectName, X509SignatureGenerator.CreateForECDsa(signingKey), DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(8)))
        {
            return certificate.CopyWithPrivateKey(key);
        }
    }

    /// <summary>A certificate signed by nobody else.</summary>
    public static X509Certificate2 SelfSigned(string subject)
    {
        var request = Request(new X500DistinguishedName(subject), ClientAuthentication, out var key);
        using (key)
        {
            return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        }
    }

    private static CertificateRequest Request(X500DistinguishedName subject, string? usage, out ECDsa key)
    {
        key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        if (usage is not null)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        }

        return request;
    }
}
