using System.Text.Json;
using Qkd.Devices;

namespace Qkd.Transports;

/// <summary>Where one emulated instrument is.</summary>
/// <param name="Name">The name behind <c>sim:</c>.</param>
/// <param name="Driver">Id of the driver that speaks to it.</param>
/// <param name="Address">Its address.</param>
/// <param name="Endpoints">Its further addresses by name.</param>
/// <param name="Options">Driver options that belong to this instrument.</param>
public sealed record AddressBookEntry(
    string Name,
    string Driver,
    DeviceAddress Address,
    IReadOnlyDictionary<string, string> Endpoints,
    IReadOnlyDictionary<string, string> Options);

/// <summary>
/// Turns <c>sim:NAME</c> into a real address. The book is a JSON file that whoever serves emulated instruments writes, atomically;
/// a client waits for it, so that the two can be started in any order.
/// </summary>
/// <remarks>
/// <code>{"instruments":{"detectors":{"driver":"singlequantum.websq","address":"TCPIP0::127.0.0.1::4001::SOCKET",
/// "endpoints":{"Counts":"TCPIP0::127.0.0.1::4002::SOCKET"},"options":{}}}}</code>
/// </remarks>
public sealed class AddressBook
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private readonly TimeProvider _time;

    /// <summary>Refers to a book that need not exist yet.</summary>
    /// <param name="path">The file, or the folder in which it is as <c>instruments.json</c>.</param>
    /// <param name="time">Clock of the waiting; null for the system's.</param>
    public AddressBook(string path, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        Path = path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? path : System.IO.Path.Combine(path, "instruments.json");
        _time = time ?? TimeProvider.System;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Reads all entries; none if there is no file that can be read yet.</summary>
    /// <exception cref="FormatException">The file is not an address book; the message names the file and what is wrong.</exception>
    public IReadOnlyList<AddressBookEntry> Read()
    {
        string text;
        try
        {
            text = File.ReadAllText(Path);
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            // Not there yet, or just being replaced.
            return [];
        }

        try
        {
            var book = JsonSerializer.Deserialize<BookJson>(text, JsonSerializerOptions.Web);
            return [.. (book?.Instruments ?? throw new FormatException("it has no 'instruments'")).Select(pair => ToEntry(pair.Key, pair.Value))];
        }
        catch (Exception problem) when (problem is JsonException or FormatException)
        {
            throw new FormatException($"{Path} is not an address book of emulated instruments: {problem.Message}", problem);
        }
    }

    /// <summary>Whether the book has an entry of that name now.</summary>
    /// <param name="name">Name without <c>sim:</c>, compared without regard to case.</param>
    /// <exception cref="FormatException">The file is not an address book.</exception>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>Waits until the book has an entry of that name.</summary>
    /// <param name="name">Name without <c>sim:</c>, compared without regard to case.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceTimeoutException">It did not appear.</exception>
    /// <exception cref="FormatException">The file is not an address book.</exception>
    public async ValueTask<AddressBookEntry> WaitForAsync(string name, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(timeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        while (true)
        {
            if (Find(name) is { } found)
            {
                return found;
            }

            try
            {
                await Task.Delay(Interval, _time, both.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException late) when (!cancellationToken.IsCancellationRequested)
            {
                throw new DeviceTimeoutException(name, $"sim:{name}", $"looking the instrument up in {Path}", timeout, late);
            }
        }
    }

    /// <summary>
    /// Makes a request ready for a driver: a <c>sim:</c> address becomes the real one, the entry's further addresses become options
    /// <c>Endpoints:NAME</c>, and its options are added, where the request does not give them itself. Other requests pass unchanged.
    /// </summary>
    /// <param name="request">The request as configured.</param>
    /// <param name="driverId">The driver that is to open it; null to take any.</param>
    /// <param name="timeout">How long to wait for the entry.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="DeviceTimeoutException">No such entry appeared.</exception>
    /// <exception cref="WrongDeviceException">The entry is for another driver.</exception>
    /// <exception cref="FormatException">The file is not an address book.</exception>
    public async ValueTask<DeviceOpenRequest> ResolveAsync(
        DeviceOpenRequest request, string? driverId, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Address.Kind != DeviceAddressKind.Simulated)
        {
            return request;
        }

        var entry = await WaitForAsync(request.Address.Name, timeout, cancellationToken).ConfigureAwait(false);
        if (driverId is not null && !string.Equals(entry.Driver, driverId, StringComparison.OrdinalIgnoreCase))
        {
            throw new WrongDeviceException(
                request.Name, request.Address.Text, $"an instrument for {driverId}", $"one for {entry.Driver} in {Path}");
        }

        var options = new Dictionary<string, string>(request.Options, StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in entry.Options)
        {
            options.TryAdd(key, value);
        }

        foreach (var (key, value) in entry.Endpoints)
        {
            options.TryAdd($"Endpoints:{key}", value);
        }

        return request with { Address = entry.Address, Options = options };
    }

    private AddressBookEntry? Find(string name) => Read().FirstOrDefault(entry => string.Equals(entry.Name, name, StringComparison.OrdinalIgnoreCase));

    private static AddressBookEntry ToEntry(string name, EntryJson entry) => new(
        name,
        entry.Driver ?? throw new FormatException($"'{name}' has no 'driver'"),
        DeviceAddress.TryParse(entry.Address, out var address) && address.Kind != DeviceAddressKind.Simulated
            ? address
            : throw new FormatException($"'{name}' has '{entry.Address}' where its address should stand"),
        entry.Endpoints ?? [],
        entry.Options ?? []);

    private sealed record BookJson(Dictionary<string, EntryJson>? Instruments);

    private sealed record EntryJson(string? Driver, string? Address, Dictionary<string, string>? Endpoints, Dictionary<string, string>? Options);
}
