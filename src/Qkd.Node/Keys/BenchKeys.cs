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

    /// <summary>
    /// Whether any instrument of the nodes in this configuration is emulated. Key made with it is marked so: one real instrument among the emulated
    /// ones does not make it real key.
    /// </summary>
    public static bool IsEmulated(BenchOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new NodeOptions?[] { options.Alice, options.Bob }.Any(node => node is not null && node.Devices.Values.Any(IsEmulated));
    }

    /// <summary>Whether a node has instruments and all of them are emulated: only such a node may make its own secrets.</summary>
    public static bool IsWhollyEmulated(NodeOptions node)
    {
        ArgumentNullException.ThrowIfNull(node);
        return node.Devices.Count > 0 && node.Devices.Values.All(IsEmulated);
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
        if (nodes.All(n => n.Node is null || IsWhollyEmulated(n.Node)))
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

    private static bool IsEmulated(DeviceOptions device) => device.Address.StartsWith("sim:", StringComparison.OrdinalIgnoreCase);

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
