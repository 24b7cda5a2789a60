using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;
using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Status;
using Qkd.Transports;
using Qkd.Transports.Transcripts;

namespace Qkd.Node.Devices;

/// <summary>The open instruments of one node. Disposing leads each of them to its safe state.</summary>
public sealed class DeviceSet : IAsyncDisposable
{
    private static readonly TimeSpan AddressBookWait = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, IDevice> _devices = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<IDisposable> _owned = [];
    private readonly string _section;
    private readonly CancellationTokenSource _loss = new();
    private DeviceDisconnectedException? _lost;

    private DeviceSet(string section) => _section = section;

    /// <summary>The instruments, in the order in which they were opened.</summary>
    public IReadOnlyCollection<IDevice> Devices => _devices.Values;

    /// <summary>Opens all configured instruments side by side; if one fails, the others are closed again.</summary>
    /// <param name="node">Name of the node, for messages.</param>
    /// <param name="section">Path of the node's section, e.g. <c>Bench:Alice</c>.</param>
    /// <param name="options">The instruments.</param>
    /// <param name="catalog">The drivers.</param>
    /// <param name="book">Where <c>sim:</c> names are looked up.</param>
    /// <param name="monitor">Is told of each instrument and its events.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Log.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceException">An instrument cannot be opened.</exception>
    /// <exception cref="ConfigurationException">Unknown driver, bad address or option.</exception>
    public static async Task<DeviceSet> OpenAsync(
        string node,
        string section,
        IReadOnlyDictionary<string, DeviceOptions> options,
        DriverCatalog catalog,
        AddressBook book,
        NodeMonitor monitor,
        TimeProvider time,
        ILogger logger,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        var set = new DeviceSet(section);
        foreach (var twice in options.Keys.GroupBy(name => name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1))
        {
            throw new ConfigurationException($"{section}:Devices:{twice.Last()}", $"two devices are called '{twice.Key}'; case makes no difference");
        }

        var opening = options.Select(pair => set.OpenOneAsync(pair.Key, pair.Value, catalog, book, monitor, time, cancellationToken)).ToArray();
        try
        {
            await Task.WhenAll(opening);
        }
        catch
        {
            await set.CloseAsync(opening.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result));
            throw;
        }

        foreach (var (name, device) in options.Keys.Zip(opening.Select(task => task.Result)))
        {
            set._devices.Add(name, device);
            monitor.DeviceChanged(new(
                name, options[name].Driver, device.Address.Text, device.Identity, DeviceEventKind.Healthy, "open", time.GetUtcNow()));
            set._owned.Add(device.Events.Subscribe(monitor.DeviceReported));
            set._owned.Add(device.Events.Subscribe(reported => set.Note(reported, device.Address.Text)));
            Log.DeviceOpened(logger, node, name, device.Identity.ToString(), device.Address.Text);
        }

        return set;
    }

    /// <summary>The instrument that plays a role.</summary>
    /// <exception cref="ConfigurationException">There is no such device, or it cannot play the role.</exception>
    public TRole Role<TRole>(string role, string device)
        where TRole : IDevice
    {
        var path = $"{_section}:Roles:{role}";
        return _devices.GetValueOrDefault(device) switch
        {
            null => throw new ConfigurationException(path, $"there is no device '{device}'; there are {string.Join(", ", _devices.Keys)}"),
            TRole fits => fits,
            var other => throw new ConfigurationException(path, $"the device '{device}' ({other.Identity.Model}) is no {typeof(TRole).Name[1..]}"),
        };
    }

    /// <summary>
    /// Does something for which all instruments are needed, also those that nobody asks anything meanwhile: without the attenuator nobody knows how bright
    /// the light is.
    /// </summary>
    /// <param name="work">Is cancelled when an instrument's connection is lost.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="DeviceDisconnectedException">An instrument was lost, and the work has ended.</exception>
    public async Task UseAsync(Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(work);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _loss.Token);
        try
        {
            await work(either.Token);
        }
        catch (OperationCanceledException) when (Volatile.Read(ref _lost) is { } lost && !cancellationToken.IsCancellationRequested)
        {
            throw lost;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (await CloseAsync(_devices.Values) is { } problem)
        {
            ExceptionDispatchInfo.Throw(problem);
        }
    }

    private void Note(DeviceEvent reported, string address)
    {
        // Not on the thread that reads the instrument's messages.
        if (reported.Kind == DeviceEventKind.Disconnected
            && Interlocked.CompareExchange(ref _lost, new(reported.Device, address, reported.Detail), null) is null)
        {
            _ = _loss.CancelAsync();
        }
    }

    /// <summary>Closes each, whatever happens to the others: one that fails must not leave another's laser on. Returns the first problem.</summary>
    private async ValueTask<Exception?> CloseAsync(IEnumerable<IDevice> devices)
    {
        Exception? first = null;
        foreach (var device in devices)
        {
            try
            {
                await device.DisposeAsync();
            }
            catch (Exception e)
            {
                first ??= e;
            }
        }

        foreach (var owned in _owned)
        {
            owned.Dispose();
        }

        _owned.Clear();
        return first;
    }

    private async Task<IDevice> OpenOneAsync(
        string name, DeviceOptions options, DriverCatalog catalog, AddressBook book, NodeMonitor monitor, TimeProvider time, CancellationToken cancellationToken)
    {
        var path = $"{_section}:Devices:{name}";
        var driver = catalog.Find(options.Driver) ?? throw new ConfigurationException(
            $"{path}:Driver", $"there is no driver '{options.Driver}'; there are {string.Join(", ", catalog.Drivers.Select(d => d.Id))}");
        if (!DeviceAddress.TryParse(options.Address, out var address))
        {
            throw new ConfigurationException($"{path}:Address", $"'{options.Address}' is not a device address, e.g. {string.Join(" or ", driver.AddressExamples)}");
        }

        IWireTranscript? transcript = null;
        if (options.Transcript.Length > 0)
        {
            var writer = OpenTranscript($"{path}:Transcript", options.Transcript, time);
            lock (_owned)
            {
                _owned.Add(writer);
            }

            transcript = writer;
        }

        try
        {
            var request = new DeviceOpenRequest { Name = name, Address = address, Options = options.Options, Time = time, Transcript = transcript };
            if (address.Kind == DeviceAddressKind.Simulated && !book.Has(address.Name))
            {
                monitor.StateChanged(SessionState.Disconnected, $"waiting for {address.Text}, which is not in {book.Path} yet");
            }

            return await driver.OpenAsync(await book.ResolveAsync(request, driver.Id, AddressBookWait, cancellationToken), cancellationToken);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(path, e.Message, e);
        }
    }

    private static TranscriptWriter OpenTranscript(string path, string file, TimeProvider time)
    {
        try
        {
            return new(file, time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(path, $"the transcript cannot be written to {file}: {e.Message}", e);
        }
    }
}
