using CsCheck;
using Qkd.Timing.Correlation;
using Shouldly;

namespace Qkd.Timing.Tests.Correlation;

public sealed class CorrelationTests
{
    private static double Exponential(Random random, double mean) => -mean * Math.Log(1 - random.NextDouble());

    private static double Gauss(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static long[] Poisson(Random random, double hertz, double seconds)
    {
        var times = new List<long>();
        for (var t = Exponential(random, 1e12 / hertz); t < seconds * 1e12; t += Exponential(random, 1e12 / hertz))
        {
            times.Add((long)t);
        }

        return [.. times];
    }

    private static (long[] Times, byte[] Channels) Merge(params (byte Channel, long[] Times)[] streams)
    {
        var all = streams.SelectMany(s => s.Times.Select(t => (t, s.Channel))).OrderBy(e => e.t).ToArray();
        return ([.. all.Select(e => e.t)], [.. all.Select(e => e.Channel)]);
    }

    [Fact]
    public void The_fast_coincidence_count_is_the_plain_one() =>
        Gen.Select(Gen.Int, Gen.Int[0, 9000], Gen.Int[0, 9000], Gen.Long[0, 3000], Gen.Long[-5000, 5000], Gen.Int[0, 4])
            .Sample((seed, n, m, window, delay, kind) =>
            {
                var random = new Random(seed);
                long[] Make(int count) => [.. Enumerable.Range(0, count).Select(_ => kind switch
                {
                    0 => random.NextInt64(0, 1_000_000_000),
                    1 => random.NextInt64(0, 20_000),
                    2 => 1_000_000 * random.NextInt64(0, 1000),
                    3 => 0,
                    _ => random.NextInt64(0, 50) * 1_000_000_000 + random.NextInt64(0, 3000),
                }).Order()];
                var (a, b) = (Make(n), Make(m));
                Coincidences.Count(a, b, window, delay).ShouldBe(Coincidences.CountPlainly(a, b, window, delay));
            }, iter: 300);

    [Fact]
    public void Coincidences_of_pairs_are_found_at_their_delay_and_the_window_includes_its_edge()
    {
        long[] a = [100, 1000, 5000];
        long[] b = [160, 1040, 4990];
        Coincidences.Count(a, b, 20, 40).ShouldBe(2);
        Coincidences.Count(a, b, 19, 40).ShouldBe(1);
        Coincidences.Count(a, b, 50, 40).ShouldBe(3);
        Coincidences.Count([], b, 50).ShouldBe(0);
        Should.Throw<ArgumentOutOfRangeException>(() => Coincidences.Count(a, b, -1));
    }

    [Fact]
    public void Accidental_coincidences_are_as_many_as_theory_says()
    {
        // Independent streams: 2 w R1 R2 T pairs within ± w, where tags are rare in the window.
        var random = new Random(1);
        var (a, b) = (Poisson(random, 2e5, 5), Poisson(random, 3e5, 5));
        var expected = 2 * 5e-9 * 2e5 * 3e5 * 5;
        ((double)Coincidences.Count(a, b, 5000)).ShouldBe(expected, 5 * Math.Sqrt(expected));
    }

    [Fact]
    public void Patterns_of_several_channels_are_counted_with_their_delays()
    {
        // Every 10 us: channels 1, 2 and 3, of which 2 comes 700 ps late and 3 300 ps early; every second time without 3.
        var streams = new List<(byte, long[])>
        {
            (1, [.. Enumerable.Range(1, 1000).Select(i => i * 10_000_000L)]),
            (2, [.. Enumerable.Range(1, 1000).Select(i => (i * 10_000_000L) + 700)]),
            (3, [.. Enumerable.Range(1, 500).Select(i => (i * 20_000_000L) - 300)]),
            (9, [.. Enumerable.Range(1, 1000).Select(i => i * 10_000_000L)]),
        };
        var (times, channels) = Merge([.. streams]);
        var patterns = new CoincidencePatterns([1, 2, 3], 100, [0, 700, -300]);
        for (var i = 0; i < times.Length; i += 7)
        {
            patterns.Add(times.AsSpan(i, Math.Min(7, times.Length - i)), channels.AsSpan(i, Math.Min(7, times.Length - i)));
        }

        patterns.Complete();
        patterns.Exactly([1, 2]).ShouldBe(500);
        patterns.Exactly([1, 2, 3]).ShouldBe(500);
        patterns.AtLeast([1, 2]).ShouldBe(1000);
        patterns.AtLeast([3]).ShouldBe(500);
        patterns.Singles(2).ShouldBe(1000);
        patterns.Patterns().Count.ShouldBe(2);
        Should.Throw<ArgumentException>(() => patterns.Singles(9));
    }

    [Fact]
    public void Accidental_threefold_coincidences_are_as_many_as_theory_says()
    {
        var random = new Random(2);
        var (times, channels) = Merge((1, Poisson(random, 1e6, 1.5)), (2, Poisson(random, 8e5, 1.5)), (3, Poisson(random, 5e5, 1.5)));
        var patterns = new CoincidencePatterns([1, 2, 3], 20_000);
        patterns.Add(times, channels);
        patterns.Complete();
        var expected = patterns.Accidentals([1, 2, 3]);
        expected.ShouldBe(3 * Math.Pow(20e-9, 2) * 1e6 * 8e5 * 5e5 * 1.5, expected * 0.01);

        // Tags that share a group with others make it a few per cent fewer: R w = 0.046.
        ((double)patterns.AtLeast([1, 2, 3])).ShouldBe(expected, (5 * Math.Sqrt(expected)) + (0.05 * expected));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Poissonian_light_has_no_correlation(bool auto)
    {
        var random = new Random(3);
        var (times, channels) = Merge((1, Poisson(random, 3e5, 3)), (2, Poisson(random, 2e5, 3)));
        var histogram = new CorrelationHistogram(1, auto ? 1 : 2, 10_000, 1_000_000);
        for (var i = 0; i < times.Length; i += 1000)
        {
            histogram.Add(times.AsSpan(i, Math.Min(1000, times.Length - i)), channels.AsSpan(i, Math.Min(1000, times.Length - i)));
        }

        // 201 bins: the sum of squared pulls is chi-squared with as many degrees of freedom, half as many where bins come in pairs.
        var squares = Enumerable.Range(0, histogram.Counts.Length).Sum(bin =>
        {
            var (value, error) = histogram.At(bin);
            Math.Abs(value - 1).ShouldBeLessThan(5 * error);
            return Math.Pow((value - 1) / error, 2);
        });
        squares.ShouldBe(201, 5 * Math.Sqrt(2 * 201 * (auto ? 2 : 1)));
    }

    [Fact]
    public void A_finite_recording_does_not_seem_less_correlated_at_long_lags()
    {
        // A tenth of a second, lags of up to half of it.
        var random = new Random(4);
        var (times, channels) = Merge((1, Poisson(random, 2e4, 0.1)), (2, Poisson(random, 2e4, 0.1)));
        var histogram = new CorrelationHistogram(1, 2, 1_000_000_000, 50_000_000_000);
        histogram.Add(times, channels);
        var far = Enumerable.Range(0, histogram.Counts.Length).Where(bin => Math.Abs(histogram.Lag(bin)) > 40_000_000_000).Select(bin => histogram.At(bin)).ToArray();

        // Neighbouring bins share tags: their mean has the error of the rates, 1/√2000 twice, and of the pairs.
        far.Average(f => f.Value).ShouldBe(1, 5 * 0.035);
    }

    [Fact]
    public void Pairs_bunch_and_single_photons_do_not()
    {
        var random = new Random(5);
        var first = Poisson(random, 1e5, 2);
        long[] second = [.. first.Where(_ => random.NextDouble() < 0.3).Select(t => t + 5000 + (long)(300 * Gauss(random))).Order()];
        var (times, channels) = Merge((1, first), (2, second));
        var histogram = new CorrelationHistogram(1, 2, 1000, 20_000);
        histogram.Add(times, channels);
        histogram.Counts[..].ToArray().Index().MaxBy(c => c.Item).Index.ShouldBe(25);

        // All pairs within 5 ± 2 ns, and accidentals.
        ((double)histogram.Counts[23..28].ToArray().Sum()).ShouldBe(second.Length + (1e5 * 3e4 * 2 * 5e-9), (5 * Math.Sqrt(second.Length) * 0.1) + 20);

        // A single emitter: never twice within its lifetime.
        var emitter = new List<long>();
        for (double t = 0; t < 2e12;)
        {
            emitter.Add((long)(t += 20_000 + Exponential(random, 1e7)));
        }

        var auto = new CorrelationHistogram(1, 1, 2000, 40_000);
        auto.Add(emitter.ToArray(), Enumerable.Repeat((byte)1, emitter.Count).ToArray());
        var antibunched = auto.Counts.ToArray();
        Enumerable.Range(0, antibunched.Length).Where(bin => Math.Abs(auto.Lag(bin)) < 18_000).ShouldAllBe(bin => antibunched[bin] == 0);
        auto.At(0).Value.ShouldBe(1, 5 * auto.At(0).Error);
    }

    [Fact]
    public void Start_stop_takes_the_first_stop()
    {
        var histogram = new StartStopHistogram(1, 2, 10, 100);
        histogram.Add([0, 25, 30, 1000, 1010, 1500, 9000, 20_000], [1, 2, 2, 1, 1, 2, 1, 2]);
        histogram.Starts.ShouldBe(4);
        (histogram.Counts[2], histogram.Counts[49], histogram.Later).ShouldBe((1, 1, 1));
        histogram.Counts.ToArray().Sum().ShouldBe(2);
    }

    [Fact]
    public void A_lifetime_is_that_of_the_delays()
    {
        var random = new Random(6);
        var histogram = new LifetimeHistogram(2, 4096, 2);
        var buffer = new TagBuffer(1 << 16);
        for (var i = 0; i < buffer.Capacity; i++)
        {
            buffer.Add(i, (byte)(1 + (i % 2)), (uint)Exponential(random, 600));
        }

        histogram.Add(buffer);
        var counts = histogram.Counts.ToArray();
        counts.Sum().ShouldBe(buffer.Capacity / 2);
        var mean = counts.Index().Sum(c => (c.Index * 2 + 1.0) * c.Item) / counts.Sum();
        mean.ShouldBe(600, 5 * 600 / Math.Sqrt(counts.Sum()));
    }

    [Fact]
    public void Rates_are_counted_by_stretch_and_channel()
    {
        var random = new Random(7);
        var (times, channels) = Merge((1, Poisson(random, 1e5, 2)), (3, Poisson(random, 2e4, 1)));
        var trace = new CountRateTrace(100_000_000_000);
        trace.Add(times, channels);
        trace.Bins.ShouldBe(20);
        trace.Channels.ShouldBe([1, 3]);
        trace.Counts(1).Sum().ShouldBe(channels.Count(c => c == 1));
        trace.Counts(1).ShouldAllBe(count => Math.Abs(count - 10_000) < 5 * 100);
        trace.Counts(3).Skip(11).ShouldAllBe(count => count == 0);
        var (hertz, error) = trace.Mean(1);
        hertz.ShouldBe(1e5, 5 * error);
        error.ShouldBe(Math.Sqrt(1e5 / 1.9), 10);
    }

    [Fact]
    public void The_fit_of_a_peak_is_right_within_its_errors()
    {
        // 200 peaks of 500 counts on a background of 3 a bin: pulls of the three figures.
        var random = new Random(8);
        var pulls = new List<double[]>();
        for (var run = 0; run < 200; run++)
        {
            var counts = new long[120];
            for (var i = 0; i < 500; i++)
            {
                counts[Math.Clamp((int)Math.Floor(60.3 + (4.2 * Gauss(random))), 0, 119)]++;
            }

            for (var i = 0; i < 360; i++)
            {
                counts[random.Next(120)]++;
            }

            var fit = PeakFit.Of(counts).ShouldNotBeNull();
            pulls.Add([(fit.Centre - 60.3) / fit.CentreError, (fit.Sigma - 4.2) / fit.SigmaError]);
            fit.FullWidthHalfMaximum.ShouldBe(fit.Sigma * 2.3548, 1e-3 * fit.Sigma);
        }

        for (var figure = 0; figure < 2; figure++)
        {
            var own = pulls.Select(p => p[figure]).ToArray();
            own.Average().ShouldBe(0, 5 / Math.Sqrt(200) + 0.05);
            own.Sum(p => p * p).ShouldBe(200, 5 * Math.Sqrt(400));
        }
    }

    [Fact]
    public void Background_has_no_peak()
    {
        var random = new Random(9);
        for (var run = 0; run < 100; run++)
        {
            var counts = new long[200];
            for (var i = 0; i < 1000; i++)
            {
                counts[random.Next(200)]++;
            }

            (PeakFit.Of(counts) is { } fit && fit.Area > 100).ShouldBeFalse();
        }
    }

    [Theory]
    [InlineData(20_000, 45_000, 0.03, 80_000)]
    [InlineData(300_000, 20_000, 0.01, 50_000)]
    [InlineData(1000, 100_000, 0, 1)]
    public void A_detector_tells_its_dead_time_afterpulses_and_rate(double hertz, double dead, double afterpulses, double decay)
    {
        var random = new Random(10);
        var times = new List<long>();
        double last = double.NegativeInfinity, light = 0;
        var due = new PriorityQueue<double, double>();
        while (times.Count < 400_000 && light < 400e12)
        {
            double next;
            if (due.TryPeek(out var pulse, out _) && pulse < light)
            {
                next = due.Dequeue();
            }
            else
            {
                next = light;
                light += Exponential(random, 1e12 / hertz);
            }

            if (next - last < dead)
            {
                continue;
            }

            last = next;
            times.Add((long)next);
            if (random.NextDouble() < afterpulses)
            {
                var then = next + dead + Exponential(random, decay);
                due.Enqueue(then, then);
            }
        }

        var detector = new DetectorCharacterisation(4, 1000, 2_000_000);
        var channels = Enumerable.Repeat((byte)4, times.Count).ToArray();
        detector.Add(times.ToArray(), channels);
        var figures = detector.Figures();
        figures.RateHertz.Value.ShouldBe(hertz, 5 * figures.RateHertz.Error);
        figures.RateHertz.Error.ShouldBeLessThan(0.02 * hertz);
        var probability = figures.AfterpulseProbability.ShouldNotBeNull();
        probability.Value.ShouldBe(afterpulses, (5 * probability.Error) + (0.05 * afterpulses));
        if (afterpulses > 0)
        {
            figures.DeadTimePicoseconds.ShouldNotBeNull().Value.ShouldBe(dead, 2000);
            figures.AfterpulseDelayPicoseconds.ShouldNotBeNull().ShouldBe(decay, 0.2 * decay);
            (detector.ShortestPicoseconds >= (long)dead).ShouldBeTrue();
        }
    }

    [Theory]
    [InlineData(0, 0, 5e4, 0.1)]
    [InlineData(123_456_789_012, 12.3, 5e4, 0.1)]
    [InlineData(-400_000_000_000, -48, 1e5, 0.05)]
    public void Two_receivers_of_pairs_find_each_other(long offset, double ppm, double hertz, double efficiency)
    {
        var random = new Random(11);
        var (first, second) = (new List<long>(), new List<long>());
        for (double t = 0; t < 4e12; t += Exponential(random, 1e12 / (hertz / efficiency)))
        {
            if (random.NextDouble() < efficiency)
            {
                first.Add((long)(t + 2e12 + (120 * Gauss(random))));
            }

            if (random.NextDouble() < efficiency)
            {
                second.Add((long)(t + 2e12 + offset + (ppm * 1e-6 * (t + 2e12)) + (120 * Gauss(random))));
            }
        }

        first.Sort();
        second.Sort();
        var settings = new PairSettings();
        settings = Math.Abs(offset) > settings.LargestOffsetPicoseconds ? settings with { LargestOffsetPicoseconds = Math.Abs(offset) + 100_000_000_000 } : settings;
        var clock = new PairSynchroniser(settings).Find(first.ToArray(), second.ToArray()).ShouldNotBeNull();
        clock.DeviationPpm.ShouldBe(ppm, 0.001);

        // 20 000 pairs: one standard deviation of their width is 0.85 ps.
        clock.JitterPicoseconds.ShouldBe(120 * Math.Sqrt(2), 5);
        foreach (var at in new[] { 2.1e12, 4e12, 5.8e12 })
        {
            clock.At(at).ShouldBe(at + offset + (ppm * 1e-6 * at), 100);
        }
    }

    [Fact]
    public void Receivers_that_share_no_pairs_find_nothing()
    {
        for (var seed = 0; seed < 8; seed++)
        {
            var random = new Random(seed);
            var (a, b) = (Poisson(random, 2e4, 0.5), Poisson(random, 2e4, 0.5));
            new PairSynchroniser(new PairSettings { LargestDeviationPpm = 10 }).Find(a, b).ShouldBeNull();
        }
    }
}
