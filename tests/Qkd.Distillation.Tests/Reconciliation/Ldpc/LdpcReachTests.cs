using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class LdpcReachTests
{
    [Fact]
    public void Entropy_and_its_inverse_agree()
    {
        foreach (var q in new[] { 0.001, 0.025, 0.11, 0.4999 })
        {
            LdpcReach.ErrorRateFor(LdpcReach.Entropy(q)).ShouldBe(q, 1e-9);
        }

        LdpcReach.Entropy(0.11).ShouldBe(0.4999, 1e-4);
        LdpcReach.Entropy(0).ShouldBe(0);
    }

    /// <summary>Whatever the block, the frames hold it, and less leaks than it has.</summary>
    [Theory]
    [InlineData(3_000)]
    [InlineData(20_480)]
    [InlineData(20_481)]
    [InlineData(163_840)]
    [InlineData(300_000)]
    [InlineData(10_000_000)]
    [InlineData(130_000_000)]
    public void A_choice_holds_the_block(int bits)
    {
        foreach (var rate in new[] { 0, 0.001, 0.0094, 0.025, 0.05, 0.08, 0.11, 0.2, 0.5, double.NaN })
        {
            if (LdpcReach.Instance.Choose(bits, rate) is not { } choice)
            {
                // Then the block is small, or its errors are beyond what correction can pay for.
                (bits < 10_000 || rate >= 0.2).ShouldBeTrue($"{bits} bits at {rate}");
                continue;
            }

            LdpcPlan.IsPossible(bits, choice.Code, (uint)choice.Frames, (uint)choice.Punctured).ShouldBeTrue($"{bits} bits at {rate}: {choice}");
        }
    }

    [Fact]
    public void More_errors_never_leak_less()
    {
        var before = 0.0;
        for (var rate = 0.001; rate < 0.12; rate += 0.0005)
        {
            var choice = LdpcReach.Instance.Choose(1_000_000, rate).ShouldNotBeNull();
            var leak = choice.Frames * (double)(LdpcFamily.ChecksOf(choice.Code) - choice.Punctured);
            leak.ShouldBeGreaterThanOrEqualTo(before);
            leak.ShouldBeGreaterThan(1_000_000 * LdpcReach.Entropy(rate));
            before = leak;
        }
    }

    [Fact]
    public void Nothing_is_chosen_for_no_bits() => LdpcReach.Instance.Choose(0, 0.02).ShouldBeNull();
}
