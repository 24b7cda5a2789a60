namespace Qkd.Distillation;

/// <summary>Finite-key bounds on the secret length of a block.</summary>
public static partial class FiniteKey
{
    /// <summary>
    /// Relative margin for the floating point of a bound, taken off against the key holder: of the single-photon detections, and one bit more.
    /// The last digits of two platforms' exponentials and logarithms differ by far less.
    /// </summary>
    public const double NumericalMargin = 1e-9;

    private const string NotFinite = "an intermediate is not finite";
    private const string NoSinglePhotons = "no single photons are left in the key or in the test basis";
    private const string Disordered = "the intensities do not satisfy μ1 > μ2 + μ3 and μ2 > μ3 over their whole intervals";

    /// <summary>
    /// Two decoys, variable length, with detector mismatch: Tupkary, Nahar, Sinha, Lütkenhaus, arXiv:2408.17349, Quantum 9, 1937 (2025). The number of
    /// signals is fixed beforehand; the length is what the block's own counts allow. No credit for vacuum.
    /// </summary>
    /// <remarks>
    /// Each of K1, X1 and v is taken at its own worst point of the intensity intervals, found by interval arithmetic
    /// (<see cref="IntensityBox"/>); l grows with K1 and X1 and falls with v, so no point of the intervals gives less. Anything not finite,
    /// K1 = 0, X1 = 0, a phase error rate of 1/2 or more gives a length of 0.
    /// </remarks>
    /// <exception cref="DistillationException">The inputs are no counts or probabilities.</exception>
    public static TwoDecoyBound TwoDecoy(TwoDecoyInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        inputs.Security.Validate();
        var (delta1, delta2) = Mismatch(inputs.Security.Mismatch);
        return TwoDecoy(inputs, delta1, delta2, inputs.Security.Mismatch.Exists);
    }

    /// <summary>The same with δ1 and δ2 as they are given, in place of those of the inputs' detector model.</summary>
    /// <param name="inputs">Counts, leak and failure probabilities.</param>
    /// <param name="delta1">δ1: what the detector mismatch adds to the phase error rate; not negative.</param>
    /// <param name="delta2">δ2: the share of detections that the detector mismatch may take; not negative. 1 or more leaves no key.</param>
    /// <exception cref="DistillationException">The inputs are no counts or probabilities, or a δ is negative or not finite.</exception>
    public static TwoDecoyBound TwoDecoy(TwoDecoyInputs inputs, double delta1, double delta2)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (!(delta1 >= 0 && delta2 >= 0 && double.IsFinite(delta1) && double.IsFinite(delta2)))
        {
            throw new DistillationException(FormattableString.Invariant($"The detector mismatch is out of range: δ1 {delta1}, δ2 {delta2}."));
        }

        return TwoDecoy(inputs, delta1, delta2, delta1 != 0 || delta2 != 0);
    }

    /// <summary>δ1 and δ2 of a pair of detectors that may differ, without or with random swapping of their roles.</summary>
    public static (double Delta1, double Delta2) Mismatch(DetectorMismatch mismatch)
    {
        ArgumentNullException.ThrowIfNull(mismatch);
        var (efficiency, dark, d) = (mismatch.EfficiencyDeviation, mismatch.DarkCountDeviation, mismatch.DarkCountProbability);
        double least = d * (1 - dark), most = d * (1 + dark);
        var ratio = (1 - efficiency) / (1 + efficiency);
        var noDark = (1 - least) * (1 - least);
        if (mismatch.RandomSwapping)
        {
            var q = noDark * (1 - ratio) * (1 - ratio) / 2;
            return (4 * (1 - Math.Sqrt(1 - q)), q);
        }
        else
        {
            var q = noDark * (1 - ratio);

            // A = 1 - (1 - dm)² and B = 1 - (1 - dM)², written without cancellation.
            double a = least * (2 - least), b = most * (2 - most);
            var (rise, loss) = d == 0 ? (0, 0) : ((1 - (a / b)) * most * (2 - least) / a, 1 - (a / b));
            return (Math.Max(rise, 4 * (1 - Math.Sqrt(1 - q))), Math.Max(loss, q));
        }
    }

    /// <summary>The binary entropy, 1 from one half upwards.</summary>
    public static double BinaryEntropy(double x) => x switch
    {
        >= 0.5 => 1,
        > 0 => -((x * Math.Log2(x)) + ((1 - x) * double.LogP1(-x) / Math.Log(2))),
        0 => 0,
        _ => double.NaN,
    };

    private static TwoDecoyBound TwoDecoy(TwoDecoyInputs inputs, double delta1, double delta2, bool mismatch)
    {
        Validate(inputs);
        var bound = new TwoDecoyBound
        {
            Delta1 = delta1,
            Delta2 = delta2,
            LeakedBits = inputs.LeakedBits,
            SecurityParameter = inputs.Security.Total(mismatch),
        };
        var box = new IntensityBox(inputs.Intensities);
        if (!box.IsOrdered)
        {
            return bound with { Reason = Disordered };
        }

        var probabilities = inputs.Intensities.Select(intensity => intensity.Probability).ToArray();

        // ln(2/ε²) in two terms: ε² underflows for the smallest ε.
        var logarithm = Math.Log(2) - (2 * Math.Log(inputs.Security.Concentration));
        ScaledCounts Scaled(IReadOnlyList<long> counts) => ScaledCounts.Of(counts, probabilities, logarithm);
        bound = bound with
        {
            KeySinglePhotons = DecoyEstimates.SinglePhotons(box, Scaled(inputs.KeyCounts), probabilities, inputs.KeyCounts.Sum()),
            TestSinglePhotons = DecoyEstimates.SinglePhotons(box, Scaled(inputs.TestCounts), probabilities, inputs.TestCounts.Sum()),
            TestSinglePhotonErrors = DecoyEstimates.SinglePhotonErrors(box, Scaled(inputs.TestErrors), probabilities, 1, 2),
        };
        bound = Length(bound, inputs.Security);
        return Rounded(bound, bound.KeySinglePhotons, inputs.KeyCounts.Sum());
    }

    /// <summary>From K1, X1 and v to the length. Monotone: up with K1 and X1, down with v and with the leak.</summary>
    private static TwoDecoyBound Length(TwoDecoyBound bound, SecurityParameters security)
    {
        double k1 = bound.KeySinglePhotons, x1 = bound.TestSinglePhotons, v = bound.TestSinglePhotonErrors;
        if (!double.IsFinite(k1) || !double.IsFinite(x1) || !double.IsFinite(v) || !double.IsFinite(bound.LeakedBits))
        {
            return bound with { Reason = NotFinite };
        }

        if (k1 <= 0 || x1 <= 0)
        {
            return bound with { Reason = NoSinglePhotons };
        }

        var e = Math.Clamp(v / x1, 0, 1);
        var f = k1 / (k1 + x1) * x1 * (x1 / (x1 + 1));
        var gS = Math.Sqrt(Math.Log(1 / security.Sampling) / f);
        var g1 = Deviation(k1, bound.Delta1, security.MismatchRatio);
        var g2 = Deviation(k1, bound.Delta2, security.MismatchLoss);
        var denominator = 1 - bound.Delta2 - g2;
        var eph = denominator > 0 ? (e + gS + bound.Delta1 + g1) / denominator : 1;
        bound = bound with { TestErrorRate = e, SamplingDeviation = gS, Delta1Deviation = g1, Delta2Deviation = g2, PhaseErrorRate = eph };
        if (e >= 1 || denominator <= 0)
        {
            return bound with { Reason = "the errors leave no bound on the phase error rate" };
        }

        var length = (k1 * (1 - BinaryEntropy(eph))) - bound.LeakedBits
            - (2 * Math.Log2(1 / (2 * security.Amplification))) - Math.Log2(2 / security.Verification);
        return bound with { SecretLength = length };
    }

    /// <summary>From l to the lengths that may be used: margin off, rounded down, and none where the formula gives no number.</summary>
    /// <param name="bound">The bound with its <see cref="KeyBound.SecretLength"/>, or with a <see cref="KeyBound.Reason"/> why there is none.</param>
    /// <param name="secure">The bits that the key is made from, as bounded: what the relative margin is taken of.</param>
    /// <param name="keyBits">The bits that go into privacy amplification.</param>
    /// <param name="what">What <paramref name="secure"/> counts, in words.</param>
    private static T Rounded<T>(T bound, double secure, long keyBits, string what = "single photons")
        where T : KeyBound
    {
        if (bound.Reason.Length > 0)
        {
            return bound with { SecretLength = 0 };
        }

        if (!double.IsFinite(bound.SecretLength))
        {
            return bound with { SecretLength = 0, Reason = NotFinite };
        }

        var least = bound.SecretLength - (NumericalMargin * secure) - 1;
        if (!(bound.PhaseErrorRate < 0.5) || !(least >= 1))
        {
            var reason = FormattableString.Invariant(
                $"phase error rate {bound.PhaseErrorRate:P2}, {secure:0} {what}, {bound.LeakedBits:0} bits leaked: nothing is left");
            return bound with { SecretLength = bound.PhaseErrorRate < 0.5 ? bound.SecretLength : 0, Reason = reason };
        }

        var acceptable = Math.Max(0, Math.Min((long)Math.Floor(least), keyBits - 1));
        var stated = Math.Max(0, (acceptable - 8) / 8 * 8);
        return bound with { LongestAcceptable = acceptable, StatedLength = stated, Reason = stated == 0 ? "the bound leaves less than two bytes" : "" };
    }

    private static double Deviation(double n, double delta, double epsilon) => delta == 0 ? 0 : Math.Sqrt(Math.Log(1 / epsilon) / n);

    private static void Validate(TwoDecoyInputs inputs)
    {
        inputs.Security.Validate();
        DecoyEstimates.Validate(
            "two-decoy",
            BlockParameters.IntensityCount,
            inputs.Intensities,
            inputs.LeakedBits,
            ("key counts", inputs.KeyCounts),
            ("test counts", inputs.TestCounts),
            ("test errors", inputs.TestErrors));
        DecoyEstimates.ValidateErrors("test", inputs.TestErrors, inputs.TestCounts);
    }
}
