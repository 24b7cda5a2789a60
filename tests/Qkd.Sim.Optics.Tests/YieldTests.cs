using Shouldly;

namespace Qkd.Sim.Optics.Tests;

/// <summary>Clicks of each symbol in each detector against the formulas of docs/physics.md, written out here once more.</summary>
public sealed class YieldTests
{
    private static readonly double[] UnevenEfficiencies = [0.9, 0.5, 0.7, 0.2];

    /// <summary>Mean photoelectrons of a symbol in a detector when the frames of both ends are aligned (section 2).</summary>
    private static double Mean(OpticsSettings settings, int symbol, int detector, double attenuatorDecibels = 0)
    {
        var photons = settings.Source.PhotonsPerPulse[symbol >> 2];
        var decibels = attenuatorDecibels + (settings.Channel.LengthKm * settings.Channel.LossDecibelsPerKm) + settings.Channel.ExtraLossDecibels
            + settings.Receiver.InsertionLossDecibels;
        var arm = detector < 2 ? settings.Receiver.ZArmFraction : 1 - settings.Receiver.ZArmFraction;
        var leak = Math.Pow(10, -(detector < 2 ? settings.Receiver.ZExtinctionDecibels : settings.Receiver.XExtinctionDecibels) / 10);
        var skew = settings.Source.BasisSkewRadians;
        var (s1, s2) = ((symbol & 2) == 0 ? 1.0 : Math.Sin(skew), (symbol & 2) == 0 ? 0.0 : Math.Cos(skew));
        var sign = (symbol & 1) == 0 ? 1 : -1;
        var component = sign * (1 - (2 * settings.Source.StateError)) * (detector < 2 ? s1 : s2);
        var toPort = (1 + ((detector & 1) == 0 ? component : -component)) / 2;
        var port = (toPort * (1 - leak)) + ((1 - toPort) * leak);
        return photons * Math.Pow(10, -decibels / 10) * arm * port * settings.Detectors[detector].Efficiency;
    }

    public static TheoryData<string> Lines => ["default", "uneven", "attenuated", "bright", "sparse"];

    private static (OpticsSettings Settings, double Attenuator) Named(string name)
    {
        var bare = Emission.Bare;
        return name switch
        {
            "uneven" => (bare with
            {
                Receiver = new() { ZArmFraction = 0.8, ZExtinctionDecibels = 15, XExtinctionDecibels = 22, InsertionLossDecibels = 0.3 },
                Detectors = [.. UnevenEfficiencies.Select((efficiency, i) => bare.Detectors[i] with { Efficiency = efficiency })],
                Source = new() { StateError = 0.03, BasisSkewRadians = -0.2 },
            }, 0),
            "attenuated" => (bare with { Source = new() { PhotonsPerPulse = [450, 150, 1] } }, 30),
            "bright" => (bare with { Source = new() { PhotonsPerPulse = [45, 1.5, 0.1] } }, 0),
            "sparse" => (bare with { Channel = bare.Channel with { LengthKm = 130 } }, 0),
            _ => (bare, 0),
        };
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public void Each_detector_clicks_for_each_symbol_as_often_as_Poisson_light_makes_it(string name)
    {
        var (settings, attenuator) = Named(name);
        var emission = new Emission(settings, 11);
        emission.Line.AttenuatorDecibels = attenuator;
        emission.Send(name == "bright" ? 10_000_000 : 60_000_000);
        var truth = emission.Truth.Payload();
        for (var symbol = 0; symbol < 12; symbol++)
        {
            var (intensity, basis, bit) = (symbol >> 2, symbol >> 1 & 1, symbol & 1);
            for (var detector = 0; detector < 4; detector++)
            {
                var mean = Mean(settings, symbol, detector, attenuator);
                emission.Line.MeanPhotoelectrons(intensity, basis, bit, detector).ShouldBe(mean, 1e-12 * (1 + mean));
                truth.Clicks(intensity, basis, bit, detector).ShouldBeBinomial(
                    truth.Emitted(intensity, basis, bit), 1 - Math.Exp(-mean), $"{name}: symbol {symbol}, detector {detector}");
            }
        }
    }

    [Fact]
    public void Detectors_click_independently_of_each_other()
    {
        var emission = new Emission(Emission.Bare with { Source = new() { PhotonsPerPulse = [3, 0.5, 0.1] } }, 5);
        var pairs = new long[12, 16];
        var patterns = new Dictionary<long, (int Symbol, int Pattern)>();
        emission.Truth.ClickLog = click =>
        {
            patterns.TryGetValue(click.Slot, out var seen);
            patterns[click.Slot] = (click.Symbol, seen.Pattern | 1 << click.Detector);
        };
        emission.Send(2_000_000, _ =>
        {
            foreach (var (symbol, pattern) in patterns.Values)
            {
                pairs[symbol, pattern]++;
            }

            patterns.Clear();
        });
        var truth = emission.Truth.Payload();
        for (var symbol = 0; symbol < 12; symbol++)
        {
            var emitted = truth.Emitted(symbol >> 2, symbol >> 1 & 1, symbol & 1);
            for (var pattern = 1; pattern < 16; pattern++)
            {
                var probability = 1.0;
                for (var detector = 0; detector < 4; detector++)
                {
                    var none = Math.Exp(-Mean(emission.Line.Settings, symbol, detector));
                    probability *= (pattern >> detector & 1) == 1 ? 1 - none : none;
                }

                pairs[symbol, pattern].ShouldBeBinomial(emitted, probability, $"symbol {symbol}, pattern {pattern}");
            }
        }
    }

    [Fact]
    public void Emitted_symbols_are_counted_as_sent()
    {
        var emission = new Emission(Emission.Bare, 3);
        emission.Send(64_000);
        var truth = emission.Truth.Payload();
        var packed = new ulong[64_000 / 16];
        new SymbolDraw(3).Fill(packed);
        var expected = new long[16];
        for (var slot = 0; slot < 64_000; slot++)
        {
            expected[Symbol.Read(packed, slot)]++;
        }

        for (var symbol = 0; symbol < 16; symbol++)
        {
            truth.Emitted(symbol >> 2, symbol >> 1 & 1, symbol & 1).ShouldBe(expected[symbol]);
        }
    }

    [Fact]
    public void The_default_line_gives_about_seven_million_clicks_a_second_with_one_per_cent_errors()
    {
        var emission = new Emission(Emission.Aligned, 1);
        var clicks = 0L;
        emission.Send(50_000_000, buffer => clicks += buffer.Count);
        (clicks / 0.5).ShouldBeInRange(6.8e6, 7.3e6);
        var truth = emission.Truth.Payload();
        for (var basis = 0; basis < 2; basis++)
        {
            ((double)truth.Errors(0, basis) / truth.Matched(0, basis)).ShouldBeInRange(0.007, 0.013);
        }
    }
}
