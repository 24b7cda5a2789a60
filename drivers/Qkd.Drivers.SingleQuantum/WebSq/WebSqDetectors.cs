using System.Globalization;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>
/// The detectors behind a Single Quantum WebSQ: superconducting nanowires with their bias sources, discriminators and counters.
/// Disposing switches the detectors off and sets their bias currents to zero.
/// </summary>
/// <remarks>
/// Facts from the maker's public control program: bias currents in uA, trigger levels and bias voltages in mV, measurement period in
/// ms. The instrument tells changes of its settings to all hosts, so values set elsewhere are seen here too. It states neither a
/// serial number nor a firmware version.
/// </remarks>
public sealed partial class WebSqDetectors : DeviceBase, ISinglePhotonDetector
{
    private readonly WebSqSettings _settings;
    private readonly WebSqConnection _connection;
    private WebSqCounts? _counts;
    private bool _abandoned;

    internal WebSqDetectors(DeviceOpenRequest request, WebSqSettings settings, WebSqStart start)
        : base(request)
    {
        (_settings, _connection) = (settings, start.Connection);
        Identity = new("Single Quantum", "WebSQ", "", "");
        var (bias, trigger) = (start.Labels[WebSqLabel.BiasCurrent], start.Labels.GetValueOrDefault(WebSqLabel.TriggerLevel));
        _state = new(this, start);
        DetectorCapabilities = new()
        {
            ChannelCount = start.ChannelCount,
            BiasCurrentMicroamperes = Limits(bias, "bias current", 0, settings.MaximumBiasMicroamperes),
            TriggerLevelMillivolts = trigger is null
                ? null
                : Limits(trigger, "trigger level", -settings.MaximumTriggerMillivolts, settings.MaximumTriggerMillivolts),
            MeasurementPeriod = settings.MeasurementPeriod ?? _state.Period,
        };
        _parameters = AddParameters();
        _connection.Observe(new Observer(this));
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Limits are those that the instrument states, narrowed by the options <c>MaximumBiasMicroamperes</c> and
    /// <c>MaximumTriggerMillivolts</c>. Records follow the measurement period even when another host changes it.
    /// </remarks>
    public DetectorCapabilities DetectorCapabilities { get; }

    /// <inheritdoc/>
    /// <remarks>
    /// Switching off waits for no other call and is tried even when the counts connection is lost.
    /// </remarks>
    /// <exception cref="DeviceException">Refused, or the instrument does not confirm it.</exception>
    public async ValueTask SetEnabledAsync(bool enabled, CancellationToken cancellationToken)
    {
        if (!enabled)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            await SwitchOffAsync(lastWords: false, cancellationToken).ConfigureAwait(false);
            return;
        }

        ThrowIfUnusable();
        await ExchangeAsync(
            "DetectorEnable true",
            _settings.Timeout,
            async token =>
            {
                await EnableAsync(true, lastWords: false, token).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
        if (_state.Bias.All(current => current == 0))
        {
            Publish(DeviceEventKind.Warning, "detectors are on, but all their bias currents are zero: nothing will be detected");
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Not one value a channel.</exception>
    /// <exception cref="DeviceException">Refused, or the instrument reports another current than the one asked for.</exception>
    public async ValueTask SetBiasCurrentsAsync(ReadOnlyMemory<double> microamperes, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var asked = OneEach(microamperes, nameof(microamperes));
        CheckBias(asked);
        await ExchangeAsync(
            $"SetAllBiasCurrents {Text(asked)}",
            _settings.Timeout,
            async token => await SendBiasAsync(asked, lastWords: false, token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Not one value a channel.</exception>
    /// <exception cref="DeviceException">Refused, or the instrument reports another level than the one asked for.</exception>
    public async ValueTask SetTriggerLevelsAsync(ReadOnlyMemory<double> millivolts, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var asked = OneEach(millivolts, nameof(millivolts));
        CheckTrigger(asked);
        await ExchangeAsync(
            $"SetAllTriggerLevels {Text(asked)}",
            _settings.Timeout,
            async token => await SendTriggerAsync(asked, token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    /// <remarks>Directly after opening it waits for the first record of counts.</remarks>
    public async ValueTask<DetectorStatus> GetDetectorStatusAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await ReadLabelsAsync(cancellationToken).ConfigureAwait(false);
        var voltages = await ReadBiasVoltagesAsync(cancellationToken).ConfigureAwait(false);
        var rates = await ReadCountRatesAsync(cancellationToken).ConfigureAwait(false);
        return new()
        {
            Enabled = _state.Enabled,
            BiasCurrentsMicroamperes = _state.Bias,
            BiasVoltagesMillivolts = voltages,
            TriggerLevelsMillivolts = _state.Trigger,
            CountRatesHertz = rates,
        };
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Begins with the next record; every reader gets all records. 256 of them wait for a slow one. The time of a record is when it was
    /// received, on this computer's clock.
    /// </remarks>
    /// <exception cref="DeviceTimeoutException">No record for the measurement period and the option <c>CountsTimeoutSeconds</c>.</exception>
    /// <exception cref="DeviceDisconnectedException">A connection is lost.</exception>
    /// <exception cref="ObjectDisposedException">The device has been disposed of.</exception>
    public async IAsyncEnumerable<DetectorCounts> ReadCountsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var records = _counts!.Join();
        try
        {
            while (true)
            {
                yield return await NextAsync(records, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _counts.Leave(records);
        }
    }

    /// <summary>Begins to listen to the counts.</summary>
    internal void Listen(IByteTransport counts) => _counts = new(
        counts,
        Name,
        DetectorCapabilities.ChannelCount,
        Time,
        () => _state.Period,
        line => Publish(DeviceEventKind.Warning, $"not a record of counts: '{line}'"),
        problem => MarkBroken($"counts: {problem}"));

    /// <summary>Sets how often counts are reported.</summary>
    internal async ValueTask SetMeasurementPeriodAsync(TimeSpan period, CancellationToken cancellationToken)
    {
        var milliseconds = period.TotalMilliseconds;
        RequireRange("measurement period", milliseconds, _state.PeriodLimits?.Minimum, _state.PeriodLimits?.Maximum, "ms");
        await ExchangeAsync(
            string.Create(CultureInfo.InvariantCulture, $"SetMeasurementPeriod {milliseconds} ms"),
            _settings.Timeout,
            async token => await CommandAsync(
                WebSqLabel.Command("SetMeasurementPeriod", WebSqLabel.MeasurementPeriod, milliseconds),
                WebSqLabel.MeasurementPeriod,
                message => message.TryGetNumbers(out var told) && told is [var one] && Math.Abs(one - milliseconds) < 0.5,
                lastWords: false,
                token).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes the connections and leaves the instrument as it is: opening has failed.</summary>
    internal ValueTask AbandonAsync()
    {
        _abandoned = true;
        return DisposeAsync();
    }

    /// <inheritdoc/>
    protected override async ValueTask ReleaseAsync()
    {
        try
        {
            if (!_abandoned && !LeaveAsFound)
            {
                await _connection.BeginLastWordsAsync(CancellationToken.None).ConfigureAwait(false);
                await SwitchOffAsync(lastWords: true, CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            if (_counts is not null)
            {
                await _counts.DisposeAsync().ConfigureAwait(false);
            }

            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask<DetectorCounts> NextAsync(Channel<DetectorCounts> records, CancellationToken cancellationToken)
    {
        if (records.Reader.TryRead(out var record))
        {
            return record;
        }

        try
        {
            return await WithinAsync("counts", CountsLimit, records.Reader.ReadAsync, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException closed)
        {
            throw closed.InnerException is ObjectDisposedException
                ? new ObjectDisposedException(Name)
                : new DeviceDisconnectedException(Name, Address.Text, $"counts: {closed.InnerException?.Message}", closed.InnerException);
        }
    }

    private SettingRange Limits(WebSqMessage label, string setting, double lowest, double highest)
    {
        var stated = label.Bounds ?? new(lowest, highest);
        var limits = new SettingRange(Math.Max(stated.Minimum, lowest), Math.Min(stated.Maximum, highest));
        return limits.Minimum < limits.Maximum
            ? limits
            : throw new DeviceException(Name, Address.Text, string.Create(
                CultureInfo.InvariantCulture,
                $"limits of the {setting}: the instrument states {stated.Minimum} to {stated.Maximum}, the options {lowest} to {highest}"));
    }

    private double[] OneEach(ReadOnlyMemory<double> values, string name) => values.Length == DetectorCapabilities.ChannelCount
        ? values.ToArray()
        : throw new ArgumentException($"{Name} has {DetectorCapabilities.ChannelCount} detectors, {values.Length} values were given.", name);

    private TimeSpan CountsLimit => _state.Period + _settings.CountsTimeout;

    private static string Text(double[] values) =>
        string.Create(CultureInfo.InvariantCulture, $"[{string.Join(",", values.Select(value => value.ToString(CultureInfo.InvariantCulture)))}]");

    private sealed class Observer(WebSqDetectors device) : IWebSqObserver
    {
        public void Received(WebSqMessage message) => device._state.Note(message);

        public void Complained(string error) => device.Publish(DeviceEventKind.Fault, error);

        public void Muttered(string nonsense) => device.Publish(DeviceEventKind.Warning, $"not a message: '{nonsense}'");

        public void Lost(string problem) => device.MarkBroken(problem);
    }
}
