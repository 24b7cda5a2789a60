using Shouldly;

namespace Qkd.Distillation.Tests.Optimisation;

public sealed class KeyRateTests
{
    private static readonly SourceSettings Documented = new() { Means = [.45, .15, 1e-3], Probabilities = [.5, .3, .2], KeyBasis = .8 };

    private static readonly KeyRateSettings Small = new() { BlockSize = 1e6, ErrorCorrectionEfficiency = 1.2, WeakestMean = 1e-3 };

    private static readonly LinkModel Short = new() { LossDecibels = 10, DarkCountProbability = 1e-8, MisalignmentError = .01 };

    public static TheoryData<KeyBoundKind> Kinds => [.. Enum.GetValues<KeyBoundKind>()];

    /// <summary>Read off figure 1 of Lim et al., arXiv:1311.7129, for a post-processing block of 10^7: bits a pulse, good to 10 %.</summary>
    [Theory]
    [InlineData(0, 5.19e-3)]
    [InlineData(50, 4.99e-4)]
    [InlineData(100, 4.64e-5)]
    public void Figure_1_of_Lim(double kilometres, double expected)
    {
        var link = new LinkModel
        {
            LossDecibels = .2 * kilometres,
            DetectorEfficiency = .1,
            DarkCountProbability = 6e-7,
            AfterpulseProbability = 4e-2,
            MisalignmentError = 5e-3,
            Receiver = ReceiverKind.ActiveAsAlice,
        };
        var settings = new KeyRateSettings
        {
            Bound = KeyBoundKind.LimTwoDecoy,
            BlockSize = 1e7,
            ErrorCorrectionEfficiency = 1.16,
            SecrecyPerBit = 1e-15,
            Correctness = 1e-15,
            WeakestMean = 2e-4,
        };
        var rate = KeyRateOptimiser.Best(link, settings);
        TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant($"{rate.SecretBitsPerPulse:E4} ({rate.SecretBitsPerPulse / expected - 1:P1}) {Text(rate)}"));
        rate.SecretBitsPerPulse.ShouldBeInRange(.9 * expected, 1.1 * expected);
        rate.Secrecy.ShouldBe(1e-15 * rate.SecretBits, 1e-6 * rate.Secrecy);
    }

    /// <summary>
    /// Small blocks, f = 1.2, 1 % errors. A 50:50 receiver halves both bases, so Alice's 0.8 makes a test basis of a quarter of the key's
    /// counts. Half of the key's counts, for 0.33 secret bits a key bit, are 2/3 of the pulses in the key basis.
    /// </summary>
    [Theory]
    [InlineData(.8, .302)]
    [InlineData(2.0 / 3, .334)]
    public void Good_parameters_for_small_blocks(double keyBasis, double expected)
    {
        var rate = KeyRateModel.At(Short, Small, Documented with { KeyBasis = keyBasis });
        TestContext.Current.TestOutputHelper!.WriteLine(Text(rate));
        rate.KeyErrorRate.ShouldBe(.01, 1e-4);
        ((double)rate.KeyCounts.Sum()).ShouldBe(1e6, 2);
        ((double)rate.TestCounts.Sum()).ShouldBe(1e6 * (1 - keyBasis) / keyBasis, 2);
        rate.SecretBitsPerKeyBit.ShouldBe(expected, .003);
    }

    [Fact]
    public void The_optimum_is_no_worse_than_good_parameters()
    {
        var best = KeyRateOptimiser.Best(Short, Small);
        TestContext.Current.TestOutputHelper!.WriteLine(Text(best));
        best.SecretBitsPerPulse.ShouldBeGreaterThan(1.05 * KeyRateModel.At(Short, Small, Documented).SecretBitsPerPulse);
        best.SecretBitsPerPulse.ShouldBeGreaterThan(1.05 * KeyRateModel.At(Short, Small, Documented with { KeyBasis = 2.0 / 3 }).SecretBitsPerPulse);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void An_optimum_falls_with_loss_and_its_neighbours_are_not_better(KeyBoundKind kind)
    {
        var settings = Small with { Bound = kind, WeakestMean = 2e-4 };
        var last = double.PositiveInfinity;
        foreach (var loss in new[] { 0.0, 8, 16, 24, 32, 40 })
        {
            var link = new LinkModel { LossDecibels = loss, DarkCountProbability = 1e-7, MisalignmentError = .01 };
            var best = KeyRateOptimiser.Best(link, settings);
            TestContext.Current.TestOutputHelper!.WriteLine(Text(best));
            best.SecretBitsPerPulse.ShouldBeLessThanOrEqualTo(last);
            last = best.SecretBitsPerPulse;
            if (loss < 20)
            {
                best.SecretBitsPerPulse.ShouldBeGreaterThan(0);
            }

            foreach (var factor in new[] { .97, 1.03 })
            {
                foreach (var neighbour in Neighbours(best.Source, factor))
                {
                    // Counts are whole numbers and the optimum is flat: a little better can be found by chance.
                    KeyRateModel.At(link, settings, neighbour).SecretBitsPerPulse.ShouldBeLessThanOrEqualTo(1.001 * best.SecretBitsPerPulse);
                }
            }
        }

        last.ShouldBeLessThan(1e-4);
    }

    [Fact]
    public void The_same_link_has_the_same_optimum() =>
        KeyRateOptimiser.Best(Short, Small).Source.Means.ShouldBe(KeyRateOptimiser.Best(Short, Small).Source.Means);

    [Fact]
    public void A_longer_block_a_better_detector_and_a_known_intensity_give_more()
    {
        var usual = KeyRateModel.At(Short, Small, Documented).SecretBitsPerPulse;
        KeyRateModel.At(Short, Small with { BlockSize = 1e7 }, Documented).SecretBitsPerPulse.ShouldBeGreaterThan(usual);
        KeyRateModel.At(Short with { DetectorEfficiency = .4 }, Small, Documented).SecretBitsPerPulse.ShouldBeGreaterThan(usual);
        KeyRateModel.At(Short with { ReceiverLossDecibels = 3 }, Small, Documented).SecretBitsPerPulse.ShouldBeLessThan(usual);
        KeyRateModel.At(Short with { AfterpulseProbability = .05 }, Small, Documented).SecretBitsPerPulse.ShouldBeLessThan(usual);
        KeyRateModel.At(Short with { MisalignmentError = .03 }, Small, Documented).SecretBitsPerPulse.ShouldBeLessThan(usual);
        KeyRateModel.At(Short with { RepetitionRateHertz = 1e9, DeadTimeSeconds = 1e-6 }, Small, Documented).SecretBitsPerPulse.ShouldBeLessThan(usual / 2);
        KeyRateModel.At(Short, Small with { IntensityUncertainty = .02 }, Documented).SecretBitsPerPulse.ShouldBeLessThan(usual);
        KeyRateModel.At(Short, Small with { ErrorCorrectionEfficiency = 1.05 }, Documented).SecretBitsPerPulse.ShouldBeGreaterThan(usual);
    }

    [Fact]
    public void A_block_of_pulses_is_a_block_of_the_bits_they_give()
    {
        var bits = KeyRateModel.At(Short, Small, Documented);
        var pulses = KeyRateModel.At(Short, Small with { Unit = BlockUnit.Pulses, BlockSize = bits.Pulses }, Documented);
        pulses.KeyCounts.ShouldBe(bits.KeyCounts);
        pulses.Bound.ShouldBe(bits.Bound);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_hopeless_link_has_no_key_and_no_exception(KeyBoundKind kind)
    {
        KeyRateOptimiser.Best(new() { LossDecibels = 90, DarkCountProbability = 1e-4 }, Small with { Bound = kind }).SecretBits.ShouldBe(0);
        KeyRateOptimiser.Best(new() { LossDecibels = 0, MisalignmentError = .5 }, Small with { Bound = kind }).SecretBits.ShouldBe(0);
        KeyRateOptimiser.Best(new() { LossDecibels = 200, DarkCountProbability = 0 }, Small with { Bound = kind, Unit = BlockUnit.Pulses, BlockSize = 1 }).SecretBits.ShouldBe(0);
    }

    [Fact]
    public void Impossible_values_are_refused()
    {
        Action[] impossible =
        [
            () => KeyRateOptimiser.Best(Short with { LossDecibels = -1 }, Small),
            () => KeyRateOptimiser.Best(Short with { LossDecibels = double.NaN }, Small),
            () => KeyRateOptimiser.Best(Short with { DetectorEfficiency = 0 }, Small),
            () => KeyRateOptimiser.Best(Short with { DarkCountProbability = .5 }, Small),
            () => KeyRateOptimiser.Best(Short with { MisalignmentError = .51 }, Small),
            () => KeyRateOptimiser.Best(Short with { AfterpulseProbability = 1 }, Small),
            () => KeyRateOptimiser.Best(Short with { Receiver = (ReceiverKind)9 }, Small),
            () => KeyRateOptimiser.Best(Short, Small with { BlockSize = 0 }),
            () => KeyRateOptimiser.Best(Short, Small with { ErrorCorrectionEfficiency = .9 }),
            () => KeyRateOptimiser.Best(Short, Small with { Secrecy = 0 }),
            () => KeyRateOptimiser.Best(Short, Small with { Bound = (KeyBoundKind)99 }),
            () => KeyRateModel.At(Short, Small with { Bound = KeyBoundKind.RuscaOneDecoy }, Documented),
            () => KeyRateModel.At(Short, Small, Documented with { KeyBasis = 1 }),
        ];
        foreach (var action in impossible)
        {
            Should.Throw<DistillationException>(action).Message.ShouldEndWith(".");
        }
    }

    private static IEnumerable<SourceSettings> Neighbours(SourceSettings source, double factor)
    {
        if (source.KeyBasis * factor < 1)
        {
            yield return source with { KeyBasis = source.KeyBasis * factor };
        }

        for (var i = 0; i < source.Means.Count - 1; i++)
        {
            yield return source with { Means = [.. source.Means.Select((mean, j) => j == i ? mean * factor : mean)] };
            var moved = source.Probabilities[i] * (factor - 1);
            if (source.Probabilities[^1] > moved && source.Probabilities[i] + moved < 1)
            {
                yield return source with { Probabilities = [.. source.Probabilities.Select((p, j) => j == i ? p + moved : j == source.Means.Count - 1 ? p - moved : p)] };
            }
        }

        if (source.TestShare > 0)
        {
            yield return source with { TestShare = source.TestShare * factor };
            yield return source with { KeyDeviation = source.KeyDeviation * factor, TotalDeviation = source.TotalDeviation * factor };
        }
    }

    private static string Text(KeyRate rate) => FormattableString.Invariant(
        $"{rate.SecretBitsPerPulse:E3} bits a pulse, {rate.SecretBitsPerKeyBit:0.000} a key bit, mu {string.Join('/', rate.Source.Means.Select(m => m.ToString("0.####")))}, p {string.Join('/', rate.Source.Probabilities.Select(p => p.ToString("0.###")))}, basis {rate.Source.KeyBasis:0.000}, test {rate.Source.TestShare:0.000} nu {rate.Source.KeyDeviation:0.000} xi {rate.Source.TotalDeviation:0.000}");
}
