namespace Qkd.Distillation;

/// <summary>Finite-key bounds on the secret length of a block.</summary>
public static class FiniteKey
{
    /// <summary>
    /// Relative margin for the floating point of a bound, taken off against the key holder: of the single-photon detections, and one bit more.
    /// The last digits of two platforms' exponentials and logarithms differ by far less.
    /// </summary>
    public const double NumericalMargin = 1e-9;

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
        Validate(inputs);
        var (delta1, delta2) = Mismatch(inputs.Security.Mismatch);
        var bound = new TwoDecoyBound { Delta1 = delta1, Delta2 = delta2, LeakedBits = inputs.LeakedBits };
        var box = new IntensityBox(inputs.Intensities);
        if (!box.IsOrdered)
        {
            return bound with { Reason = "the intensities do not satisfy μ1 > μ2 + μ3 and μ2 > μ3 over their whole intervals" };
        }

        var probabilities = inputs.Intensities.Select(intensity => intensity.Probability).ToArray();
        var concentration = inputs.Security.Concentration;
        bound = bound with
        {
            KeySinglePhotons = SinglePhotons(box, ScaledCounts.Of(inputs.KeyCounts, probabilities, concentration), probabilities),
            TestSinglePhotons = SinglePhotons(box, ScaledCounts.Of(inputs.TestCounts, probabilities, concentration), probabilities),
            TestSinglePhotonErrors = SinglePhotonErrors(box, ScaledCounts.Of(inputs.TestErrors, probabilities, concentration), probabilities),
        };
        return Round(Length(bound, inputs.Security), inputs.KeyCounts.Sum());
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

    /// <summary>From K1, X1 and v to the length. Monotone: up with K1 and X1, down with v and with the leak.</summary>
    internal static TwoDecoyBound Length(TwoDecoyBound bound, SecurityParameters security)
    {
        double k1 = bound.KeySinglePhotons, x1 = bound.TestSinglePhotons, v = bound.TestSinglePhotonErrors;
        if (!double.IsFinite(k1) || !double.IsFinite(x1) || !double.IsFinite(v) || !double.IsFinite(bound.LeakedBits))
        {
            return bound with { Reason = "an intermediate is not finite" };
        }

        if (k1 <= 0 || x1 <= 0)
        {
            return bound with { Reason = "no single photons are left in the key or in the test basis" };
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

    private static TwoDecoyBound Round(TwoDecoyBound bound, long keyBits)
    {
        if (bound.Reason.Length > 0)
        {
            return bound;
        }

        var least = bound.SecretLength - (NumericalMargin * bound.KeySinglePhotons) - 1;
        if (!(bound.PhaseErrorRate < 0.5) || !double.IsFinite(least) || least < 1)
        {
            var reason = FormattableString.Invariant(
                $"phase error rate {bound.PhaseErrorRate:P2}, {bound.KeySinglePhotons:0} single photons, {bound.LeakedBits:0} bits leaked: nothing is left");
            return bound with { Reason = reason };
        }

        var acceptable = Math.Min((long)Math.Floor(least), keyBits - 1);
        var stated = Math.Max(0, (acceptable - 8) / 8 * 8);
        return bound with { LongestAcceptable = acceptable, StatedLength = stated, Reason = stated == 0 ? "the bound leaves less than two bytes" : "" };
    }

    private static double Deviation(double n, double delta, double epsilon) => delta == 0 ? 0 : Math.Sqrt(Math.Log(1 / epsilon) / n);

    /// <summary>s1: the lower bound on single-photon detections of a basis, at its worst point.</summary>
    private static double SinglePhotons(IntensityBox box, ScaledCounts counts, double[] probabilities) => Math.Max(0, box.Least(mu =>
    {
        var (mu1, mu2, mu3) = (mu[0], mu[1], mu[2]);
        var vacuum = Gradient.Max0(((mu2 * counts.Low(mu, 2)) - (mu3 * counts.High(mu, 1))) / (mu2 - mu3));
        var brightShare = (mu2 - mu3) * (mu2 + mu3) / (mu1 * mu1) * (counts.High(mu, 0) - vacuum);
        return OnePhoton(mu, probabilities) * mu1 * (counts.Low(mu, 1) - counts.High(mu, 2) - brightShare) / ((mu2 - mu3) * (mu1 - mu2 - mu3));
    }));

    /// <summary>v: the upper bound on single-photon errors of a basis, at its worst point.</summary>
    private static double SinglePhotonErrors(IntensityBox box, ScaledCounts errors, double[] probabilities) => -box.Least(mu =>
        OnePhoton(mu, probabilities) * (errors.Low(mu, 2) - errors.High(mu, 1)) / (mu[1] - mu[2]));

    /// <summary>τ1 = Σ p e^-μ μ.</summary>
    private static Gradient OnePhoton(Gradient[] mu, double[] probabilities) =>
        (probabilities[0] * Gradient.Exp(-mu[0]) * mu[0])
        + (probabilities[1] * Gradient.Exp(-mu[1]) * mu[1])
        + (probabilities[2] * Gradient.Exp(-mu[2]) * mu[2]);

    private static void Validate(TwoDecoyInputs inputs)
    {
        inputs.Security.Validate();
        var lists = new[] { inputs.KeyCounts, inputs.TestCounts, inputs.TestErrors };
        if (inputs.Intensities.Count != BlockParameters.IntensityCount || lists.Any(list => list.Count != BlockParameters.IntensityCount))
        {
            throw new DistillationException("The two-decoy bound needs counts of three intensities.");
        }

        if (lists.Any(list => list.Any(count => count is < 0 or > 1L << 52))
            || inputs.TestErrors.Zip(inputs.TestCounts).Any(pair => pair.First > pair.Second)
            || inputs.LeakedBits < 0
            || inputs.Intensities.Any(intensity => !(intensity.Probability is > 0 and < 1)))
        {
            throw new DistillationException("The two-decoy bound was given impossible counts or probabilities.");
        }
    }

    /// <summary>c_i^± = e^μ/p (c_i ± D), D = √(n/2 ln(2/ε_d²)), n the total over the intensities. No clipping.</summary>
    private sealed record ScaledCounts(double[] LowOverP, double[] HighOverP)
    {
        public static ScaledCounts Of(IReadOnlyList<long> counts, double[] probabilities, double epsilon)
        {
            // ln(2/ε²) in two terms: ε² underflows for the smallest ε.
            var deviation = Math.Sqrt(counts.Sum() / 2.0 * (Math.Log(2) - (2 * Math.Log(epsilon))));
            return new(
                [.. counts.Select((count, i) => (count - deviation) / probabilities[i])],
                [.. counts.Select((count, i) => (count + deviation) / probabilities[i])]);
        }

        public Gradient Low(Gradient[] mu, int intensity) => LowOverP[intensity] * Gradient.Exp(mu[intensity]);

        public Gradient High(Gradient[] mu, int intensity) => HighOverP[intensity] * Gradient.Exp(mu[intensity]);
    }
}
