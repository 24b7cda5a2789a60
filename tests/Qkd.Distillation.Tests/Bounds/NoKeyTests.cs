using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>When a block gives no key, and what the bound refuses to take.</summary>
public sealed class NoKeyTests
{
    private static readonly TwoDecoyInputs Good = new()
    {
        Intensities = [new(.45, .45, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)],
        KeyCounts = [800_000, 160_000, 1_000],
        TestCounts = [200_000, 40_000, 250],
        TestErrors = [2_000, 410, 60],
        LeakedBits = 90_000,
        Security = new(1e-10),
    };

    [Fact]
    public void The_block_that_the_others_are_made_from_gives_key() => FiniteKey.TwoDecoy(Good).StatedLength.ShouldBeGreaterThan(100_000);

    public static TheoryData<string, TwoDecoyInputs> Hopeless => new()
    {
        { "single photons", Good with { KeyCounts = [0, 0, 0] } },
        { "single photons", Good with { KeyCounts = [800_000, 0, 160_000] } },
        { "single photons", Good with { TestCounts = [0, 0, 0], TestErrors = [0, 0, 0] } },
        { "single photons", Good with { TestCounts = [20, 4, 1], TestErrors = [0, 0, 0] } },
        { "errors leave no bound", Good with { TestErrors = [100_000, 40_000, 0] } },
        { "errors leave no bound", Good with { Security = Good.Security with { Mismatch = new(.99, 0, 1e-6, false) } } },
        { "nothing is left", Good with { TestErrors = [40_000, 8_000, 60] } },
        { "nothing is left", Good with { Security = Good.Security with { Mismatch = new(.2, 0, 1e-6, false) } } },
        { "nothing is left", Good with { LeakedBits = 900_000 } },
        { "not finite", Good with { LeakedBits = double.PositiveInfinity } },
        { "not finite", Good with { LeakedBits = double.NaN } },
        { "μ1 > μ2 + μ3", Good with { Intensities = [new(.3, .3, .3, .5), new(.3, .3, .3, .3), new(.001, .001, .001, .2)] } },
        { "μ1 > μ2 + μ3", Good with { Intensities = [new(.45, .15, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)] } },
        { "μ1 > μ2 + μ3", Good with { Intensities = [new(.45, .45, .45, .5), new(.15, .001, .15, .3), new(.001, .001, .001, .2)] } },
    };

    [Theory]
    [MemberData(nameof(Hopeless))]
    public void No_key_and_a_reason(string reason, TwoDecoyInputs inputs)
    {
        var bound = FiniteKey.TwoDecoy(inputs);
        bound.LongestAcceptable.ShouldBe(0);
        bound.StatedLength.ShouldBe(0);
        bound.Reason.ShouldContain(reason);
    }

    public static TheoryData<TwoDecoyInputs> Impossible =>
    [
        Good with { KeyCounts = [1, 2] },
        Good with { TestCounts = [1, 2, 3, 4] },
        Good with { Intensities = [.. Good.Intensities.Take(2)] },
        Good with { KeyCounts = [-1, 2, 3] },
        Good with { KeyCounts = [long.MaxValue, 2, 3] },
        Good with { TestErrors = [200_001, 0, 0] },
        Good with { TestErrors = [0, 0, -1] },
        Good with { LeakedBits = -1 },
        Good with { Intensities = [Good.Intensities[0] with { Probability = 0 }, .. Good.Intensities.Skip(1)] },
        Good with { Intensities = [Good.Intensities[0] with { Probability = double.NaN }, .. Good.Intensities.Skip(1)] },
        Good with { Security = new(0) },
        Good with { Security = new(1) },
        Good with { Security = new(double.NaN) },
        Good with { Security = new(1e-31) },
        Good with { Security = new() { Mismatch = new(1, 0, 0) } },
        Good with { Security = new() { Mismatch = new(0, -.1, 0) } },
        Good with { Security = new() { Mismatch = new(0, 0, .5) } },
        Good with { Security = new() { Mismatch = new(double.NaN, 0, 0) } },
    ];

    [Theory]
    [MemberData(nameof(Impossible))]
    public void Refuses_what_is_no_count_and_no_probability(TwoDecoyInputs inputs) =>
        Should.Throw<DistillationException>(() => FiniteKey.TwoDecoy(inputs));
}
