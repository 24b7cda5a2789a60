using System.Runtime.Versioning;
using System.Security.Cryptography.X509Certificates;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Authority;

public sealed class BenchAuthorityTests
{
    private static readonly BenchAuthorityOptions Small = new() { PreSharedBits = AuthenticationPool.MinimumPreSharedBits, HostNames = ["alice.example", "10.1.2.3"] };

    [Fact]
    public void All_certificates_are_signed_by_the_authority_and_by_nobody_else()
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        var other = Make(files["other"]);
        using var authority = BenchAuthority.LoadAuthority(layout.AuthorityCertificate);
        using var stranger = BenchAuthority.LoadAuthority(other.AuthorityCertificate);
        foreach (var (certificate, key) in Pairs(layout))
        {
            using var loaded = BenchAuthority.LoadCertificate(certificate, key);
            loaded.HasPrivateKey.ShouldBeTrue();
            IsTrusted(loaded, authority).ShouldBeTrue(certificate);
            IsTrusted(loaded, stranger).ShouldBeFalse(certificate);
            loaded.NotBefore.ShouldBeLessThan(DateTime.Now);
            loaded.NotAfter.ShouldBeLessThanOrEqualTo(authority.NotAfter);
        }

        authority.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority.ShouldBeTrue();
        authority.HasPrivateKey.ShouldBeFalse();
    }

    [Fact]
    public void Servers_may_only_serve_and_applications_may_only_ask()
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        using var server = BenchAuthority.LoadCertificate(layout.Alice.ServerCertificate, layout.Alice.ServerKey);
        using var client = BenchAuthority.LoadCertificate(layout.ClientCertificate("sae-bob"), layout.ClientKey("sae-bob"));
        Usages(server).ShouldBe(["1.3.6.1.5.5.7.3.1"]);
        Usages(client).ShouldBe(["1.3.6.1.5.5.7.3.2"]);
        server.GetNameInfo(X509NameType.SimpleName, false).ShouldBe("kme-alice");
        client.GetNameInfo(X509NameType.SimpleName, false).ShouldBe("sae-bob");
        foreach (var name in (string[])["localhost", "127.0.0.1", "::1", "alice.example", "10.1.2.3"])
        {
            server.MatchesHostname(name).ShouldBeTrue(name);
        }

        server.MatchesHostname("bob.example").ShouldBeFalse();
        foreach (var certificate in (X509Certificate2[])[server, client])
        {
            certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority.ShouldBeFalse();
        }
    }

    [Fact]
    public void What_it_makes_opens_as_a_bench()
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        foreach (var node in (NodeKeyFolder[])[layout.Alice, layout.Bob])
        {
            var end = node == layout.Alice ? LinkEnd.Alice : LinkEnd.Bob;
            using var master = MasterKey.FromFile(node.MasterKeyFile);
            using var store = KeyStore.Open(node.StoreFolder, end, master);
            using var pool = AuthenticationPool.Open(node.AuthenticationFolder, end);
            pool.Status.PreSharedSendBits.ShouldBe(AuthenticationPool.MinimumPreSharedBits / 2);
            File.Exists(node.AuthorityCertificate).ShouldBeTrue();
        }

        File.ReadAllBytes(layout.Alice.MasterKeyFile).ShouldNotBe(File.ReadAllBytes(layout.Bob.MasterKeyFile));
    }

    [Fact]
    public void Run_again_it_changes_nothing_and_with_another_application_adds_only_that()
    {
        using var files = new TempFolder();
        var layout = new BenchLayout(files["bench"]);
        var first = BenchAuthority.Initialise(layout, Small);
        first.Kept.ShouldBeEmpty();
        var before = Contents(files["bench"]);
        var second = BenchAuthority.Initialise(layout, Small);
        second.Created.ShouldBeEmpty();
        second.Kept.Order().ShouldBe(first.Created.Order());
        Contents(files["bench"]).ShouldBe(before);

        var third = BenchAuthority.Initialise(layout, Small with { SaeIds = ["sae-alice", "sae-bob", "sae-carol"] });
        third.Created.Order().ShouldBe(((string[])[layout.ClientCertificate("sae-carol"), layout.ClientKey("sae-carol")]).Order());
        using var authority = BenchAuthority.LoadAuthority(layout.AuthorityCertificate);
        using var carol = BenchAuthority.LoadCertificate(layout.ClientCertificate("sae-carol"), layout.ClientKey("sae-carol"));
        IsTrusted(carol, authority).ShouldBeTrue();
    }

    [Theory]
    [InlineData("alice/preshared.key")]
    [InlineData("bob/preshared.key")]
    [InlineData("authority/ca.key")]
    [InlineData("sae/sae-bob.pem")]
    [InlineData("alice/kme.key")]
    public void Half_of_what_belongs_together_is_refused_by_name_and_nothing_is_overwritten(string missing)
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        File.Delete(Path.Combine(layout.Folder, missing));
        var before = Contents(files["bench"]);
        Should.Throw<KeyStoreException>(() => BenchAuthority.Initialise(layout, Small)).Message.ShouldContain(Path.GetFileName(missing));
        Contents(files["bench"]).ShouldBe(before);
    }

    [Fact]
    public void With_the_authority_kept_elsewhere_nothing_new_is_signed()
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        Directory.Delete(layout.AuthorityFolder, recursive: true);
        BenchAuthority.Initialise(layout, Small).Created.ShouldBeEmpty();
        File.Exists(layout.AuthorityCertificate).ShouldBeFalse();
        Should.Throw<KeyStoreException>(() => BenchAuthority.Initialise(layout, Small with { SaeIds = ["sae-carol"] })).Message.ShouldContain("authority");
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("ca")]
    [InlineData("sixty-five-characters-sixty-five-characters-sixty-five-characters")]
    public void An_id_that_cannot_name_a_file_is_refused_before_anything_is_made(string saeId)
    {
        using var files = new TempFolder();
        Should.Throw<KeyStoreException>(() => BenchAuthority.Initialise(new BenchLayout(files["bench"]), Small with { SaeIds = [saeId] }));
        Directory.Exists(files["bench"]).ShouldBeFalse();
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void Secrets_are_their_owners_alone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "No modes there.");
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        foreach (var file in Directory.EnumerateFiles(layout.Folder, "*.key", SearchOption.AllDirectories))
        {
            File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite, file);
        }

        foreach (var folder in Directory.EnumerateDirectories(layout.Folder, "*", SearchOption.AllDirectories).Append(layout.Folder))
        {
            (File.GetUnixFileMode(folder) & (UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite)).ShouldBe(UnixFileMode.None, folder);
        }

        File.SetUnixFileMode(layout.Alice.ServerKey, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        Should.Throw<KeyStoreException>(() => BenchAuthority.LoadCertificate(layout.Alice.ServerCertificate, layout.Alice.ServerKey)).Message.ShouldContain("0600");
    }

    [Fact]
    public void Files_that_do_not_belong_together_or_are_missing_are_named()
    {
        using var files = new TempFolder();
        var layout = Make(files["bench"]);
        Should.Throw<KeyStoreException>(() => BenchAuthority.LoadCertificate(layout.Alice.ServerCertificate, layout.Bob.ServerKey)).Message.ShouldContain("kme.pem");
        Should.Throw<KeyStoreException>(() => BenchAuthority.LoadCertificate(files["none.pem"], layout.Bob.ServerKey)).Message.ShouldContain("none.pem");
        Should.Throw<KeyStoreException>(() => BenchAuthority.LoadAuthority(files["none.pem"])).Message.ShouldContain("none.pem");
    }

    private static BenchLayout Make(string folder)
    {
        var layout = new BenchLayout(folder);
        BenchAuthority.Initialise(layout, Small);
        return layout;
    }

    private static (string Certificate, string Key)[] Pairs(BenchLayout layout) =>
    [
        (layout.Alice.ServerCertificate, layout.Alice.ServerKey),
        (layout.Bob.ServerCertificate, layout.Bob.ServerKey),
        (layout.ClientCertificate("sae-alice"), layout.ClientKey("sae-alice")),
        (layout.ClientCertificate("sae-bob"), layout.ClientKey("sae-bob")),
    ];

    private static bool IsTrusted(X509Certificate2 certificate, X509Certificate2 authority)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }

    private static string[] Usages(X509Certificate2 certificate) =>
        [.. certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<System.Security.Cryptography.Oid>().Select(usage => usage.Value!)];

    private static Dictionary<string, string> Contents(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(file => file, file => Convert.ToHexString(File.ReadAllBytes(file)));
}
