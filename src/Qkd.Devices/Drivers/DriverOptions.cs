using System.Globalization;

namespace Qkd.Devices.Drivers;

/// <summary>
/// Reads a driver's options from a <see cref="DeviceOpenRequest"/>: by name without regard to case, checked for form and range,
/// and, at the end, for keys that nobody asked for. Every error is a <see cref="FormatException"/> that names the device and the option.
/// </summary>
public sealed class DriverOptions
{
    private readonly string _device;
    private readonly Dictionary<string, string> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly SortedSet<string> _known = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Takes the options of a request.</summary>
    /// <exception cref="FormatException">Two keys differ in case only.</exception>
    public DriverOptions(DeviceOpenRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        _device = request.Name;
        foreach (var (key, value) in request.Options)
        {
            if (!_values.TryAdd(key, value))
            {
                throw Wrong(key, "is given twice");
            }
        }
    }

    /// <summary>Text; <paramref name="fallback"/> where the option is absent.</summary>
    public string Text(string key, string fallback = "") => Find(key) ?? fallback;

    /// <summary>A number within closed limits; <paramref name="fallback"/> where the option is absent.</summary>
    /// <exception cref="FormatException">Not a number in invariant notation, or outside the limits.</exception>
    public double Number(string key, double fallback, double minimum, double maximum)
    {
        if (Find(key) is not { } text)
        {
            return fallback;
        }

        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
        {
            throw Wrong(key, $"'{text}' is not a number");
        }

        return value >= minimum && value <= maximum
            ? value
            : throw Wrong(key, FormattableString.Invariant($"{text} is outside {minimum} to {maximum}"));
    }

    /// <summary>A whole number within closed limits; <paramref name="fallback"/> where the option is absent.</summary>
    /// <exception cref="FormatException">Not a whole number, or outside the limits.</exception>
    public int Integer(string key, int fallback, int minimum, int maximum)
    {
        if (Find(key) is not { } text)
        {
            return fallback;
        }

        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            throw Wrong(key, $"'{text}' is not a whole number");
        }

        return value >= minimum && value <= maximum
            ? value
            : throw Wrong(key, FormattableString.Invariant($"{text} is outside {minimum} to {maximum}"));
    }

    /// <summary><c>true</c> or <c>false</c>; <paramref name="fallback"/> where the option is absent.</summary>
    /// <exception cref="FormatException">Neither.</exception>
    public bool Flag(string key, bool fallback) =>
        Find(key) is not { } text
            ? fallback
            : bool.TryParse(text, out var value) ? value : throw Wrong(key, $"'{text}' is neither true nor false");

    /// <summary>A length of time in seconds, more than zero and at most an hour; <paramref name="fallback"/> where the option is absent.</summary>
    /// <exception cref="FormatException">Not a number, or outside the limits.</exception>
    public TimeSpan Seconds(string key, TimeSpan fallback) =>
        TimeSpan.FromSeconds(Number(key, fallback.TotalSeconds, 0.001, 3600));

    /// <summary>A further address, e.g. <c>Endpoints:Counts</c>; null where the option is absent.</summary>
    /// <exception cref="FormatException">Not an address.</exception>
    public DeviceAddress? Address(string key) =>
        Find(key) is not { } text
            ? null
            : DeviceAddress.TryParse(text, out var address) ? address : throw Wrong(key, $"'{text}' is not a device address");

    /// <summary>Refuses every option that was not asked for by one of the other methods; called last.</summary>
    /// <exception cref="FormatException">There is one; the message lists those that are known.</exception>
    public void RefuseUnknown()
    {
        foreach (var key in _values.Keys)
        {
            if (!_known.Contains(key))
            {
                throw Wrong(key, $"is not known; known are {string.Join(", ", _known)}");
            }
        }
    }

    /// <summary>An error about an option, for checks of the driver's own.</summary>
    public FormatException Wrong(string key, string problem) => new($"{_device}: option {key} {problem}.");

    private string? Find(string key)
    {
        _known.Add(key);
        return _values.TryGetValue(key, out var text) ? text : null;
    }
}
