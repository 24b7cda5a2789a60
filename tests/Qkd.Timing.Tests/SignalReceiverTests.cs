using Qkd.Devices;
using Shouldly;

namespace Qkd.Timing.Tests;

/// <summary>The receiver without a marker, against the plain twin of the gate.</summary>
public sealed class SignalReceiverTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(35, 3_000_000)]
    [InlineData(-50, 123_456_789)]
    public void Without_a_marker_every_click_gets_its_slot(double ppm, double delay)
    {
        var stream = new SyntheticStream(110, 21, ppm, delay, lightFrom: 5e8);
        using var receiver = new SignalReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.Anchor(0);
        var frames = stream.AbsoluteAcquisitions(20e9).SelectMany(receiver.Process).ToList();
        receiver.Status.State.ShouldBe(SyncState.Locked, receiver.Status.Detail);
        receiver.Status.PeriodPpm.ShouldBe(ppm, 0.05);

        // Slots before the lock are lost, not dark: the first frame says so.
        frames[0].LostSlots.ShouldBeGreaterThan(0);
        frames.Skip(1).Take(5).ShouldAllBe(frame => frame.LostSlots < 100);

        // What was received is what was there, but for what the gaps and the last, unfinished frame hide.
        frames.Count.ShouldBeGreaterThan(30);
        frames.Select(frame => frame.Frame).ShouldBe(Enumerable.Range((int)frames[0].Frame, frames.Count).Select(f => (long)f));
        var expected = stream.Expected();
        int compared = 0, differing = 0;
        foreach (var frame in frames.Skip(1))
        {
            frame.LostSlots.ShouldBeLessThan(SyntheticStream.FrameSlots / 10);
            for (var i = 0; i < frame.Slots.Length; i++)
            {
                var slot = (frame.Frame * SyntheticStream.FrameSlots) + frame.Slots.Span[i];
                compared++;
                var right = expected.TryGetValue(slot, out var want)
                    && (want.Random ? (frame.Outcomes.Span[i] & 6) == ((want.Outcome & 2) | 4) : frame.Outcomes.Span[i] == want.Outcome);
                differing += right ? 0 : 1;
            }
        }

        compared.ShouldBeGreaterThan(60_000);
        differing.ShouldBe(0);
        frames.ForEach(frame => frame.Dispose());
    }

    [Fact]
    public void Light_that_is_cut_off_and_comes_back_is_numbered_again()
    {
        var stream = new SyntheticStream(240, 22, 12, 700_000);
        using var receiver = new SignalReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.Anchor(0);
        var expected = stream.Expected();
        var batches = stream.AbsoluteAcquisitions(10e9).ToList();
        var lost = false;
        var after = new List<DetectionFrame>();
        for (var i = 0; i < batches.Count; i++)
        {
            // Between 80 and 110 ms the detectors see stray light alone, at random times.
            var batch = i is >= 8 and < 11 ? Stray(batches[i], i) : batches[i];
            var frames = receiver.Process(batch);
            lost |= receiver.Status.State == SyncState.Lost;
            if (i > 14)
            {
                after.AddRange(frames);
            }
        }

        lost.ShouldBeTrue("stray light is not the sender's");
        receiver.Status.State.ShouldBe(SyncState.Locked, receiver.Status.Detail);
        int right = 0, wrong = 0;
        foreach (var frame in after)
        {
            foreach (var slot in frame.Slots.Span)
            {
                _ = expected.ContainsKey((frame.Frame * SyntheticStream.FrameSlots) + slot) ? right++ : wrong++;
            }
        }

        right.ShouldBeGreaterThan(10_000);
        wrong.ShouldBeLessThan(right / 2000);
    }

    [Fact]
    public void Light_that_begins_long_after_the_first_dark_counts_is_numbered()
    {
        // Sixty frames of the dark, then the light: the stretch in which the clock is found begins before slot 0.
        var stream = new SyntheticStream(120, 23, 10, 500_000, lightFrom: 40e9);
        using var receiver = new SignalReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.Anchor(0);
        var dark = Stray(stream.AbsoluteAcquisitions(10e9).First(batch => batch.Count > 0), 1, 400, 38_000_000_000);
        receiver.Process(dark);
        var frames = stream.AbsoluteAcquisitions(10e9).Where(batch => batch.AcquisitionStartPicoseconds >= 40_000_000_000 - 10_000_000_000).SelectMany(receiver.Process).ToList();
        receiver.Status.State.ShouldBe(SyncState.Locked, receiver.Status.Detail);
        var expected = stream.Expected();
        var wrong = frames.Sum(frame => frame.Slots.ToArray().Count(slot => !expected.ContainsKey((frame.Frame * SyntheticStream.FrameSlots) + slot)));
        frames.Sum(frame => frame.Slots.Length).ShouldBeGreaterThan(20_000);
        wrong.ShouldBeLessThan(20);
        frames.ForEach(frame => frame.Dispose());
    }

    [Fact]
    public void Times_with_a_reference_are_refused()
    {
        var stream = new SyntheticStream(2, 1);
        using var receiver = new SignalReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        Should.Throw<ArgumentException>(() => receiver.Process(stream.Acquisitions(1e9).First()));
    }

    [Fact]
    public void Times_that_run_backwards_are_left_out()
    {
        var stream = new SyntheticStream(20, 1);
        using var receiver = new SignalReceiver(stream.Settings, OperatingSystemRandomness.Instance);
        receiver.Anchor(0);
        var batches = stream.AbsoluteAcquisitions(2e9).ToList();
        receiver.Process(batches[1]);
        var before = receiver.UnplacedClicks;
        receiver.Process(batches[0]).ShouldBeEmpty();
        receiver.UnplacedClicks.ShouldBe(before + batches[0].Count);
    }

    private static TagBatch Stray(TagBatch batch, int seed, int count, long length)
    {
        var random = new Random(seed);
        return new TagBatch
        {
            TimeBase = batch.TimeBase,
            Acquisition = 0,
            Runs = [.. Enumerable.Range(1, 4).Select(channel => new TagRun(channel, Enumerable.Range(0, count / 4).Select(_ => random.NextInt64(length)).Order().ToArray(), default))],
            EndsAcquisition = true,
            ReceivedAt = batch.ReceivedAt,
        };
    }

    private static TagBatch Stray(TagBatch batch, int seed)
    {
        var random = new Random(seed);
        return new TagBatch
        {
            TimeBase = batch.TimeBase,
            Acquisition = batch.Acquisition,
            AcquisitionStartPicoseconds = batch.AcquisitionStartPicoseconds,
            Runs = [.. batch.Runs.Select(run => new TagRun(run.Channel, run.TimesPicoseconds.ToArray().Select(_ => random.NextInt64(10_000_000_000)).Order().ToArray(), default))],
            LossesBefore = batch.LossesBefore,
            EndsAcquisition = true,
            ReceivedAt = batch.ReceivedAt,
        };
    }
}
