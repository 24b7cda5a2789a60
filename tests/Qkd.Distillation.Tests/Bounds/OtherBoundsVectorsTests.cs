using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>The formulas of the papers worked out with 40 decimal places, each intermediate to 1e-9 of itself. The intensities are points.</summary>
public sealed class OtherBoundsVectorsTests
{
    private const double Digits = 1e-9;

    internal static readonly LimInputs LimBlock = new()
    {
        Intensities = [new(.5, .5, .5, .6), new(.1, .1, .1, .3), new(2e-4, 2e-4, 2e-4, .1)],
        KeyCounts = [7_275_000, 729_000, 800],
        TestCounts = [808_000, 81_000, 90],
        TestErrors = [8_080, 830, 45],
        LeakedBits = 753_300,
        Secrecy = 1e-9,
        Correctness = 1e-15,
    };

    internal static readonly OneDecoyInputs OneDecoyBlock = new()
    {
        Intensities = [new(.5, .5, .5, .7), new(.15, .15, .15, .3)],
        KeyCounts = [8_860_000, 1_140_000],
        KeyErrors = [88_600, 22_800],
        TestCounts = [984_000, 126_000],
        TestErrors = [9_840, 2_520],
        LeakedBits = 1_023_808,
        Secrecy = 1e-9,
        Correctness = 1e-15,
    };

    internal static readonly OneDecoyInputs OneDecoyTenth = OneDecoyBlock with
    {
        KeyCounts = [886_000, 114_000],
        KeyErrors = [8_860, 2_280],
        TestCounts = [98_400, 12_600],
        TestErrors = [984, 252],
        LeakedBits = 102_381,
    };

    internal static readonly TomamichelInputs TomamichelBlock = new()
    {
        Source = DeclaredSource.SinglePhotons,
        KeyBits = 1_000_000,
        TestBits = 100_000,
        ToleratedErrorRate = .01,
        LeakedBits = 88_873,
        Secrecy = 1e-10,
        Correctness = 1e-15,
    };

    internal static readonly LimXuPanEkertInputs LimXuPanEkertBlock = new()
    {
        Source = DeclaredSource.EntangledPairs,
        TotalBits = 10_000,
        TestBits = 3_107,
        ToleratedErrorRate = .02,
        KeyDeviation = .0941,
        TotalDeviation = .0731,
        Epsilon = 1e-10,
        VerificationBits = 36,
        LeakedBits = 1_170,
    };

    [Fact]
    public void Lim_two_decoys()
    {
        var bound = FiniteKey.Lim(LimBlock);
        bound.KeyVacuum.ShouldBe(0);
        bound.TestVacuum.ShouldBe(0);
        Near(bound.KeySinglePhotons, 4568710.3078931087979);
        Near(bound.TestSinglePhotons, 429363.98339348459292);
        Near(bound.TestSinglePhotonErrors, 14819.289443138023585);
        Near(bound.SamplingDeviation, .0025933216372706279541);
        Near(bound.PhaseErrorRate, .037107836166443639389);
        Near(bound.SecretLength, 2769509.2222381460006);
        bound.LeakedBits.ShouldBe(753_300);
        bound.LongestAcceptable.ShouldBe(2_769_508);
        bound.StatedLength.ShouldBe(2_769_496);
        bound.SecurityParameter.ShouldBe(1e-9 + 1e-15);
        bound.Reason.ShouldBe("");
        bound.Name.ShouldBe("lim-2decoy");
    }

    [Fact]
    public void Rusca_one_decoy()
    {
        var bound = FiniteKey.Rusca(OneDecoyBlock);
        bound.KeyVacuum.ShouldBe(0);
        Near(bound.KeyVacuumMost, 148407.65577417702634);
        Near(bound.KeySinglePhotons, 5485597.3772505410044);
        Near(bound.TestVacuumMost, 22598.331863554721341);
        Near(bound.TestSinglePhotons, 560511.75422668536477);
        Near(bound.TestSinglePhotonErrors, 11330.80888262794356);
        Near(bound.SamplingDeviation, .0017578256930135608099);
        Near(bound.PhaseErrorRate, .021972939465713273224);
        Near(bound.SecretLength, 3625642.9146534387808);
        bound.LongestAcceptable.ShouldBe(3_625_641);
        bound.StatedLength.ShouldBe(3_625_632);
    }

    [Fact]
    public void Rusca_a_tenth_of_the_counts() => Near(FiniteKey.Rusca(OneDecoyTenth).SecretLength, 271084.1125600338889);

    [Fact]
    public void Wiesemann_one_decoy()
    {
        var bound = FiniteKey.Wiesemann(OneDecoyBlock);
        Near(bound.EstimateEpsilon, 1e-9 / 15);
        Near(bound.KeyVacuumMost, 148268.33227767051728);
        Near(bound.KeySinglePhotons, 5486573.1207000115701);
        Near(bound.TestVacuumMost, 22551.916136190858003);
        Near(bound.TestSinglePhotons, 560836.83233152154076);
        Near(bound.TestSinglePhotonErrors, 11322.256384333566434);
        Near(bound.SamplingDeviation, .0067860113805308220683);
        Near(bound.PhaseErrorRate, .026974158327414583178);
        Near(bound.SecretLength, 3480578.6069467784992);
        bound.LongestAcceptable.ShouldBe(3_480_577);
        bound.StatedLength.ShouldBe(3_480_568);
    }

    [Fact]
    public void Wiesemann_a_tenth_of_the_counts()
    {
        var bound = FiniteKey.Wiesemann(OneDecoyTenth);
        Near(bound.KeyVacuumMost, 20814.076178164392378);
        Near(bound.KeySinglePhotons, 506726.02814643055786);
        Near(bound.TestSinglePhotons, 42113.881725780480955);
        Near(bound.TestSinglePhotonErrors, 1499.7579384779685469);
        Near(bound.PhaseErrorRate, .060160582330037095307);
        Near(bound.SecretLength, 237912.27247066552232);
    }

    [Fact]
    public void Tomamichel_single_photons()
    {
        var bound = FiniteKey.Tomamichel(TomamichelBlock);
        Near(bound.SamplingDeviation, .016387076723370945354);
        Near(bound.SecretLength, 735073.4819959564723);
        bound.LongestAcceptable.ShouldBe(735_072);
    }

    [Fact]
    public void Lim_Xu_Pan_Ekert_small_blocks_of_pairs()
    {
        var bound = FiniteKey.LimXuPanEkert(LimXuPanEkertBlock);
        bound.KeyBits.ShouldBe(6_893);
        Near(bound.TotalErrors, 931);
        Near(bound.InverseSpread, .0011832149566320132872);
        Near(bound.EstimationEpsilon, 3.8740051260418644158e-11);
        Near(bound.AmplificationEpsilon, 7.9679822507958598766e-12);
        Near(bound.PhaseErrorRate, .1141);
        Near(bound.SecretLength, 2084.9414846471220703);
        bound.LongestAcceptable.ShouldBe(2_083);
        bound.StatedLength.ShouldBe(2_072);
        bound.SecurityParameter.ShouldBe(1e-10);
    }

    [Fact]
    public void Mismatch_given_by_its_two_deltas_is_the_same_as_given_by_its_detectors()
    {
        TwoDecoyInputs inputs = new()
        {
            Intensities = LimBlock.Intensities,
            KeyCounts = LimBlock.KeyCounts,
            TestCounts = LimBlock.TestCounts,
            TestErrors = LimBlock.TestErrors,
            LeakedBits = 753_300,
            Security = new(1e-10) { Mismatch = new(.01, .01, 1e-6) },
        };
        var byDetectors = FiniteKey.TwoDecoy(inputs);
        FiniteKey.TwoDecoy(inputs with { Security = new(1e-10) }, byDetectors.Delta1, byDetectors.Delta2).ShouldBe(byDetectors);
        byDetectors.SecurityParameter.ShouldBe(inputs.Security.Total());
        FiniteKey.TwoDecoy(inputs, 0, 0).SecurityParameter.ShouldBe(new SecurityParameters(1e-10).Total());
        Should.Throw<DistillationException>(() => FiniteKey.TwoDecoy(inputs, -1e-9, 0));
        Should.Throw<DistillationException>(() => FiniteKey.TwoDecoy(inputs, 0, double.NaN));
        FiniteKey.TwoDecoy(inputs, 0, 1).LongestAcceptable.ShouldBe(0);
    }

    private static void Near(double actual, double expected) => actual.ShouldBe(expected, Digits * expected);
}
