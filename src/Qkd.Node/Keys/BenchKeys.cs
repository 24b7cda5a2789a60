using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Node.Configuration;

namespace Qkd.Node.Keys;

/// <summary>The secrets and certificates that a bench needs before it can start.</summary>
public static class BenchKeys
{
    private const string LockFile = "init.lock";

    /// <summary>Where everything of a bench lies.</summary>
    public static BenchLayout Layout(BenchOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new BenchLayout(
            options.DataFolder,
            options.Alice is { } alice ? Folder(options, alice, LinkEnd.Alice) : null,
            options.Bob is { } bob ? Folder(options, bob, LinkEnd.Bob) : null);
    }

    /// <summary>Whether all instruments of a node are emulated.</summary>
    public static bool IsEmulated(NodeOptions node)
    {
        ArgumentNullException.ThrowIfNull(node);
        return node.Devices.Count > 0 && node.Devices.Values.All(device => device.Address.StartsWith("sim:", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Makes what is missing and says what was made. Never overwrites.</summary>
    /// <exception cref="KeyStoreException">Half of what belongs together is there.</exception>
    public static void Create(BenchOptions options, Action<string> tell)
    {
        ArgumentNullException.ThrowIfNull(tell);
        var layout = Layout(options);
        Directory.CreateDirectory(layout.Folder);

        // Several processes of one emulated bench may start at once: the first makes, the others find.
        using var gate = Lock(Path.Combine(layout.Folder, LockFile));
        var result = BenchAuthority.Initialise(layout, null);
        if (result.Created.Count > 0)
        {
            tell($"Pre-shared key, master keys and certificates were made in {layout.Folder}");
            tell($"Certificates for applications (curl --cert, --key): {layout.ClientFolder}");
        }
        else
        {
            tell($"Everything is there already in {layout.Folder}");
        }
    }

    /// <summary>
    /// Makes what is missing if every instrument is emulated; otherwise refuses to start without it, since key that protects real traffic is
    /// made and carried by people.
    /// </summary>
    /// <exception cref="ConfigurationException">A node with real instruments has no pre-shared key.</exception>
    public static void Ensure(BenchOptions options, Action<string> tell)
    {
        ArgumentNullException.ThrowIfNull(tell);
        var layout = Layout(options);
        var nodes = new (NodeOptions? Node, LinkEnd End)[] { (options.Alice, LinkEnd.Alice), (options.Bob, LinkEnd.Bob) };
        var missing = nodes.Where(n => n.Node is not null && !File.Exists(Path.Combine(layout.Node(n.End).AuthenticationFolder, AuthenticationPool.PreSharedName))).ToList();
        if (missing.Count == 0)
        {
            return;
        }

        if (nodes.All(n => n.Node is null || IsEmulated(n.Node)))
        {
            Create(options, tell);
            return;
        }

        throw new ConfigurationException(
            $"Bench:{missing[0].End}:Keys:Folder",
            $"there is no pre-shared key {Path.Combine(layout.Node(missing[0].End).AuthenticationFolder, AuthenticationPool.PreSharedName)}; 'qkd init' makes one for both sides");
    }

    private static string Folder(BenchOptions options, NodeOptions node, LinkEnd end) =>
        Path.GetFullPath(Path.Combine(options.DataFolder, node.Keys.Folder.Length > 0 ? node.Keys.Folder : end.ToString().ToLowerInvariant()));

    private static FileStream Lock(string path)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (attempt < 200)
            {
                Task.Delay(50).GetAwaiter().GetResult();
            }
        }
    }
}
