using System.Buffers;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Verification;

public sealed class VerificationTests
{
    [Theory]
    [InlineData(1e-10, 35)]
    [InlineData(1e-15, 51)]
    [InlineData(1e-30, 101)]
    [InlineData(.5, 2)]
    [InlineData(.25, 3)]
    public void The_tag_is_as_long_as_its_failure_probability_asks(double epsilon, int bits)
    {
        var security = new SecurityParameters { Verification = epsilon };
        VerificationMessages.TagBits(security).ShouldBe(bits);
        Math.Pow(2, -bits).ShouldBeLessThanOrEqualTo(epsilon / 2 * (1 + 1e-9));
        Challenge(RandomBits(new(1), 100), security).Length.ShouldBe(32 + ((bits + 7) / 8));
    }

    /// <summary>The formula subtracts log2(2/ε_EV) = 34.2 of the tag's 35 bits; a verdict and three counts are more where detectors may differ.</summary>
    [Fact]
    public void What_verification_tells_is_counted()
    {
        long[] counts = [1_023, 255, 0];
        VerificationMessages.BitsBeyondFormula(new(1e-10), counts).ShouldBe(1);
        VerificationMessages.BitsBeyondFormula(new() { Verification = .5 }, counts).ShouldBe(0);
        VerificationMessages.BitsBeyondFormula(new() { Verification = .5, Mismatch = new(.01, 0, 0) }, counts).ShouldBe(1 + 10 + 8);
        VerificationMessages.BitsBeyondFormula(new(1e-10) { Mismatch = new(0, .01, 1e-6) }, counts).ShouldBe(20);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(1_000)]
    public void Any_bit_that_differs_is_found(int length)
    {
        var security = new SecurityParameters(1e-15);
        using var bits = RandomBits(new(length), length);
        var challenge = Challenge(bits, security);
        VerificationMessages.CheckChallenge(bits, security, challenge).ShouldBeTrue();
        for (var i = 0; i < length; i++)
        {
            bits.Words[i >> 6] ^= 1UL << i;
            VerificationMessages.CheckChallenge(bits, security, challenge).ShouldBeFalse();
            bits.Words[i >> 6] ^= 1UL << i;
        }
    }

    [Fact]
    public void Bits_that_end_in_other_zeros_are_told_apart()
    {
        var security = new SecurityParameters(1e-15);
        using var shorter = new BitString(100);
        using var longer = new BitString(101);
        VerificationMessages.CheckChallenge(longer, security, Challenge(shorter, security)).ShouldBeFalse();
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
            using var a = RandomBits(random, 300);
            using var b = RandomBits(random, 300);
            passed += VerificationMessages.CheckChallenge(b, security, Challenge(a, security, new Seeded(random))) ? 1 : 0;
        }

        var sigma = Math.Sqrt(trials / 8.0 * 7 / 8);
        ((double)passed).ShouldBeInRange((trials / 8.0) - (5 * sigma), (trials / 8.0) + (5 * sigma));
    }

    [Fact]
    public void The_hash_key_is_drawn_for_each_challenge()
    {
        using var bits = RandomBits(new(1), 100);
        Challenge(bits, new()).ShouldNotBe(Challenge(bits, new()));
    }

    [Fact]
    public void A_challenge_of_another_size_is_refused()
    {
        using var bits = RandomBits(new(1), 100);
        var challenge = Challenge(bits, new());
        foreach (var wrong in new[] { challenge[..^1], [.. challenge, 0], [], challenge[..32] })
        {
            Should.Throw<DistillationException>(() => VerificationMessages.CheckChallenge(bits, new(), wrong)).Message.ShouldContain("malformed");
        }

        // Bits of the last byte beyond the tag's 35 are not those of a tag.
        byte[] beyond = [.. challenge[..^1], (byte)(challenge[^1] | 0x80)];
        VerificationMessages.CheckChallenge(bits, new(), beyond).ShouldBeFalse();
    }

    [Fact]
    public void Answers_are_read_as_they_were_written()
    {
        VerificationMessages.ReadAnswer(Answer(true, [3, 2, 0]), [3, 2, 1]).Errors.ShouldBe([3, 2, 0]);
        var (same, errors) = VerificationMessages.ReadAnswer(Answer(false, [3, 2, 0]), [3, 2, 1]);
        same.ShouldBeFalse();
        errors.ShouldBe([0, 0, 0]);
    }

    [Fact]
    public void An_answer_that_cannot_be_is_refused()
    {
        var good = Answer(true, [3, 2, 0]);
        foreach (var wrong in new[] { good[..^1], [.. good, 0], [], [2, .. good[1..]], Answer(true, [4, 2, 0]), Answer(true, [3, -1, 0]), Answer(true, [3, 2, long.MaxValue]) })
        {
            Should.Throw<DistillationException>(() => VerificationMessages.ReadAnswer(wrong, [3, 2, 1])).Message.ShouldContain("malformed");
        }
    }

    private static byte[] Challenge(BitString bits, SecurityParameters security, ISecretRandomness? randomness = null)
    {
        var message = new ArrayBufferWriter<byte>();
        VerificationMessages.WriteChallenge(bits, security, randomness ?? OperatingSystemRandomness.Instance, message);
        return message.WrittenSpan.ToArray();
    }

    private static byte[] Answer(bool same, long[] errors)
    {
        var message = new ArrayBufferWriter<byte>();
        VerificationMessages.WriteAnswer(same, errors, message);
        return message.WrittenSpan.ToArray();
    }

    private static BitString RandomBits(Random random, int length)
    {
        var bits = new BitString(length);
        for (var i = 0; i < length; i++)
        {
            bits.Words[i >> 6] |= (ulong)random.Next(2) << i;
        }

        return bits;
    }

    private sealed class Seeded(Random random) : ISecretRandomness
    {
        public string Origin => "test";

        public void Fill(Span<byte> destination) => random.NextBytes(destination);
    }
}
