using CsCheck;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Timing.Tests;

public sealed class TagReceiverTests
{
    private const double FrameTime = SyntheticStream.FrameSlots * SyntheticStream.Period;

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 97_934_123)]
    [InlineData(20, 97_934_123)]
    [InlineData(-50, 189_670_617)]
    [InlineData(50, 5_004)]
    [InlineData(3.7, 399_341_234)]
    public void Finds_slots_and_numbering_at_any_delay_and_clock_deviation(double ppm, double delay)
    {
        var stream = new SyntheticStream(20, seed: 7, ppm: ppm, delayPicoseconds: delay);
        var frames = Receive(stream, 6.3 * FrameTime, out var receiver);
        receiver.Status.State.ShouldBe(SyncState.Locked);
        receiver.Status.PeriodPpm.ShouldBe(ppm, 0.5);
        CheckAgainstTruth(stream, frames);
        frames.Count.ShouldBeGreaterThanOrEqualTo(17);
    }

    [Fact]
    public void Detectors_whose_paths_differ_by_slots_agree_once_their_delays_are_given()
    {
        var stream = new SyntheticStream(20, seed: 17, ppm: 8, delayPicoseconds: 97_934_123, detectorDelays: [0, 25_300, -13_100, 40_000]);
        var frames = Receive(stream, 6.3 * FrameTime, out var receiver);
        receiver.Status.State.ShouldBe(SyncState.Locked);
        CheckAgainstTruth(stream, frames);
        frames.Count.ShouldBeGreaterThanOrEqualTo(17);
    }

    [Fact]
    public void Each_detector_has_a_gate_of_its_own_and_its_arrivals_are_counted()
    {
        // 40 ps of jitter: ±20 ps about the centre hold 38 % of the clicks.
        var stream = new SyntheticStream(20, seed: 18, delayPicoseconds: 97_934_123);
        stream.Settings = stream.Settings with
        {
            Detectors = [.. stream.Settings.Detectors.Select(detector => detector with { GateWidthPicoseconds = detector.Index == 3 ? 40 : null })],
        };
        var frames = Receive(stream, 6.3 * FrameTime, out var receiver);
        var outcomes = frames.SelectMany(frame => frame.Outcomes.ToArray()).ToArray();
        double narrow = outcomes.Count(outcome => outcome == 3), wide = outcomes.Count(outcome => outcome == 2);
        (narrow / wide).ShouldBe(0.383, 0.03);
        for (var detector = 0; detector < 4; detector++)
        {
            var peak = receiver.Arrivals.Peak(detector).ShouldNotBeNull();
            (peak.CentreSlots * SyntheticStream.Period).ShouldBe(0, 10);
            (peak.WidthSlots * SyntheticStream.Period).ShouldBe(40, 10);
        }

        // Synthetic detectors have no afterpulses: none within five standard errors.
        var afterpulses = receiver.Afterpulses.Afterpulses(0).ShouldNotBeNull();
        afterpulses.Probability.ShouldBe(0, 5 * afterpulses.Error);
    }

    [Fact]
    public void Frames_come_in_order_each_once_and_say_what_was_lost_between_acquisitions()
    {
        var stream = new SyntheticStream(24, seed: 3, ppm: 12, delayPicoseconds: 97_934_000);
        var frames = Receive(stream, 5.5 * FrameTime, out _);
        frames.Select(f => f.Frame).ShouldBe(Enumerable.Range((int)frames[0].Frame, frames.Count).Select(i => (long)i));

        // Between two acquisitions the tags up to the first edge are gone: at most a marker interval and the gap.
        frames.Skip(1).Sum(f => f.LostSlots).ShouldBeGreaterThan(0);
        frames.Skip(1).ShouldAllBe(f => f.LostSlots <= 2 * (SyntheticStream.Divisor + 10));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-40)]
    public void A_marker_that_falls_between_two_acquisitions_is_counted(double ppm)
    {
        // Of the gaps of 3 us three in ten hold a marker, which comes every 10 us: numbered wrongly, the slots to the next pilot would be lost.
        var stream = new SyntheticStream(40, seed: 13, ppm: ppm, delayPicoseconds: 97_934_000);
        var frames = Receive(stream, (1.37 * FrameTime) + 1_234_567, out var receiver, gap: 3_000_000);
        receiver.Status.State.ShouldBe(SyncState.Locked);
        frames.Count.ShouldBeGreaterThan(30);
        frames.Skip(1).ShouldAllBe(frame => frame.LostSlots <= SyntheticStream.Divisor + 310);
        CheckAgainstTruth(stream, frames);
    }

    [Fact]
    public void A_click_that_a_gap_hid_vetoes_the_first_slot_after_it()
    {
        // Bright light and many short acquisitions: the slot before the first one seen often has a click.
        var stream = new SyntheticStream(24, seed: 4, delayPicoseconds: 97_934_000, signalClick: 0.8);
        var frames = Receive(stream, 0.7 * FrameTime, out _);
        frames.Count(f => f.LostSlots > 0).ShouldBeGreaterThan(15);
        CheckAgainstTruth(stream, frames);
    }

    [Fact]
    public void Light_that_begins_in_the_middle_of_an_acquisition_is_numbered_from_its_first_marker()
    {
        var stream = new SyntheticStream(16, seed: 5, delayPicoseconds: 97_934_000, lightFrom: 2.4 * FrameTime);
        CheckAgainstTruth(stream, Receive(stream, 6 * FrameTime, out _));
    }

    [Fact]
    public void First_markers_without_any_click_do_not_upset_the_numbering()
    {
        // Emission begins 40 us before the end of an acquisition: four edges without a click, and the fifth falls into the gap.
        var length = 6 * FrameTime;
        var stream = new SyntheticStream(14, seed: 6, delayPicoseconds: 97_934_000, lightFrom: length - 40e6, darkClick: 0);
        CheckAgainstTruth(stream, Receive(stream, length, out var receiver));
        receiver.Status.DelaySlots.ShouldBe(9793 - 5000);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(511)]
    public void A_marker_that_the_tagger_missed_is_counted_where_it_was(int missing)
    {
        var stream = new SyntheticStream(16, seed: 8, delayPicoseconds: 97_934_000);
        stream.Edges.RemoveAt(missing);
        var frames = Receive(stream, 20 * FrameTime, out _);
        CheckAgainstTruth(stream, frames);
        frames.Skip(1).Sum(f => f.LostSlots).ShouldBe(0);
    }

    [Fact]
    public void An_extra_marker_is_found_at_the_next_pilot_and_the_slots_between_are_lost()
    {
        var stream = new SyntheticStream(16, seed: 9, delayPicoseconds: 97_934_000);

        // A spurious edge in the middle of the eighth frame.
        stream.Edges.Insert(8 * 64 + 30, stream.Edges[(8 * 64) + 29] + 3_456_789);
        var frames = Receive(stream, 20 * FrameTime, out var receiver);
        receiver.Status.State.ShouldBe(SyncState.Locked);
        frames.Sum(f => f.LostSlots).ShouldBeGreaterThan(0);
        frames.Where(f => f.LostSlots > 0).ShouldAllBe(f => f.Frame <= 9);
        CheckAgainstTruth(stream, frames);
    }

    [Fact]
    public void The_pilot_is_counted_by_sent_state_and_detector()
    {
        var stream = new SyntheticStream(12, seed: 10, delayPicoseconds: 97_934_000);
        var sum = Receive(stream, 20 * FrameTime, out _).Aggregate(new PilotStatistics(), (s, f) => s.Plus(f.Pilot));
        var (errors, matched) = sum.ErrorsAndMatched();
        matched.ShouldBeGreaterThan(500);

        // Sent right 0.5, wrong 0.005 of the clicks: one per cent, five sigma.
        ((double)errors / matched).ShouldBe(0.0149, 5 * Math.Sqrt(0.0149 / matched));
        ((double)sum.VacuumClicks / sum.VacuumSlots).ShouldBe(0.002 * 0.8, 5 * Math.Sqrt(0.002 / sum.VacuumSlots));
    }

    [Fact]
    public void A_frame_too_short_for_the_delays_searched_is_refused()
    {
        var settings = new SyntheticStream(1, seed: 1).Settings with { MaximumDelaySlots = 60_000 };
        Should.Throw<ArgumentException>(() => new TagReceiver(settings, OperatingSystemRandomness.Instance));
    }

    [Fact]
    public void Tags_of_any_value_break_nothing_and_are_counted_as_unplaced()
    {
        var value = Gen.Frequency((2, Gen.Long), (1, Gen.Long[0, long.MaxValue]), (1, Gen.Long[0, 1000]), (1, Gen.OneOfConst(0, 1, long.MaxValue, long.MinValue, -1)));
        var run = Gen.Select(value.Array[1, 40], value.Array[1, 40], (times, indexes) => (Times: times, Indexes: indexes));
        run.Array[1, 4].Sample(
            runs =>
            {
                // The receiver has locked before, or has never seen light.
                for (var acquisitions = 0; acquisitions <= 1; acquisitions++)
                {
                    var receiver = Locked(acquisitions);
                    var (before, unplaced) = (receiver.Status.State, receiver.UnplacedClicks);
                    var batch = Batch([.. runs.Select((r, d) => Run(d + 1, r.Times, r.Indexes))]);
                    var clicks = receiver.Process(batch).Sum(frame => frame.Gate.Clicks);
                    (receiver.UnplacedClicks - unplaced).ShouldBeInRange(0, batch.Count);
                    if (runs.Any(r => r.Times.Take(r.Indexes.Length).Any(time => time is < 0 or > 1L << 50)))
                    {
                        (receiver.UnplacedClicks - unplaced).ShouldBe(batch.Count);
                        clicks.ShouldBe(0);
                        receiver.Status.State.ShouldBe(before);
                    }
                }
            },
            iter: 100,
            threads: 1);
    }

    [Fact]
    public void Garbage_in_between_is_left_out_and_garbage_alone_loses_the_lock()
    {
        var receiver = Locked(1);
        for (var i = 0; i < 4; i++)
        {
            receiver.Status.State.ShouldBe(SyncState.Locked);
            receiver.Process(Garbage).ShouldBeEmpty();
        }

        receiver.Status.State.ShouldBe(SyncState.Lost);
        receiver.Status.Detail.ShouldContain("no acquisition can hold");
    }

    [Fact]
    public void A_frame_disposed_of_has_its_outcomes_erased()
    {
        var stream = new SyntheticStream(12, seed: 10, delayPicoseconds: 97_934_000);
        var frame = Receive(stream, 20 * FrameTime, out _)[3];
        var outcomes = frame.Outcomes;
        outcomes.Length.ShouldBe(frame.Slots.Length);
        outcomes.Span.IndexOfAnyExcept((byte)0).ShouldBeGreaterThanOrEqualTo(0);
        frame.Dispose();
        outcomes.Span.IndexOfAnyExcept((byte)0).ShouldBe(-1);
        frame.Outcomes.IsEmpty.ShouldBeTrue();
        frame.Dispose();
    }

    [Fact]
    public void Frames_that_are_not_disposed_of_keep_their_outcomes_while_others_come_and_go()
    {
        var stream = new SyntheticStream(24, seed: 12, delayPicoseconds: 97_934_000);
        var receiver = new TagReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.AnchorFirstEdge(0);
        var kept = new List<DetectionFrame>();
        foreach (var batch in stream.Acquisitions(2.3 * FrameTime))
        {
            foreach (var frame in receiver.Process(batch))
            {
                if (frame.Frame % 2 == 0)
                {
                    kept.Add(frame);
                }
                else
                {
                    frame.Dispose();
                }
            }
        }

        kept.Count.ShouldBeGreaterThan(8);
        CheckAgainstTruth(stream, kept);
    }

    [Fact]
    public void Noise_alone_never_locks()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var stream = new SyntheticStream(6, seed, signalClick: 0, darkClick: 0.02, jitter: 3000);
            var frames = Receive(stream, 3 * FrameTime, out var receiver);
            receiver.Status.State.ShouldBe(SyncState.Searching);
            frames.ShouldBeEmpty();
        }
    }

    [Fact]
    public void Without_an_anchor_nothing_is_numbered()
    {
        var stream = new SyntheticStream(4, seed: 1);
        var receiver = new TagReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        foreach (var batch in stream.Acquisitions(4 * FrameTime))
        {
            receiver.Process(batch).ShouldBeEmpty();
        }

        receiver.UnplacedClicks.ShouldBeGreaterThan(0);
    }

    /// <summary>A receiver that has taken so many acquisitions of light.</summary>
    private static TagReceiver Locked(int acquisitions)
    {
        var receiver = new TagReceiver(Light.Settings, OperatingSystemRandomness.Instance);
        receiver.AnchorFirstEdge(0);
        foreach (var batch in Acquisitions.Take(acquisitions))
        {
            receiver.Process(batch);
        }

        return receiver;
    }

    private static readonly SyntheticStream Light = new(5, seed: 2, delayPicoseconds: 97_934_000);
    private static readonly TagBatch Garbage = Batch(Run(1, [10, long.MaxValue], [1, 2]));
    private static readonly TagBatch[] Acquisitions = [.. Light.Acquisitions(20 * FrameTime)];

    private static TagRun Run(int channel, long[] times, long[] indexes)
    {
        var count = Math.Min(times.Length, indexes.Length);
        return new TagRun(channel, times.AsMemory(0, count), indexes.AsMemory(0, count));
    }

    private static TagBatch Batch(params TagRun[] runs) => new()
    {
        TimeBase = TagTimeBase.Referenced,
        Acquisition = 1,
        Runs = runs,
        EndsAcquisition = true,
        ReceivedAt = DateTimeOffset.UnixEpoch,
    };

    private static List<DetectionFrame> Receive(SyntheticStream stream, double acquisition, out TagReceiver receiver, double gap = 40_000)
    {
        receiver = new TagReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.AnchorFirstEdge(0);
        var frames = new List<DetectionFrame>();
        foreach (var batch in stream.Acquisitions(acquisition, gap))
        {
            frames.AddRange(receiver.Process(batch));
        }

        return frames;
    }

    /// <summary>Every detection is the truth's, and every true one is there but for what was declared lost.</summary>
    private static void CheckAgainstTruth(SyntheticStream stream, List<DetectionFrame> frames)
    {
        frames.ShouldNotBeEmpty();
        var expected = stream.Expected();
        long missing = 0, found = 0, wrong = 0;
        var lossy = frames.Where(f => f.LostSlots > 0).Select(f => f.Frame).ToHashSet();
        foreach (var frame in frames)
        {
            var seen = new Dictionary<long, byte>();
            for (var i = 0; i < frame.Slots.Length; i++)
            {
                seen[(frame.Frame * SyntheticStream.FrameSlots) + frame.Slots.Span[i]] = frame.Outcomes.Span[i];
            }

            foreach (var (slot, outcome) in seen)
            {
                found++;
                if (!expected.TryGetValue(slot, out var truth)
                    || (truth.Random ? (outcome & 2) != (truth.Outcome & 2) || (outcome & 4) == 0 : outcome != truth.Outcome))
                {
                    wrong++;
                }
            }

            if (frame.LostSlots == 0)
            {
                // Behind a frame whose end was lost the first slot is vetoed for a click that may have been there.
                var from = (frame.Frame * SyntheticStream.FrameSlots) + (lossy.Contains(frame.Frame - 1) ? 1 : 0);
                missing += expected.Keys.Count(slot => slot / SyntheticStream.FrameSlots == frame.Frame && slot >= from && !seen.ContainsKey(slot));
            }
        }

        found.ShouldBeGreaterThan(1000);
        wrong.ShouldBe(0);
        missing.ShouldBe(0);
    }
}
