using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.Reference.Transmitter;

/// <summary>
/// Opens transmitters that speak the protocol of <c>docs/devices/reference-transmitter.md</c>: a pulsed weak-coherent source and a polarization
/// and intensity modulator behind one socket.
/// </summary>
/// <param name="connect">Opens the wire; null for the real one.</param>
public sealed class ReferenceTransmitterDriver(ByteTransportFactory? connect = null) : IDeviceDriver
{
    private readonly ByteTransportFactory _connect = connect ?? ByteTransport.ConnectAsync;

    /// <inheritdoc/>
    public string Id => "reference.transmitter";

    /// <inheritdoc/>
    public string Description => "Reference transmitter: pulsed weak-coherent source with polarization and intensity modulator";

    /// <inheritdoc/>
    public IReadOnlyList<Type> Roles { get; } = [typeof(ISinglePhotonSource), typeof(IPolarizationModulator)];

    /// <inheritdoc/>
    public IReadOnlyList<string> AddressExamples { get; } = ["TCPIP0::10.0.0.5::5100::SOCKET", "tcp:10.0.0.5:5100"];

    /// <inheritdoc/>
    public async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        var options = new DriverOptions(request);
        var settings = ReferenceTransmitterSettings.Read(options);
        options.RefuseUnknown();
        if (request.Address.Kind != DeviceAddressKind.Tcp)
        {
            throw new FormatException($"{request.Name}: {request.Address} is not a TCP socket, e.g. {AddressExamples[0]}.");
        }

        var transport = await _connect(
            request.Address,
            new() { DeviceName = request.Name, ConnectTimeout = settings.ConnectTimeout, WriteTimeout = settings.Timeout, Time = request.Time },
            request.Transcript,
            "control",
            cancellationToken).ConfigureAwait(false);
        var device = new ReferenceTransmitter(request, settings, transport);
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
internal sealed record ReferenceTransmitterSettings
{
    public required string Model { get; init; }

    public required string SerialNumber { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    public required TimeSpan Timeout { get; init; }

    public static ReferenceTransmitterSettings Read(DriverOptions options) => new()
    {
        Model = options.Text("Model"),
        SerialNumber = options.Text("SerialNumber"),
        ConnectTimeout = options.Seconds("ConnectTimeoutSeconds", TimeSpan.FromSeconds(5)),
        Timeout = options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(1)),
    };
}
