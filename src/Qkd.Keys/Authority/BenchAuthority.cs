using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Qkd.Keys;

/// <summary>What <see cref="BenchAuthority"/> makes.</summary>
public sealed record BenchAuthorityOptions
{
    /// <summary>Host names and addresses of the KME servers, beside <c>localhost</c>, <c>127.0.0.1</c> and <c>::1</c>.</summary>
    public IReadOnlyList<string> HostNames { get; init; } = [];

    /// <summary>Applications that get a client certificate. The id becomes the certificate's common name and the name of its file.</summary>
    public IReadOnlyList<string> SaeIds { get; init; } = ["sae-alice", "sae-bob"];

    /// <summary>Length of the pre-shared authentication key in bits.</summary>
    public int PreSharedBits { get; init; } = AuthenticationPool.DefaultPreSharedBits;

    /// <summary>How long the certificates are valid.</summary>
    public TimeSpan Validity { get; init; } = TimeSpan.FromDays(3650);
}

/// <summary>What was made and what was there already.</summary>
/// <param name="Created">Paths of new files.</param>
/// <param name="Kept">Paths of files that were there and were left alone.</param>
public sealed record InitialisationResult(IReadOnlyList<string> Created, IReadOnlyList<string> Kept);

/// <summary>
/// Makes all secrets of a bench: pre-shared key, master keys, a small certificate authority (ECDSA P-256) with certificates for both key
/// management entities and for the applications. Secret files are readable by their owner alone. What is there is never overwritten, so it can
/// be run again, for instance with another application's id.
/// </summary>
public static class BenchAuthority
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>Makes what is missing.</summary>
    /// <exception cref="KeyStoreException">
    /// Half of something is there (a certificate without its key, one end's pre-shared key), or an id cannot name a file. Nothing is overwritten.
    /// </exception>
    public static InitialisationResult Initialise(BenchLayout layout, BenchAuthorityOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(layout);
        options ??= new();
        foreach (var saeId in options.SaeIds)
        {
            if (saeId.Length is 0 or > 64 || saeId.AsSpan().ContainsAny(Path.GetInvalidFileNameChars()) || saeId is "." or ".." or "ca")
            {
                throw new KeyStoreException($"'{saeId}' cannot be the id of an application: it becomes the name of a file and a common name of at most 64 characters.");
            }
        }

        var work = new Work(layout, options);
        try
        {
            work.Run();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyStoreException($"The secrets of the bench cannot be made in {layout.Folder}: {e.Message}", e);
        }

        return new(work.Created, work.Kept);
    }

    /// <summary>Loads a certificate with its private key from two PEM files, in a form that TLS takes on every platform.</summary>
    /// <exception cref="KeyStoreException">Missing, malformed, not belonging together, or the key is open to others.</exception>
    public static X509Certificate2 LoadCertificate(string certificateFile, string keyFile)
    {
        foreach (var path in (string[])[certificateFile, keyFile])
        {
            if (!File.Exists(path))
            {
                throw new KeyStoreException($"There is no file {Path.GetFullPath(path)}; 'qkd init' makes it.");
            }
        }

        if (OwnerOnlyFile.IsOpenToOthers(keyFile))
        {
            throw new KeyStoreException($"The private key {Path.GetFullPath(keyFile)} can be read or written by others than its owner; set its mode to 0600.");
        }

        try
        {
            var certificate = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
            if (!OperatingSystem.IsWindows())
            {
                return certificate;
            }

            // Windows' TLS does not take a key that lives in memory alone.
            using (certificate)
            {
                return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
            }
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new KeyStoreException($"The certificate {Path.GetFullPath(certificateFile)} and its key cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Loads the authority's certificate, without a private key.</summary>
    /// <exception cref="KeyStoreException">Missing or malformed.</exception>
    public static X509Certificate2 LoadAuthority(string certificateFile)
    {
        try
        {
            return X509CertificateLoader.LoadCertificateFromFile(certificateFile);
        }
        catch (Exception e) when (e is CryptographicException or IOException)
        {
            throw new KeyStoreException($"The authority's certificate {Path.GetFullPath(certificateFile)} cannot be read: {e.Message}", e);
        }
    }

    private sealed class Work(BenchLayout layout, BenchAuthorityOptions options)
    {
        // A minute of difference between two machines' clocks must not make a certificate one of the future.
        private readonly DateTimeOffset _from = DateTimeOffset.UtcNow.AddHours(-1);

        public List<string> Created { get; } = [];

        public List<string> Kept { get; } = [];

        public void Run()
        {
            foreach (var folder in (string[])[layout.Folder, layout.AuthorityFolder, layout.Alice.Folder, layout.Bob.Folder, layout.ClientFolder])
            {
                OwnerOnlyFile.EnsureFolder(folder);
            }

            string[] preShared =
            [
                Path.Combine(layout.Alice.AuthenticationFolder, AuthenticationPool.PreSharedName),
                Path.Combine(layout.Bob.AuthenticationFolder, AuthenticationPool.PreSharedName),
            ];
            Pair(preShared[0], preShared[1], () => AuthenticationPool.CreatePreShared(layout.Alice.AuthenticationFolder, layout.Bob.AuthenticationFolder, options.PreSharedBits));
            foreach (var node in (NodeKeyFolder[])[layout.Alice, layout.Bob])
            {
                Single(node.MasterKeyFile, () => MasterKey.CreateFile(node.MasterKeyFile));
            }

            Certificates();
            foreach (var folder in (string[])[layout.Alice.Folder, layout.Bob.Folder, layout.ClientFolder])
            {
                var copy = Path.Combine(folder, "ca.pem");
                Single(copy, () => File.Copy(layout.AuthorityCertificate, copy));
            }
        }

        private void Certificates()
        {
            (string Certificate, string Key, Action<X509Certificate2> Create)[] wanted =
            [
                (layout.Alice.ServerCertificate, layout.Alice.ServerKey, authority => CreateServer(authority, layout.Alice, "kme-alice")),
                (layout.Bob.ServerCertificate, layout.Bob.ServerKey, authority => CreateServer(authority, layout.Bob, "kme-bob")),
                .. options.SaeIds.Select(saeId => (
                    layout.ClientCertificate(saeId), layout.ClientKey(saeId), (Action<X509Certificate2>)(authority => CreateClient(authority, saeId)))),
            ];
            if (!File.Exists(layout.AuthorityCertificate) && !File.Exists(layout.AuthorityKey) && wanted.Any(pair => File.Exists(pair.Certificate)))
            {
                // The authority may be kept elsewhere; then nothing can be signed, and a new one would not fit what it has signed.
                if (wanted.Any(pair => !File.Exists(pair.Certificate)))
                {
                    throw new KeyStoreException($"The authority {layout.AuthorityCertificate} with its key is missing: further certificates cannot be signed.");
                }
            }
            else
            {
                Pair(layout.AuthorityCertificate, layout.AuthorityKey, CreateAuthority);
            }

            using var authority = wanted.Any(pair => !File.Exists(pair.Certificate)) ? LoadCertificate(layout.AuthorityCertificate, layout.AuthorityKey) : null;
            foreach (var (certificate, key, create) in wanted)
            {
                Pair(certificate, key, () => create(authority!));
            }
        }

        private void CreateAuthority()
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest("CN=Quantum key distribution bench authority", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
            request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
            using var certificate = request.CreateSelfSigned(_from, _from + options.Validity);
            WritePair(layout.AuthorityCertificate, layout.AuthorityKey, certificate, key);
        }

        private void CreateServer(X509Certificate2 authority, NodeKeyFolder node, string name)
        {
            var names = new SubjectAlternativeNameBuilder();
            foreach (var host in options.HostNames.Concat(["localhost", "127.0.0.1", "::1"]).Distinct(StringComparer.OrdinalIgnoreCase))
            {
                if (IPAddress.TryParse(host, out var address))
                {
                    names.AddIpAddress(address);
                }
                else
                {
                    names.AddDnsName(host);
                }
            }

            Sign(authority, name, ServerAuthentication, names.Build(), node.ServerCertificate, node.ServerKey);
        }

        private void CreateClient(X509Certificate2 authority, string saeId) =>
            Sign(authority, saeId, ClientAuthentication, null, layout.ClientCertificate(saeId), layout.ClientKey(saeId));

        private void Sign(X509Certificate2 authority, string name, string usage, X509Extension? names, string certificateFile, string keyFile)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var subject = new X500DistinguishedNameBuilder();
            subject.AddCommonName(name);
            var request = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
            request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
            request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));
            if (names is not null)
            {
                request.CertificateExtensions.Add(names);
            }

            // Sixteen random bytes, positive: serial numbers are unique without a register.
            var serial = RandomNumberGenerator.GetBytes(16);
            serial[0] = (byte)(serial[0] & 0x7F | 0x40);
            var until = _from + options.Validity;
            using var certificate = request.Create(authority, _from, until < authority.NotAfter ? until : authority.NotAfter, serial);
            WritePair(certificateFile, keyFile, certificate, key);
        }

        private static void WritePair(string certificateFile, string keyFile, X509Certificate2 certificate, ECDsa key)
        {
            var secret = key.ExportPkcs8PrivateKey();
            var text = PemEncoding.Write("PRIVATE KEY", secret);
            var bytes = Encoding.ASCII.GetBytes(text);
            try
            {
                OwnerOnlyFile.Create(keyFile, bytes);
                File.WriteAllText(certificateFile, certificate.ExportCertificatePem() + "\n");
            }
            finally
            {
                CryptographicOperations.ZeroMemory(secret);
                CryptographicOperations.ZeroMemory(bytes);
                CryptographicOperations.ZeroMemory(System.Runtime.InteropServices.MemoryMarshal.AsBytes(text.AsSpan()));
            }
        }

        private void Single(string path, Action create)
        {
            if (File.Exists(path))
            {
                Kept.Add(path);
                return;
            }

            create();
            Created.Add(path);
        }

        /// <summary>Two files that only make sense together.</summary>
        private void Pair(string first, string second, Action create)
        {
            if (File.Exists(first) != File.Exists(second))
            {
                var (there, missing) = File.Exists(first) ? (first, second) : (second, first);
                throw new KeyStoreException($"{there} is there, but {missing}, which belongs to it, is missing. Bring it back, or remove both to have new ones made.");
            }

            Single(first, create);
            (File.Exists(first) && Created.Contains(first) ? Created : Kept).Add(second);
        }
    }
}
