namespace Qkd.Sim.Firmware.Transport;

/// <summary>Checks of an emulator's settings.</summary>
internal static class Setting
{
    /// <exception cref="ArgumentException">The rule does not hold.</exception>
    public static void Require(bool holds, string setting, string rule)
    {
        if (!holds)
        {
            throw new ArgumentException($"{setting} must be {rule}.", setting);
        }
    }
}
