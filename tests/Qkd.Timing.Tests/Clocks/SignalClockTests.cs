using Qkd.Timing.Clocks;
using Shouldly;

namespace Qkd.Timing.Tests.Clocks;

/// <summary>The clock in the light: found, followed, lost and found again. What is expected of it over a grid is in <see cref="SyncGridTests"/>.</summary>
public sealed class SignalClockTests
{
    [Fact]
    public void At_40_dB_and_as_much_noise_as_light_the_clock_is_found_through_drift()
    {
        var result = new SyncTrial { Loss = 40, SignalToNoise = 1, Ppm = -50, DriftPpmPerSecond = 1, Seconds = 25 }.Run(1);
        result.LockedAfter.ShouldNotBeNull().ShouldBeLessThan(20);
        result.Wrong.ShouldBe(0);
        result.Clock.State.ShouldBe(ClockState.Locked);
        result.Clock.Clock.ShouldNotBeNull().DriftPpmPerSecond.ShouldBe(1, 0.05);
        result.Clock.LightShare.ShouldBe(0.5, 0.05);
        result.JitterAdded.ShouldBeLessThan(20);
    }

    [Fact]
    public void A_wandering_oscillator_is_followed()
    {
        // 0.005 ppm after a second: a poor crystal, twice what is allowed for.
        var result = new SyncTrial { Loss = 25, SignalToNoise = 10, Ppm = 20, WanderPpm = 0.005, Seconds = 4 }.Run(2);
        result.LockedAfter.ShouldNotBeNull();
        result.Wrong.ShouldBe(0);
        result.JitterAdded.ShouldBeLessThan(20);
    }

    [Fact]
    public void Light_that_fails_for_a_while_is_found_again_with_the_right_numbers()
    {
        var result = new SyncTrial { Loss = 25, SignalToNoise = 5, Ppm = 15, DriftPpmPerSecond = 0.3, Seconds = 6, DarkSeconds = [(2, 2.9), (4, 4.05)] }.Run(3);
        result.Clock.State.ShouldBe(ClockState.Locked);
        result.Clock.Losses.ShouldBeGreaterThanOrEqualTo(1);
        result.Clock.Locks.ShouldBeGreaterThanOrEqualTo(2);
        result.Wrong.ShouldBe(0);
    }

    [Fact]
    public void A_clock_that_jumps_is_lost_and_found_again()
    {
        var (first, second) = (new SyncTrial { Seconds = 0.8, Loss = 22 }, new SyncTrial { Seconds = 0.8, Loss = 22, Ppm = -31 });
        var (clock, a, b) = (new SignalClock(new SignalClockSettings { FirstFrame = 10, FramesToTry = 64 }), first.Draw(4), second.Draw(5));
        clock.Add(a.Times, a.Detectors);
        clock.State.ShouldBe(ClockState.Locked);

        // Another frequency and another phase, right after; frames begin near where the first stream's began.
        var later = b.Times.Select(time => time + a.Times[^1]).ToArray();
        clock.Add(later, b.Detectors);
        clock.Losses.ShouldBeGreaterThanOrEqualTo(1);
        clock.State.ShouldNotBe(ClockState.Searching);
        clock.Clock.ShouldNotBeNull().DeviationPpm(SyncTrial.Period).ShouldBe(-31, 0.05);
    }

    [Fact]
    public void Noise_alone_is_never_taken_for_a_clock()
    {
        // Forty streams of noise: with the probability asked for, 10^-10 a search, one lock in hundreds of millions.
        for (var seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var clock = new SignalClock(new SignalClockSettings());
            var times = new long[15_000];
            double time = 0;
            for (var i = 0; i < times.Length; i++)
            {
                times[i] = (long)(time -= 1e12 / 50_000 * Math.Log(1 - random.NextDouble()));
            }

            var detectors = times.Select(_ => (byte)random.Next(4)).ToArray();
            clock.Add(times, detectors);
            clock.State.ShouldBe(ClockState.Searching);
        }
    }

    [Fact]
    public void A_pause_of_hours_costs_neither_memory_nor_time()
    {
        // Some clicks of noise, three hours of nothing, then the light.
        var light = new SyncTrial { Seconds = 0.8, Loss = 22 }.Draw(7);
        long[] times = [.. Enumerable.Range(0, 50).Select(i => i * 700_000_000L), .. light.Times.Select(time => time + 10_800_000_000_000_000)];
        byte[] detectors = [.. Enumerable.Repeat((byte)1, 50), .. light.Detectors];
        var clock = new SignalClock(new SignalClockSettings());
        var before = GC.GetAllocatedBytesForCurrentThread();
        clock.Add(times, detectors);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(300L << 20);
        clock.State.ShouldBe(ClockState.Counting, "the frame of the light is three hours from the first click");
        clock.Clock.ShouldNotBeNull().DeviationPpm(SyncTrial.Period).ShouldBe(20, 0.05);

        // And as far from zero the clock tells slots to a hundredth of one: 50 ps of jitter are half of that.
        var offsets = clock.DetectorOffsets.ToArray();
        var late = Enumerable.Range(light.Times.Length - 1000, 1000).Where(i => light.Slots[i] >= 0)
            .Average(i => Math.Abs(clock.Clock.Value.At(times[50 + i]).Late - offsets[light.Detectors[i]]));
        late.ShouldBeLessThan(0.01);
    }

    [Fact]
    public void A_clock_of_a_month_is_exact_to_a_picosecond()
    {
        const long month = 2_600_000_000_000_000_000;
        var clock = new SlotClock(month, 260_000_000_000_000, 0.25, 1e-4, 0);
        clock.At(month + 12_501).ShouldBe((260_000_000_000_002, clock.At(month + 12_501).Late));
        (clock.At(month + 12_501).Late - clock.At(month + 12_500).Late).ShouldBe(1e-4, 1e-9);
    }

    [Fact]
    public void Light_with_another_pilot_is_followed_but_not_numbered()
    {
        var result = new SyncTrial { Loss = 22, Seconds = 0.8, PilotsOfFrame = 1_000_000 }.Run(6);
        result.Clock.State.ShouldBe(ClockState.Counting);
        result.LockedAfter.ShouldBeNull();
    }

    [Fact]
    public void A_detector_that_does_not_exist_is_refused() =>
        Should.Throw<ArgumentException>(() => new SignalClock(new SignalClockSettings()).Add([1, 2], [0, 4]));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    public void A_period_that_makes_no_sense_is_refused(double period) =>
        Should.Throw<ArgumentException>(() => new SignalClock(new SignalClockSettings { SlotPeriodPicoseconds = period }));
}
