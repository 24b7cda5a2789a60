namespace Qkd.Distillation;

/// <content>Two decoys after Lim, one decoy after Rusca and after Wiesemann.</content>
public static partial class FiniteKey
{
    private const string DisorderedPair = "the intensities do not satisfy μ1 > μ2 > 0 over their whole intervals";
    private const string ErrorsOfTheWeaker = "the errors of the weaker intensity outweigh those of the brighter one, as no line makes them";

    /// <summary>
    /// Two decoys: Lim, Curty, Walenta, Xu, Zbinden, arXiv:1311.7129, Phys. Rev. A 89, 022307 (2014), eq. (1) to (5). For comparison and offline
    /// work: the block ends after a number of detections, and vacuum is credited to the key.
    /// </summary>
    /// <remarks>
    /// Departures from the formula, all against the key: γ is not let fall where the error rate grows; without any test error the
    /// deviation of one is taken; if the errors of the weakest intensity outweigh those of the middle one there is no key.
    /// </remarks>
    /// <exception cref="DistillationException">The inputs are no counts or probabilities.</exception>
    public static LimBound Lim(LimInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        DecoyEstimates.Validate(
            "Lim", 3, inputs.Intensities, inputs.LeakedBits, ("key counts", inputs.KeyCounts), ("test counts", inputs.TestCounts), ("test errors", inputs.TestErrors));
        DecoyEstimates.ValidateErrors("test", inputs.TestErrors, inputs.TestCounts);
        DecoyEstimates.ValidateEpsilon("of secrecy", inputs.Secrecy);
        DecoyEstimates.ValidateEpsilon("of correctness", inputs.Correctness);
        var bound = new LimBound { LeakedBits = inputs.LeakedBits, SecurityParameter = inputs.Secrecy + inputs.Correctness };
        var box = new IntensityBox(inputs.Intensities);
        if (!box.IsOrdered)
        {
            return bound with { Reason = Disordered };
        }

        var probabilities = inputs.Intensities.Select(intensity => intensity.Probability).ToArray();
        var logarithm = Math.Log(21 / inputs.Secrecy);
        var (key, test) = (ScaledCounts.Of(inputs.KeyCounts, probabilities, logarithm), ScaledCounts.Of(inputs.TestCounts, probabilities, logarithm));
        var errors = ScaledCounts.Of(inputs.TestErrors, probabilities, logarithm, DecoyEstimates.GammaErrors);
        bound = bound with
        {
            KeyVacuum = DecoyEstimates.Vacuum(box, key, probabilities),
            KeySinglePhotons = DecoyEstimates.SinglePhotons(box, key, probabilities, inputs.KeyCounts.Sum()),
            TestVacuum = DecoyEstimates.Vacuum(box, test, probabilities),
            TestSinglePhotons = DecoyEstimates.SinglePhotons(box, test, probabilities, inputs.TestCounts.Sum()),
            TestSinglePhotonErrors = DecoyEstimates.SinglePhotonErrors(box, errors, probabilities, 1, 2),
        };
        var (s, s1, v) = (bound.KeySinglePhotons, bound.TestSinglePhotons, bound.TestSinglePhotonErrors);
        bound = bound with { Reason = Obstacle(bound.LeakedBits, s, s1, v, bound.KeyVacuum) };
        if (bound.Reason.Length == 0 && !DecoyEstimates.ErrorsGrow(box, inputs.TestErrors, probabilities, logarithm, clipped: false, 1, 2))
        {
            bound = bound with { Reason = ErrorsOfTheWeaker };
        }

        if (bound.Reason.Length == 0)
        {
            var (rate, gamma, length) = WithGamma(bound, s, s1, v, bound.KeyVacuum, 21 / inputs.Secrecy, inputs.Correctness);
            bound = bound with { TestErrorRate = rate, SamplingDeviation = gamma, PhaseErrorRate = rate + gamma, SecretLength = length };
        }

        return Rounded(bound, s + bound.KeyVacuum, inputs.KeyCounts.Sum());
    }

    /// <summary>
    /// One decoy: Rusca, Boaron, Grünenfelder, Martin, Zbinden, arXiv:1801.03443, Appl. Phys. Lett. 112, 171104 (2018). For comparison and
    /// offline work: vacuum is credited to the key.
    /// </summary>
    /// <remarks>Departures from the formula as in <see cref="Lim"/>.</remarks>
    /// <exception cref="DistillationException">The inputs are no counts or probabilities.</exception>
    public static RuscaBound Rusca(OneDecoyInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        Validate("Rusca", inputs);
        var bound = new RuscaBound { LeakedBits = inputs.LeakedBits, SecurityParameter = inputs.Secrecy + inputs.Correctness };
        var box = new IntensityBox(inputs.Intensities);
        if (!box.IsOrdered)
        {
            return bound with { Reason = DisorderedPair };
        }

        var probabilities = inputs.Intensities.Select(intensity => intensity.Probability).ToArray();
        var logarithm = Math.Log(19 / inputs.Secrecy);
        var (key, test) = (ScaledCounts.Of(inputs.KeyCounts, probabilities, logarithm), ScaledCounts.Of(inputs.TestCounts, probabilities, logarithm));
        var errors = ScaledCounts.Of(inputs.TestErrors, probabilities, logarithm, DecoyEstimates.GammaErrors);
        var keyVacuum = new VacuumMost(inputs.KeyCounts, ScaledCounts.Of(inputs.KeyErrors, probabilities, logarithm), probabilities, logarithm, [1]);
        var testVacuum = new VacuumMost(inputs.TestCounts, ScaledCounts.Of(inputs.TestErrors, probabilities, logarithm), probabilities, logarithm, [1]);
        bound = bound with
        {
            KeyVacuum = Math.Max(0, box.Least(mu =>
                DecoyEstimates.NoPhoton(mu, probabilities) * ((mu[0] * key.Low(mu, 1)) - (mu[1] * key.High(mu, 0))) / (mu[0] - mu[1]))),
            KeyVacuumMost = keyVacuum.Bound(box),
            KeySinglePhotons = Math.Clamp(keyVacuum.SinglePhotons(box, key), 0, inputs.KeyCounts.Sum()),
            TestVacuumMost = testVacuum.Bound(box),
            TestSinglePhotons = Math.Clamp(testVacuum.SinglePhotons(box, test), 0, inputs.TestCounts.Sum()),
            TestSinglePhotonErrors = DecoyEstimates.SinglePhotonErrors(box, errors, probabilities, 0, 1),
        };
        var (s, s1, v) = (bound.KeySinglePhotons, bound.TestSinglePhotons, bound.TestSinglePhotonErrors);
        bound = bound with { Reason = Obstacle(bound.LeakedBits, s, s1, v, bound.KeyVacuum) };
        if (bound.Reason.Length == 0 && !DecoyEstimates.ErrorsGrow(box, inputs.TestErrors, probabilities, logarithm, clipped: false, 0, 1))
        {
            bound = bound with { Reason = ErrorsOfTheWeaker };
        }

        if (bound.Reason.Length == 0)
        {
            var (rate, gamma, length) = WithGamma(bound, s, s1, v, bound.KeyVacuum, 19 / inputs.Secrecy, inputs.Correctness);
            bound = bound with { TestErrorRate = rate, SamplingDeviation = gamma, PhaseErrorRate = rate + gamma, SecretLength = length };
        }

        return Rounded(bound, s + bound.KeyVacuum, inputs.KeyCounts.Sum());
    }

    /// <summary>
    /// One decoy: Wiesemann, Krause, Tupkary, Lütkenhaus, Rusca, Walenta, arXiv:2405.16578v3, Quantum 10, 2037 (2026). A proof for a fixed
    /// length: the length of a block's key is set beforehand (<see cref="FixedLength"/>), and this bound decides whether it is accepted.
    /// </summary>
    /// <remarks>
    /// A departure from the formula, against the key: if the test errors of the weaker intensity outweigh those of the brighter one there
    /// is none.
    /// </remarks>
    /// <exception cref="DistillationException">The inputs are no counts or probabilities.</exception>
    public static WiesemannBound Wiesemann(OneDecoyInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        Validate("Wiesemann", inputs);
        var bound = new WiesemannBound
        {
            LeakedBits = inputs.LeakedBits,
            SecurityParameter = inputs.Secrecy + inputs.Correctness,
            EstimateEpsilon = inputs.Secrecy / 15,
        };
        var box = new IntensityBox(inputs.Intensities);
        if (!box.IsOrdered)
        {
            return bound with { Reason = DisorderedPair };
        }

        var probabilities = inputs.Intensities.Select(intensity => intensity.Probability).ToArray();
        var logarithm = Math.Log(15 / inputs.Secrecy);
        ScaledCounts Scaled(IReadOnlyList<long> counts) => ScaledCounts.Clipped(counts, probabilities, logarithm);
        var keyVacuum = new VacuumMost(inputs.KeyCounts, Scaled(inputs.KeyErrors), probabilities, logarithm, [0, 1]);
        var testVacuum = new VacuumMost(inputs.TestCounts, Scaled(inputs.TestErrors), probabilities, logarithm, [0, 1]);
        double keyTotal = inputs.KeyCounts.Sum(), testTotal = inputs.TestCounts.Sum();
        bound = bound with
        {
            KeyVacuumMost = keyVacuum.Bound(box),
            KeySinglePhotons = Math.Clamp(keyVacuum.SinglePhotons(box, Scaled(inputs.KeyCounts)), 0, keyTotal),
            TestVacuumMost = testVacuum.Bound(box),
            TestSinglePhotons = Math.Clamp(testVacuum.SinglePhotons(box, Scaled(inputs.TestCounts)), 0, testTotal),
            TestSinglePhotonErrors = Math.Clamp(DecoyEstimates.SinglePhotonErrors(box, Scaled(inputs.TestErrors), probabilities, 0, 1), 0, testTotal),
        };
        var (s, s1, v) = (bound.KeySinglePhotons, bound.TestSinglePhotons, bound.TestSinglePhotonErrors);
        bound = bound with { Reason = Obstacle(bound.LeakedBits, s, s1, v, 0) };
        if (bound.Reason.Length == 0 && !DecoyEstimates.ErrorsGrow(box, inputs.TestErrors, probabilities, logarithm, clipped: true, 0, 1))
        {
            bound = bound with { Reason = ErrorsOfTheWeaker };
        }

        if (bound.Reason.Length == 0)
        {
            var deviation = Math.Sqrt((s + s1) / s * ((s1 + 1) / s1) / s1 * logarithm);
            bound = bound with { TestErrorRate = v / s1, SamplingDeviation = deviation, PhaseErrorRate = (v / s1) + deviation };
            bound = bound with
            {
                SecretLength = (s * (1 - BinaryEntropy(bound.PhaseErrorRate))) - inputs.LeakedBits
                    - Math.Log2(2 / inputs.Correctness) - (4 * (Math.Log2(15 / inputs.Secrecy) - 0.25)),
            };
        }

        return Rounded(bound, s, inputs.KeyCounts.Sum());
    }

    /// <summary>The end that Lim and Rusca share: s0 + s1 (1 - h(b + γ)) - λ - 6 log2(q) - log2(2/ε_cor), q = 21/ε_sec or 19/ε_sec.</summary>
    private static (double Rate, double Gamma, double Length) WithGamma(
        KeyBound bound, double key, double test, double errors, double vacuum, double quotient, double correctness)
    {
        var rate = Math.Clamp(errors / test, 0, 1);
        var gamma = Gamma(rate, test, key, quotient);
        var length = vacuum + (key * (1 - BinaryEntropy(rate + gamma))) - bound.LeakedBits - (6 * Math.Log2(quotient)) - Math.Log2(2 / correctness);
        return (rate, gamma, length);
    }

    /// <summary>γ(a, b, c, d) with 21/a or 19/a given as one number.</summary>
    /// <remarks>
    /// γ² = K x log2(K q²/x) / ln 2, K = 1/c + 1/d, x = b (1 - b), q = 21/a. It rises with x up to K q²/e and falls beyond, where the samples
    /// are large and a is not small: there the greatest value is kept. So γ rises with b up to 1/2, and with K and q.
    /// </remarks>
    private static double Gamma(double rate, double test, double key, double quotient)
    {
        var k = (1 / test) + (1 / key);
        var most = k * quotient * quotient;
        var x = Math.Min(rate * (1 - rate), most / Math.E);
        return rate >= 0.5 ? 0.5 : x <= 0 ? double.NaN : Math.Sqrt(k * x * Math.Log2(most / x) / Math.Log(2));
    }

    /// <summary>Why no phase error rate can be computed; empty if it can.</summary>
    private static string Obstacle(double leaked, double key, double test, double errors, double vacuum) =>
        !double.IsFinite(leaked) || !double.IsFinite(key) || !double.IsFinite(test) || !double.IsFinite(errors) || !double.IsFinite(vacuum)
            ? NotFinite
            : key <= 0 || test <= 0 ? NoSinglePhotons : "";

    private static void Validate(string bound, OneDecoyInputs inputs)
    {
        DecoyEstimates.Validate(
            bound,
            2,
            inputs.Intensities,
            inputs.LeakedBits,
            ("key counts", inputs.KeyCounts),
            ("key errors", inputs.KeyErrors),
            ("test counts", inputs.TestCounts),
            ("test errors", inputs.TestErrors));
        DecoyEstimates.ValidateErrors("key", inputs.KeyErrors, inputs.KeyCounts);
        DecoyEstimates.ValidateErrors("test", inputs.TestErrors, inputs.TestCounts);
        DecoyEstimates.ValidateEpsilon("of secrecy", inputs.Secrecy);
        DecoyEstimates.ValidateEpsilon("of correctness", inputs.Correctness);
    }

    /// <summary>
    /// The upper bound on the vacuum detections of a basis, s0 ≤ 2 [τ0 e^μ/p (m + D(m)) + D(n)] (half of them are errors), at each of some
    /// intensities, and the single photons that remain.
    /// </summary>
    private sealed class VacuumMost(IReadOnlyList<long> counts, ScaledCounts errors, double[] probabilities, double logarithm, int[] intensities)
    {
        private readonly double _deviation = ScaledCounts.Deviation(counts.Sum(), logarithm);

        /// <summary>The least of the bounds.</summary>
        public double Bound(IntensityBox box) => intensities.Min(intensity =>
            box.Greatest(mu => 2 * ((DecoyEstimates.NoPhoton(mu, probabilities) * errors.High(mu, intensity)) + _deviation)));

        /// <summary>
        /// s1 = τ1 μ1/(μ2 (μ1-μ2)) [n2^- - (μ2²/μ1²) n1^+ - ((μ1²-μ2²)/μ1²) s0/τ0]: the greatest over the intensities, each at its worst point.
        /// </summary>
        public double SinglePhotons(IntensityBox box, ScaledCounts scaled) => intensities.Max(intensity => box.Least(mu =>
        {
            var (mu1, mu2) = (mu[0], mu[1]);
            var vacuumOverTau = 2 * (errors.High(mu, intensity) + (_deviation / DecoyEstimates.NoPhoton(mu, probabilities)));
            var ratio = mu2 / mu1;
            var left = scaled.Low(mu, 1) - (ratio * ratio * scaled.High(mu, 0)) - ((mu1 - mu2) * (mu1 + mu2) / (mu1 * mu1) * vacuumOverTau);
            return DecoyEstimates.OnePhoton(mu, probabilities) * mu1 * left / (mu2 * (mu1 - mu2));
        }));
    }
}
