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
        var counts = new DecoyCounts([.5, .1, 2e-4], [.6, .3, .1], [727_500, 72_900, 80], [80_800, 8_100, 9], [404, 41, 2]);
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
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 0, 1, 0, .1, .1));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 65, 1, 0, .1, .1));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 2, .1, .1));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 0, 0, .1));
        Should.Throw<DistillationException>(() => BroughtBits.OfSinglePhotons(bits, 3, 1, 0, .1, double.NaN));
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1, 0], [.6, .3, .1], [1, 1, 0], [0, 0, 0], [0, 0, 0]), new()))
            .Message.ShouldContain("add up to 2");
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1], [.6, .3, .1], [1, 1, 1], [0, 0, 0], [0, 0, 0]), new()));
        Should.Throw<DistillationException>(() => BroughtBits.OfDecoys(bits, 3, new([.5, .1, 0], [.6, .3, .2], [1, 1, 1], [0, 0, 0], [0, 0, 0]), new()));
    }

    private static LocalDistillation Distillation(ReconciliationMethod method) =>
        new(AdaptiveReconciler.Create(method, OperatingSystemRandomness.Instance), OperatingSystemRandomness.Instance);

    private static byte[] Bytes(SecretKey key)
    {
        var bytes = new byte[key.LengthBytes];
        key.CopyTo(bytes);
        return bytes;
    }
}
