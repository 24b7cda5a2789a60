using Shouldly;

namespace Qkd.Distillation.Tests.Sifting;

/// <summary>What each end refuses to take from the other, and the order in which things must happen.</summary>
public sealed class SiftingRefusalTests
{
    private readonly SiftingRun _run = new(6, Blocks.Parameters(frames: 2, frameSlots: 6400, pilotSlots: 700), .01);

    [Fact]
    public void A_truncated_or_lengthened_announcement_is_refused()
    {
        var announcement = Announcement();
        for (var left = 0; left < announcement.Length; left++)
        {
            RefusedByAlice(announcement[..left]);
        }

        RefusedByAlice([.. announcement, 0]);
        RefusedByAlice([.. announcement, .. new byte[8]]);
        Accepted(announcement);
    }

    [Fact]
    public void An_announcement_that_contradicts_itself_is_refused()
    {
        var announcement = Announcement();
        var count = BitConverter.ToUInt32(announcement, 8);
        ((int)count % 64).ShouldNotBe(0);
        RefusedByAlice(With(announcement, 0, 6), "frame");
        RefusedByAlice(With(announcement, 8, (byte)(count + 1)));
        RefusedByAlice(With(announcement, 8, (byte)(count - 1)));
        RefusedByAlice(With(announcement, 11, 0xFF), "detections");

        // The last byte of the bases, beyond the count.
        var words = ((int)count + 63) / 64;
        RefusedByAlice(With(announcement, 12 + (8 * words) - 1, 0x80), "beyond its end");
    }

    [Fact]
    public void Detections_beyond_the_frame_or_in_endless_gaps_are_refused()
    {
        byte[] header = [5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, .. new byte[8]];

        // The pilot has 700 of 6400 slots: 5699 = 0x43 + 128 x 0x2C is the gap to the last.
        Accepted([.. header, 0xC3, 0x2C]);
        RefusedByAlice([.. header, 0xC4, 0x2C], "beyond the frame");
        RefusedByAlice([.. header, 0xFF, 0xFF, 0xFF, 0x7F], "beyond the frame");
        RefusedByAlice([.. header, 0xFF, 0xFF, 0xFF, 0xFF], "does not end");
        RefusedByAlice([.. header, 0x80], "does not end");
        RefusedByAlice([.. header, 0x81, 0x80, 0x00], "shortest form");
        RefusedByAlice([.. header, 0x81, 0x00], "shortest form");
        RefusedByAlice([.. header, 0x01, 0x01], "follow its last gap");
    }

    [Fact]
    public void An_answer_of_another_size_or_frame_is_refused()
    {
        var (announced, answer) = Answered();
        for (var left = 0; left < answer.Length; left++)
        {
            RefusedByBob(answer[..left]);
        }

        RefusedByBob([.. answer, 0]);
        RefusedByBob(With(answer, 0, 6), "frame");
        RefusedByBob(With(answer, 8, (byte)(answer[8] + 1)), "announced");
        announced.ShouldBeGreaterThan(0);

        // The last byte of each plane, beyond the count; and an intensity of 3.
        for (var plane = 1; plane <= 3; plane++)
        {
            RefusedByBob(With(answer, 12 + ((answer.Length - 12) / 3 * plane) - 1, 0x80), "beyond its end");
        }

        byte[] fourth = [.. answer];
        var planeBytes = (answer.Length - 12) / 3;
        fourth[12 + planeBytes] |= 1;
        fourth[12 + (2 * planeBytes)] |= 1;
        RefusedByBob(fourth, "fourth intensity");
    }

    [Fact]
    public void An_answer_to_what_was_not_announced_is_refused()
    {
        using var bob = new BobSifter(_run.Parameters);
        Should.Throw<DistillationException>(() => bob.ReceiveMatches(Answered().Answer)).Message.ShouldContain("not announced");

        _run.Announce(bob, 0);
        bob.ReceiveMatches(Answered().Answer);
        Should.Throw<DistillationException>(() => bob.ReceiveMatches(Answered().Answer));
    }

    [Fact]
    public void A_frame_too_many_is_refused()
    {
        using var alice = new AliceSifter(_run.Parameters);
        using var bob = new BobSifter(_run.Parameters);
        var first = _run.Announce(bob, 0);
        _run.Answer(alice, 0, first);
        Should.Throw<DistillationException>(() => _run.Answer(alice, 1, first)).Message.ShouldContain("frame");
        _run.Answer(alice, 1, _run.Announce(bob, 1));
        Should.Throw<DistillationException>(() => _run.Answer(alice, 1, first)).Message.ShouldContain("after the 2");
    }

    [Fact]
    public void Bob_announces_frames_in_order_and_detections_ascending()
    {
        using var bob = new BobSifter(_run.Parameters);
        void Announce(long frame, int[] slots, byte[] outcomes) => SiftingRun.Written(message => bob.Announce(frame, slots, outcomes, message));
        Should.Throw<ArgumentException>(() => Announce(6, [], []));
        Should.Throw<ArgumentException>(() => Announce(5, [800], []));
        Should.Throw<ArgumentException>(() => Announce(5, [800, 800], [0, 0]));
        Should.Throw<ArgumentException>(() => Announce(5, [801, 800], [0, 0]));
        Should.Throw<ArgumentException>(() => Announce(5, [6400], [0]));
        Announce(5, [800, 801], [0, 0]);
        Announce(6, [], []);
        Should.Throw<ArgumentException>(() => Announce(7, [], []));
    }

    [Fact]
    public void Test_bits_are_due_after_every_frame_and_the_own_before_the_peers()
    {
        using var alice = new AliceSifter(_run.Parameters);
        using var bob = new BobSifter(_run.Parameters);
        Should.Throw<InvalidOperationException>(() => SiftingRun.Written(alice.WriteTestBits));
        Should.Throw<InvalidOperationException>(() => SiftingRun.Written(bob.WriteTestBits));
        _run.Match(alice, bob);
        var fromAlice = SiftingRun.Written(alice.WriteTestBits);
        Should.Throw<InvalidOperationException>(() => bob.Complete(fromAlice));
        var fromBob = SiftingRun.Written(bob.WriteTestBits);
        bob.Complete(fromAlice).KeyBitCount.ShouldBeGreaterThan(0);
        Should.Throw<InvalidOperationException>(() => bob.Complete(fromAlice));
        alice.Complete(fromBob).KeyBitCount.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Test_bits_of_another_number_are_refused()
    {
        using var counted = new BobSifter(_run.Parameters);
        using var answering = new AliceSifter(_run.Parameters);
        _run.Match(answering, counted);
        var message = SiftingRun.Written(answering.WriteTestBits);
        (BitConverter.ToUInt32(message) % 64).ShouldNotBe(0u);
        var changes = new Func<byte[], byte[]>[]
        {
            m => m[..^1], m => [.. m, 0], m => m[..4], _ => [], m => With(m, 0, (byte)(m[0] + 1)), m => With(m, 3, 0x80), m => With(m, m.Length - 1, 0x80),
        };
        foreach (var change in changes)
        {
            using var alice = new AliceSifter(_run.Parameters);
            using var bob = new BobSifter(_run.Parameters);
            _run.Match(alice, bob);
            var fromAlice = SiftingRun.Written(alice.WriteTestBits);
            SiftingRun.Written(bob.WriteTestBits);
            Should.Throw<DistillationException>(() => bob.Complete(change(fromAlice))).Message.ShouldContain("malformed");
        }
    }

    [Fact]
    public void Parameters_out_of_range_are_refused()
    {
        var good = Blocks.Parameters();
        good.Validate();
        BlockParameters[] bad =
        [
            good with { FrameCount = 0 }, good with { FrameCount = BlockParameters.MaximumFrameCount + 1 }, good with { FrameSlots = 65 },
            good with { FrameSlots = 0 }, good with { FrameSlots = BlockParameters.MaximumFrameSlots + 64 }, good with { PilotSlots = -1 },
            good with { PilotSlots = good.FrameSlots }, good with { FirstFrame = -1 }, good with { FirstFrame = long.MaxValue },
            good with { Grade = (KeyGrade)2 }, good with { Security = null! }, good with { Intensities = null! },
            good with { Intensities = [.. good.Intensities.Take(2)] }, good with { Security = new(2) },
            good with { Intensities = [good.Intensities[0] with { Probability = .6 }, .. good.Intensities.Skip(1)] },
            good with { Intensities = [good.Intensities[0] with { MeanLow = .5 }, .. good.Intensities.Skip(1)] },
            good with { Intensities = [good.Intensities[0] with { MeanHigh = double.NaN }, .. good.Intensities.Skip(1)] },
            good with { Intensities = [null!, .. good.Intensities.Skip(1)] },
        ];
        foreach (var parameters in bad)
        {
            Should.Throw<DistillationException>(() => new AliceSifter(parameters));
            Should.Throw<DistillationException>(() => new BobSifter(parameters));
        }
    }

    /// <summary>Whatever bytes come, the end is an exception or an answer, never anything else.</summary>
    [Fact]
    public void Any_bytes_are_answered_or_refused()
    {
        var random = new Random(12);
        var (announcement, answer) = (Announcement(), Answered().Answer);
        for (var trial = 0; trial < 3_000; trial++)
        {
            Tolerated(() => Match(Spoil(announcement)));
            Tolerated(() => Receive(Spoil(answer)));
        }

        byte[] Spoil(byte[] message)
        {
            byte[] spoiled = [.. message];
            for (var i = 0; i <= random.Next(3); i++)
            {
                spoiled[random.Next(spoiled.Length)] = (byte)random.Next(256);
            }

            return random.Next(4) == 0 ? spoiled[..random.Next(spoiled.Length)] : spoiled;
        }

        static void Tolerated(Action action)
        {
            try
            {
                action();
            }
            catch (DistillationException)
            {
                // Refused.
            }
        }
    }

    private static byte[] With(byte[] message, int index, byte value)
    {
        byte[] changed = [.. message];
        changed[index].ShouldNotBe(value);
        changed[index] = value;
        return changed;
    }

    private byte[] Announcement()
    {
        using var bob = new BobSifter(_run.Parameters);
        return _run.Announce(bob, 0);
    }

    private (int Announced, byte[] Answer) Answered()
    {
        using var alice = new AliceSifter(_run.Parameters);
        var announcement = Announcement();
        return (BitConverter.ToInt32(announcement, 8), _run.Answer(alice, 0, announcement));
    }

    private void Match(byte[] announcement)
    {
        using var alice = new AliceSifter(_run.Parameters);
        _run.Answer(alice, 0, announcement);
    }

    private void Receive(byte[] answer)
    {
        using var bob = new BobSifter(_run.Parameters);
        _run.Announce(bob, 0);
        bob.ReceiveMatches(answer);
    }

    private void Accepted(byte[] announcement) => Match(announcement);

    private void RefusedByAlice(byte[] announcement, string why = "malformed") =>
        Should.Throw<DistillationException>(() => Match(announcement)).Message.ShouldContain(why);

    private void RefusedByBob(byte[] answer, string why = "malformed") =>
        Should.Throw<DistillationException>(() => Receive(answer)).Message.ShouldContain(why);
}
