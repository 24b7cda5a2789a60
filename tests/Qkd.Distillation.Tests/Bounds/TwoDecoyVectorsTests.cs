using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>
/// The formulas of arXiv:2408.17349 worked out with 40 decimal places, each intermediate to 1e-9 of itself. The intensities are points.
/// </summary>
public sealed class TwoDecoyVectorsTests
{
    private const double Digits = 1e-9;

    private static readonly TwoDecoyInputs A = new()
    {
        Intensities = [new(.5, .5, .5, .6), new(.1, .1, .1, .3), new(2e-4, 2e-4, 2e-4, .1)],
        KeyCounts = [7_275_000, 729_000, 800],
        TestCounts = [808_000, 81_000, 90],
        TestErrors = [8_080, 830, 45],
        LeakedBits = 753_300,
        Security = new(1e-10),
    };

    [Theory]
    [InlineData(.01, .01, 1e-6, false, .03980190594484209, .019801970396034655)]
    [InlineData(.05, .05, 1e-6, true, .009080584678291046, .004535138775514297)]
    [InlineData(.0001, .3, 1e-3, false, .8568426620160247, .4613768180086287)]
    public void Mismatch_of_detectors(double efficiency, double dark, double d, bool swapping, double delta1, double delta2)
    {
        var (first, second) = FiniteKey.Mismatch(new(efficiency, dark, d, swapping));
        Near(first, delta1);
        Near(second, delta2);
    }

    [Fact]
    public void Equal_detectors_add_nothing()
    {
        FiniteKey.Mismatch(DetectorMismatch.None).ShouldBe((0, 0));
        FiniteKey.Mismatch(new(0, 0, 1e-6)).ShouldBe((0, 0));
        FiniteKey.Mismatch(new(0, .5, 0)).ShouldBe((0, 0));
    }

    [Fact]
    public void Block_A_with_equal_detectors()
    {
        var bound = FiniteKey.TwoDecoy(A);
        CommonToA(bound);
        bound.Delta1.ShouldBe(0);
        bound.Delta2.ShouldBe(0);
        bound.Delta1Deviation.ShouldBe(0);
        bound.Delta2Deviation.ShouldBe(0);
        Near(bound.PhaseErrorRate, .056730569812608184);
        Near(bound.SecretLength, 2281948.151558376);

        // Less the margin of 1e-9 K1 and one bit, rounded down; then eight bits less and down to whole bytes.
        bound.LongestAcceptable.ShouldBe(2_281_947);
        bound.StatedLength.ShouldBe(2_281_936);
        bound.Reason.ShouldBe("");
    }

    [Fact]
    public void Block_A_with_detectors_that_may_differ()
    {
        var bound = FiniteKey.TwoDecoy(A with { Security = new(1e-10) { Mismatch = new(.01, .01, 1e-6) } });
        CommonToA(bound);
        Near(bound.Delta1, .03980190594484209);
        Near(bound.Delta2, .019801970396034655);
        Near(bound.Delta1Deviation, .0022806680698469117);
        Near(bound.Delta2Deviation, .0022806680698469117);
        Near(bound.PhaseErrorRate, .10104447237983688);
        Near(bound.SecretLength, 1582642.2765317475);
        bound.LongestAcceptable.ShouldBe(1_582_641);
        bound.StatedLength.ShouldBe(1_582_632);
    }

    [Fact]
    public void Block_B_with_an_empty_vacuum()
    {
        var bound = FiniteKey.TwoDecoy(new()
        {
            Intensities = [new(.5, .5, .5, .7), new(.1, .1, .1, .2), new(0, 0, 0, .1)],
            KeyCounts = [85_000_000, 4_860_000, 8_000],
            TestCounts = [10_500_000, 600_000, 1_000],
            TestErrors = [105_000, 6_500, 400],
            LeakedBits = 8_444_880,
            Security = new(1e-10),
        });
        Near(bound.KeySinglePhotons, 51984952.19065467);
        Near(bound.TestSinglePhotons, 5945817.522913633);
        Near(bound.TestSinglePhotonErrors, 131379.41360016394);
        Near(bound.TestErrorRate, .022096105891891586);
        Near(bound.SamplingDeviation, .002077389430189287);
        Near(bound.PhaseErrorRate, .024173495322080876);
        Near(bound.SecretLength, 35000297.03090275);
        bound.LongestAcceptable.ShouldBe(35_000_295);
        bound.StatedLength.ShouldBe(35_000_280);
    }

    [Fact]
    public void Security_parameter_of_a_block()
    {
        Near(new SecurityParameters(1e-10).Total(), 2 * Math.Sqrt(10) * 1e-10 + 2e-10);
        Near(new SecurityParameters(1e-10) { Mismatch = new(.01, .01, 1e-6) }.Total(), 2 * Math.Sqrt(12) * 1e-10 + 2e-10);
        Near(new SecurityParameters { Concentration = 1e-12, Sampling = 4e-12, Amplification = 3e-10, Verification = 1e-15 }.Total(), 2 * 5e-12 + 3e-10 + 1e-15);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(.25, .81127812445913283)]
    [InlineData(1e-6, 2.1374262888865377e-5)]
    [InlineData(.5, 1)]
    [InlineData(.75, 1)]
    public void Binary_entropy_is_one_from_one_half(double x, double expected) => FiniteKey.BinaryEntropy(x).ShouldBe(expected, 1e-9 * expected);

    private static void CommonToA(TwoDecoyBound bound)
    {
        Near(bound.KeySinglePhotons, 4426816.541031221);
        Near(bound.TestSinglePhotons, 382074.8954303559);
        Near(bound.TestSinglePhotonErrors, 18583.89673257165);
        Near(bound.TestErrorRate, .048639408018784885);
        Near(bound.SamplingDeviation, .008091161793823297);
        bound.LeakedBits.ShouldBe(753_300);
    }

    private static void Near(double actual, double expected) => actual.ShouldBe(expected, Digits * expected);
}
