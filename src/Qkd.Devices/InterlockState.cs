namespace Qkd.Devices;

/// <summary>Reasons for which a light source must stay dark. Several may hold at once.</summary>
[Flags]
public enum InterlockState
{
    /// <summary>Nothing stands against emission.</summary>
    Closed = 0,

    /// <summary>The key switch is off.</summary>
    KeySwitchOff = 1,

    /// <summary>The remote interlock loop is open.</summary>
    LoopOpen = 2,

    /// <summary>The laser's temperature is outside its window.</summary>
    TemperatureOutOfRange = 4,

    /// <summary>The emission lease has lapsed: the host did not renew it in time.</summary>
    LeaseLapsed = 8,

    /// <summary>The instrument reports a fault of its own.</summary>
    Fault = 16,
}
