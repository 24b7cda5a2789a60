using Qkd.Devices;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <content>The instrument's own search for bias currents.</content>
public sealed partial class WebSqDetectors
{
    private static readonly TimeSpan CalibrationPoll = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Has the instrument look for the bias currents at which the detectors count as often in the dark as they should, and set them.
    /// Only for detectors in the dark: light passes for dark counts, and what is found then is too little. Minutes; other calls
    /// wait for it, except switching off.
    /// </summary>
    /// <param name="darkCounts">Wanted dark counts of each channel, in the unit of the maker's <c>DarkCountsAutoIV</c>.</param>
    /// <param name="cancellationToken">Ends the wait and tells the instrument to stop.</param>
    /// <returns>The bias currents found, in microamperes.</returns>
    /// <exception cref="ArgumentException">Not one value a channel.</exception>
    /// <exception cref="DeviceTimeoutException">Not done within the option <c>CalibrationTimeoutSeconds</c>.</exception>
    /// <exception cref="DeviceException">Refused.</exception>
    public async ValueTask<IReadOnlyList<double>> CalibrateBiasInTheDarkAsync(
        ReadOnlyMemory<double> darkCounts, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var wanted = OneEach(darkCounts, nameof(darkCounts));
        foreach (var counts in wanted)
        {
            RequireRange("dark counts", counts, 0, null, "");
        }

        return await ExchangeAsync<IReadOnlyList<double>>(
            "AutoCaliBiasCurrents",
            _settings.CalibrationTimeout,
            async token =>
            {
                try
                {
                    await SearchAsync(wanted, token).ConfigureAwait(false);
                    return await ReadSearchResultAsync(token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!IsDisposed && !IsBroken)
                {
                    await StopSearchAsync().ConfigureAwait(false);
                    throw;
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts the search and waits until it has been under way and is no more.</summary>
    private async ValueTask SearchAsync(double[] darkCounts, CancellationToken cancellationToken)
    {
        var running = false;
        using var watch = _connection.Expect("AutoCaliBiasCurrents", message =>
        {
            if (message.Label != WebSqLabel.AutoIvRunning || !message.TryGetFlag(out var told))
            {
                return false;
            }

            var ended = running && !told;
            running |= told;
            return ended;
        });
        await _connection.SendAsync(
            WebSqLabel.Command(WebSqLabel.AutoIvDarkCounts, null, WebSqLabel.Numbers(darkCounts)), lastWords: false, cancellationToken).ConfigureAwait(false);
        await _connection.SendAsync(WebSqLabel.Command("AutoCaliBiasCurrents", null, true), lastWords: false, cancellationToken).ConfigureAwait(false);
        while (!await EndsWithinAsync(watch.Ended, CalibrationPoll, cancellationToken).ConfigureAwait(false))
        {
            await _connection.SendAsync(WebSqLabel.Request(WebSqLabel.AutoIvRunning), lastWords: false, cancellationToken).ConfigureAwait(false);
        }

        await watch.Ended.ConfigureAwait(false);
    }

    private async ValueTask<double[]> ReadSearchResultAsync(CancellationToken cancellationToken)
    {
        double[] found = [];
        using var watch = _connection.Expect(WebSqLabel.AutoIvResult, message =>
        {
            if (message.Label != WebSqLabel.AutoIvResult)
            {
                return false;
            }

            found = _state.ToNumbers(message, DetectorCapabilities.ChannelCount);
            return true;
        });
        await _connection.SendAsync(WebSqLabel.Request(WebSqLabel.AutoIvResult), lastWords: false, cancellationToken).ConfigureAwait(false);
        await watch.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
        return found;
    }

    private async ValueTask StopSearchAsync()
    {
        try
        {
            await _connection.SendAsync(
                WebSqLabel.Command("AutoCaliBiasCurrents", null, false), lastWords: false, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is DeviceException or ObjectDisposedException)
        {
            // The caller already hears why the search ended.
            Publish(DeviceEventKind.Warning, $"search for bias currents not stopped for certain: {problem.Message}");
        }
    }
}
