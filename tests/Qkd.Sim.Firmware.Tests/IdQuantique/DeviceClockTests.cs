using System.Numerics;
using Qkd.Sim.Firmware.IdQuantique;
using Shouldly;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>The instrument's clock against bench time.</summary>
public sealed class DeviceClockTests
{
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(123_456_789, 10, 0)]
    [InlineData(-5, -37.5, 0.01)]
    [InlineData(1_000_000_000_000_000, 1000, -10)]
    public void Follows_offset_frequency_and_drift_to_a_picosecond_and_a_half(long offset, double ppm, double drift)
    {
        var clock = new DeviceClock(offset, ppm, drift);
        var random = new Random(3);
        for (var i = 0; i < 2000; i++)
        {
            // Up to 50 s, over which the ideal curve and its chords differ by far less than a picosecond.
            var bench = random.NextInt64(50_000_000_000_000);
            var ideal = bench + (decimal)offset
                + ((decimal)bench * 1e-6m * (decimal)ppm)
                + (0.5m * (decimal)drift * 1e-6m * bench * (bench * 1e-12m));

            ((double)Math.Abs(clock.ToDevice(bench) - ideal)).ShouldBeLessThan(1.5 + Chord(drift));
        }

        // Sagitta of a parabola over 2^30 ps.
        static double Chord(double drift) => Math.Abs(drift) * 1e-6 * 1e-12 * Math.Pow(2, 60) / 8;
    }

    [Fact]
    public void Never_goes_back_and_does_not_depend_on_what_was_asked_before()
    {
        var clock = new DeviceClock(7, -1000, 0.5);
        var start = (1L << 30) - 3000;
        var times = Enumerable.Range(0, 6000).Select(i => clock.ToDevice(start + i)).ToArray();

        times.Zip(times.Skip(1)).ShouldAllBe(pair => pair.First <= pair.Second);
        for (var i = times.Length - 1; i >= 0; i -= 97)
        {
            clock.ToDevice(90_000_000_000_000);
            clock.ToDevice(start + i).ShouldBe(times[i]);
        }
    }

    /// <summary>The definition with unbounded integers: straight lines between knots that are rounded to a picosecond.</summary>
    internal static long Plainly(long bench, long offset, double ppm, double drift)
    {
        var knot = (bench >> 30) << 30;
        var (before, after) = (Error(knot), Error(knot + (1L << 30)));
        return bench + before + (long)((BigInteger)(bench - knot) * (after - before) >> 30);

        long Error(long at) => offset + (long)Math.Round(at * 1e-6 * (ppm + (0.5 * drift * (at * 1e-12))));
    }

    [Fact]
    public void Is_its_plain_twin()
    {
        var clock = new DeviceClock(-987_654_321, 12.34, 0.05);
        var random = new Random(4);
        for (var i = 0; i < 5000; i++)
        {
            var bench = random.NextInt64(1_000_000_000_000_000);
            clock.ToDevice(bench).ShouldBe(Plainly(bench, -987_654_321, 12.34, 0.05));
        }
    }
}
