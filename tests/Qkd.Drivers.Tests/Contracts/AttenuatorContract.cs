using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>What every driver of an attenuator must do.</summary>
public abstract class AttenuatorContract : DeviceContract
{
    /// <summary>What the instrument does to light now, in dB.</summary>
    protected abstract double TrueDecibels { get; }

    /// <summary>How far what it reports may be from what it does, in dB.</summary>
    protected virtual double ToleranceDecibels => 0.05;

    [Fact]
    public async Task Opening_moves_nothing()
    {
        var before = TrueDecibels;
        await OpenAttenuatorAsync();
        TrueDecibels.ShouldBe(before);
    }

    [Fact]
    public async Task States_limits_that_make_sense()
    {
        var attenuator = await OpenAttenuatorAsync();
        attenuator.MinimumDecibels.ShouldBeGreaterThanOrEqualTo(0);
        attenuator.MaximumDecibels.ShouldBeGreaterThan(attenuator.MinimumDecibels);
    }

    [Fact]
    public async Task Returns_when_it_has_arrived_with_what_the_instrument_reports()
    {
        var attenuator = await OpenAttenuatorAsync();
        var (low, high) = (attenuator.MinimumDecibels, attenuator.MaximumDecibels);
        foreach (var target in new[] { low, high, (low + high) / 2, (0.77 * low) + (0.23 * high) })
        {
            var reported = await attenuator.SetAttenuationAsync(target, TestLimits.Token).WithinLimit();
            reported.ShouldBe(target, ToleranceDecibels);
            TrueDecibels.ShouldBe(reported, ToleranceDecibels);
            (await attenuator.GetAttenuationAsync(TestLimits.Token).WithinLimit()).ShouldBe(reported);
        }
    }

    [Fact]
    public async Task Moves_to_the_limit_and_refuses_beyond_it()
    {
        var attenuator = await OpenAttenuatorAsync();
        await attenuator.SetAttenuationAsync(attenuator.MaximumDecibels, TestLimits.Token).WithinLimit();
        var there = TrueDecibels;
        foreach (var outside in new[] { attenuator.MaximumDecibels + 0.1, attenuator.MinimumDecibels - 0.1, double.NaN, double.PositiveInfinity })
        {
            await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await attenuator.SetAttenuationAsync(outside, TestLimits.Token).WithinLimit());
        }

        TrueDecibels.ShouldBe(there);
    }

    [Fact]
    public async Task Settings_from_several_callers_take_turns()
    {
        var attenuator = await OpenAttenuatorAsync();
        var targets = new[] { 10.0, 20.0, 15.0, 12.0 };
        var settings = targets.Select(target => attenuator.SetAttenuationAsync(target, TestLimits.Token).AsTask()).ToArray();
        await Task.WhenAll(settings).WithinLimit();
        for (var index = 0; index < targets.Length; index++)
        {
            (await settings[index]).ShouldBe(targets[index], ToleranceDecibels);
        }
    }

    [Fact]
    public async Task A_cancelled_setting_leaves_the_attenuator_usable()
    {
        var attenuator = await OpenAttenuatorAsync();
        using var impatient = new CancellationTokenSource();
        var setting = attenuator.SetAttenuationAsync(attenuator.MaximumDecibels, impatient.Token);
        await impatient.CancelAsync();
        try
        {
            await setting.WithinLimit();
        }
        catch (OperationCanceledException)
        {
            // Unless it had arrived before.
        }

        (await attenuator.SetAttenuationAsync(attenuator.MinimumDecibels, TestLimits.Token).WithinLimit())
            .ShouldBe(attenuator.MinimumDecibels, ToleranceDecibels);
        TrueDecibels.ShouldBe(attenuator.MinimumDecibels, ToleranceDecibels);
    }

    private async Task<IAttenuator> OpenAttenuatorAsync() => (IAttenuator)await OpenAsync();
}
