namespace Qkd.Sim.Optics.Tests;

/// <summary>The line that skips from click to click against its plain twin that follows every photon.</summary>
public sealed class ReferenceTests
{
    private const int Slots = 6_400_000;

    [Theory]
    [InlineData(0)]
    [InlineData(0.6)]
    public void The_line_agrees_with_the_twin_that_follows_every_photon(double eavesdropperFraction)
    {
        // Noise far above the default, so that all of it shows in a short run.
        var detector = new DetectorSettings { DarkCountsPerSecond = 2e5, AfterpulseProbability = 0.05, JitterPicoseconds = 100 };
        var settings = Emission.Aligned with
        {
            Detectors = [detector, detector with { Efficiency = 0.7 }, detector with { DeadTimePicoseconds = 43_000 }, detector with { AfterpulseDecayPicoseconds = 20_000 }],
            Receiver = new() { ZArmFraction = 0.6, ZExtinctionDecibels = 17 },
        };
        var emission = new Emission(settings, 31);
        emission.Line.Eavesdropper = new() { Kind = EavesdropperKind.InterceptResend, Fraction = eavesdropperFraction };
        var gaps = new long[40];
        var last = new long[] { long.MinValue / 2, long.MinValue / 2, long.MinValue / 2, long.MinValue / 2 };
        emission.Truth.ClickLog = click =>
        {
            if (click.Slot >= 0 && click.Picoseconds - last[click.Detector] < 200_000)
            {
                gaps[(click.Picoseconds - last[click.Detector]) / 5000]++;
            }

            last[click.Detector] = click.Picoseconds;
        };
        emission.Send(Slots);
        var truth = emission.Truth.Payload();

        var reference = new ReferenceLine(settings, 5);
        var symbols = new SymbolDraw(77);
        var packed = new ulong[64_000 / 16];
        for (var slot = 0; slot < Slots; slot++)
        {
            if (slot % 64_000 == 0)
            {
                symbols.Fill(packed);
            }

            var symbol = Symbol.Read(packed, slot % 64_000);
            reference.Send(symbol, settings.Source.PhotonsPerPulse[symbol >> 2], eavesdropperFraction, emission.Line.EavesdropperPhotonsPerPulse);
        }

        reference.Detect();
        for (var symbol = 0; symbol < 12; symbol++)
        {
            var (intensity, basis, bit) = (symbol >> 2, symbol >> 1 & 1, symbol & 1);
            var share = (double)truth.Emitted(intensity, basis, bit) / reference.Emitted[symbol];
            for (var d = 0; d < 4; d++)
            {
                for (var cause = 0; cause < 4; cause++)
                {
                    ShouldAgree(truth.Clicks(intensity, basis, bit, d, (ClickCause)cause), reference.Clicks[symbol, d, cause], share, $"symbol {symbol}, detector {d}, {(ClickCause)cause}");
                }

                ShouldAgree(truth.Missed(intensity, basis, bit, d), reference.Missed[symbol, d], share, $"symbol {symbol}, detector {d}, missed");
            }
        }

        for (var bin = 0; bin < gaps.Length; bin++)
        {
            ShouldAgree(gaps[bin], reference.Gaps[bin], 1, $"gaps of {5 * bin} ns");
        }
    }

    /// <summary>Two counts of rare independent events agree within five standard deviations of their difference.</summary>
    private static void ShouldAgree(long count, long reference, double share, string what)
    {
        var deviation = Math.Sqrt(count + (share * share * reference) + 1);
        ((double)count).ShouldBeWithinFiveSigma(share * reference, deviation, what);
    }
}
