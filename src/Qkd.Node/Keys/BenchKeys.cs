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
        if (!Initialise(layout, tell))
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
        if (nodes.All(n => n.Node is null || IsEmulated(n.Node)))
        {
            Initialise(layout, tell);
            return;
        }

        foreach (var (node, end) in nodes)
        {
            var file = Path.Combine(layout.Node(end).AuthenticationFolder, AuthenticationPool.PreSharedName);
            if (node is not null && !File.Exists(file))
            {
                throw new ConfigurationException($"Bench:{end}:Keys:Folder", $"there is no pre-shared key {file}; 'qkd init' makes one for both sides");
            }
        }
    }

    /// <summary>Whether anything had to be made.</summary>
    private static bool Initialise(BenchLayout layout, Action<string> tell)
    {
        Directory.CreateDirectory(layout.Folder);

        // Several processes of one emulated bench may start at once: the first makes, the others wait for it and find.
        using var gate = Lock(Path.Combine(layout.Folder, LockFile));
        if (BenchAuthority.Initialise(layout, null).Created.Count == 0)
        {
            return false;
        }

        tell($"Pre-shared key, master keys and certificates were made in {layout.Folder}");
        tell($"Certificates for applications (curl --cert, --key): {layout.ClientFolder}");
        return true;
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
