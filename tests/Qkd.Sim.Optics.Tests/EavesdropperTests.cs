using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class EavesdropperTests
{
    private static Emission Sent(OpticsSettings settings, double fraction, long slots, ulong seed = 13)
    {
        var emission = new Emission(settings, seed);
        emission.Line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend, Fraction = fraction };
        return emission.Send(slots);
    }

    [Fact]
    public void Full_intercept_and_resend_makes_a_quarter_and_half_the_errors_there_were()
    {
        var settings = Emission.Bare with { Source = new() { BasisSkewRadians = 0 } };
        var without = Gate.Run(new(settings, 12), 100_000_000, vetoSlots: 0);
        var emission = new Emission(settings, 13);
        emission.Line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend };
        var with = Gate.Run(emission, 100_000_000, vetoSlots: 0);
        for (var basis = 0; basis < 2; basis++)
        {
            var (error, _) = without.ErrorRate(basis, 0, 1, 2);
            var (rate, detections) = with.ErrorRate(basis, 0, 1, 2);
            rate.ShouldBeWithinFiveSigma(0.25 + (error / 2), Math.Sqrt(0.1875 / detections), $"basis {basis}: {error} becomes {rate} of {detections}");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(0.3)]
    public void She_keeps_the_rate_of_clicks(double fraction)
    {
        var settings = Emission.Bare;
        var without = Clicks(new Emission(settings, 12).Send(100_000_000).Truth.Payload());
        var with = Clicks(Sent(settings, fraction, 100_000_000).Truth.Payload());

        // Several detectors click on one pulse, more so with her: the variance of the number of clicks is below 1.5 times the number.
        ((double)(with - without)).ShouldBeWithinFiveSigma(0, Math.Sqrt(1.5 * (with + without)), $"{without} clicks without her, {with} with her");
    }

    [Fact]
    public void She_keeps_the_rate_at_each_fraction_but_not_that_of_each_intensity()
    {
        // She cannot know the intensity: a decoy's clicks grow where she sees photons, by nu (1 - exp(-mu)) / mu.
        var emission = Sent(Emission.Bare, 1, 100_000_000);
        var photons = emission.Line.EavesdropperPhotonsPerPulse;
        var truth = emission.Truth.Payload();
        foreach (var (intensity, mean) in new[] { (0, 0.45), (1, 0.15), (2, 0.001) })
        {
            var emitted = truth.Emitted(intensity, 0);
            var line = emission.Line;

            // Detectors H and V together for Z symbols: she sends H or V (right or wrong) or D or A, each to its detectors.
            var pulse = 0.0;
            for (var detector = 0; detector < 2; detector++)
            {
                pulse += OutcomeClicks(line, photons, detector);
            }

            var expected = emitted * (1 - Math.Exp(-mean)) * pulse;
            var clicks = truth.Clicks(intensity, 0, 0, 0) + truth.Clicks(intensity, 0, 0, 1) + truth.Clicks(intensity, 0, 1, 0) + truth.Clicks(intensity, 0, 1, 1);
            ((double)clicks).ShouldBeWithinFiveSigma(expected, Math.Sqrt(1.5 * expected), $"intensity {intensity}");
        }
    }

    [Fact]
    public void Intercepted_pulses_are_a_share_of_all_and_vacuum_is_passed_on()
    {
        var emission = Sent(Emission.Bare, 0.25, 100_000_000);
        var truth = emission.Truth.Payload();
        var line = emission.Line;
        for (var detector = 0; detector < 4; detector++)
        {
            var signal = truth.Clicks(0, 0, 0, detector, ClickCause.Signal);
            signal.ShouldBeBinomial(truth.Emitted(0, 0, 0), 0.75 * (1 - Math.Exp(-line.MeanPhotoelectrons(0, 0, 0, detector))), $"untouched pulses, detector {detector}");
        }

        var vacuum = new Emission(Emission.Bare with { Source = new() { PhotonsPerPulse = [0.45, 0.15, 0] } }, 4);
        vacuum.Line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend };
        vacuum.Send(10_000_000);
        vacuum.Truth.Payload().Matched(2, 0).ShouldBe(0);
        vacuum.Truth.Payload().Matched(0, 0).ShouldBeGreaterThan(0);
    }

    [Fact]
    public void She_may_come_and_go_while_light_passes()
    {
        var emission = new Emission(Emission.Bare, 9);
        emission.Send(5_000_000);
        emission.Truth.Payload().Clicks(ClickCause.Resent).ShouldBe(0);
        emission.Line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend };
        var signal = emission.Truth.Payload().Clicks(ClickCause.Signal);
        emission.Send(5_000_000);
        emission.Truth.Payload().Clicks(ClickCause.Signal).ShouldBe(signal);
        emission.Truth.Payload().Clicks(ClickCause.Resent).ShouldBeGreaterThan(0);
        emission.Line.Eavesdropper = EavesdropperSettings.None;
        emission.Line.EavesdropperPhotonsPerPulse.ShouldBe(0);
        emission.Send(5_000_000);
        emission.Truth.Payload().Clicks(ClickCause.Signal).ShouldBeGreaterThan(signal);
    }

    /// <summary>Clicks of a Z detector per pulse of hers, over her four states as they come for Z symbols of both bits together.</summary>
    private static double OutcomeClicks(OpticalLine line, double photons, int detector)
    {
        // Half in Z (H and V alike by the symmetry of the bits), half in X, of which a Z detector sees half the light.
        var light = photons * line.Settings.Channel.Transmittance * Math.Pow(10, -line.Settings.Receiver.InsertionLossDecibels / 10)
            * line.Settings.Detectors[detector].Efficiency * line.Settings.Receiver.ZArmFraction;
        var leak = Math.Pow(10, -line.Settings.Receiver.ZExtinctionDecibels / 10);
        return (0.25 * (1 - Math.Exp(-light * (1 - leak)))) + (0.25 * (1 - Math.Exp(-light * leak))) + (0.5 * (1 - Math.Exp(-light / 2)));
    }

    private static long Clicks(TruthCounters truth) => truth.Clicks(ClickCause.Signal) + truth.Clicks(ClickCause.Resent);
}
