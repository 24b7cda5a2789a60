namespace Qkd.Devices;

/// <summary>
/// An instrument failed, refused or could not be understood. The message always names the device and its address,
/// what was asked and what came back.
/// </summary>
public class DeviceException : Exception
{
    /// <summary>Creates the exception; the message is prefixed with the device's name and address.</summary>
    public DeviceException(string device, string address, string problem, Exception? inner = null)
        : base($"{device} ({address}): {problem}", inner)
    {
        Device = device;
        Address = address;
    }

    /// <summary>Name of the device in the configuration.</summary>
    public string Device { get; }

    /// <summary>Address the device was opened at.</summary>
    public string Address { get; }
}

/// <summary>No answer within the time allowed for the call.</summary>
public sealed class DeviceTimeoutException(string device, string address, string request, TimeSpan timeout, Exception? inner = null)
    : DeviceException(device, address, $"no answer to {request} within {timeout.TotalSeconds:0.###} s", inner);

/// <summary>The bytes that came back do not follow the instrument's protocol.</summary>
public sealed class DeviceProtocolException(string device, string address, string request, string received, Exception? inner = null)
    : DeviceException(device, address, $"unexpected answer to {request}: {received}", inner);

/// <summary>The connection is broken; the device must be opened again.</summary>
public sealed class DeviceDisconnectedException(string device, string address, string problem, Exception? inner = null)
    : DeviceException(device, address, $"connection lost: {problem}", inner)
{
    /// <summary>What happened to the connection, without device and address.</summary>
    public string Problem { get; } = problem;
}

/// <summary>Another model or another serial number answered than the one that was asked for.</summary>
public sealed class WrongDeviceException(string device, string address, string expected, string found)
    : DeviceException(device, address, $"wrong instrument: expected {expected}, found {found}");

/// <summary>The instrument itself reported an error in answer to a request.</summary>
public sealed class DeviceRefusedException(string device, string address, string request, string error)
    : DeviceException(device, address, $"refused {request}: {error}");

/// <summary>A safety interlock forbids what was asked.</summary>
public sealed class InterlockException(string device, string address, InterlockState state)
    : DeviceException(device, address, $"interlock open: {state}")
{
    /// <summary>The interlocks that are open.</summary>
    public InterlockState State { get; } = state;
}

/// <summary>A setting outside the limits that the instrument stated.</summary>
public sealed class SettingOutOfRangeException(string device, string address, string setting, double value, double minimum, double maximum, string unit)
    : DeviceException(device, address, FormattableString.Invariant($"{setting} {value} {unit} is outside {minimum} to {maximum} {unit}"))
{
    /// <summary>Name of the setting, with its unit in <see cref="DeviceException"/>'s message.</summary>
    public string Setting { get; } = setting;
}
