using Shouldly;

namespace Qkd.Sim.Optics.Tests;

public sealed class DetectorTests
{
    private const long Second = 1_000_000_000_000;

    private static OpticsSettings With(DetectorSettings detector, OpticsSettings? settings = null) =>
        (settings ?? Emission.Bare) with { Detectors = [detector, detector, detector, detector] };

    /// <summary>Clicks of detector 0 and 1 in the dark, in steps of 1 ms.</summary>
    private static long[][] Dark(OpticsSettings settings, long duration, ulong seed = 1)
    {
        var line = new OpticalLine(settings, seed);
        var clicks = new ClickBuffer();
        for (var time = 0L; time < duration; time += Second / 1000)
        {
            line.PropagateDark(time, time + (Second / 1000), clicks);
        }

        return [clicks.Times(0).ToArray(), clicks.Times(1).ToArray()];
    }

    [Fact]
    public void Dark_counts_come_at_their_rate_and_evenly_in_time()
    {
        var dark = Dark(With(new() { DarkCountsPerSecond = 20_000, DeadTimePicoseconds = 0, AfterpulseProbability = 0 }), 10 * Second);
        foreach (var times in dark)
        {
            ((double)times.Length).ShouldBeWithinFiveSigma(200_000, Math.Sqrt(200_000), "dark counts in 10 s");
            var mean = times.Average(time => time % 10_000);
            mean.ShouldBeWithinFiveSigma(4999.5, 10_000 / Math.Sqrt(12.0 * times.Length), "place within a slot");
            var gaps = Enumerable.Range(1, times.Length - 1).Select(i => (double)(times[i] - times[i - 1])).ToArray();
            var average = gaps.Average();
            average.ShouldBeWithinFiveSigma(50e6, 50e6 / Math.Sqrt(gaps.Length), "mean gap");
            gaps.Average(gap => gap * gap).ShouldBeWithinFiveSigma(2 * 2500e12, Math.Sqrt(20.0 / gaps.Length) * 2500e12, "mean squared gap");
        }

        dark[0].ShouldNotBe(dark[1]);
    }

    [Fact]
    public void Dark_counts_go_on_between_the_pulses()
    {
        var emission = new Emission(With(new() { DarkCountsPerSecond = 1e6, DeadTimePicoseconds = 0, AfterpulseProbability = 0, Efficiency = 0 }), 4);
        var count = 0L;
        var places = 0.0;
        emission.Send(20_000_000, clicks =>
        {
            foreach (var time in clicks.Times(2))
            {
                count++;
                places += time % 10_000;
            }
        });
        ((double)count).ShouldBeWithinFiveSigma(200_000, Math.Sqrt(200_000), "dark counts in 0.2 s");
        (places / count).ShouldBeWithinFiveSigma(4999.5, 10_000 / Math.Sqrt(12.0 * count), "place within a slot");
        emission.Truth.Payload().Clicks(ClickCause.Dark).ShouldBeGreaterThan(4 * 190_000);
        emission.Truth.Payload().Clicks(ClickCause.Signal).ShouldBe(0);
    }

    [Fact]
    public void A_dead_detector_neither_clicks_nor_is_dead_for_longer()
    {
        // Non-paralysable: the rate is D/(1 + D t), and its variance smaller than Poisson's by (1 + D t)^2.
        const double deadSeconds = 200e-9;
        const double darkCounts = 5e6;
        var times = Dark(With(new() { DarkCountsPerSecond = darkCounts, DeadTimePicoseconds = 200_000, AfterpulseProbability = 0 }), Second / 10)[0];
        var expected = 0.1 * darkCounts / (1 + (darkCounts * deadSeconds));
        ((double)times.Length).ShouldBeWithinFiveSigma(expected, Math.Sqrt(expected) / (1 + (darkCounts * deadSeconds)), "clicks in 0.1 s");
        for (var i = 1; i < times.Length; i++)
        {
            (times[i] - times[i - 1]).ShouldBeGreaterThanOrEqualTo(200_000);
        }
    }

    [Fact]
    public void Afterpulses_follow_the_dead_time_with_their_probability_and_decay()
    {
        // So few dark counts that hardly any falls on an afterpulse (1000/s times about 1 us): each click leaves p more on the average.
        const double p = 0.2;
        var settings = With(new() { DarkCountsPerSecond = 1000, DeadTimePicoseconds = 100_000, AfterpulseProbability = p, AfterpulseDecayPicoseconds = 300_000 });
        var line = new OpticalLine(settings, 8);
        var clicks = new ClickBuffer();
        var logged = new List<LoggedClick>[4];
        for (var i = 0; i < 4; i++)
        {
            logged[i] = [];
        }

        line.Truth.ClickLog = click => logged[click.Detector].Add(click);
        line.PropagateDark(0, 100 * Second, clicks);
        var primary = logged.Sum(list => list.Count(click => click.Cause == ClickCause.Dark));
        var afterpulses = logged.Sum(list => list.Count(click => click.Cause == ClickCause.Afterpulse));

        // The chain of afterpulses behind a dark count has a geometric length: mean p/(1-p), variance p/(1-p)^2.
        ((double)primary).ShouldBeWithinFiveSigma(400_000, Math.Sqrt(400_000), "dark counts");
        ((double)afterpulses).ShouldBeWithinFiveSigma(primary * p / (1 - p), Math.Sqrt(primary * p) / (1 - p), "afterpulses");
        var delays = logged.SelectMany(list => list.Zip(list.Skip(1)))
            .Where(pair => pair.Second.Cause == ClickCause.Afterpulse)
            .Select(pair => (double)(pair.Second.Picoseconds - pair.First.Picoseconds - 100_000)).ToArray();
        delays.Average().ShouldBeWithinFiveSigma(300_000, 300_000 / Math.Sqrt(delays.Length), "mean delay after the dead time");
        delays.Min().ShouldBeGreaterThanOrEqualTo(0);
        (line.Truth.UnlitClicks(0, ClickCause.Dark) + line.Truth.UnlitClicks(0, ClickCause.Afterpulse)).ShouldBe(logged[0].Count);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(350.5)]
    [InlineData(2000)]
    public void Jitter_is_Gaussian_about_the_arrival(double sigma)
    {
        var emission = new Emission(With(Emission.Bare.Detectors[0] with { JitterPicoseconds = sigma }), 17);
        var delay = emission.Line.DelayPicoseconds;
        var moments = new double[5];
        var count = 0L;
        emission.Truth.ClickLog = click =>
        {
            var x = (click.Picoseconds - (click.Slot * 10_000) - delay) / sigma;
            count++;
            for (var k = 1; k < 5; k++)
            {
                moments[k] += Math.Pow(x, k);
            }
        };
        emission.Send(20_000_000);

        // Rounding to picoseconds adds 1/12 ps^2 to the variance and next to nothing to the others.
        var variance = 1 + (1 / (12 * sigma * sigma));
        (moments[1] / count).ShouldBeWithinFiveSigma(0, 1 / Math.Sqrt(count), "mean");
        (moments[2] / count).ShouldBeWithinFiveSigma(variance, Math.Sqrt(2.0 / count), "variance");
        (moments[3] / count).ShouldBeWithinFiveSigma(0, Math.Sqrt(15.0 / count), "skewness");
        (moments[4] / count).ShouldBeWithinFiveSigma(3 * variance * variance, Math.Sqrt(96.0 / count), "fourth moment");
    }

    [Fact]
    public void Clicks_stay_in_order_where_jitter_reaches_into_the_next_slots()
    {
        var settings = With(new() { JitterPicoseconds = 700, DeadTimePicoseconds = 0, AfterpulseProbability = 0.01, AfterpulseDecayPicoseconds = 2000 }, Emission.Bare) with
        {
            Source = new() { SlotPeriodPicoseconds = 500, PhotonsPerPulse = [2, 0.5, 0.1] },
        };
        var emission = new Emission(settings, 21);
        var last = new long[4];
        emission.Send(1_000_000, clicks =>
        {
            for (var detector = 0; detector < 4; detector++)
            {
                foreach (var time in clicks.Times(detector))
                {
                    time.ShouldBeGreaterThanOrEqualTo(last[detector]);
                    time.ShouldBeLessThan(clicks.CompleteBeforePicoseconds);
                    last[detector] = time;
                }
            }
        });

        var truth = emission.Truth.Payload();
        for (var detector = 0; detector < 4; detector++)
        {
            var mean = emission.Line.MeanPhotoelectrons(0, 0, 0, detector);
            truth.Clicks(0, 0, 0, detector, ClickCause.Signal).ShouldBeBinomial(truth.Emitted(0, 0, 0), 1 - Math.Exp(-mean), $"detector {detector}");
        }
    }

    [Fact]
    public void Without_bias_nothing_clicks()
    {
        var emission = new Emission(new(), 2);
        emission.Line.DetectorsEnabled = false;
        emission.Send(1_000_000, clicks => clicks.Count.ShouldBe(0));
        emission.Truth.Payload().Clicks(ClickCause.Signal).ShouldBe(0);
        emission.Line.DetectorsEnabled = true;
        var count = 0;
        emission.Send(1_000_000, clicks => count += clicks.Count);
        count.ShouldBeGreaterThan(60_000);
    }

    [Fact]
    public void Light_under_way_arrives_after_the_transmitter_has_gone_dark()
    {
        var settings = Emission.Bare;
        var line = new OpticalLine(settings, 2);
        var clicks = new ClickBuffer();
        var packed = new ulong[4];   // 64 signal pulses, horizontal
        var count = 0;
        for (var run = 0; run < 100; run++)
        {
            var start = 1_000_000L + (run * 1_000_000_000L);
            line.Propagate(0, 64, packed, start, clicks);
            line.PropagateDark(start + 640_000, start + 1_000_000, clicks);
            foreach (var time in clicks.Times(0))
            {
                (time - start - line.DelayPicoseconds).ShouldBeInRange(-400, 640_000);
                count++;
            }

            clicks.Clear();
        }

        line.DelayPicoseconds.ShouldBe(97_934_418);   // 20 km x 1.468 / (299 792 458 m/s)
        ((long)count).ShouldBeBinomial(6400, 1 - Math.Exp(-line.MeanPhotoelectrons(0, 0, 0, 0)), "clicks of 100 runs");
        line.Truth.EmissionIntervals().Count.ShouldBe(100);
    }
}
