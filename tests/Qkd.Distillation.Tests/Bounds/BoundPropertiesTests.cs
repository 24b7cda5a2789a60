using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>What holds for every bound; that with mismatch has its own tests beside these.</summary>
public sealed class BoundPropertiesTests
{
    private const int Trials = 1_000;

    public static TheoryData<string> Names => [.. Problem.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Never_negative_never_more_than_there_is_never_without_a_number(string name) =>
        Gen.Select(Problem.Any(name), Gen.Long[1, 1 << 10]).Sample(
            (problem, factor) =>
            {
                CheckLengths(problem.Bound(new()), problem);
                CheckLengths(problem.Bound(new() { TestErrorFactor = factor }), problem);
            },
            iter: Trials);

    [Theory]
    [MemberData(nameof(Names))]
    public void The_same_for_what_a_link_could_give(string name)
    {
        var withKey = 0;
        Problem.Link(name).Sample(
            problem =>
            {
                var bound = problem.Bound(new());
                CheckLengths(bound, problem);
                if (bound!.StatedLength > 0)
                {
                    Interlocked.Increment(ref withKey);
                }
            },
            iter: Trials);

        // Of the blocks that are drawn here at least one in ten gives key: the properties below are about something.
        withKey.ShouldBeGreaterThan(Trials / 10);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void More_errors_by_a_common_factor_never_give_more_key_on_a_link(string name) => MoreErrors(Problem.Link(name));

    [Theory]
    [MemberData(nameof(Names))]
    public void More_errors_by_a_common_factor_never_give_more_key_whatever_the_counts(string name) => MoreErrors(Problem.Any(name));

    [Theory]
    [MemberData(nameof(Names))]
    public void More_leakage_never_gives_more_key_and_costs_bit_for_bit(string name) =>
        Gen.Select(Problem.Link(name), Gen.Long[1, 100_000]).Sample(
            (problem, more) =>
            {
                var before = problem.Bound(new())!.LongestAcceptable;
                var after = problem.Bound(new() { MoreLeak = more })!.LongestAcceptable;
                after.ShouldBeLessThanOrEqualTo(before);
                if (after > 0 && before < problem.KeyBits - 1)
                {
                    (before - after).ShouldBeInRange(more - 1, more + 1);
                }
            },
            iter: Trials);

    [Theory]
    [MemberData(nameof(Names))]
    public void A_smaller_failure_probability_never_gives_more_key(string name) =>
        Gen.Select(Problem.Link(name), Gen.Double[1e-8, .9], Gen.Bool).Sample(
            (problem, factor, secrecy) =>
            {
                var before = problem.Bound(new())!;
                var safer = problem.Bound(secrecy ? new() { Secrecy = factor } : new() { Correctness = factor })!;
                safer.LongestAcceptable.ShouldBeLessThanOrEqualTo(before.LongestAcceptable);
                safer.SecurityParameter.ShouldBeLessThanOrEqualTo(before.SecurityParameter);
            },
            iter: Trials);

    /// <summary>Whatever the true intensities within their intervals, the bound of the intervals gives no more than theirs.</summary>
    [Theory]
    [InlineData("lim-2decoy")]
    [InlineData("rusca-1decoy")]
    [InlineData("wiesemann-1decoy")]
    public void Intervals_are_rounded_against_the_key(string name) =>
        Gen.Select(Problem.Link(name), Gen.Double[0, 1], Gen.Double[0, 1], Gen.Double[0, 1]).Sample(
            (problem, a, b, c) =>
            {
                var worst = problem.Bound(new())!;
                var exact = problem.Bound(new() { Where = [a, b, c] })!;
                if (exact.Reason.Contains("outweigh", StringComparison.Ordinal))
                {
                    worst.LongestAcceptable.ShouldBe(0);
                }

                worst.LongestAcceptable.ShouldBeLessThanOrEqualTo(exact.LongestAcceptable);
                if (worst.LongestAcceptable > 0)
                {
                    exact.PhaseErrorRate.ShouldBeLessThanOrEqualTo(worst.PhaseErrorRate * (1 + 1e-9));
                }
            },
            iter: Trials);

    /// <summary>Where the estimates are monotone the worst point is a corner, and the intervals cost no more than taking the worst corner of each.</summary>
    [Fact]
    public void Intervals_of_one_decoy_cost_no_more_than_their_worst_corners()
    {
        var exact = OtherBoundsVectorsTests.OneDecoyTenth;
        var wide = exact with { Intensities = [.. exact.Intensities.Select(intensity => intensity with { MeanLow = .98 * intensity.Mean, MeanHigh = 1.02 * intensity.Mean })] };
        var box = FiniteKey.Wiesemann(wide);
        var corners = Enumerable.Range(0, 4).Select(corner => FiniteKey.Wiesemann(exact with
        {
            Intensities = [.. exact.Intensities.Select((intensity, i) =>
            {
                var mean = intensity.Mean * ((corner >> i & 1) == 0 ? .98 : 1.02);
                return intensity with { Mean = mean, MeanLow = mean, MeanHigh = mean };
            })],
        })).ToArray();
        box.KeySinglePhotons.ShouldBe(corners.Min(corner => corner.KeySinglePhotons), 1e-9 * box.KeySinglePhotons);
        box.TestSinglePhotons.ShouldBe(corners.Min(corner => corner.TestSinglePhotons), 1e-9 * box.TestSinglePhotons);
        box.TestSinglePhotonErrors.ShouldBe(corners.Max(corner => corner.TestSinglePhotonErrors), 1e-9 * box.TestSinglePhotonErrors);
        box.KeyVacuumMost.ShouldBe(corners.Max(corner => corner.KeyVacuumMost), 1e-9 * box.KeyVacuumMost);
        box.StatedLength.ShouldBeInRange(1, FiniteKey.Wiesemann(exact).StatedLength);
    }

    private static void MoreErrors(Gen<Problem> problems) =>
        Gen.Select(problems, Gen.Long[1, 6], Gen.Long[1, 6]).Sample(
            (problem, test, key) =>
            {
                if (problem.Bound(new() { TestErrorFactor = test, KeyErrorFactor = key }) is { } many)
                {
                    var few = problem.Bound(new())!;
                    many.LongestAcceptable.ShouldBeLessThanOrEqualTo(few.LongestAcceptable);
                    many.StatedLength.ShouldBeLessThanOrEqualTo(few.StatedLength);
                }
            },
            iter: Trials);

    private static void CheckLengths(KeyBound? bound, Problem problem)
    {
        if (bound is null)
        {
            return;
        }

        double.IsFinite(bound.SecretLength).ShouldBeTrue();
        bound.SecurityParameter.ShouldBeInRange(0, 2);
        bound.LongestAcceptable.ShouldBeInRange(0, Math.Max(0, problem.KeyBits - 1));
        bound.StatedLength.ShouldBeInRange(0, Math.Max(0, bound.LongestAcceptable - 8));
        (bound.StatedLength % 8).ShouldBe(0);
        (bound.StatedLength == 0).ShouldBe(bound.Reason.Length > 0);
        if (bound.LongestAcceptable > 0)
        {
            ((double)bound.LongestAcceptable).ShouldBeLessThan(bound.SecretLength - 1);
            bound.PhaseErrorRate.ShouldBeInRange(0, .5);
        }
    }
}
