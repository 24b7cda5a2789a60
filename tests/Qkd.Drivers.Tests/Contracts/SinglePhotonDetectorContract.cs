using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>What every driver of single-photon detectors must do.</summary>
public abstract class SinglePhotonDetectorContract : DeviceContract
{
    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>
    {
        ["ConnectTimeoutSeconds"] = "2",
        ["TimeoutSeconds"] = "0.3",
        ["CountsTimeoutSeconds"] = "0.3",
    };

    /// <summary>Whether the detectors really have bias now.</summary>
    protected abstract bool TrulyEnabled { get; }

    /// <summary>Has a detector click, if it has bias.</summary>
    /// <param name="channel">From 0.</param>
    /// <param name="count">How often.</param>
    protected abstract void Click(int channel, long count);

    /// <summary>What the instrument's bias currents really are set to, in microamperes; null where it has none.</summary>
    protected abstract Task<double[]?> TrueBiasMicroamperesAsync();

    [Fact]
    public async Task Opening_switches_nothing_on_and_sets_nothing()
    {
        var before = await TrueBiasMicroamperesAsync().WithinLimit();
        await OpenDetectorsAsync();
        TrulyEnabled.ShouldBeFalse();
        (await TrueBiasMicroamperesAsync().WithinLimit()).ShouldBe(before);
    }

    [Fact]
    public async Task States_capabilities_that_make_sense()
    {
        var detectors = await OpenDetectorsAsync();
        var capabilities = detectors.DetectorCapabilities;
        capabilities.ChannelCount.ShouldBePositive();
        capabilities.MeasurementPeriod.ShouldBeGreaterThan(TimeSpan.Zero);
        foreach (var range in new[] { capabilities.BiasCurrentMicroamperes, capabilities.TriggerLevelMillivolts })
        {
            if (range is { } limits)
            {
                limits.Minimum.ShouldBeLessThan(limits.Maximum);
            }
        }
    }

    [Fact]
    public async Task A_status_has_one_value_a_channel_of_what_the_instrument_has()
    {
        var detectors = await OpenDetectorsAsync();
        var (capabilities, status) = (detectors.DetectorCapabilities, await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit());
        status.Enabled.ShouldBeFalse();
        status.CountRatesHertz.Count.ShouldBe(capabilities.ChannelCount);
        status.CountRatesHertz.ShouldAllBe(rate => rate >= 0);
        status.BiasCurrentsMicroamperes.Count.ShouldBe(capabilities.BiasCurrentMicroamperes is null ? 0 : capabilities.ChannelCount);
        status.TriggerLevelsMillivolts.Count.ShouldBe(capabilities.TriggerLevelMillivolts is null ? 0 : capabilities.ChannelCount);
        status.BiasVoltagesMillivolts.Count.ShouldBeOneOf(0, capabilities.ChannelCount);
    }

    [Fact]
    public async Task Switches_on_and_off()
    {
        var detectors = await OpenDetectorsAsync();
        foreach (var enabled in new[] { true, true, false, false, true })
        {
            await detectors.SetEnabledAsync(enabled, TestLimits.Token).WithinLimit();
            TrulyEnabled.ShouldBe(enabled);
            (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).Enabled.ShouldBe(enabled);
        }
    }

    [Fact]
    public async Task Disposing_takes_the_bias_away()
    {
        var detectors = await OpenDetectorsAsync();
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        await detectors.DisposeAsync().AsTask().WithinLimit();
        TrulyEnabled.ShouldBeFalse();
        (await TrueBiasMicroamperesAsync().WithinLimit())?.ShouldAllBe(current => current == 0);
    }

    [Fact]
    public async Task Sets_the_bias_of_each_channel_in_microamperes_and_refuses_what_is_beyond_the_limits()
    {
        var detectors = await OpenDetectorsAsync();
        if (detectors.DetectorCapabilities.BiasCurrentMicroamperes is not { } limits)
        {
            await Should.ThrowAsync<NotSupportedException>(
                async () => await detectors.SetBiasCurrentsAsync(EachOf(detectors, 0), TestLimits.Token).WithinLimit());
            return;
        }

        foreach (var asked in Settings(detectors, limits))
        {
            await detectors.SetBiasCurrentsAsync(asked, TestLimits.Token).WithinLimit();
            ShouldAgree((await TrueBiasMicroamperesAsync().WithinLimit())!, asked, limits);
            ShouldAgree((await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).BiasCurrentsMicroamperes, asked, limits);
        }

        var before = await TrueBiasMicroamperesAsync().WithinLimit();
        foreach (var outside in Outside(detectors, limits))
        {
            var error = await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await detectors.SetBiasCurrentsAsync(outside, TestLimits.Token).WithinLimit());
            error.Device.ShouldBe(detectors.Name);
        }

        (await TrueBiasMicroamperesAsync().WithinLimit()).ShouldBe(before);
        TrulyEnabled.ShouldBeFalse();
    }

    [Fact]
    public async Task Sets_the_trigger_level_of_each_channel_in_millivolts_and_refuses_what_is_beyond_the_limits()
    {
        var detectors = await OpenDetectorsAsync();
        if (detectors.DetectorCapabilities.TriggerLevelMillivolts is not { } limits)
        {
            await Should.ThrowAsync<NotSupportedException>(
                async () => await detectors.SetTriggerLevelsAsync(EachOf(detectors, 0), TestLimits.Token).WithinLimit());
            return;
        }

        foreach (var asked in Settings(detectors, limits))
        {
            await detectors.SetTriggerLevelsAsync(asked, TestLimits.Token).WithinLimit();
            ShouldAgree((await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).TriggerLevelsMillivolts, asked, limits);
        }

        var before = (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).TriggerLevelsMillivolts;
        foreach (var outside in Outside(detectors, limits))
        {
            await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await detectors.SetTriggerLevelsAsync(outside, TestLimits.Token).WithinLimit());
        }

        (await detectors.GetDetectorStatusAsync(TestLimits.Token).WithinLimit()).TriggerLevelsMillivolts.ShouldBe(before);
    }

    [Fact]
    public async Task Every_click_is_counted_once_on_its_channel_by_every_reader()
    {
        var detectors = await OpenDetectorsAsync();
        var channels = detectors.DetectorCapabilities.ChannelCount;
        await detectors.SetEnabledAsync(true, TestLimits.Token).WithinLimit();
        await using var first = await CountsReader.StartAsync(detectors);
        await using var second = await CountsReader.StartAsync(detectors);
        var expected = new long[channels];
        for (var round = 0; round < 3; round++)
        {
            for (var channel = 0; channel < channels; channel++)
            {
                var clicks = (round * 10_000) + (100 * channel) + 1;
                Click(channel, clicks);
                expected[channel] += clicks;
            }

            foreach (var reader in new[] { first, second })
            {
                await reader.UntilAsync(expected);
                reader.Records.ShouldAllBe(record => record.Counts.Count == channels && record.Period > TimeSpan.Zero);
            }
        }
    }

    [Fact]
    public async Task Records_come_while_nothing_clicks_and_without_bias_nothing_does()
    {
        var detectors = await OpenDetectorsAsync();
        await using var reader = await CountsReader.StartAsync(detectors);
        for (var round = 0; round < 3; round++)
        {
            Click(0, 1000);
            (await reader.NextAsync()).Counts.ShouldAllBe(count => count == 0);
        }
    }

    [Fact]
    public async Task Reading_counts_can_be_cancelled_and_begun_again()
    {
        var detectors = await OpenDetectorsAsync();
        using var impatient = new CancellationTokenSource();
        await using (var reading = detectors.ReadCountsAsync(impatient.Token).GetAsyncEnumerator(CancellationToken.None))
        {
            (await reading.MoveNextAsync().WithinLimit()).ShouldBeTrue();
            await impatient.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(async () =>
            {
                // A record may have been waiting.
                while (await reading.MoveNextAsync().WithinLimit())
                {
                }
            });
        }

        await using var again = await CountsReader.StartAsync(detectors);
        await again.NextAsync();
    }

    [Fact]
    public async Task A_device_disposed_of_ends_the_counts()
    {
        var detectors = await OpenDetectorsAsync();
        await using var reader = await CountsReader.StartAsync(detectors);
        await detectors.DisposeAsync().AsTask().WithinLimit();
        (await reader.EndAsync()).ShouldBeOfType<ObjectDisposedException>();
    }

    [Theory]
    [InlineData(InstrumentFault.Silent)]
    [InlineData(InstrumentFault.Garbage)]
    [InlineData(InstrumentFault.Disconnect)]
    public async Task Counts_that_break_off_say_so_and_name_the_device(InstrumentFault fault)
    {
        var detectors = await OpenDetectorsAsync();
        await using var reader = await CountsReader.StartAsync(detectors);
        Instrument.Inject(fault);
        (await reader.EndAsync()).ShouldBeAssignableTo<DeviceException>()!.Device.ShouldBe(detectors.Name);
    }

    [Fact]
    public async Task A_cancelled_setting_leaves_the_detectors_usable()
    {
        var detectors = await OpenDetectorsAsync();
        Instrument.Inject(InstrumentFault.Silent);
        using var impatient = new CancellationTokenSource();
        var setting = detectors.SetEnabledAsync(true, impatient.Token).AsTask();
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await setting.WithinLimit());

        Instrument.Inject(InstrumentFault.None);
        await detectors.SetEnabledAsync(false, TestLimits.Token).WithinLimit();
        TrulyEnabled.ShouldBeFalse();
    }

    /// <summary>Opens the device in its role.</summary>
    protected async Task<ISinglePhotonDetector> OpenDetectorsAsync() => (ISinglePhotonDetector)await OpenAsync();

    private static double[] EachOf(ISinglePhotonDetector detectors, double value) =>
        [.. Enumerable.Repeat(value, detectors.DetectorCapabilities.ChannelCount)];

    /// <summary>Both ends, and another value for each channel.</summary>
    private static double[][] Settings(ISinglePhotonDetector detectors, SettingRange limits)
    {
        var (low, span) = (limits.Minimum, limits.Maximum - limits.Minimum);
        return
        [
            EachOf(detectors, limits.Minimum),
            EachOf(detectors, limits.Maximum),
            [.. EachOf(detectors, 0).Select((_, channel) => Math.Round(low + (span * (0.2 + (0.6 * channel / detectors.DetectorCapabilities.ChannelCount))), 1))],
        ];
    }

    /// <summary>Settings of which one channel's is wrong.</summary>
    private static double[][] Outside(ISinglePhotonDetector detectors, SettingRange limits) =>
    [
        .. new[] { limits.Minimum - 0.1, limits.Maximum + 0.1, double.NaN, double.PositiveInfinity }.Select(wrong =>
        {
            var values = EachOf(detectors, limits.Minimum + (0.5 * (limits.Maximum - limits.Minimum)));
            values[^1] = wrong;
            return values;
        }),
    ];

    /// <summary>Within half a per cent of the range: instruments have steps.</summary>
    private static void ShouldAgree(IReadOnlyList<double> actual, double[] asked, SettingRange limits)
    {
        actual.Count.ShouldBe(asked.Length);
        for (var channel = 0; channel < asked.Length; channel++)
        {
            actual[channel].ShouldBe(asked[channel], 0.005 * (limits.Maximum - limits.Minimum));
        }
    }
}
