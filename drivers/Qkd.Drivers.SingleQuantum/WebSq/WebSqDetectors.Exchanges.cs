using System.Text.Json.Nodes;
using Qkd.Devices;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <content>What is said on the control connection.</content>
public sealed partial class WebSqDetectors
{
    private readonly WebSqState _state;

    /// <summary>
    /// Sends a command and waits until its label has the value. Instruments tell changes unasked; for one that does not tell what is
    /// no change, all labels are asked for when nothing has come after a while.
    /// </summary>
    /// <exception cref="DeviceException">Refused, or another value was told and this one never.</exception>
    private async ValueTask<bool> CommandAsync(
        JsonObject command, string label, Func<WebSqMessage, bool> isDone, bool lastWords, CancellationToken cancellationToken)
    {
        var asked = $"{command["command"]} {command["value"]!.ToJsonString()}";
        WebSqMessage? told = null;
        using var watch = _connection.Expect(asked, message =>
        {
            if (message.Label != label)
            {
                return false;
            }

            told = message;
            return isDone(message);
        });
        await _connection.SendAsync(command, lastWords, cancellationToken).ConfigureAwait(false);
        if (!await EndsWithinAsync(watch.Ended, _settings.Timeout / 4, cancellationToken).ConfigureAwait(false))
        {
            await _connection.SendAsync(WebSqLabel.RequestAll(), lastWords, cancellationToken).ConfigureAwait(false);
            if (!await EndsWithinAsync(watch.Ended, _settings.Timeout / 2, cancellationToken).ConfigureAwait(false) && told is not null)
            {
                throw new DeviceException(Name, Address.Text, $"asked for {asked}, it reports {told.Label} {told.Text}");
            }
        }

        await watch.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async ValueTask<bool> EndsWithinAsync(Task task, TimeSpan time, CancellationToken cancellationToken)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var ended = await Task.WhenAny(task, Task.Delay(time, Time, done.Token)).ConfigureAwait(false) == task;
        await done.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return ended;
    }

    private async ValueTask EnableAsync(bool enabled, bool lastWords, CancellationToken cancellationToken)
    {
        var command = WebSqLabel.Command("DetectorEnable", null, enabled);
        if (_state.TellsEnabled)
        {
            await CommandAsync(
                command,
                WebSqLabel.DetectorEnable,
                message => message.TryGetFlag(out var told) && told == enabled,
                lastWords,
                cancellationToken).ConfigureAwait(false);
        }
        else
        {
            // Nothing confirms it: that the next request is answered, and no error came, is all that can be known.
            using var watch = _connection.Expect($"DetectorEnable {enabled}", message => message.Label == WebSqLabel.BiasVoltage);
            await _connection.SendAsync(command, lastWords, cancellationToken).ConfigureAwait(false);
            await _connection.SendAsync(WebSqLabel.Request(WebSqLabel.BiasVoltage), lastWords, cancellationToken).ConfigureAwait(false);
            await watch.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
            _state.Assume(enabled);
        }
    }

    private ValueTask<bool> SendBiasAsync(double[] microamperes, bool lastWords, CancellationToken cancellationToken) => CommandAsync(
        WebSqLabel.Command("SetAllBiasCurrents", WebSqLabel.BiasCurrent, WebSqLabel.Numbers(microamperes)),
        WebSqLabel.BiasCurrent,
        message => Agrees(message, microamperes, _settings.BiasToleranceMicroamperes),
        lastWords,
        cancellationToken);

    private ValueTask<bool> SendTriggerAsync(double[] millivolts, CancellationToken cancellationToken) => CommandAsync(
        WebSqLabel.Command("SetAllTriggerLevels", WebSqLabel.TriggerLevel, WebSqLabel.Numbers(millivolts)),
        WebSqLabel.TriggerLevel,
        message => Agrees(message, millivolts, _settings.TriggerToleranceMillivolts),
        lastWords: false,
        cancellationToken);

    private static bool Agrees(WebSqMessage message, double[] asked, double tolerance) =>
        message.TryGetNumbers(out var told)
        && told.Length == asked.Length
        && told.Zip(asked).All(pair => Math.Abs(pair.First - pair.Second) <= tolerance);

    /// <summary>
    /// Switches the detectors off; with the last words also sets their bias currents to zero, unless the options say otherwise. Takes
    /// no turn: nothing that is slow or does not end may keep the bias on.
    /// </summary>
    private async ValueTask SwitchOffAsync(bool lastWords, CancellationToken cancellationToken)
    {
        DeviceException? problem = null;
        try
        {
            await OffAsync("DetectorEnable false", token => EnableAsync(false, lastWords, token), cancellationToken).ConfigureAwait(false);
        }
        catch (DeviceException first) when (lastWords)
        {
            // No current is off as well.
            problem = first;
        }

        if (lastWords && !_connection.IsLost && (problem is not null || !_settings.KeepBiasOnClose))
        {
            var zero = new double[DetectorCapabilities.ChannelCount];
            await OffAsync(
                $"SetAllBiasCurrents {Text(zero)}",
                async token => await SendBiasAsync(zero, lastWords, token).ConfigureAwait(false),
                cancellationToken).ConfigureAwait(false);
        }

        if (problem is not null)
        {
            throw problem;
        }
    }

    /// <summary>Like an exchange, but takes no turn, and only the control connection need be there.</summary>
    private async ValueTask OffAsync(string request, Func<CancellationToken, ValueTask> exchange, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(_settings.Timeout, Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await exchange(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException late) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new DeviceTimeoutException(Name, Address.Text, request, _settings.Timeout, late);
        }
        catch (DeviceDisconnectedException lost)
        {
            MarkBroken(lost.Message);
            throw;
        }
    }

    /// <summary>Reads all labels; the state then holds them.</summary>
    private async ValueTask ReadLabelsAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        await ExchangeAsync(
            "labelProps",
            _settings.Timeout,
            async token =>
            {
                var missing = new HashSet<string>(_state.Labels);
                using var watch = _connection.Expect("labelProps", message =>
                {
                    if (message.Properties is not null && missing.Contains(message.Label))
                    {
                        _state.Check(message);
                        missing.Remove(message.Label);
                    }

                    return missing.Count == 0;
                });
                await _connection.SendAsync(WebSqLabel.RequestAll(), lastWords: false, token).ConfigureAwait(false);
                await watch.Ended.WaitAsync(token).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<double[]> ReadBiasVoltagesAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        return await ExchangeAsync(
            "BiasVoltage",
            _settings.Timeout,
            async token =>
            {
                double[] voltages = [];
                using var watch = _connection.Expect("BiasVoltage", message =>
                {
                    if (message.Label != WebSqLabel.BiasVoltage)
                    {
                        return false;
                    }

                    voltages = _state.ToNumbers(message, DetectorCapabilities.ChannelCount);
                    return true;
                });
                await _connection.SendAsync(WebSqLabel.Request(WebSqLabel.BiasVoltage), lastWords: false, token).ConfigureAwait(false);
                await watch.Ended.WaitAsync(token).ConfigureAwait(false);
                _parameters.NoteVoltages(voltages);
                return voltages;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The rates of the last record, if there is one and it is not old; else those of the next.</summary>
    private async ValueTask<double[]> ReadCountRatesAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var record = _counts!.Last;
        if (record is null || Time.GetUtcNow() - record.Time > CountsLimit)
        {
            var records = _counts.Join();
            try
            {
                record = await NextAsync(records, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                _counts.Leave(records);
            }
        }

        double[] rates = [.. record.Counts.Select(count => count / record.Period.TotalSeconds)];
        _parameters.NoteRates(rates);
        return rates;
    }
}
