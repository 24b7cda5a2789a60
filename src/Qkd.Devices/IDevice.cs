namespace Qkd.Devices;

/// <summary>
/// An open instrument. It has been identified: the model (and the serial number, where one was asked for) is the one
/// expected. Disposing leads to the safe state: laser off, bias at zero, connection closed.
/// </summary>
public interface IDevice : IAsyncDisposable
{
    /// <summary>Name of the device in the configuration, used in every message about it.</summary>
    string Name { get; }

    /// <summary>The address the device was opened at, after any <c>sim:</c> name was resolved.</summary>
    DeviceAddress Address { get; }

    /// <summary>What the instrument answered about itself when it was opened.</summary>
    DeviceIdentity Identity { get; }

    /// <summary>Everything that can be read or set by name, with unit and limits. Fixed once the device is open.</summary>
    IReadOnlyList<IDeviceParameter> Parameters { get; }

    /// <summary>Health, interlock, overload and lost-connection events. Never completes before the device is disposed.</summary>
    IObservable<DeviceEvent> Events { get; }

    /// <summary>Reads every readable parameter now.</summary>
    /// <exception cref="DeviceException">The instrument did not answer, or not as its protocol says.</exception>
    ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken);
}

/// <summary>One quantity of an instrument, by name.</summary>
public interface IDeviceParameter
{
    /// <summary>Stable name in snake_case without a unit, e.g. <c>paddle_1_angle</c>.</summary>
    string Name { get; }

    /// <summary>Unit symbol: <c>deg</c>, <c>dB</c>, <c>uA</c>, <c>ms</c>, <c>ps</c>; empty for counts, flags and text.</summary>
    string Unit { get; }

    /// <summary>Lower limit as the instrument or its manual states it; null where there is none.</summary>
    double? Minimum { get; }

    /// <summary>Upper limit as the instrument or its manual states it; null where there is none.</summary>
    double? Maximum { get; }

    /// <summary>Whether <see cref="SetAsync"/> is supported.</summary>
    bool CanSet { get; }

    /// <summary>The last value read or set, with its time; null before the first.</summary>
    ParameterReading? Last { get; }

    /// <summary>Reads the value from the instrument. Values are <see cref="double"/>, <see cref="long"/>, <see cref="bool"/> or <see cref="string"/>.</summary>
    ValueTask<ParameterReading> GetAsync(CancellationToken cancellationToken);

    /// <summary>Sets the value.</summary>
    /// <exception cref="NotSupportedException"><see cref="CanSet"/> is false.</exception>
    /// <exception cref="SettingOutOfRangeException">The value is outside the limits.</exception>
    ValueTask SetAsync(object value, CancellationToken cancellationToken);
}

/// <summary>A value and when it was read.</summary>
public readonly record struct ParameterReading(object Value, DateTimeOffset Time);

/// <summary>One parameter in a snapshot.</summary>
public sealed record SnapshotEntry(string Name, string Unit, object? Value, double? Minimum, double? Maximum, DateTimeOffset Time);

/// <summary>All readable parameters of an instrument at one time.</summary>
public sealed record DeviceSnapshot(string Device, DeviceIdentity Identity, DateTimeOffset Time, IReadOnlyList<SnapshotEntry> Parameters);

/// <summary>Kinds of <see cref="DeviceEvent"/>.</summary>
public enum DeviceEventKind
{
    /// <summary>Working as it should; sent when a problem has ended.</summary>
    Healthy,

    /// <summary>Working, but something needs attention.</summary>
    Warning,

    /// <summary>The instrument reports a fault.</summary>
    Fault,

    /// <summary>An interlock opened or closed.</summary>
    Interlock,

    /// <summary>A detector or an input is overloaded, or data were lost.</summary>
    Overload,

    /// <summary>The connection is broken.</summary>
    Disconnected,
}

/// <summary>Something that happened to an instrument.</summary>
public sealed record DeviceEvent(string Device, DeviceEventKind Kind, string Detail, DateTimeOffset Time);
