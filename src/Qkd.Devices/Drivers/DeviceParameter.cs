using System.Globalization;

namespace Qkd.Devices.Drivers;

/// <summary>
/// A parameter made of two delegates. It checks limits before anything is sent, converts what a command line or a configuration
/// gives (text, any number) to its type, and remembers the last value with its time. Thread-safe if the delegates are.
/// </summary>
/// <typeparam name="T"><see cref="double"/>, <see cref="long"/>, <see cref="bool"/> or <see cref="string"/>.</typeparam>
public sealed class DeviceParameter<T> : IDeviceParameter
    where T : notnull
{
    private readonly DeviceBase _device;
    private readonly Func<CancellationToken, ValueTask<T>> _get;
    private readonly Func<T, CancellationToken, ValueTask>? _set;
    private volatile Reading? _last;

    internal DeviceParameter(
        DeviceBase device,
        string name,
        string unit,
        Func<CancellationToken, ValueTask<T>> get,
        Func<T, CancellationToken, ValueTask>? set,
        double? minimum,
        double? maximum)
    {
        if (typeof(T) != typeof(double) && typeof(T) != typeof(long) && typeof(T) != typeof(bool) && typeof(T) != typeof(string))
        {
            throw new NotSupportedException($"A parameter is double, long, bool or string, not {typeof(T)}.");
        }

        (_device, _get, _set) = (device, get, set);
        (Name, Unit, Minimum, Maximum) = (name, unit, minimum, maximum);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Unit { get; }

    /// <inheritdoc/>
    public double? Minimum { get; }

    /// <inheritdoc/>
    public double? Maximum { get; }

    /// <inheritdoc/>
    public bool CanSet => _set is not null;

    /// <inheritdoc/>
    public ParameterReading? Last => _last?.Value;

    /// <summary>Takes a value that the instrument told unasked, or in passing, as the last one.</summary>
    public void Note(T value) => _last = new(new(value, _device.Time.GetUtcNow()));

    /// <summary>Reads the value from the instrument.</summary>
    /// <exception cref="DeviceException">The instrument did not answer, or not as its protocol says.</exception>
    public async ValueTask<T> ReadAsync(CancellationToken cancellationToken)
    {
        var value = await _get(cancellationToken).ConfigureAwait(false);
        Note(value);
        return value;
    }

    /// <summary>Sets the value.</summary>
    /// <exception cref="NotSupportedException"><see cref="CanSet"/> is false.</exception>
    /// <exception cref="SettingOutOfRangeException">The value is outside the limits; nothing has been sent.</exception>
    public async ValueTask WriteAsync(T value, CancellationToken cancellationToken)
    {
        if (_set is null)
        {
            throw new NotSupportedException($"{_device.Name}: {Name} can only be read.");
        }

        if (value is double or long)
        {
            _device.RequireRange(Name, Convert.ToDouble(value, CultureInfo.InvariantCulture), Minimum, Maximum, Unit);
        }

        await _set(value, cancellationToken).ConfigureAwait(false);
        Note(value);
    }

    /// <inheritdoc/>
    public async ValueTask<ParameterReading> GetAsync(CancellationToken cancellationToken)
    {
        await ReadAsync(cancellationToken).ConfigureAwait(false);
        return Last!.Value;
    }

    /// <inheritdoc/>
    /// <exception cref="FormatException">The value cannot be read as the parameter's type.</exception>
    public ValueTask SetAsync(object value, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(value);
        try
        {
            return WriteAsync(
                value is T same ? same : (T)Convert.ChangeType(value, typeof(T), CultureInfo.InvariantCulture), cancellationToken);
        }
        catch (Exception problem) when (problem is InvalidCastException or FormatException or OverflowException)
        {
            throw new FormatException($"{_device.Name}: '{value}' is not a value of {Name} ({typeof(T).Name}).", problem);
        }
    }

    private sealed record Reading(ParameterReading Value);
}
