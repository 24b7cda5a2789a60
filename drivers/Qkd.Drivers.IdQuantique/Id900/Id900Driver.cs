using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports.Zmq;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>
/// Opens ID Quantique ID900 and ID1000 time controllers. Settings go to the instrument itself; the timestamps come from the vendor's
/// DataLinkTargetService, which runs on a computer beside it.
/// </summary>
public sealed class Id900Driver : IDeviceDriver
{
    /// <inheritdoc/>
    public string Id => "idquantique.id900";

    /// <inheritdoc/>
    public string Description => "ID Quantique ID900 or ID1000 time controller";

    /// <inheritdoc/>
    public IReadOnlyList<Type> Roles { get; } = [typeof(ITimeTagger)];

    /// <inheritdoc/>
    public IReadOnlyList<string> AddressExamples { get; } = ["TCPIP0::10.0.0.5::5555::SOCKET", "tcp:10.0.0.5:5555"];

    /// <inheritdoc/>
    public async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        var options = new DriverOptions(request);
        var settings = Id900Settings.Read(options, request.Address);
        options.RefuseUnknown();
        var transport = await ZmqRequestTransport.ConnectAsync(
            request.Address, settings.Zmq(request), request.Transcript, "control", cancellationToken).ConfigureAwait(false);
        var device = new Id900TimeController(request, settings, transport);
        try
        {
            await device.IdentifyAsync(cancellationToken).ConfigureAwait(false);
            return device;
        }
        catch
        {
            await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}

/// <summary>Options of the driver, as the device's page lists them.</summary>
internal sealed record Id900Settings
{
    public required string SerialNumber { get; init; }

    public required DeviceAddress StreamService { get; init; }

    public required int StreamPort { get; init; }

    public required string InstrumentAddress { get; init; }

    public required double ThresholdLimitVolts { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan StreamTimeout { get; init; }

    public static Id900Settings Read(DriverOptions options, DeviceAddress address)
    {
        var settings = new Id900Settings
        {
            SerialNumber = options.Text("SerialNumber"),
            StreamService = options.Address("Endpoints:Stream") ?? DeviceAddress.ForTcp("127.0.0.1", 6060),
            StreamPort = options.Integer("StreamPort", 4242, 1, ushort.MaxValue - 3),
            InstrumentAddress = options.Text("InstrumentAddress", address.Host),
            ThresholdLimitVolts = options.Number("ThresholdLimitVolts", 2, 0.1, 10),
            ConnectTimeout = options.Seconds("ConnectTimeoutSeconds", TimeSpan.FromSeconds(5)),
            Timeout = options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(2)),
            StreamTimeout = options.Seconds("StreamTimeoutSeconds", TimeSpan.FromSeconds(5)),
        };
        if (settings.StreamService.Kind != DeviceAddressKind.Tcp)
        {
            throw options.Wrong("Endpoints:Stream", $"'{settings.StreamService}' is not a TCP address");
        }

        return settings.InstrumentAddress.Any(char.IsWhiteSpace)
            ? throw options.Wrong("InstrumentAddress", $"'{settings.InstrumentAddress}' is not a host name or an IP address")
            : settings;
    }

    public ZmqOptions Zmq(DeviceOpenRequest request) =>
        new() { DeviceName = request.Name, ConnectTimeout = ConnectTimeout, Time = request.Time };
}
