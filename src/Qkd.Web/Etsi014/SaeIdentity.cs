using System.Security.Cryptography.X509Certificates;

namespace Qkd.Web.Etsi014;

/// <summary>Which application (SAE) a client certificate stands for. The standard leaves that open; here it is the subject's common name.</summary>
internal static class SaeIdentity
{
    private const string CommonName = "2.5.4.3";
    private const int LongestId = 256;

    /// <summary>
    /// The id; null if the certificate names none, or more than one, or has expired since the connection was made (a connection may be kept
    /// open for as long as its owner likes).
    /// </summary>
    public static string? Of(X509Certificate2? certificate, DateTimeOffset now)
    {
        if (certificate is null || now.UtcDateTime > certificate.NotAfter.ToUniversalTime())
        {
            return null;
        }

        string? id = null;
        foreach (var part in certificate.SubjectName.EnumerateRelativeDistinguishedNames())
        {
            if (part.HasMultipleElements)
            {
                return null;
            }

            if (part.GetSingleElementType().Value == CommonName)
            {
                if (id is not null)
                {
                    return null;
                }

                id = part.GetSingleElementValue() ?? "";
            }
        }

        return id is { Length: > 0 and <= LongestId } ? id : null;
    }
}
