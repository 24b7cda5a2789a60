using System.Globalization;
using Qkd.Devices;
using Qkd.Devices.Drivers;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <content>The parameters by name.</content>
public sealed partial class WebSqDetectors
{
    private readonly ParameterSet _parameters;

    /// <inheritdoc/>
    /// <remarks>One reading of all labels, instead of one for each parameter.</remarks>
    public override async ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken)
    {
        await GetDetectorStatusAsync(cancellationToken).ConfigureAwait(false);
        _parameters.Note(_state);
        return new(
            Name,
            Identity,
            Time.GetUtcNow(),
            [
                .. Parameters.Select(parameter => new SnapshotEntry(
                    parameter.Name, parameter.Unit, parameter.Last!.Value.Value, parameter.Minimum, parameter.Maximum, parameter.Last.Value.Time)),
            ]);
    }

    private static string NameOf(int channel, string quantity) =>
        string.Create(CultureInfo.InvariantCulture, $"detector_{channel + 1}_{quantity}");

    private ParameterSet AddParameters()
    {
        var channels = Enumerable.Range(0, DetectorCapabilities.ChannelCount).ToArray();
        return new(
            AddParameter("enabled", "", async token => (await ReadAsync(token).ConfigureAwait(false)).Enabled, SetEnabledAsync),
            AddParameter(
                "measurement_period",
                "ms",
                async token => (await ReadAsync(token).ConfigureAwait(false)).Period.TotalMilliseconds,
                minimum: _state.PeriodLimits?.Minimum,
                maximum: _state.PeriodLimits?.Maximum),
            [.. channels.Select(AddBias)],
            DetectorCapabilities.TriggerLevelMillivolts is null ? [] : [.. channels.Select(AddTrigger)],
            [
                .. channels.Select(channel => AddParameter(
                    NameOf(channel, "bias_voltage"),
                    "mV",
                    async token => (await ReadBiasVoltagesAsync(token).ConfigureAwait(false))[channel])),
            ],
            [
                .. channels.Select(channel => AddParameter(
                    NameOf(channel, "count_rate"),
                    "Hz",
                    async token => (await ReadCountRatesAsync(token).ConfigureAwait(false))[channel])),
            ]);
    }

    private DeviceParameter<double> AddBias(int channel)
    {
        var limits = DetectorCapabilities.BiasCurrentMicroamperes!.Value;
        return AddParameter(
            NameOf(channel, "bias_current"),
            "uA",
            async token => (await ReadAsync(token).ConfigureAwait(false)).Bias[channel],
            (value, token) => ChangeOneAsync(
                "SetAllBiasCurrents",
                () => _state.Bias,
                channel,
                value,
                CheckBias,
                (all, sending) => SendBiasAsync(all, lastWords: false, sending),
                token),
            limits.Minimum,
            limits.Maximum);
    }

    private DeviceParameter<double> AddTrigger(int channel)
    {
        var limits = DetectorCapabilities.TriggerLevelMillivolts!.Value;
        return AddParameter(
            NameOf(channel, "trigger_level"),
            "mV",
            async token => (await ReadAsync(token).ConfigureAwait(false)).Trigger[channel],
            (value, token) => ChangeOneAsync(
                "SetAllTriggerLevels", () => _state.Trigger, channel, value, CheckTrigger, SendTriggerAsync, token),
            limits.Minimum,
            limits.Maximum);
    }

    private async ValueTask<WebSqState> ReadAsync(CancellationToken cancellationToken)
    {
        await ReadLabelsAsync(cancellationToken).ConfigureAwait(false);
        return _state;
    }

    /// <summary>Changes one channel of a setting that can only be sent for all: those of the others go out as they were told last.</summary>
    private async ValueTask ChangeOneAsync(
        string request,
        Func<double[]> present,
        int channel,
        double value,
        Action<double[]> check,
        Func<double[], CancellationToken, ValueTask<bool>> send,
        CancellationToken cancellationToken)
    {
        await ReadLabelsAsync(cancellationToken).ConfigureAwait(false);
        await ExchangeAsync(
            request,
            _settings.Timeout,
            async token =>
            {
                double[] all = [.. present()];
                all[channel] = value;
                check(all);
                return await send(all, token).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
    }

    private void CheckBias(double[] microamperes)
    {
        var limits = DetectorCapabilities.BiasCurrentMicroamperes!.Value;
        for (var channel = 0; channel < microamperes.Length; channel++)
        {
            RequireRange(NameOf(channel, "bias_current"), microamperes[channel], limits.Minimum, limits.Maximum, "uA");
        }
    }

    private void CheckTrigger(double[] millivolts)
    {
        var limits = DetectorCapabilities.TriggerLevelMillivolts
            ?? throw new NotSupportedException($"{Name} has no trigger levels to set.");
        for (var channel = 0; channel < millivolts.Length; channel++)
        {
            RequireRange(NameOf(channel, "trigger_level"), millivolts[channel], limits.Minimum, limits.Maximum, "mV");
        }
    }

    private sealed record ParameterSet(
        DeviceParameter<bool> Enabled,
        DeviceParameter<double> Period,
        DeviceParameter<double>[] Bias,
        DeviceParameter<double>[] Trigger,
        DeviceParameter<double>[] Voltages,
        DeviceParameter<double>[] Rates)
    {
        public void Note(WebSqState state)
        {
            Enabled.Note(state.Enabled);
            Period.Note(state.Period.TotalMilliseconds);
            Note(Bias, state.Bias);
            Note(Trigger, state.Trigger);
        }

        public void NoteVoltages(double[] millivolts) => Note(Voltages, millivolts);

        public void NoteRates(double[] hertz) => Note(Rates, hertz);

        private static void Note(DeviceParameter<double>[] parameters, double[] values)
        {
            foreach (var (parameter, value) in parameters.Zip(values))
            {
                parameter.Note(value);
            }
        }
    }
}
