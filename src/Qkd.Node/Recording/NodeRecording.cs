using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Link.Recording;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Status;
using Qkd.Timing.Recording;

namespace Qkd.Node.Recording;

/// <summary>
/// The recordings of one node's sessions, a file each. Off unless the configuration asks for it: a recording holds raw key. Trouble with a file is an alarm and never
/// keeps key from being made.
/// </summary>
internal sealed class NodeRecording : IDisposable
{
    private static readonly JsonSerializerOptions Json = new()
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>What a driver's option that is called so holds stays out of a recording.</summary>
    private static readonly string[] SecretNames = ["password", "secret", "token", "credential", "key"];

    private readonly LinkEnd _end;
    private readonly NodeOptions _node;
    private readonly string _folder;
    private readonly string _configuration;
    private readonly RecordingKey _key;
    private readonly NodeMonitor _monitor;
    private readonly TimeProvider _time;
    private List<DeviceSnapshotEntry> _snapshots = [];

    private NodeRecording(BenchOptions bench, LinkEnd end, NodeOptions node, string folder, RecordingKey key, NodeMonitor monitor, TimeProvider time)
    {
        (_end, _node, _folder, _key, _monitor, _time) = (end, node, folder, key, monitor, time);
        _configuration = Describe(bench.Protocol, node);
    }

    /// <summary>Makes ready to record, if the configuration asks for it.</summary>
    /// <returns>Null if it does not.</returns>
    /// <exception cref="ConfigurationException">The key or the folder cannot be made or used.</exception>
    public static NodeRecording? Open(BenchOptions bench, LinkEnd end, NodeMonitor monitor, TimeProvider time)
    {
        NodeOptions node = end == LinkEnd.Alice ? bench.Alice! : bench.Bob!;
        var options = node.Recording;
        if (!options.Enabled)
        {
            return null;
        }

        var keyFile = options.KeyFile.Length > 0
            ? Path.Combine(bench.DataFolder, options.KeyFile)
            : Path.Combine(BenchKeys.Layout(bench).Node(end).Folder, RecordingKey.FileName);
        var folder = Path.GetFullPath(Path.Combine(bench.DataFolder, options.Directory));
        var key = Checked($"Bench:{end}:Recording:KeyFile", () => RecordingKey.OpenOrCreate(keyFile));
        try
        {
            Checked($"Bench:{end}:Recording:Directory", () =>
            {
                RecordingKey.EnsureFolder(folder);
                return folder;
            });
        }
        catch
        {
            key.Dispose();
            throw;
        }

        return new(bench, end, node, folder, key, monitor, time);
    }

    /// <summary>Asks the instruments once, when they have been opened: what they tell stands in every recording until they are opened anew.</summary>
    public async Task AskAsync(IEnumerable<IDevice> devices, CancellationToken cancellationToken)
    {
        var snapshots = new List<DeviceSnapshotEntry>();
        foreach (var device in devices)
        {
            try
            {
                snapshots.Add(new(JsonSerializer.Serialize(await device.SnapshotAsync(cancellationToken), Json)));
            }
            catch (Exception e) when (e is DeviceException or NotSupportedException or JsonException)
            {
                snapshots.Add(new(JsonSerializer.Serialize(new { Device = device.Name, Problem = e.Message }, Json)));
            }
        }

        _snapshots = snapshots;
    }

    /// <summary>Begins the recording of a session.</summary>
    /// <returns>Null if not even the file can be made: that is an alarm.</returns>
    public SessionRecorder? Begin(LinkAgreement agreement)
    {
        var now = _time.GetUtcNow();
        var file = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{_end.ToString().ToLowerInvariant()}-{now:yyyyMMdd'T'HHmmss.fff'Z'}.qkdrec"));
        Stream? stream = null;
        try
        {
            stream = RecordingKey.CreateFile(file);
            _monitor.RecordingBegan(file);
            var limits = new SessionRecorderLimits { FileBytes = _node.Recording.MaximumMegabytes * 1_000_000 };
            var recorder = new SessionRecorder(
                stream, _key.Bytes, SessionRecorder.Describe(_end, _node.Name, agreement, now), limits, reason => _monitor.RecordingBroke(file, reason));
            recorder.Add(new ConfigurationEntry(_configuration));
            foreach (var snapshot in _snapshots)
            {
                recorder.Add(snapshot);
            }

            return recorder;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            stream?.Dispose();
            _monitor.RecordingBroke(file, e.Message);
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _key.Dispose();

    /// <summary>The sections that a session follows from, options of drivers that may be secret blotted out.</summary>
    internal static string Describe(ProtocolOptions protocol, NodeOptions node)
    {
        var devices = node.Devices.ToDictionary(
            pair => pair.Key,
            pair => pair.Value with
            {
                Options = pair.Value.Options.ToDictionary(
                    option => option.Key,
                    option => SecretNames.Any(name => option.Key.Contains(name, StringComparison.OrdinalIgnoreCase)) ? "(left out)" : option.Value),
            });
        return JsonSerializer.Serialize<object>(new { Protocol = protocol, Node = (object)(node with { Devices = devices }) }, Json);
    }

    private static T Checked<T>(string path, Func<T> open)
    {
        try
        {
            return open();
        }
        catch (KeyStoreException e)
        {
            throw new ConfigurationException(path, e.Message, e);
        }
    }
}
