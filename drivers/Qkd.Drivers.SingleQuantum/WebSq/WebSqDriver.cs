using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>Opens Single Quantum detector drivers that speak the classic WebSQ protocol: control on one TCP port, counts on another.</summary>
/// <param name="connect">Opens the wires; null for the real ones.</param>
public sealed class WebSqDriver(ByteTransportFactory? connect = null) : IDeviceDriver
{
    private readonly ByteTransportFactory _connect = connect ?? ByteTransport.ConnectAsync;

    /// <inheritdoc/>
    public string Id => "singlequantum.websq";

    /// <inheritdoc/>
    public string Description => "Single Quantum WebSQ driver of superconducting nanowire single-photon detectors";

    /// <inheritdoc/>
    public IReadOnlyList<Type> Roles { get; } = [typeof(ISinglePhotonDetector)];

    /// <inheritdoc/>
    public IReadOnlyList<string> AddressExamples { get; } = ["TCPIP0::10.0.0.5::12000::SOCKET", "tcp:10.0.0.5:12000"];

    /// <inheritdoc/>
    public async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        var options = new DriverOptions(request);
        var settings = WebSqSettings.Read(options, request.Address);
        options.RefuseUnknown();
        if (request.Address.Kind != DeviceAddressKind.Tcp)
        {
            throw new FormatException($"{request.Name}: {request.Address} is not a TCP address ({AddressExamples[0]}).");
        }

        var wire = new ByteTransportOptions
        {
            DeviceName = request.Name,
            ConnectTimeout = settings.ConnectTimeout,
            WriteTimeout = settings.Timeout,
            Time = request.Time,
        };
        var control = await _connect(request.Address, wire, request.Transcript, "control", cancellationToken).ConfigureAwait(false);
        var start = await WebSqStart.ReadAsync(request, settings, control, cancellationToken).ConfigureAwait(false);
        WebSqDetectors device;
        try
        {
            device = new(request, settings, start);
        }
        catch
        {
            await start.Connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        try
        {
            var counts = await _connect(settings.Counts, wire, request.Transcript, "counts", cancellationToken).ConfigureAwait(false);
            device.Listen(counts);
            if (settings.MeasurementPeriod is { } period)
            {
                await device.SetMeasurementPeriodAsync(period, cancellationToken).ConfigureAwait(false);
            }

            return device;
        }
        catch
        {
            await device.AbandonAsync().ConfigureAwait(false);
            throw;
        }
    }
}

/// <summary>Options of the driver, as the device's page lists them.</summary>
internal sealed record WebSqSettings
{
    public const int UsualCountsPort = 12345;

    public required DeviceAddress Counts { get; init; }

    public required double MaximumBiasMicroamperes { get; init; }

    public required double MaximumTriggerMillivolts { get; init; }

    public required double BiasToleranceMicroamperes { get; init; }

    public required double TriggerToleranceMillivolts { get; init; }

    public required bool KeepBiasOnClose { get; init; }

    public required TimeSpan? MeasurementPeriod { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan CountsTimeout { get; init; }

    public required TimeSpan CalibrationTimeout { get; init; }

    public static WebSqSettings Read(DriverOptions options, DeviceAddress address)
    {
        var period = options.Number("MeasurementPeriodMilliseconds", 0, 0, 3_600_000);
        var settings = new WebSqSettings
        {
            Counts = options.Address("Endpoints:Counts")
                ?? (address.Kind == DeviceAddressKind.Tcp ? DeviceAddress.ForTcp(address.Host, UsualCountsPort) : address),
            MaximumBiasMicroamperes = options.Number("MaximumBiasMicroamperes", 50, 0.1, 1000),
            MaximumTriggerMillivolts = options.Number("MaximumTriggerMillivolts", 1000, 1, 10_000),
            BiasToleranceMicroamperes = options.Number("BiasToleranceMicroamperes", 0.2, 0.001, 10),
            TriggerToleranceMillivolts = options.Number("TriggerToleranceMillivolts", 2, 0.01, 100),
            KeepBiasOnClose = options.Flag("KeepBiasOnClose", false),
            MeasurementPeriod = period > 0 ? TimeSpan.FromMilliseconds(period) : null,
            ConnectTimeout = options.Seconds("ConnectTimeoutSeconds", TimeSpan.FromSeconds(5)),
            Timeout = options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(2)),
            CountsTimeout = options.Seconds("CountsTimeoutSeconds", TimeSpan.FromSeconds(10)),
            CalibrationTimeout = options.Seconds("CalibrationTimeoutSeconds", TimeSpan.FromMinutes(10)),
        };
        return address.Kind != DeviceAddressKind.Tcp || settings.Counts.Kind == DeviceAddressKind.Tcp
            ? settings
            : throw options.Wrong("Endpoints:Counts", $"'{settings.Counts}' is not a TCP address");
    }
}
