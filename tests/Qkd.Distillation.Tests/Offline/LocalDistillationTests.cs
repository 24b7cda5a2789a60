using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Offline;

public sealed class LocalDistillationTests
{
    public static TheoryData<ReconciliationMethod> Methods => [ReconciliationMethod.Cascade, ReconciliationMethod.Ldpc, ReconciliationMethod.Auto];

    [Theory]
    [MemberData(nameof(Methods))]
    public void Brought_bits_give_the_same_laboratory_key_at_both_ends(ReconciliationMethod method)
    {
        var pair = BroughtPair.Random(1, 300_001, 0.02);
        var (alice, bob) = pair.SinglePhotons();
        var report = Distillation(method).Distill(alice, bob, new(0.02), out var keys);

        using var aliceKey = keys!.Value.Alice;
        using var bobKey = keys.Value.Bob;
        Bytes(aliceKey).ShouldBe(Bytes(bobKey));
        (aliceKey.Grade, bobKey.Grade).ShouldBe((KeyGrade.Laboratory, KeyGrade.Laboratory));
        aliceKey.LengthBits.ShouldBe((int)report.Bound!.StatedLength);
        aliceKey.LengthBits.ShouldBeGreaterThan(50_000);
        report.Errors.ShouldBe(pair.Errors);
        report.KeyBits.ShouldBe(300_001);
        report.Bound.ShouldBeOfType<TomamichelBound>();
        report.Bound.LeakedBits.ShouldBe(report.Ledger.TotalBits);

        // ε is that of the bound, and of forged tags in both directions.
        aliceKey.Epsilon.ShouldBe(report.Bound.SecurityParameter + BlockAuthentication.ForgeryProbability);
    }

    [Fact]
    public void Counts_of_decoys_are_bounded_as_decoys()
    {
        var counts = new DecoyCounts([.45, .15, .001], [.5, .3, .2], [832_000, 166_000, 1_500], [208_000, 41_500, 375], [1_040, 208, 30]);
        var count = (int)counts.KeyCounts.Sum();
        var pair = BroughtPair.Random(2, count, 0.005);
        var report = Distillation(ReconciliationMethod.Cascade).Distill(
            BroughtBits.OfDecoys(pair.Alice, count, counts, new(1e-10)), BroughtBits.OfDecoys(pair.Bob, count, counts, new(1e-10)), new(0.005), out var keys);
        report.Bound.ShouldBeOfType<TwoDecoyBound>().LeakedBits.ShouldBe(report.Ledger.TotalBits);
        keys!.Value.Alice.Grade.ShouldBe(KeyGrade.Laboratory);
    }

    [Theory]
    [InlineData(0.11)]
    [InlineData(0.2)]
    public void Too_many_errors_give_no_key_and_a_reason(double errorRate)
    {
        var (alice, bob) = BroughtPair.Random(3, 100_000, errorRate).SinglePhotons();
        try
        {
            var report = Distillation(ReconciliationMethod.Cascade).Distill(alice, bob, new(errorRate), out var keys);
            keys.ShouldBeNull();
            report.Bound!.Reason.ShouldNotBeEmpty();
        }
        catch (DistillationException lost)
        {
            lost.Message.ShouldContain("parities");
        }
    }

    [Fact]
    public void Impossible_counts_are_refused()
    {
        ulong[] bits = [5];
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 0, 1, 0, Model(.1, .1)));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 65, 1, 0, Model(.1, .1)));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 2, Model(.1, .1)));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 0, Model(0, .1)));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 0, Model(.1, double.NaN)));
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1, 0], [.6, .3, .1], [1, 1, 0], [0, 0, 0], [0, 0, 0]), new()))
            .Message.ShouldContain("add up to 2");
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1], [.6, .3, .1], [1, 1, 1], [0, 0, 0], [0, 0, 0]), new()));
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1, 0], [.6, .3, .2], [1, 1, 1], [0, 0, 0], [0, 0, 0]), new()));
    }

    /// <summary>A rate agreed on beforehand is what counts: more errors lose the block, fewer change nothing.</summary>
    [Fact]
    public void A_tolerated_error_rate_is_fixed_beforehand()
    {
        var pair = BroughtPair.Random(1, 200_000, 0.02);
        var lengths = new long[3];
        foreach (var (i, errors) in new[] { (0, 300L), (1, 600L), (2, 601L) })
        {
            var model = new DeclaredModel(DeclaredSource.EntangledPairs, 1e-10, 1e-15) { ToleratedErrorRate = 0.03 };
            var report = Distillation(ReconciliationMethod.Ldpc).Distill(
                BroughtBits.OfSinglePhotons(pair.Alice, pair.Count, 20_000, errors, model),
                BroughtBits.OfSinglePhotons(pair.Bob, pair.Count, 20_000, errors, model),
                new(0.02),
                out var keys);
            (keys is null).ShouldBe(i == 2);
            lengths[i] = report.Bound!.StatedLength;
        }

        // The leak may differ by a blind round.
        Math.Abs(lengths[0] - lengths[1]).ShouldBeLessThan(lengths[0] / 10);
        lengths[2].ShouldBe(0);
    }

    private static DeclaredModel Model(double secrecy, double correctness) => new(DeclaredSource.SinglePhotons, secrecy, correctness);

    private static LocalDistillation Distillation(ReconciliationMethod method) =>
        new(AdaptiveReconciler.Create(method, OperatingSystemRandomness.Instance), OperatingSystemRandomness.Instance);

    private static byte[] Bytes(SecretKey key)
    {
        var bytes = new byte[key.LengthBytes];
        key.CopyTo(bytes);
        return bytes;
    }
}
