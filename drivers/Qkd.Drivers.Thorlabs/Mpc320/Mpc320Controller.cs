using System.Globalization;
using System.Numerics;
using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Drivers.Thorlabs.Apt;
using Qkd.Transports;

namespace Qkd.Drivers.Thorlabs.Mpc320;

/// <summary>
/// A Thorlabs MPC320: three motorised paddles that turn coils of fibre, 0 to 170 degrees each. Disposing leaves the paddles where
/// they are; a movement under way is stopped by cancelling it.
/// </summary>
/// <remarks>
/// Facts from Thorlabs' APT protocol document and public drivers. Replies are told by message id and channel, never by order; the
/// status updates that the instrument then sends unasked keep <see cref="PositionsKnown"/> and the parameters' last values fresh.
/// </remarks>
public sealed partial class Mpc320Controller : DeviceBase, IPolarizationController
{
    /// <summary>Number of paddles.</summary>
    public const int PaddleCount = 3;

    /// <summary>Upper end of a paddle's travel, in degrees.</summary>
    public const double FullTravelDegrees = 170;

    /// <summary>Upper end of a paddle's travel, in the instrument's counts.</summary>
    public const int FullTravelCounts = 1370;

    private const byte AllChannels = 0b111;
    private const byte ChannelOn = 1;
    private const byte ChannelOff = 2;

    private readonly Mpc320Settings _settings;
    private readonly AptConnection _connection;
    private readonly Mpc320Watch _watch;
    private readonly AptMotorStatus?[] _last = new AptMotorStatus?[PaddleCount];

    // Of the reader's thread: whether a movement that a status report ended has its own report still to come, and whether the one just read is that.
    private readonly bool[] _completionDue = new bool[PaddleCount];
    private readonly bool[] _completionIsLate = new bool[PaddleCount];
    private bool _enabled;

    // One movement, or change of what movements depend on, at a time.
    private readonly SemaphoreSlim _motion = new(1, 1);

    internal Mpc320Controller(DeviceOpenRequest request, Mpc320Settings settings, IByteTransport transport)
        : base(request)
    {
        _settings = settings;
        Actuators =
        [
            .. settings.RetardanceWaves.Select((waves, paddle) => new PolarizationActuator(
                string.Create(CultureInfo.InvariantCulture, $"paddle {paddle + 1}"),
                "deg",
                0,
                FullTravelDegrees,
                FullTravelDegrees / FullTravelCounts,
                waves)),
        ];
        _paddles = [.. Enumerable.Range(0, PaddleCount).Select(AddPaddleParameters)];
        _common = AddCommonParameters();
        _connection = new(transport, request.Time, OnReceived, () => _watch!.HeardUnasked(), MarkBroken);
        _watch = new(_connection, request.Time, Publish);
        _connection.Start();
    }

    /// <inheritdoc/>
    public IReadOnlyList<PolarizationActuator> Actuators { get; }

    /// <inheritdoc/>
    public bool PositionsKnown => Enumerable.Range(0, PaddleCount).All(paddle => Volatile.Read(ref _last[paddle]) is { Homed: true });

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<double>> GetPositionsAsync(CancellationToken cancellationToken) =>
        [.. (await ReadStatusAsync(cancellationToken).ConfigureAwait(false)).Select(status => ToDegrees(status.Position))];

    /// <summary>Makes the instrument's light blink, to find it on the bench.</summary>
    public async ValueTask BlinkAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await SendAsync("blinking", AptFrame.Short(AptId.Identify), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    /// <remarks>Three status requests and two of settings, instead of one for each parameter: the instrument does not bear hasty polling.</remarks>
    public override async ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken)
    {
        await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        await ReadPolarizerParametersAsync(cancellationToken).ConfigureAwait(false);
        await IsEnabledAsync(cancellationToken).ConfigureAwait(false);
        return new(
            Name,
            Identity,
            Time.GetUtcNow(),
            [
                .. Parameters.Select(parameter => new SnapshotEntry(
                    parameter.Name, parameter.Unit, parameter.Last!.Value.Value, parameter.Minimum, parameter.Maximum, parameter.Last.Value.Time)),
            ]);
    }

    /// <summary>Asks what the instrument is, checks it, reads its state and starts its status updates.</summary>
    /// <exception cref="WrongDeviceException">Another model or serial number, or something that does not speak this protocol.</exception>
    internal async ValueTask IdentifyAsync(CancellationToken cancellationToken)
    {
        var info = await ReadHardwareInfoAsync(cancellationToken).ConfigureAwait(false);
        var serialNumber = info.SerialNumber.ToString(CultureInfo.InvariantCulture);
        Identity = new("Thorlabs", info.Model, serialNumber, info.Firmware);
        if (!info.Model.StartsWith("MPC320", StringComparison.OrdinalIgnoreCase))
        {
            throw new WrongDeviceException(Name, Address.Text, "Thorlabs MPC320", Identity.ToString());
        }

        if (_settings.SerialNumber.Length > 0 && _settings.SerialNumber != serialNumber)
        {
            throw new WrongDeviceException(Name, Address.Text, $"Thorlabs MPC320 s/n {_settings.SerialNumber}", Identity.ToString());
        }

        await ReadStatusAsync(cancellationToken).ConfigureAwait(false);
        await ReadPolarizerParametersAsync(cancellationToken).ConfigureAwait(false);
        if (_settings.StatusUpdates)
        {
            await SendAsync("starting status updates", AptFrame.Short(AptId.StartUpdates), cancellationToken).ConfigureAwait(false);
            _watch.Start();
        }
    }

    /// <summary>The state of all paddles, fresh from the instrument.</summary>
    internal async ValueTask<IReadOnlyList<AptMotorStatus>> ReadStatusAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(Enumerable.Range(0, PaddleCount).Select(paddle => ReadStatusAsync(paddle, cancellationToken).AsTask())).ConfigureAwait(false);

    /// <summary>The state of one paddle, fresh from the instrument.</summary>
    internal async ValueTask<AptMotorStatus> ReadStatusAsync(int paddle, CancellationToken cancellationToken)
    {
        var reply = await RequestAsync(
            $"the status of {Actuators[paddle].Name}",
            AptFrame.Short(AptId.RequestStatus, (byte)Channel(paddle)),
            frame => frame.Id == AptId.Status && AptMotorStatus.TryRead(frame) is { } status && status.Channel == Channel(paddle),
            cancellationToken).ConfigureAwait(false);
        return AptMotorStatus.TryRead(reply)!;
    }

    /// <summary>Velocity, home and jog settings.</summary>
    internal async ValueTask<AptPolarizerParameters> ReadPolarizerParametersAsync(CancellationToken cancellationToken)
    {
        var reply = await RequestAsync(
            "the polarizer parameters",
            AptFrame.Short(AptId.RequestPolarizerParameters),
            frame => AptPolarizerParameters.TryRead(frame) is not null,
            cancellationToken).ConfigureAwait(false);
        var values = AptPolarizerParameters.TryRead(reply)!;
        _common.Note(values);
        return values;
    }

    /// <summary>Sets one of the polarizer parameters and reads all back: the message that sets them has no answer.</summary>
    internal async ValueTask ChangePolarizerParametersAsync(
        string what, Func<AptPolarizerParameters, AptPolarizerParameters> change, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await _motion.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var wanted = change(await ReadPolarizerParametersAsync(cancellationToken).ConfigureAwait(false));
            await SendAsync(what, wanted.ToFrame(), cancellationToken).ConfigureAwait(false);
            var present = await ReadPolarizerParametersAsync(cancellationToken).ConfigureAwait(false);
            if (present != wanted)
            {
                throw new DeviceRefusedException(Name, Address.Text, $"{what} ({wanted})", $"it keeps {present}");
            }
        }
        finally
        {
            _motion.Release();
        }
    }

    /// <summary>Whether the paddles' motors are on.</summary>
    internal async ValueTask<bool> IsEnabledAsync(CancellationToken cancellationToken)
    {
        var reply = await RequestAsync(
            "whether the paddles are enabled",
            AptFrame.Short(AptId.RequestChannelEnable, AllChannels),
            frame => frame.Id == AptId.ChannelEnable,
            cancellationToken).ConfigureAwait(false);
        var enabled = reply is { Parameter1: not 0, Parameter2: ChannelOn };
        _common.Enabled.Note(enabled);
        return enabled;
    }

    /// <summary>Switches all motors on or off together: the instrument replaces its whole mask of enabled channels.</summary>
    internal async ValueTask SetEnabledAsync(bool enabled, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        _enabled = false;
        // Off is an empty mask on this instrument, and a word of its own on others of its family.
        AptFrame[] ways = enabled
            ? [AptFrame.Short(AptId.SetChannelEnable, AllChannels, ChannelOn)]
            : [AptFrame.Short(AptId.SetChannelEnable, 0, ChannelOn), AptFrame.Short(AptId.SetChannelEnable, AllChannels, ChannelOff)];
        foreach (var way in ways)
        {
            await SendAsync("enabling or disabling the paddles", way, cancellationToken).ConfigureAwait(false);
            if (await IsEnabledAsync(cancellationToken).ConfigureAwait(false) == enabled)
            {
                _enabled = enabled;
                return;
            }
        }

        throw new DeviceRefusedException(
            Name, Address.Text, enabled ? "enabling the paddles" : "disabling the paddles", $"it reports them {(enabled ? "off" : "on")}");
    }

    /// <summary>Counts into degrees.</summary>
    internal static double ToDegrees(int counts) => counts * FullTravelDegrees / FullTravelCounts;

    /// <summary>Degrees into the nearest count.</summary>
    internal static int ToCounts(double degrees) => (int)Math.Round(degrees * FullTravelCounts / FullTravelDegrees);

    /// <inheritdoc/>
    protected override async ValueTask ReleaseAsync()
    {
        await _watch.DisposeAsync().ConfigureAwait(false);
        try
        {
            if (_watch.HasStarted && !IsBroken)
            {
                await SendAsync("stopping status updates", AptFrame.Short(AptId.StopUpdates), CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static ushort Channel(int paddle) => (ushort)(1 << paddle);

    private async ValueTask<AptHardwareInfo> ReadHardwareInfoAsync(CancellationToken cancellationToken)
    {
        try
        {
            var reply = await RequestAsync(
                "the hardware information",
                AptFrame.Short(AptId.RequestHardwareInfo),
                frame => AptHardwareInfo.TryRead(frame) is not null,
                cancellationToken).ConfigureAwait(false);
            return AptHardwareInfo.TryRead(reply)!;
        }
        catch (DeviceTimeoutException)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
            if (_connection.Unintelligible > 0)
            {
                throw new WrongDeviceException(
                    Name, Address.Text, "Thorlabs MPC320", $"something that does not speak the APT protocol: 0x{_connection.Heard}");
            }

            throw;
        }
    }

    private ValueTask<AptFrame> RequestAsync(string what, AptFrame request, Func<AptFrame, bool> matches, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        return WithinAsync(what, _settings.Timeout, token => _connection.RequestAsync(request, matches, token), cancellationToken);
    }

    private async ValueTask SendAsync(string what, AptFrame frame, CancellationToken cancellationToken) =>
        await WithinAsync(
            what,
            _settings.Timeout,
            async token =>
            {
                await _connection.SendAsync(frame, token).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);

    private void OnReceived(AptFrame frame)
    {
        _watch.Heard();
        if (AptMotorStatus.TryRead(frame) is { } status && status.Channel is 1 or 2 or 4)
        {
            var paddle = BitOperations.Log2(status.Channel);
            var before = Interlocked.Exchange(ref _last[paddle], status);
            _paddles[paddle].Note(status);
            if (frame.Id == AptId.MoveCompleted)
            {
                (_completionIsLate[paddle], _completionDue[paddle]) = (_completionDue[paddle], false);
            }

            if (status.MotionError != (before?.MotionError ?? false))
            {
                Publish(
                    status.MotionError ? DeviceEventKind.Fault : DeviceEventKind.Healthy,
                    $"{Actuators[paddle].Name}: {(status.MotionError ? "motion error" : "no motion error any more")}");
            }
        }
    }
}
