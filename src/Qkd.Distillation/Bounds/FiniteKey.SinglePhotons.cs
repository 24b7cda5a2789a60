namespace Qkd.Distillation;

/// <content>Sources that are declared to send single photons or pairs.</content>
public static partial class FiniteKey
{
    /// <summary>
    /// Single photons or pairs: Tomamichel, Lim, Gisin, Renner, Nature Communications 3, 634 (2012). Never for weak coherent pulses. For a
    /// fixed length: the block is accepted if its test bits have no more errors than are tolerated
    /// (<see cref="TomamichelInputs.Accepts"/>).
    /// </summary>
    /// <exception cref="DistillationException">No source is declared, or the inputs are no counts or probabilities.</exception>
    public static TomamichelBound Tomamichel(TomamichelInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        RequireSource(inputs.Source);
        RequireCount("bits that the key is made from", inputs.KeyBits);
        RequireCount("test bits", inputs.TestBits);
        Require(inputs.ToleratedErrorRate is >= 0 and <= 1, "tolerated error rate", inputs.ToleratedErrorRate, "0 to 1");
        Require(!(inputs.LeakedBits < 0), "number of leaked bits", inputs.LeakedBits, "not negative");
        DecoyEstimates.ValidateEpsilon("of secrecy", inputs.Secrecy);
        DecoyEstimates.ValidateEpsilon("of correctness", inputs.Correctness);
        double n = inputs.KeyBits, k = inputs.TestBits;
        var bound = new TomamichelBound { LeakedBits = inputs.LeakedBits, SecurityParameter = inputs.Secrecy + inputs.Correctness };
        if (n == 0 || k == 0)
        {
            return bound with { Reason = "there are no bits to make a key from or none to test" };
        }

        var mu = Math.Sqrt((n + k) / n / k * ((k + 1) / k) * Math.Log(4 / inputs.Secrecy));
        bound = bound with { SamplingDeviation = mu, PhaseErrorRate = inputs.ToleratedErrorRate + mu };

        // log2(2/(ε_sec² ε_cor)) in three terms: the product underflows for the smallest ε.
        var length = (n * (1 - BinaryEntropy(bound.PhaseErrorRate))) - inputs.LeakedBits
            - (1 - (2 * Math.Log2(inputs.Secrecy)) - Math.Log2(inputs.Correctness));
        return Rounded(bound with { SecretLength = length }, n, inputs.KeyBits, "bits");
    }

    /// <summary>
    /// Pairs, small blocks: Lim, Xu, Pan, Ekert, Phys. Rev. Lett. 126, 100501 (2021). Never for weak coherent pulses. k, δ, ν, ξ and t are
    /// fixed before the block, and it is accepted if its test bits have no more errors than are tolerated
    /// (<see cref="LimXuPanEkertInputs.Accepts"/>).
    /// </summary>
    /// <exception cref="DistillationException">
    /// No source is declared, the inputs are no counts or probabilities, or 0 &lt; ξ &lt; ν &lt; 1/2 - δ does not hold.
    /// </exception>
    public static LimXuPanEkertBound LimXuPanEkert(LimXuPanEkertInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        RequireSource(inputs.Source);
        RequireCount("bits", inputs.TotalBits);
        RequireCount("test bits", inputs.TestBits);
        Require(inputs.TestBits <= inputs.TotalBits, "number of test bits", inputs.TestBits, "not more than there are bits");
        Require(inputs.ToleratedErrorRate is >= 0 and < 0.5, "tolerated error rate δ", inputs.ToleratedErrorRate, "0 to below 1/2");
        Require(inputs.TotalDeviation > 0, "deviation ξ", inputs.TotalDeviation, "above 0");
        Require(inputs.KeyDeviation > inputs.TotalDeviation, "deviation ν", inputs.KeyDeviation, "above ξ");
        Require(inputs.KeyDeviation + inputs.ToleratedErrorRate < 0.5, "deviation ν", inputs.KeyDeviation, "below 1/2 - δ");
        Require(inputs.VerificationBits is >= 0 and <= 1024, "number of verification bits", inputs.VerificationBits, "0 to 1024");
        Require(!(inputs.LeakedBits < 0), "number of leaked bits", inputs.LeakedBits, "not negative");
        DecoyEstimates.ValidateEpsilon("ε", inputs.Epsilon);
        double m = inputs.TotalBits, k = inputs.TestBits, n = m - k, t = inputs.VerificationBits;
        var bound = new LimXuPanEkertBound
        {
            LeakedBits = inputs.LeakedBits,
            SecurityParameter = inputs.Epsilon,
            KeyBits = inputs.TotalBits - inputs.TestBits,
        };
        if (n == 0 || k == 0)
        {
            return bound with { Reason = "there are no bits to make a key from or none to test" };
        }

        var (delta, nu, xi) = (inputs.ToleratedErrorRate, inputs.KeyDeviation, inputs.TotalDeviation);
        var x = m * (delta + xi);
        var g = (1 / (x + 1)) + (1 / (m - x + 1));
        var apart = n * (nu - xi);
        var estimation = Math.Sqrt(Math.Exp(-2 * m * k * xi * xi / (n + 1)) + Math.Exp(-2 * g * ((apart * apart) - 1)));
        var amplification = inputs.Epsilon - Math.Pow(2, -t) - (2 * estimation);
        bound = bound with
        {
            TotalErrors = x,
            InverseSpread = g,
            EstimationEpsilon = estimation,
            AmplificationEpsilon = amplification,
            PhaseErrorRate = delta + nu,
        };
        if (!(amplification > 0))
        {
            return bound with { Reason = "nothing of ε is left for privacy amplification" };
        }

        var length = (n * (1 - BinaryEntropy(delta + nu))) - inputs.LeakedBits - t + (2 * Math.Log2(2 * amplification));
        return Rounded(bound with { SecretLength = length }, n, bound.KeyBits, "bits");
    }

    private static void RequireSource(DeclaredSource source)
    {
        if (source is not (DeclaredSource.SinglePhotons or DeclaredSource.EntangledPairs))
        {
            throw new DistillationException("A bound without decoys holds for a declared source of single photons or pairs alone.");
        }
    }

    private static void RequireCount(string name, long value) =>
        Require(value is >= 0 and <= DecoyEstimates.MaximumCount, $"number of {name}", value, "a count");

    private static void Require(bool condition, string name, double value, string range)
    {
        if (!condition)
        {
            throw new DistillationException(FormattableString.Invariant($"The {name} is {value}; it must be {range}."));
        }
    }
}
