using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

public sealed class TwoDecoyPropertiesTests
{
    private const int Trials = 1_500;

    [Fact]
    public void Never_negative_never_more_than_there_is_never_without_a_number() => BoundGen.Any.Sample(
        inputs =>
        {
            var bound = FiniteKey.TwoDecoy(inputs);
            CheckLengths(bound, inputs);
        },
        iter: Trials);

    [Fact]
    public void The_same_for_what_a_link_could_give()
    {
        var withKey = 0;
        BoundGen.Link.Sample(
            inputs =>
            {
                var bound = FiniteKey.TwoDecoy(inputs);
                CheckLengths(bound, inputs);
                if (bound.StatedLength > 0)
                {
                    Interlocked.Increment(ref withKey);
                }
            },
            iter: Trials);

        // Of the links that are drawn here about one in three gives key: the properties below are about something.
        withKey.ShouldBeGreaterThan(Trials / 10);
    }

    /// <summary>Where the error rate per pulse grows with the intensity, as it does on any line.</summary>
    [Fact]
    public void More_errors_by_a_common_factor_never_give_more_key() =>
        Gen.Select(BoundGen.Link, Gen.Int[2, 6]).Sample(
            (inputs, factor) =>
            {
                var (decoy, vacuum) = (inputs.Intensities[1], inputs.Intensities[2]);
                long[] errors = [.. inputs.TestErrors];
                var most = errors[1] * Math.Exp(decoy.MeanLow - vacuum.MeanHigh) * vacuum.Probability / decoy.Probability;
                errors[2] = Math.Min(errors[2], (long)most);
                if (errors.Zip(inputs.TestCounts).Any(pair => factor * pair.First > pair.Second))
                {
                    return;
                }

                var few = FiniteKey.TwoDecoy(inputs with { TestErrors = errors });
                var many = FiniteKey.TwoDecoy(inputs with { TestErrors = [.. errors.Select(count => factor * count)] });
                many.LongestAcceptable.ShouldBeLessThanOrEqualTo(few.LongestAcceptable);
                many.StatedLength.ShouldBeLessThanOrEqualTo(few.StatedLength);
            },
            iter: Trials);

    [Fact]
    public void More_leakage_never_gives_more_key_and_costs_bit_for_bit() =>
        Gen.Select(BoundGen.Link, Gen.Long[1, 100_000]).Sample(
            (inputs, more) =>
            {
                var before = FiniteKey.TwoDecoy(inputs).LongestAcceptable;
                var after = FiniteKey.TwoDecoy(inputs with { LeakedBits = inputs.LeakedBits + more }).LongestAcceptable;
                after.ShouldBeLessThanOrEqualTo(before);
                if (after > 0 && before < inputs.KeyCounts.Sum() - 1)
                {
                    (before - after).ShouldBeInRange(more - 1, more + 1);
                }
            },
            iter: Trials);

    [Fact]
    public void A_smaller_failure_probability_never_gives_more_key() =>
        Gen.Select(BoundGen.Link, Gen.Int[0, 5], Gen.Double[1e-8, .9]).Sample(
            (inputs, which, factor) =>
            {
                var s = inputs.Security;
                double Less(double value) => Math.Max(1e-30, value * factor);
                var safer = which switch
                {
                    0 => s with { Concentration = Less(s.Concentration) },
                    1 => s with { Sampling = Less(s.Sampling) },
                    2 => s with { MismatchRatio = Less(s.MismatchRatio) },
                    3 => s with { MismatchLoss = Less(s.MismatchLoss) },
                    4 => s with { Amplification = Less(s.Amplification) },
                    _ => s with { Verification = Less(s.Verification) },
                };
                FiniteKey.TwoDecoy(inputs with { Security = safer }).LongestAcceptable
                    .ShouldBeLessThanOrEqualTo(FiniteKey.TwoDecoy(inputs).LongestAcceptable);
                safer.Total().ShouldBeLessThanOrEqualTo(s.Total());
            },
            iter: Trials);

    [Fact]
    public void Detectors_that_may_differ_more_never_give_more_key() =>
        Gen.Select(BoundGen.Link, Gen.Double[0, .02], Gen.Double[0, .02], Gen.Double[0, .1]).Sample(
            (inputs, efficiency, dark, more) =>
            {
                var few = new DetectorMismatch(efficiency, dark, 1e-5);
                var many = few with { EfficiencyDeviation = efficiency + more };
                FiniteKey.TwoDecoy(inputs with { Security = inputs.Security with { Mismatch = many } }).LongestAcceptable
                    .ShouldBeLessThanOrEqualTo(FiniteKey.TwoDecoy(inputs with { Security = inputs.Security with { Mismatch = few } }).LongestAcceptable);
            },
            iter: Trials);

    /// <summary>Whatever the true intensities within their intervals, the bound of the intervals is on the safe side of theirs.</summary>
    [Fact]
    public void Intervals_are_rounded_against_the_key() =>
        Gen.Select(BoundGen.Link, Gen.Double[0, 1], Gen.Double[0, 1], Gen.Double[0, 1]).Sample(
            (inputs, a, b, c) =>
            {
                double[] where = [a, b, c];
                var point = inputs with
                {
                    Intensities = [.. inputs.Intensities.Select((intensity, i) =>
                    {
                        var mean = intensity.MeanLow + (where[i] * (intensity.MeanHigh - intensity.MeanLow));
                        return intensity with { Mean = mean, MeanLow = mean, MeanHigh = mean };
                    })],
                };
                var (worst, exact) = (FiniteKey.TwoDecoy(inputs), FiniteKey.TwoDecoy(point));
                const double lastDigits = 1 + 1e-9;
                worst.KeySinglePhotons.ShouldBeLessThanOrEqualTo(exact.KeySinglePhotons * lastDigits);
                worst.TestSinglePhotons.ShouldBeLessThanOrEqualTo(exact.TestSinglePhotons * lastDigits);
                (exact.TestSinglePhotonErrors - worst.TestSinglePhotonErrors).ShouldBeLessThanOrEqualTo(1e-9 * Math.Abs(exact.TestSinglePhotonErrors));
                worst.LongestAcceptable.ShouldBeLessThanOrEqualTo(exact.LongestAcceptable);
            },
            iter: Trials);

    /// <summary>The worst point is a corner where the estimates are monotone, and the intervals then cost no more than that corner.</summary>
    [Fact]
    public void Intervals_cost_no_more_than_their_worst_corner()
    {
        IntensityClass[] exact = [new(.45, .45, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)];
        var inputs = new TwoDecoyInputs
        {
            Intensities = [.. exact.Select(intensity => intensity with { MeanLow = .98 * intensity.Mean, MeanHigh = 1.02 * intensity.Mean })],
            KeyCounts = [800_000, 160_000, 1_000],
            TestCounts = [200_000, 40_000, 250],
            TestErrors = [2_000, 410, 60],
            LeakedBits = 90_000,
            Security = new(1e-10),
        };
        var box = FiniteKey.TwoDecoy(inputs);
        var corners = Enumerable.Range(0, 8).Select(corner => FiniteKey.TwoDecoy(inputs with
        {
            Intensities = [.. exact.Select((intensity, i) =>
            {
                var mean = intensity.Mean * ((corner >> i & 1) == 0 ? .98 : 1.02);
                return intensity with { Mean = mean, MeanLow = mean, MeanHigh = mean };
            })],
        })).ToArray();

        box.KeySinglePhotons.ShouldBe(corners.Min(corner => corner.KeySinglePhotons), 1e-9 * box.KeySinglePhotons);
        box.TestSinglePhotons.ShouldBe(corners.Min(corner => corner.TestSinglePhotons), 1e-9 * box.TestSinglePhotons);
        box.TestSinglePhotonErrors.ShouldBe(corners.Max(corner => corner.TestSinglePhotonErrors), 1e-9 * box.TestSinglePhotonErrors);
        box.StatedLength.ShouldBeGreaterThan(0);
    }

    private static void CheckLengths(TwoDecoyBound bound, TwoDecoyInputs inputs)
    {
        double.IsFinite(bound.SecretLength).ShouldBeTrue();
        bound.LongestAcceptable.ShouldBeInRange(0, Math.Max(0, inputs.KeyCounts.Sum() - 1));
        bound.StatedLength.ShouldBeInRange(0, Math.Max(0, bound.LongestAcceptable - 8));
        (bound.StatedLength % 8).ShouldBe(0);
        (bound.StatedLength == 0).ShouldBe(bound.Reason.Length > 0);
        if (bound.LongestAcceptable > 0)
        {
            ((double)bound.LongestAcceptable).ShouldBeLessThan(bound.SecretLength - 1);
            bound.PhaseErrorRate.ShouldBeInRange(0, .5);
            bound.SecretLength.ShouldBeLessThan(bound.KeySinglePhotons);
        }
    }
}
