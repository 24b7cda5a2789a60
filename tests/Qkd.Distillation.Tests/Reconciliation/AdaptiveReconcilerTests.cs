using Qkd.Devices;
using Qkd.Distillation.Tests.Offline;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

public sealed class AdaptiveReconcilerTests
{
    [Fact]
    public void A_near_peer_is_corrected_by_cascade_and_a_far_one_by_codes()
    {
        Chosen(new(0.02) { RoundTrip = TimeSpan.FromMilliseconds(0.05), SiftedBitsPerSecond = 3e6 }).ShouldBe("cascade");
        Chosen(new(0.02) { RoundTrip = TimeSpan.FromMilliseconds(20), SiftedBitsPerSecond = 3e6 }).ShouldBe("ldpc");

        // Where bits come slowly there is time for any number of rounds, and the smaller leak wins.
        Chosen(new(0.02) { RoundTrip = TimeSpan.FromMilliseconds(20), SiftedBitsPerSecond = 1e4 }).ShouldBe("cascade");
    }

    [Fact]
    public void Where_detectors_may_differ_codes_win_since_cascade_pays_twice() =>
        Chosen(new(0.02) { SiftedBitsPerSecond = 3e6 }, new SecurityParameters { Mismatch = new(.01, .01, 1e-6) }).ShouldBe("ldpc");

    [Theory]
    [InlineData(ReconciliationMethod.Cascade, "cascade")]
    [InlineData(ReconciliationMethod.Ldpc, "ldpc")]
    public void A_method_that_is_set_is_used(ReconciliationMethod method, string name)
    {
        var reconciler = AdaptiveReconciler.Create(method, OperatingSystemRandomness.Instance);
        reconciler.Name.ShouldBe(name);
        using var alice = reconciler.Begin(Block(new()), LinkEnd.Alice, new(0.02) { RoundTrip = TimeSpan.FromSeconds(1) });
        alice.Method.ShouldBe(name);
    }

    /// <summary>This machine turns out to need a second for what codes promise in a moment.</summary>
    [Fact]
    public void What_a_machine_cannot_do_is_learned()
    {
        var reconciler = AdaptiveReconciler.Create(ReconciliationMethod.Auto, OperatingSystemRandomness.Instance);
        var conditions = new ReconciliationConditions(0.02) { RoundTrip = TimeSpan.FromMilliseconds(1), SiftedBitsPerSecond = 20e6 };
        Begun(reconciler, conditions).ShouldBe("ldpc");
        for (var i = 0; i < 20; i++)
        {
            reconciler.Learn("ldpc", 0.02, 1_000_000, TimeSpan.FromSeconds(10));
        }

        Begun(reconciler, conditions).ShouldBe("cascade");
    }

    [Fact]
    public void The_other_end_follows_and_refuses_what_is_no_method()
    {
        var reconciler = AdaptiveReconciler.Create(ReconciliationMethod.Auto, OperatingSystemRandomness.Instance);
        using var bob = reconciler.Begin(Block(new()), LinkEnd.Bob, new(0.02));
        bob.Method.ShouldBeEmpty();
        Should.Throw<DistillationException>(() => bob.Step([], new System.Buffers.ArrayBufferWriter<byte>()));
        foreach (byte wrong in new byte[] { 0, 3, 255 })
        {
            using var other = reconciler.Begin(Block(new()), LinkEnd.Bob, new(0.02));
            Should.Throw<DistillationException>(() => other.Step([wrong, 0, 0, 0, 0, 0], new System.Buffers.ArrayBufferWriter<byte>()));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.005)]
    [InlineData(0.0333)]
    [InlineData(0.11)]
    [InlineData(0.3)]
    [InlineData(double.NaN)]
    public void A_forecast_is_between_the_measured_figures(double errorRate)
    {
        foreach (var method in new[] { ReconciliationMethod.Cascade, ReconciliationMethod.Ldpc })
        {
            var forecast = ReconciliationForecast.Of(method, errorRate);
            forecast.Efficiency.ShouldBeInRange(1, 2);
            forecast.BitsPerSecond.ShouldBeGreaterThan(1e6);
        }
    }

    private static string Chosen(ReconciliationConditions conditions, SecurityParameters? security = null) =>
        Begun(AdaptiveReconciler.Create(ReconciliationMethod.Auto, OperatingSystemRandomness.Instance), conditions, security);

    private static string Begun(AdaptiveReconciler reconciler, ReconciliationConditions conditions, SecurityParameters? security = null)
    {
        using var alice = reconciler.Begin(Block(security ?? new()), LinkEnd.Alice, conditions);
        return alice.Method;
    }

    private static SiftedBlock Block(SecurityParameters security)
    {
        var pair = BroughtPair.Random(1, 1_000_000, 0.02);
        return BroughtBits.OfDecoys(pair.Alice, pair.Count, new([.45, .15, .001], [.5, .3, .2], [800_000, 199_000, 1_000], [100, 100, 10], [1, 1, 1]), security);
    }
}
