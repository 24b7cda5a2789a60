using Qkd.Timing.Clocks;
using Shouldly;

namespace Qkd.Timing.Tests.Clocks;

public sealed class MarkerClockTests
{
    private const double Period = 10_000;
    private const int Divisor = 1000;

    [Theory]
    [InlineData(20, 0, 0)]
    [InlineData(-50, 1, 40)]
    [InlineData(50, -1, 200)]
    public void Period_and_drift_follow_the_marker(double ppm, double drift, double jitter)
    {
        var truth = new Truth(ppm, drift, jitter, 11);
        var clock = new MarkerClock(Period, Divisor);
        for (var marker = 0; marker < 200_000; marker += 500)
        {
            clock.Add(truth.Edges(marker, 500));
        }

        var found = clock.Clock.ShouldNotBeNull();
        (clock.Markers, clock.Missing, clock.Extra).ShouldBe((200_000, 0, 0));
        found.DeviationPpm(Period).ShouldBe(ppm + (drift * 2), 0.01);
        found.DriftPpmPerSecond.ShouldBe(drift, 0.02);

        // What the clock adds is far below the marker's own jitter: 20 ps at 200 ps.
        var late = Enumerable.Range(199_000, 900).Select(marker => found.At(truth.At(marker))).ToArray();
        late.ShouldAllBe(place => Math.Abs(place.Late) * Period < Math.Max(1, jitter / 10));
        late.Select((place, i) => place.Slot - ((199_000L + i) * Divisor)).ShouldAllBe(difference => difference == 0);
        clock.JitterPicoseconds.ShouldBe(jitter, 1 + (jitter * 0.1));
    }

    [Fact]
    public void Missing_markers_and_edges_that_are_none_are_counted_and_do_not_shift_the_numbers()
    {
        var truth = new Truth(10, 0.1, 40, 3);
        var random = new Random(4);
        var edges = new List<long>();
        int missing = 0, extra = 0;
        var all = truth.Edges(0, 50_000);
        for (var i = 0; i < all.Length; i++)
        {
            if (i > 100 && i < all.Length - 100 && random.Next(100) == 0)
            {
                missing++;
                continue;
            }

            edges.Add(all[i]);
            if (i > 100 && random.Next(200) == 0)
            {
                extra++;
                edges.Add(all[i] + (long)(Period * Divisor * (0.1 + (0.8 * random.NextDouble()))));
            }
        }

        var clock = new MarkerClock(Period, Divisor);
        clock.Add(edges.ToArray());
        (clock.Missing, clock.Extra).ShouldBe((missing, extra));
        clock.Clock.ShouldNotBeNull().At(truth.At(49_999)).Slot.ShouldBe(49_999L * Divisor);
    }

    [Fact]
    public void Edges_at_random_give_no_clock()
    {
        var random = new Random(9);
        var edges = new long[5000];
        double time = 0;
        for (var i = 0; i < edges.Length; i++)
        {
            edges[i] = (long)(time -= Period * Divisor * Math.Log(1 - random.NextDouble()));
        }

        var clock = new MarkerClock(Period, Divisor);
        clock.Add(edges);
        clock.Clock.ShouldBeNull();
    }

    private sealed class Truth(double ppm, double drift, double jitter, int seed)
    {
        private readonly Random _random = new(seed);

        public double At(long marker)
        {
            var sender = marker * Period * Divisor;
            return 1e9 + (sender * (1 + (ppm * 1e-6) + (0.5e-6 * drift * sender / 1e12)));
        }

        public long[] Edges(long first, int count)
        {
            var edges = new long[count];
            for (var i = 0; i < count; i++)
            {
                var gauss = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
                edges[i] = (long)Math.Round(At(first + i) + (jitter * gauss));
            }

            return edges;
        }
    }
}
