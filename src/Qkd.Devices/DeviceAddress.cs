using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Qkd.Devices;

/// <summary>The kinds of <see cref="DeviceAddress"/>.</summary>
public enum DeviceAddressKind
{
    /// <summary>A serial port: <c>ASRL/dev/ttyUSB0::INSTR</c>, <c>ASRLCOM3::INSTR</c>, <c>serial:/dev/ttyUSB0:baudrate=115200</c>.</summary>
    Serial,

    /// <summary>A TCP socket: <c>TCPIP0::10.0.0.5::5025::SOCKET</c>, <c>tcp:10.0.0.5:5025</c>.</summary>
    Tcp,

    /// <summary>A USB instrument by vendor, product and serial number: <c>USB0::0x1313::0x804F::M00295819::INSTR</c>.</summary>
    Usb,

    /// <summary>An emulated instrument by name, <c>sim:tagger</c>; an address book turns it into one of the others.</summary>
    Simulated,
}

/// <summary>
/// Where an instrument is. VISA-like strings and QMI's short forms are both understood; the text is kept as it was given.
/// </summary>
public sealed record DeviceAddress
{
    private DeviceAddress(string text, DeviceAddressKind kind) => (Text, Kind) = (text, kind);

    /// <summary>The address as it was given.</summary>
    public string Text { get; }

    /// <summary>Which kind of address this is.</summary>
    public DeviceAddressKind Kind { get; }

    /// <summary>Host name or IP address, for <see cref="DeviceAddressKind.Tcp"/>; otherwise empty.</summary>
    public string Host { get; private init; } = "";

    /// <summary>TCP port, for <see cref="DeviceAddressKind.Tcp"/>; otherwise 0.</summary>
    public int Port { get; private init; }

    /// <summary>Serial port name, e.g. <c>/dev/ttyUSB0</c> or <c>COM3</c>; or the name of a simulated instrument.</summary>
    public string Name { get; private init; } = "";

    /// <summary>Baud rate stated in the address; null to take the driver's default.</summary>
    public int? BaudRate { get; private init; }

    /// <summary>USB vendor id.</summary>
    public ushort VendorId { get; private init; }

    /// <summary>USB product id.</summary>
    public ushort ProductId { get; private init; }

    /// <summary>USB serial number; empty where any will do.</summary>
    public string SerialNumber { get; private init; } = "";

    /// <summary>The address of a TCP socket.</summary>
    public static DeviceAddress ForTcp(string host, int port) =>
        Parse(string.Create(CultureInfo.InvariantCulture, $"TCPIP0::{host}::{port}::SOCKET"));

    /// <summary>The address of a serial port.</summary>
    public static DeviceAddress ForSerial(string portName) => Parse($"ASRL{portName}::INSTR");

    /// <summary>Reads an address.</summary>
    /// <exception cref="FormatException">The text is of no known form; the message lists the forms.</exception>
    public static DeviceAddress Parse(string text) =>
        TryParse(text, out var address)
            ? address
            : throw new FormatException(
                $"'{text}' is not a device address. Known forms: ASRL/dev/ttyUSB0::INSTR, TCPIP0::10.0.0.5::5025::SOCKET, "
                + "USB0::0x1313::0x804F::M00295819::INSTR, serial:/dev/ttyUSB0:baudrate=115200, tcp:10.0.0.5:5025, sim:NAME.");

    /// <summary>Reads an address; false if the text is of no known form.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out DeviceAddress? address)
    {
        address = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            return false;
        }

        text = text.Trim();
        address = text switch
        {
            _ when Starts(text, "sim:") && text.Length > 4 => new(text, DeviceAddressKind.Simulated) { Name = text[4..] },
            _ when Starts(text, "ASRL") && EndsWith(text, "::INSTR") && text.Length > 11 => VisaSerial(text),
            _ when Starts(text, "serial:") => QmiSerial(text),
            _ when Starts(text, "TCPIP") && EndsWith(text, "::SOCKET") => VisaTcp(text),
            _ when Starts(text, "tcp:") => QmiTcp(text),
            _ when Starts(text, "USB") && EndsWith(text, "::INSTR") => VisaUsb(text),
            _ => null,
        };
        return address is not null;
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static bool Starts(string text, string prefix) => text.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);

    private static bool EndsWith(string text, string suffix) => text.EndsWith(suffix, StringComparison.OrdinalIgnoreCase);

    private static DeviceAddress VisaSerial(string text)
    {
        var name = text[4..^7];
        // VISA numbers the ports: ASRL3::INSTR is COM3.
        return new(text, DeviceAddressKind.Serial) { Name = int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? $"COM{n}" : name };
    }

    private static DeviceAddress? QmiSerial(string text)
    {
        var parts = text["serial:".Length..].Split(':');
        int? baud = null;
        foreach (var option in parts.Skip(1))
        {
            if (!Starts(option, "baudrate=") || !int.TryParse(option["baudrate=".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var rate) || rate <= 0)
            {
                return null;
            }

            baud = rate;
        }

        return parts[0].Length == 0 ? null : new(text, DeviceAddressKind.Serial) { Name = parts[0], BaudRate = baud };
    }

    private static DeviceAddress? VisaTcp(string text)
    {
        var parts = text.Split("::");
        return parts.Length == 4 && parts[1].Length > 0 && TryPort(parts[2], out var port)
            ? new(text, DeviceAddressKind.Tcp) { Host = parts[1], Port = port }
            : null;
    }

    private static DeviceAddress? QmiTcp(string text)
    {
        var rest = text["tcp:".Length..];
        var colon = rest.LastIndexOf(':');
        return colon > 0 && TryPort(rest[(colon + 1)..], out var port)
            ? new(text, DeviceAddressKind.Tcp) { Host = rest[..colon].Trim('[', ']'), Port = port }
            : null;
    }

    private static DeviceAddress? VisaUsb(string text)
    {
        var parts = text.Split("::");
        return parts.Length is 4 or 5 && TryId(parts[1], out var vendor) && TryId(parts[2], out var product)
            ? new(text, DeviceAddressKind.Usb) { VendorId = vendor, ProductId = product, SerialNumber = parts.Length == 5 ? parts[3] : "" }
            : null;
    }

    private static bool TryPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and < 65536;

    private static bool TryId(string text, out ushort id) =>
        Starts(text, "0x")
            ? ushort.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out id)
            : ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id);
}
