using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.Thorlabs.Mpc320;

/// <summary>Opens Thorlabs MPC320 three-paddle polarization controllers on their virtual serial port, or behind a terminal server on TCP.</summary>
/// <param name="connect">Opens the wire; null for the real one.</param>
public sealed class Mpc320Driver(ByteTransportFactory? connect = null) : IDeviceDriver
{
    private static readonly TimeSpan LineSettling = TimeSpan.FromMilliseconds(50);
    private readonly ByteTransportFactory _connect = connect ?? ByteTransport.ConnectAsync;

    /// <inheritdoc/>
    public string Id => "thorlabs.mpc320";

    /// <inheritdoc/>
    public string Description => "Thorlabs MPC320 motorised three-paddle polarization controller";

    /// <inheritdoc/>
    public IReadOnlyList<Type> Roles { get; } = [typeof(IPolarizationController)];

    /// <inheritdoc/>
    public IReadOnlyList<string> AddressExamples { get; } = ["ASRL/dev/ttyUSB0::INSTR", "ASRLCOM3::INSTR", "TCPIP0::10.0.0.5::4001::SOCKET"];

    /// <inheritdoc/>
    public async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        var options = new DriverOptions(request);
        var settings = Mpc320Settings.Read(options);
        options.RefuseUnknown();
        var transport = await _connect(
            request.Address,
            new()
            {
                DeviceName = request.Name,
                Serial = new() { BaudRate = 115200, Handshake = System.IO.Ports.Handshake.RequestToSend },
                ConnectTimeout = settings.ConnectTimeout,
                WriteTimeout = settings.Timeout,
                Time = request.Time,
            },
            request.Transcript,
            "control",
            cancellationToken).ConfigureAwait(false);
        try
        {
            if (request.Address.Kind == DeviceAddressKind.Serial)
            {
                // The maker's start-up of the USB bridge: request to send on, wait, flush, wait.
                await Task.Delay(LineSettling, request.Time, cancellationToken).ConfigureAwait(false);
                await transport.DiscardInputAsync(cancellationToken).ConfigureAwait(false);
                await Task.Delay(LineSettling, request.Time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            await transport.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        var device = new Mpc320Controller(request, settings, transport);
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
internal sealed record Mpc320Settings
{
    public required string SerialNumber { get; init; }

    public required IReadOnlyList<double> RetardanceWaves { get; init; }

    public required bool StatusUpdates { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan MoveTimeout { get; init; }

    public required TimeSpan HomeTimeout { get; init; }

    public static Mpc320Settings Read(DriverOptions options) => new()
    {
        SerialNumber = options.Text("SerialNumber"),
        RetardanceWaves =
        [
            options.Number("Paddle1RetardanceWaves", 0.25, 0, 10),
            options.Number("Paddle2RetardanceWaves", 0.5, 0, 10),
            options.Number("Paddle3RetardanceWaves", 0.25, 0, 10),
        ],
        StatusUpdates = options.Flag("StatusUpdates", true),
        ConnectTimeout = options.Seconds("ConnectTimeoutSeconds", TimeSpan.FromSeconds(5)),
        Timeout = options.Seconds("TimeoutSeconds", TimeSpan.FromSeconds(1)),
        MoveTimeout = options.Seconds("MoveTimeoutSeconds", TimeSpan.FromSeconds(10)),
        HomeTimeout = options.Seconds("HomeTimeoutSeconds", TimeSpan.FromSeconds(30)),
    };
}
