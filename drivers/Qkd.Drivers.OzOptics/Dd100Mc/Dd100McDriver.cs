using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.OzOptics.Dd100Mc;

/// <summary>Opens OZ Optics DD-100-MC motorised attenuators on a serial port, or behind a terminal server on TCP.</summary>
/// <param name="connect">Opens the wire; null for the real one.</param>
public sealed class Dd100McDriver(ByteTransportFactory? connect = null) : IDeviceDriver
{
    private readonly ByteTransportFactory _connect = connect ?? ByteTransport.ConnectAsync;

    /// <inheritdoc/>
    public string Id => "ozoptics.dd100mc";

    /// <inheritdoc/>
    public string Description => "OZ Optics DD-100-MC motorised variable attenuator";

    /// <inheritdoc/>
    public IReadOnlyList<Type> Roles { get; } = [typeof(IAttenuator)];

    /// <inheritdoc/>
    public IReadOnlyList<string> AddressExamples { get; } = ["ASRL/dev/ttyUSB0::INSTR", "ASRLCOM3::INSTR", "TCPIP0::10.0.0.5::4001::SOCKET"];

    /// <inheritdoc/>
    public async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        var options = new DriverOptions(request);
        var settings = Dd100McSettings.Read(options);
        options.RefuseUnknown();
        var transport = await _connect(
            request.Address,
            new()
            {
                DeviceName = request.Name,
                Serial = new() { BaudRate = settings.BaudRate },
                ConnectTimeout = settings.ConnectTimeout,
                WriteTimeout = settings.Timeout,
                Time = request.Time,
            },
            request.Transcript,
            "control",
            cancellationToken).ConfigureAwait(false);
        var device = new Dd100McAttenuator(request, settings, transport);
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
internal sealed record Dd100McSettings
{
    public required int BaudRate { get; init; }

    public required double MinimumDecibels { get; init; }

    public required double MaximumDecibels { get; init; }

    public required double ToleranceDecibels { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan MoveTimeout { get; init; }

    public required TimeSpan HomeTimeout { get; init; }

    public static Dd100McSettings Read(DriverOptions options)
    {
        var settings = new Dd100McSettings
        {
            BaudRate = options.Integer("BaudRate", 9600, 300, 1_000_000),
            MinimumDecibels = options.Number("MinimumDecibels", 0, 0, 100),
            MaximumDecibels = options.Number("MaximumDecibels", 60, 0, 100),
            ToleranceDecibels = options.Number("ToleranceDecibels", 0.1, 0.01, 10),
            ConnectTimeout = options.Seconds("ConnectTimeoutSeconds", TimeSpan.FromSeconds(5)),
            Timeout = options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(2)),
            MoveTimeout = options.Seconds("MoveTimeoutSeconds", TimeSpan.FromSeconds(30)),
            HomeTimeout = options.Seconds("HomeTimeoutSeconds", TimeSpan.FromSeconds(35)),
        };
        return settings.MinimumDecibels < settings.MaximumDecibels
            ? settings
            : throw options.Wrong("MinimumDecibels", "is not below MaximumDecibels");
    }
}
