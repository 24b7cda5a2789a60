using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

public sealed class AuthenticationCostTests
{
    [Fact]
    public void A_block_takes_the_pads_of_two_tags()
    {
        AuthenticationCost.Block.KeyBits.ShouldBe(8 * (TwoLogs.BobPad.Length + TwoLogs.AlicePad.Length));
        AuthenticationCost.Block.KeyBits.ShouldBe(512);
        var (alice, bob) = TwoLogs.Usual().Close();
        alice.Cost.ShouldBe(AuthenticationCost.Block);
        bob.Cost.ShouldBe(AuthenticationCost.Block);
    }

    [Fact]
    public void Key_and_probabilities_add_up()
    {
        var sum = AuthenticationCost.Block + AuthenticationCost.Message(16) + AuthenticationCost.Message(100);
        sum.KeyBits.ShouldBe(512 + 256 + 256);
        sum.ForgeryProbability.ShouldBe(Math.Pow(2, -94) + ((2 + 8) * Math.Pow(2, -128)));
        AuthenticationCost.Add(new(1, .75), new(2, .5)).ShouldBe(new(3, 1));
        Should.Throw<OverflowException>(() => new AuthenticationCost(long.MaxValue, 0) + AuthenticationCost.Block);
    }
}
