using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>When a block gives no key by the other bounds, what they refuse to take, and the fixed length.</summary>
public sealed class OtherBoundsNoKeyTests
{
    private static readonly LimInputs Lim = OtherBoundsVectorsTests.LimBlock;
    private static readonly OneDecoyInputs OneDecoy = OtherBoundsVectorsTests.OneDecoyTenth;
    private static readonly TomamichelInputs Single = OtherBoundsVectorsTests.TomamichelBlock;
    private static readonly LimXuPanEkertInputs Pairs = OtherBoundsVectorsTests.LimXuPanEkertBlock;

    [Fact]
    public void No_key_and_a_reason()
    {
        None(FiniteKey.Lim(Lim with { KeyCounts = [0, 0, 0] }), "single photons");
        None(FiniteKey.Lim(Lim with { TestCounts = [0, 0, 0], TestErrors = [0, 0, 0] }), "single photons");
        None(FiniteKey.Lim(Lim with { TestErrors = [8_080, 830, 90], TestCounts = [808_000, 81_000, 90_000] }), "");
        None(FiniteKey.Lim(Lim with { TestErrors = [8_080, 830, 80_000], TestCounts = [80_800_000, 8_100_000, 90_000] }), "outweigh");
        None(FiniteKey.Lim(Lim with { TestErrors = [200_000, 40_000, 45] }), "nothing is left");
        None(FiniteKey.Lim(Lim with { LeakedBits = double.NaN }), "not finite");
        None(FiniteKey.Lim(Lim with { LeakedBits = 1e9 }), "nothing is left");
        None(FiniteKey.Lim(Lim with { Intensities = [.. Lim.Intensities.Reverse()] }), "μ1 > μ2 + μ3");
        foreach (var bound in new Func<OneDecoyInputs, KeyBound>[] { FiniteKey.Rusca, FiniteKey.Wiesemann })
        {
            None(bound(OneDecoy with { KeyCounts = [0, 0], KeyErrors = [0, 0] }), "single photons");
            None(bound(OneDecoy with { TestCounts = [0, 0], TestErrors = [0, 0] }), "single photons");
            None(bound(OneDecoy with { TestErrors = [98_400, 12_600] }), "");
            None(bound(OneDecoy with { TestErrors = [0, 1_200] }), "outweigh");
            None(bound(OneDecoy with { LeakedBits = double.PositiveInfinity }), "not finite");
            None(bound(OneDecoy with { LeakedBits = 1e9 }), "nothing is left");
            None(bound(OneDecoy with { Intensities = [new(.5, .5, .5, .7), new(0, 0, 0, .3)] }), "μ1 > μ2 > 0");
            None(bound(OneDecoy with { Intensities = [new(.5, .1, .5, .7), new(.15, .15, .15, .3)] }), "μ1 > μ2 > 0");
        }

        None(FiniteKey.Tomamichel(Single with { KeyBits = 0 }), "no bits");
        None(FiniteKey.Tomamichel(Single with { TestBits = 0 }), "no bits");
        None(FiniteKey.Tomamichel(Single with { ToleratedErrorRate = .5 }), "nothing is left");
        None(FiniteKey.Tomamichel(Single with { LeakedBits = double.NaN }), "not finite");
        None(FiniteKey.LimXuPanEkert(Pairs with { TestBits = 10_000 }), "no bits");
        None(FiniteKey.LimXuPanEkert(Pairs with { VerificationBits = 33 }), "nothing of ε");
        None(FiniteKey.LimXuPanEkert(Pairs with { LeakedBits = 6_000 }), "nothing is left");
    }

    [Fact]
    public void No_errors_at_all_are_no_proof_that_there_are_none()
    {
        FiniteKey.Lim(Lim with { TestErrors = [0, 0, 0] }).PhaseErrorRate.ShouldBeGreaterThan(10 / FiniteKey.Lim(Lim).TestSinglePhotons);
        FiniteKey.Rusca(OneDecoy with { TestErrors = [0, 0] }).PhaseErrorRate.ShouldBeGreaterThan(10 / FiniteKey.Rusca(OneDecoy).TestSinglePhotons);
        FiniteKey.Wiesemann(OneDecoy with { TestErrors = [0, 0] }).PhaseErrorRate.ShouldBeGreaterThan(10 / FiniteKey.Wiesemann(OneDecoy).TestSinglePhotons);
    }

    [Fact]
    public void A_bound_without_decoys_asks_for_a_declared_source()
    {
        Should.Throw<DistillationException>(() => FiniteKey.Tomamichel(Single with { Source = DeclaredSource.Undeclared })).Message.ShouldContain("declared source");
        Should.Throw<DistillationException>(() => FiniteKey.LimXuPanEkert(Pairs with { Source = default })).Message.ShouldContain("declared source");
        Enum.GetValues<DeclaredSource>().ShouldBe([DeclaredSource.Undeclared, DeclaredSource.SinglePhotons, DeclaredSource.EntangledPairs]);
    }

    [Fact]
    public void Refuses_what_is_no_count_and_no_probability()
    {
        Action[] impossible =
        [
            () => FiniteKey.Lim(Lim with { KeyCounts = [1, 2] }),
            () => FiniteKey.Lim(Lim with { KeyCounts = [-1, 2, 3] }),
            () => FiniteKey.Lim(Lim with { TestErrors = [808_001, 0, 0] }),
            () => FiniteKey.Lim(Lim with { LeakedBits = -1 }),
            () => FiniteKey.Lim(Lim with { Secrecy = 0 }),
            () => FiniteKey.Lim(Lim with { Correctness = double.NaN }),
            () => FiniteKey.Lim(Lim with { Intensities = [.. Lim.Intensities.Take(2)] }),
            () => FiniteKey.Lim(Lim with { Intensities = [.. Lim.Intensities.Take(2), new(0, 0, 0, .2)] }),
            () => FiniteKey.Rusca(OneDecoy with { KeyErrors = [886_001, 0] }),
            () => FiniteKey.Wiesemann(OneDecoy with { KeyErrors = [0, 114_001] }),
            () => FiniteKey.Wiesemann(OneDecoy with { TestErrors = [0, 12_601] }),
            () => FiniteKey.Wiesemann(OneDecoy with { KeyErrors = [0, 0, 0] }),
            () => FiniteKey.Wiesemann(OneDecoy with { Secrecy = 1 }),
            () => FiniteKey.Wiesemann(OneDecoy with { Intensities = [OneDecoy.Intensities[0] with { Probability = 1 }, OneDecoy.Intensities[1] with { Probability = 0 }] }),
            () => FiniteKey.Tomamichel(Single with { KeyBits = -1 }),
            () => FiniteKey.Tomamichel(Single with { TestBits = long.MaxValue }),
            () => FiniteKey.Tomamichel(Single with { ToleratedErrorRate = -.01 }),
            () => FiniteKey.Tomamichel(Single with { ToleratedErrorRate = double.NaN }),
            () => FiniteKey.Tomamichel(Single with { LeakedBits = -1 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { TestBits = 10_001 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { TotalDeviation = 0 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { TotalDeviation = Pairs.KeyDeviation }),
            () => FiniteKey.LimXuPanEkert(Pairs with { KeyDeviation = .48 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { ToleratedErrorRate = .5 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { VerificationBits = -1 }),
            () => FiniteKey.LimXuPanEkert(Pairs with { Epsilon = 0 }),
        ];
        foreach (var action in impossible)
        {
            Should.Throw<DistillationException>(action).Message.ShouldEndWith(".");
        }
    }

    [Fact]
    public void A_tolerated_error_rate_accepts_no_more_errors()
    {
        Single.Accepts(1_000).ShouldBeTrue();
        Single.Accepts(1_001).ShouldBeFalse();
        Single.Accepts(-1).ShouldBeFalse();
        Pairs.Accepts(62).ShouldBeTrue();
        Pairs.Accepts(63).ShouldBeFalse();
    }

    [Fact]
    public void A_fixed_length_comes_from_earlier_blocks_and_is_all_that_an_accepted_block_gives()
    {
        var usual = FiniteKey.Wiesemann(OneDecoy);
        var poor = FiniteKey.Wiesemann(OneDecoy with { LeakedBits = 150_000 });
        var hopeless = FiniteKey.Wiesemann(OneDecoy with { LeakedBits = 1e9 });
        var plan = FixedLength.FromEarlierBlocks(7, [new(5, usual), new(6, usual)]);
        plan.BlockId.ShouldBe(7);
        plan.Length.ShouldBe((long)(.9 * usual.StatedLength) / 8 * 8);
        plan.Accepts(7, usual).ShouldBeTrue();
        plan.Accepts(7, poor).ShouldBeFalse();
        plan.Accepts(7, hopeless).ShouldBeFalse();
        FixedLength.FromEarlierBlocks(7, [new(5, usual), new(6, poor)]).Accepts(7, poor).ShouldBeTrue();

        // No block before, or one that gave nothing: no length, and nothing is accepted.
        FixedLength.FromEarlierBlocks(0, []).Length.ShouldBe(0);
        FixedLength.FromEarlierBlocks(0, []).Accepts(0, usual).ShouldBeFalse();
        FixedLength.FromEarlierBlocks(7, [new(5, usual), new(6, hopeless)]).Accepts(7, usual).ShouldBeFalse();

        // The length to the last bit.
        FixedLength.Of(1, usual.LongestAcceptable / 8 * 8).Accepts(1, usual).ShouldBeTrue();
        FixedLength.Of(1, (usual.LongestAcceptable / 8 * 8) + 8).Accepts(1, usual).ShouldBeFalse();
    }

    [Fact]
    public void A_fixed_length_is_never_set_by_its_own_block_or_a_later_one_and_never_used_for_another()
    {
        var usual = FiniteKey.Wiesemann(OneDecoy);
        Should.Throw<DistillationException>(() => FixedLength.FromEarlierBlocks(7, [new(7, usual)])).Message.ShouldContain("not earlier");
        Should.Throw<DistillationException>(() => FixedLength.FromEarlierBlocks(7, [new(8, usual)]));
        Should.Throw<DistillationException>(() => FixedLength.FromEarlierBlocks(7, [new(6, usual)], 0));
        Should.Throw<DistillationException>(() => FixedLength.FromEarlierBlocks(7, [new(6, usual)], 1.01));
        Should.Throw<DistillationException>(() => FixedLength.Of(7, -8));
        Should.Throw<DistillationException>(() => FixedLength.Of(7, 80).Accepts(8, usual));
    }

    private static void None(KeyBound bound, string reason)
    {
        bound.LongestAcceptable.ShouldBe(0);
        bound.StatedLength.ShouldBe(0);
        double.IsFinite(bound.SecretLength).ShouldBeTrue();
        bound.Reason.ShouldNotBeEmpty();
        bound.Reason.ShouldContain(reason);
    }
}
