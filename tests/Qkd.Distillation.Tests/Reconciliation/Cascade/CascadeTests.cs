using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class CascadeTests
{
    [Theory]
    [InlineData(1_000_000, 0.005)]
    [InlineData(1_000_000, 0.0094)]
    [InlineData(300_007, 0.02)]
    [InlineData(131_073, 0.05)]
    [InlineData(65_536, 0.11)]
    [InlineData(5_000, 0.03)]
    [InlineData(63, 0.02)]
    public void Ends_with_the_same_bits(int length, double errorRate)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            using var pair = ReconciliationPair.Random(seed, length, errorRate);
            var errors = pair.Errors;
            pair.Run();

            pair.BobResult().ShouldBe(pair.AliceBits);
            pair.AliceResult().ShouldBe(pair.AliceBits);
            pair.Bob.KeyErrors.Sum().ShouldBe(errors);
            pair.Bob.Ledger.ShouldBe(pair.Alice.Ledger);
        }
    }

    /// <summary>
    /// f = Alice's parities / (n h(Q)) over 32 full frames, for the Q that the errors are of. The figures are those of
    /// <see cref="CascadeReconciler"/>, measured over 2048 frames; over 32 their spread is at most 0.0006, and five times that is allowed.
    /// </summary>
    [Theory]
    [InlineData(0.01, 1.0365)]
    [InlineData(0.02, 1.0399)]
    [InlineData(0.03, 1.0390)]
    [InlineData(0.05, 1.0418)]
    public void Leaks_little_more_than_the_limit_of_information(double errorRate, double documented)
    {
        var (efficiency, failures) = Measure(32, errorRate);
        efficiency.ShouldBe(documented, 0.003);
        failures.ShouldBe(0);
    }

    /// <summary>
    /// The whole table. A frame fails if errors are left that none of 20 random halves of it parts: two frames in 10^7, so that none is expected here. The spread
    /// of f over 416 frames is at most 0.00022, most at 0.5 %: five times that, and what the figures are rounded by, are allowed.
    /// </summary>
    [Theory]
    [Trait("Speed", "Slow")]
    [InlineData(0.005, 1.0368)]
    [InlineData(0.01, 1.0365)]
    [InlineData(0.02, 1.0399)]
    [InlineData(0.03, 1.0390)]
    [InlineData(0.05, 1.0418)]
    [InlineData(0.08, 1.0555)]
    [InlineData(0.11, 1.0615)]
    public void Leaks_little_over_many_frames(double errorRate, double documented)
    {
        var (efficiency, failures) = Measure(416, errorRate);
        efficiency.ShouldBe(documented, 0.0012);
        failures.ShouldBe(0);
    }

    [Theory]
    [InlineData(0.02, 0.0001)]
    [InlineData(0.02, 0.2)]
    [InlineData(0.02, double.NaN)]
    [InlineData(0.01, 0.05)]
    [InlineData(0.05, 0.01)]
    [InlineData(0.2, 0.04)]
    [InlineData(0.25, 0.25)]
    [InlineData(0.25, 1)]
    [InlineData(0, 0)]
    [InlineData(0.001, -1)]
    public void Corrects_though_the_expected_rate_was_far_off(double errorRate, double expected)
    {
        using var pair = ReconciliationPair.Random(5, 140_000, errorRate, expected);
        pair.Run();
        pair.BobResult().ShouldBe(pair.AliceBits);
    }

    [Fact]
    public void Without_errors_tells_only_what_no_error_costs()
    {
        using var pair = ReconciliationPair.Random(3, 65_536, 0, 0.01);
        pair.Run();

        // Passes of blocks of 2^7, 2^8 and 2^14, the last parity of each but the first following from the others, and 20 half frames.
        pair.Alice.Ledger.ReconciliationBits.ShouldBe(512 + 255 + 3 + 20);
        pair.Alice.Ledger.VariableLengthBits.ShouldBe(2 * 17);
        pair.Bob.KeyErrors.Sum().ShouldBe(0);
    }

    [Fact]
    public void Counts_errors_by_intensity()
    {
        using var pair = ReconciliationPair.Random(9, 90_000, 0.02);
        pair.Run();

        var expected = new long[3];
        for (var i = 0; i < pair.Length; i++)
        {
            if (((pair.AliceBits[i >> 6] ^ pair.BobBits[i >> 6]) >> i & 1) != 0)
            {
                expected[i % 3]++;
            }
        }

        pair.Bob.KeyErrors.ShouldBe(expected);
    }

    [Fact]
    public void With_unequal_detectors_both_directions_leak()
    {
        var security = new SecurityParameters { Mismatch = new DetectorMismatch(0.01, 0.01, 1e-6) };
        using var pair = ReconciliationPair.Random(9, 90_000, 0.02, security: security);
        pair.Run();

        pair.Alice.Ledger.ReverseReconciliationBits.ShouldBe(pair.Alice.Ledger.ReconciliationBits);
        pair.Alice.Ledger.ReconciliationBits.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Gives_up_when_more_would_leak_than_there_is()
    {
        using var pair = ReconciliationPair.Random(2, 10_000, 0.4, 0.01);
        Should.Throw<DistillationException>(pair.Run);
    }

    /// <summary>Only a few buffers may still grow once a block is under way, whatever is asked.</summary>
    [Fact]
    public void Allocates_nothing_for_a_question()
    {
        using var pair = ReconciliationPair.Random(2, 8 * 65_536, 0.05);
        long before = 0;
        long asked = 0;
        pair.OnTheWay = (turn, message) =>
        {
            asked += turn > 40 ? message.Length * 8 : 0;
            before = turn == 40 ? GC.GetAllocatedBytesForCurrentThread() : before;

            // What the helper itself allocates: each message once.
            before += turn > 40 ? message.Length + 24 : 0;
            return message;
        };
        pair.Run();

        // Room for what is known of the third pass and of a few over half frames, 25 kB each and 60 kB a frame; one object for each question would be
        // more than a megabyte.
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        TestContext.Current.TestOutputHelper!.WriteLine($"{allocated} bytes for {asked} bits said");
        asked.ShouldBeGreaterThan(150_000);
        allocated.ShouldBeLessThan(8 * 60_000);
    }

    private static (double Efficiency, int Failures) Measure(int frames, double errorRate)
    {
        using var pair = ReconciliationPair.Random(11, frames * 65_536, errorRate);
        pair.Run();

        var q = (double)pair.Errors / pair.Length;
        var entropy = -(q * Math.Log2(q)) - ((1 - q) * Math.Log2(1 - q));
        var efficiency = pair.Alice.Ledger.ReconciliationBits / (pair.Length * entropy);
        var (alice, bob) = (pair.AliceResult(), pair.BobResult());
        var failures = Enumerable.Range(0, frames).Count(frame => !alice.AsSpan(frame * 1024, 1024).SequenceEqual(bob.AsSpan(frame * 1024, 1024)));
        TestContext.Current.TestOutputHelper!.WriteLine($"QBER {q:P2}: f = {efficiency:0.0000} in {pair.Rounds} rounds, {failures} of {frames} frames failed");
        return (efficiency, failures);
    }
}
