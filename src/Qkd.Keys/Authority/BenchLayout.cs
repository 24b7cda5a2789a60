using Qkd.Distillation;

namespace Qkd.Keys;

/// <summary>Where the secrets and certificates of one node lie.</summary>
/// <param name="folder">The node's folder.</param>
public sealed class NodeKeyFolder(string folder)
{
    /// <summary>The folder.</summary>
    public string Folder { get; } = Path.GetFullPath(folder);

    /// <summary>The key that wraps the key store: <c>master.key</c>.</summary>
    public string MasterKeyFile => Path.Combine(Folder, "master.key");

    /// <summary>Folder of the authentication pool, which holds <c>preshared.key</c>: the node's own.</summary>
    public string AuthenticationFolder => Folder;

    /// <summary>Folder of the key store: <c>store</c>.</summary>
    public string StoreFolder => Path.Combine(Folder, "store");

    /// <summary>Certificate of the key management entity's server: <c>kme.pem</c>.</summary>
    public string ServerCertificate => Path.Combine(Folder, "kme.pem");

    /// <summary>Its private key: <c>kme.key</c>.</summary>
    public string ServerKey => Path.Combine(Folder, "kme.key");

    /// <summary>Certificate of the authority that signs the callers' certificates: <c>ca.pem</c>.</summary>
    public string AuthorityCertificate => Path.Combine(Folder, "ca.pem");
}

/// <summary>Where <c>qkd init</c> puts what it makes.</summary>
/// <param name="folder">The bench's data folder.</param>
/// <param name="alice">Alice's folder; <c>alice</c> in the data folder if null.</param>
/// <param name="bob">Bob's folder; <c>bob</c> in the data folder if null.</param>
public sealed class BenchLayout(string folder, string? alice = null, string? bob = null)
{
    /// <summary>The bench's data folder.</summary>
    public string Folder { get; } = Path.GetFullPath(folder);

    /// <summary>Alice's folder.</summary>
    public NodeKeyFolder Alice { get; } = new(alice ?? Path.Combine(folder, "alice"));

    /// <summary>Bob's folder. Carry it to Bob's machine by hand if that is another one.</summary>
    public NodeKeyFolder Bob { get; } = new(bob ?? Path.Combine(folder, "bob"));

    /// <summary>Folder of the certificate authority. Needed only to sign further certificates: keep it off the nodes.</summary>
    public string AuthorityFolder => Path.Combine(Folder, "authority");

    /// <summary>The authority's certificate, <c>authority/ca.pem</c>; copies lie with every certificate it signed.</summary>
    public string AuthorityCertificate => Path.Combine(AuthorityFolder, "ca.pem");

    /// <summary>The authority's private key, <c>authority/ca.key</c>.</summary>
    public string AuthorityKey => Path.Combine(AuthorityFolder, "ca.key");

    /// <summary>Folder of the applications' certificates: <c>sae</c>.</summary>
    public string ClientFolder => Path.Combine(Folder, "sae");

    /// <summary>The folder of one end.</summary>
    public NodeKeyFolder Node(LinkEnd end) => end == LinkEnd.Alice ? Alice : Bob;

    /// <summary>Certificate of an application, <c>sae/ID.pem</c>.</summary>
    public string ClientCertificate(string saeId) => Path.Combine(ClientFolder, saeId + ".pem");

    /// <summary>Private key of an application, <c>sae/ID.key</c>.</summary>
    public string ClientKey(string saeId) => Path.Combine(ClientFolder, saeId + ".key");
}
