using CsCheck;
using Qkd.Timing.Clocks;
using Qkd.Timing.Gating;
using Shouldly;

namespace Qkd.Timing.Tests.Gating;

public sealed class SlotGateTests
{
    private static readonly GateChannel[] Channels = [new(1, 0, 2000), new(3, 740, 1500), new(7, -380, 900), new(64, 25_000, 3000)];

    [Fact]
    public void The_vector_path_does_what_the_plain_one_does() =>
        Gen.Select(Gen.Int, Gen.Int[0, 70], Gen.Double[200, 50_000], Gen.Double[0.25, 64], Gen.Double[-2e-22, 2e-22], Gen.Bool)
            .Sample((seed, count, period, tick, drift, bursts) =>
            {
                var random = new Random(seed);
                var (times, channels) = Stream(random, count, bursts);
                var clock = new SlotClock(random.NextInt64(-1000, 1_000_000), random.NextInt64(0, 1L << 40), random.NextDouble(), 1 / period, drift);
                var (fast, plain) = (new SlotGate(Channels, 64), new SlotGate(Channels, 64));
                var (fastSlots, plainSlots) = (new int[count], new int[count]);
                var (fastMarks, plainMarks) = (new byte[count], new byte[count]);
                fast.Place(times, channels, tick, clock, fastSlots, fastMarks).ShouldBe(plain.PlacePlainly(times, channels, tick, clock, plainSlots, plainMarks));
                fastSlots.ShouldBe(plainSlots);
                fastMarks.ShouldBe(plainMarks);
                for (var detector = 0; detector < 4; detector++)
                {
                    fast.Arrivals[detector].ToArray().ShouldBe(plain.Arrivals[detector].ToArray());
                }
            });

    [Fact]
    public void A_tag_on_the_very_edge_of_a_slot_or_a_window_is_treated_the_same_by_both()
    {
        // Period 1000 ticks, window 200: every tick of three slots.
        var (fast, plain) = (new SlotGate([new(1, 0, 200)]), new SlotGate([new(1, 0, 200)]));
        var times = Enumerable.Range(0, 3000).Select(t => (long)t).ToArray();
        var channels = Enumerable.Repeat((byte)1, times.Length).ToArray();
        var clock = new SlotClock(0, 5, 0, 1e-3, 0);
        var (slots, marks) = (new int[3000], new byte[3000]);
        var (plainSlots, plainMarks) = (new int[3000], new byte[3000]);
        fast.Place(times, channels, 1, clock, slots, marks).ShouldBe(5);
        plain.PlacePlainly(times, channels, 1, clock, plainSlots, plainMarks);
        slots.ShouldBe(plainSlots);
        marks.ShouldBe(plainMarks);
        (slots[499], slots[501], slots[1499], slots[1501]).ShouldBe((0, 1, 1, 2));
        marks.Skip(901).Take(199).ShouldAllBe(mark => mark == 1);
        (marks[899], marks[1101]).ShouldBe((SlotGate.Outside, SlotGate.Outside));
    }

    [Fact]
    public void After_a_month_tags_lie_where_they_lay_at_first()
    {
        // A centre a slot of 10 000 ps; ticks of 1 and of 3.90625 ps.
        foreach (var (tick, first) in new[] { (1.0, 2_600_000_000_000_000_000L), (1000.0 / 256, 665_600_000_000_000_000L) })
        {
            var gate = new SlotGate([new(1, 0, 2000)], 10_000);
            var (slots, marks) = (new int[2], new byte[2]);
            gate.Place([first, first + 256], [1, 1], tick, new SlotClock((long)(first * (decimal)tick), 7, 0, 1e-4, 0), slots, marks);
            gate.Arrivals[0].ToArray()[5000].ShouldBe(1U, $"tick {tick}");
            gate.Arrivals[0].ToArray()[(int)(5000 + (256 * tick))].ShouldBe(1U, $"tick {tick}");
        }
    }

    [Fact]
    public void Each_detector_has_its_own_delay_and_window_and_others_pass_unmarked()
    {
        var gate = new SlotGate(Channels);
        var clock = new SlotClock(0, 0, 0, 1e-4, 0);

        // Slot 3 for each: on time, its delay included; then just outside its window; then a channel that is no detector.
        long[] times = [30_000, 30_740, 29_620, 55_000, 31_100, 31_600, 30_100, 56_600, 57_000];
        byte[] channels = [1, 3, 7, 64, 1, 3, 7, 64, 5];
        Array.Sort(times, channels);
        var (slots, marks) = (new int[9], new byte[9]);
        var origin = gate.Place(times, channels, 1, clock, slots, marks);
        foreach (var (i, channel) in channels.Index())
        {
            var expected = (channel, times[i]) switch
            {
                (1, 30_000) => 1,
                (3, 30_740) => 2,
                (7, 29_620) => 4,
                (64, 55_000) => 8,
                (5, _) => 0,
                _ => SlotGate.Outside,
            };
            marks[i].ShouldBe((byte)expected, $"channel {channel} at {times[i]}");
            (channel == 5 || origin + slots[i] == 3).ShouldBeTrue();
        }
    }

    [Fact]
    public void A_peak_tells_centre_width_and_background()
    {
        // 20 000 clicks of light at +0.07 slots with 0.02 slots of jitter, 10 000 spread evenly.
        var random = new Random(5);
        var histogram = new ArrivalHistogram(1);
        for (var i = 0; i < 30_000; i++)
        {
            var gauss = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            var late = i < 20_000 ? 0.07 + (0.02 * gauss) : random.NextDouble() - 0.5;
            histogram.Cells[histogram.BinOf(late)]++;
        }

        var peak = histogram.Peak(0).ShouldNotBeNull();

        // Five standard errors each.
        peak.CentreErrorSlots.ShouldBeInRange(0.0001, 0.002);
        peak.CentreSlots.ShouldBe(0.07, 5 * peak.CentreErrorSlots);
        peak.WidthSlots.ShouldBe(0.02, 0.008);
        ((double)peak.Light).ShouldBe(20_000, 5 * Math.Sqrt(40_000));
        peak.BackgroundShare.ShouldBe(1.0 / 3, 5 * Math.Sqrt(10_000) * 2 / 30_000);
    }

    [Fact]
    public void Background_alone_has_no_peak()
    {
        var random = new Random(6);
        for (var run = 0; run < 200; run++)
        {
            var histogram = new ArrivalHistogram(1);
            for (var i = 0; i < 2000; i++)
            {
                histogram.Cells[histogram.BinOf(random.NextDouble() - 0.5)]++;
            }

            histogram.Peak(0).ShouldBeNull();
        }
    }

    [Fact]
    public void Afterpulses_are_told_from_light()
    {
        // Light clicks with 0.5 % a slot; each click leaves an afterpulse with 1 %, after two dead slots, with a decay of 5 slots.
        var random = new Random(7);
        var statistics = new AfterpulseStatistics(2);
        long due = -1, dead = -1;
        long clicks = 0;
        for (long slot = 0; slot < 40_000_000; slot++)
        {
            if (slot <= dead || (slot != due && random.NextDouble() >= 0.005))
            {
                continue;
            }

            clicks++;
            statistics.Add(slot, 1);
            dead = slot + 1;
            due = random.NextDouble() < 0.01 ? slot + 2 + (long)(-5 * Math.Log(1 - random.NextDouble())) : -1;
        }

        var (probability, error) = statistics.Afterpulses(0).ShouldNotBeNull();
        error.ShouldBeLessThan(0.0016);

        // An afterpulse is missed where light clicks first, about 3 % of them.
        probability.ShouldBeInRange(0.0096 - (5 * error), 0.0101 + (5 * error));
        statistics.Hazard(0, 1).ShouldBe(0);
        statistics.Hazard(0, 100).ShouldBe(0.005, 5 * Math.Sqrt(0.005 / (clicks * 0.6)));
        statistics.Afterpulses(1).ShouldBeNull();
    }

    private static (long[] Times, byte[] Channels) Stream(Random random, int count, bool bursts)
    {
        var (times, channels) = (new long[count], new byte[count]);
        long time = random.NextInt64(0, 1L << 45);
        for (var i = 0; i < count; i++)
        {
            time += bursts && random.Next(4) != 0 ? random.Next(3) : random.NextInt64(0, 1L << random.Next(1, 26));
            times[i] = time;
            channels[i] = random.Next(3) == 0 ? (byte)random.Next(256) : Channels[random.Next(4)].Channel;
        }

        return (times, channels);
    }
}
