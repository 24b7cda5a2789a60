using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Verification;

public sealed class VerificationTests
{
    private const int Length = 20_011;

    [Theory]
    [InlineData(1e-10, 1, 35)]
    [InlineData(1e-15, 1, 51)]
    [InlineData(1e-30, 1, 101)]
    [InlineData(.5, 1, 2)]
    [InlineData(.25, 1, 3)]
    [InlineData(1e-10, 31, 40)]
    public void The_tag_is_as_long_as_its_failure_probability_asks(double epsilon, int ranges, int bits)
    {
        var security = new SecurityParameters { Verification = epsilon };
        VerificationPlan.TagBitsFor(security, ranges).ShouldBe(bits);
        (ranges * Math.Pow(2, -bits)).ShouldBeLessThanOrEqualTo(epsilon / 2 * (1 + 1e-9));
    }

    /// <summary>One frame: the formula subtracts log2(2/ε_EV) = 34.2 of the tag's 35 bits; a verdict and three counts are more where detectors may differ.</summary>
    [Fact]
    public void What_verification_tells_is_counted()
    {
        long[] counts = [1_023, 255, 0];
        Beyond(new(1e-10)).ShouldBe(1);
        Beyond(new() { Verification = .5 }).ShouldBe(0);
        Beyond(new() { Verification = .5, Mismatch = new(.01, 0, 0) }).ShouldBe(1 + 1 + 10 + 8);
        Beyond(new(1e-10) { Mismatch = new(0, .01, 1e-6) }).ShouldBe(21);

        long Beyond(SecurityParameters security) => new VerificationPlan([0, 1_278], security).BitsBeyondFormula(security, tags: 1, verdicts: 1, counts);
    }

    [Fact]
    public void A_hash_that_cannot_keep_what_is_asked_is_refused()
    {
        var security = new SecurityParameters { Verification = 1e-30 };
        int[] starts = [.. Enumerable.Range(0, 1025).Select(i => i * 65_536)];
        Should.Throw<DistillationException>(() => new VerificationPlan(starts, security)).Message.ShouldContain("cannot be kept");
    }

    [Theory]
    [InlineData(600, 1)]
    [InlineData(640, 2)]
    [InlineData(1_001, 3)]
    public void Any_bit_that_differs_is_found_and_mended(int length, int frames)
    {
        for (var place = 0; place < length; place += 7)
        {
            using var run = VerificationRun.Random(new(place), length, [place], frames, new(1e-3));
            if (frames == 1)
            {
                // The only frame disclosed is the whole block.
                Should.Throw<DistillationException>(run.Run).Message.ShouldContain("leaks more bits than it has");
                continue;
            }

            run.Run();
            Same(run).ShouldBeTrue();
            run.Alice.DisclosedFrames.ShouldBe(1);
        }
    }

    [Fact]
    public void Bits_that_agree_take_one_round()
    {
        using var run = VerificationRun.Random(new(1), Length, [], frames: 40).Run();
        run.Messages.Count.ShouldBe(3);
        run.Messages[2].ShouldBeEmpty();
        (run.Alice.DisclosedFrames, run.Bob.DisclosedFrames).ShouldBe((0, 0));
        run.Alice.Result.KeyErrors.ShouldBe(run.Bob.Result.KeyErrors);
        run.Bob.Result.KeyErrors.Sum().ShouldBe((Length + 6) / 7);

        // Three clusters, 77 ranges in all: tags of ⌈34.2 + 6.3⌉ bits.
        var ledger = run.Alice.Result.Ledger;
        ledger.VerificationBits.ShouldBe((long)Math.Ceiling((3 * 41) - Math.Log2(2e10)));
        (ledger.DisclosedBits, ledger.ReconciliationBits).ShouldBe((0, Length / 10));
        run.Bob.Result.Ledger.ShouldBe(ledger);
    }

    /// <summary>Frames 0, 5 and 6 of the first cluster, 17 of the second and the last of all; two errors in one of them.</summary>
    [Fact]
    public void Frames_that_differ_are_found_disclosed_and_paid_for()
    {
        int Start(int frame) => (int)((long)Length * frame / 40);
        int[] wrong = [0, Start(5), Start(7) - 1, Start(17) + 3, Start(17) + 4, Length - 1];
        using var run = VerificationRun.Random(new(2), Length, wrong, frames: 40).Run();
        Same(run).ShouldBeTrue();
        run.Bob.DisclosedFrames.ShouldBe(5);
        var ledger = run.Alice.Result.Ledger;
        run.Bob.Result.Ledger.ShouldBe(ledger);
        int[] frames = [0, 5, 6, 17, 39];
        ledger.DisclosedBits.ShouldBe(frames.Sum(frame => Start(frame + 1) - Start(frame)));

        // Bits on the wire but for the hash key: every one is in the ledger, or in the formula.
        var told = run.Messages.Where((_, i) => i % 2 == 0).Sum(message => 8L * message.Length) - (8 * FrameHashes.KeyBytes);
        var counted = ledger.DisclosedBits + ledger.VerificationBits + Math.Log2(2e10);
        told.ShouldBeInRange((long)counted - 1, (long)counted + (64 * run.Messages.Count));

        // What was disclosed is corrected, and the counts are of what was corrected in truth: a bit that was wrongly turned over has been turned back.
        var expected = new long[3];
        for (var i = 0; i < Length; i++)
        {
            expected[i % 3] += (i % 7 == 0) ^ wrong.Contains(i) ? 1 : 0;
        }

        run.Alice.Result.KeyErrors.ShouldBe(expected);
    }

    [Fact]
    public void Of_two_halves_one_tag_is_told()
    {
        // One cluster of 16 frames, of which one differs: 1 tag, then 4 halvings of a tag each, then the frame.
        using var run = VerificationRun.Random(new(3), 16_000, [4_500], frames: 16, new(1e-10)).Run();
        var bits = VerificationPlan.TagBitsFor(new(1e-10), 31);
        run.Alice.Result.Ledger.VerificationBits.ShouldBe((long)Math.Ceiling((5 * bits) - Math.Log2(2e10)));
        run.Messages.Count.ShouldBe(1 + (2 * 6));
    }

    [Fact]
    public void With_detectors_that_may_differ_verdicts_are_paid_for_too()
    {
        var security = new SecurityParameters(1e-10) { Mismatch = new(.01, 0, 0) };
        using var run = VerificationRun.Random(new(3), 16_000, [4_500], frames: 16, security).Run();
        using var equal = VerificationRun.Random(new(3), 16_000, [4_500], frames: 16, new(1e-10)).Run();
        var counts = run.Alice.Result.Sifted.KeyCounts.Sum(count => Math.Log2(count + 1));
        var more = run.Alice.Result.Ledger.VerificationBits - equal.Alice.Result.Ledger.VerificationBits;
        ((double)more).ShouldBeInRange(1 + (4 * 2) + 1 + counts - 1, 1 + (4 * 2) + 1 + counts + 1);
    }

    [Fact]
    public void A_block_that_differs_everywhere_is_lost_at_both_ends()
    {
        using var run = VerificationRun.Random(new(4), Length, Enumerable.Range(0, Length).Where(i => i % 100 == 0), frames: 40);
        Should.Throw<DistillationException>(run.Run).Message.ShouldContain("leaks more bits than it has");
        Should.Throw<InvalidOperationException>(() => run.Alice.Result);
        Should.Throw<InvalidOperationException>(() => run.Bob.Result);
    }

    /// <summary>Different bits pass with probability 2^-t, here 1/8: within five standard deviations of 4000 trials.</summary>
    [Fact]
    public void Different_bits_pass_as_seldom_as_promised()
    {
        const int trials = 4_000;
        var security = new SecurityParameters { Verification = .25 };
        var random = new Random(9);
        var passed = 0;
        for (var trial = 0; trial < trials; trial++)
        {
            using var run = VerificationRun.Random(random, 300, [random.Next(300), 7], security: security, randomness: new Seeded(random));
            try
            {
                run.Run();
                passed++;
            }
            catch (DistillationException)
            {
                // Found: the one frame is the whole block.
            }
        }

        var sigma = Math.Sqrt(trials / 8.0 * 7 / 8);
        ((double)passed).ShouldBeInRange((trials / 8.0) - (5 * sigma), (trials / 8.0) + (5 * sigma));
    }

    [Fact]
    public void The_hash_key_is_drawn_for_each_block()
    {
        using var one = VerificationRun.Random(new(1), 1_000, [], frames: 2).Run();
        using var two = VerificationRun.Random(new(1), 1_000, [], frames: 2).Run();
        one.Messages[0].ShouldNotBe(two.Messages[0]);
    }

    /// <summary>Whatever is altered, cut or added ends the block or leaves the bits the same: with the transcripts' tags it is lost in any case.</summary>
    [Fact]
    public void Altered_messages_never_leave_different_bits_that_pass()
    {
        var random = new Random(5);
        int[] wrong = [100, 9_000];
        for (var trial = 0; trial < 400; trial++)
        {
            var altered = random.Next(7);
            using var run = VerificationRun.Random(new(trial), Length, wrong, frames: 40);
            run.OnTheWay = (number, message) => number != altered ? message : random.Next(6) switch
            {
                0 => message.Length == 0 ? [0] : message[..^1],
                1 => [.. message, 0],
                2 => [],
                _ => Flip(message, random),
            };
            try
            {
                run.Run();
            }
            catch (DistillationException)
            {
                continue;
            }

            // An error count is all that may be told wrong, and a disclosed bit: the tags over the transcript see both.
            if (!Same(run))
            {
                run.Bob.DisclosedFrames.ShouldBeGreaterThan(0);
            }
        }
    }

    private static byte[] Flip(byte[] message, Random random)
    {
        if (message.Length > 0)
        {
            message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
        }

        return message;
    }

    private static bool Same(VerificationRun run) => run.Alice.Result.PeekBits().Words.SequenceEqual(run.Bob.Result.PeekBits().Words);

    private sealed class Seeded(Random random) : ISecretRandomness
    {
        public string Origin => "test";

        public void Fill(Span<byte> destination) => random.NextBytes(destination);
    }
}
