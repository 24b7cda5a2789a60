namespace Qkd.Devices;

/// <summary>What an instrument answered about itself when it was opened.</summary>
/// <param name="Vendor">Maker, as the instrument or its protocol names it.</param>
/// <param name="Model">Model designation, e.g. <c>MPC320</c>.</param>
/// <param name="SerialNumber">Serial number; empty where the instrument has none to tell.</param>
/// <param name="FirmwareVersion">Firmware version; empty where the instrument has none to tell.</param>
public sealed record DeviceIdentity(string Vendor, string Model, string SerialNumber, string FirmwareVersion)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Vendor} {Model}"
        + (SerialNumber.Length > 0 ? $" s/n {SerialNumber}" : "")
        + (FirmwareVersion.Length > 0 ? $" fw {FirmwareVersion}" : "");
}
