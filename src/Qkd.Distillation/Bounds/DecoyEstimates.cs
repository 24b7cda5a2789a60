namespace Qkd.Distillation;

/// <summary>
/// The counts of one basis, each moved by its statistical deviation to either side and divided by the probability of its intensity: c_i^±,
/// but for the factor e^μ.
/// </summary>
internal sealed record ScaledCounts(double[] LowOverP, double[] HighOverP)
{
    /// <summary>(c_i ± D)/p_i, D = √(n/2 L), n the total over the intensities. No clipping.</summary>
    /// <param name="counts">Counts per intensity.</param>
    /// <param name="probabilities">Probability of each intensity.</param>
    /// <param name="logarithm">L: the logarithm that stands for the failure probability of one Hoeffding bound.</param>
    /// <param name="least">The total counts at least as this many: see <see cref="DecoyEstimates.GammaErrors"/>.</param>
    public static ScaledCounts Of(IReadOnlyList<long> counts, double[] probabilities, double logarithm, long least = 0)
    {
        var deviation = Deviation(Math.Max(least, counts.Sum()), logarithm);
        return new(
            [.. counts.Select((count, i) => (count - deviation) / probabilities[i])],
            [.. counts.Select((count, i) => (count + deviation) / probabilities[i])]);
    }

    /// <summary>The same with c_i ± D clipped to 0..n before it is scaled.</summary>
    public static ScaledCounts Clipped(IReadOnlyList<long> counts, double[] probabilities, double logarithm)
    {
        double total = counts.Sum();
        var deviation = Deviation(total, logarithm);
        return new(
            [.. counts.Select((count, i) => Math.Max(count - deviation, 0) / probabilities[i])],
            [.. counts.Select((count, i) => Math.Min(count + deviation, total) / probabilities[i])]);
    }

    /// <summary>√(n/2 L).</summary>
    public static double Deviation(double total, double logarithm) => Math.Sqrt(total / 2 * logarithm);

    public Gradient Low(Gradient[] mu, int intensity) => LowOverP[intensity] * Gradient.Exp(mu[intensity]);

    public Gradient High(Gradient[] mu, int intensity) => HighOverP[intensity] * Gradient.Exp(mu[intensity]);
}

/// <summary>What the decoy bounds have in common: estimates of single photons from counts per intensity, each at its own worst point of a box.</summary>
internal static class DecoyEstimates
{
    /// <summary>The most that a count may be: a whole number that a double holds exactly.</summary>
    public const long MaximumCount = 1L << 52;

    /// <summary>The least total of errors that the γ of Lim and Rusca is computed from.</summary>
    /// <remarks>
    /// Without any error both the deviation √(n/2 L) and γ vanish, and a sample of any size would prove that there are none. One error's
    /// deviation is taken instead.
    /// </remarks>
    public const long GammaErrors = 1;

    // Below this the 128-bit hashes could not keep what is promised.
    private const double LeastEpsilon = 1e-30;

    /// <summary>τ_0 = Σ p e^-μ.</summary>
    public static Gradient NoPhoton(Gradient[] mu, double[] probabilities)
    {
        Gradient sum = 0;
        for (var i = 0; i < mu.Length; i++)
        {
            sum += probabilities[i] * Gradient.Exp(-mu[i]);
        }

        return sum;
    }

    /// <summary>τ_1 = Σ p e^-μ μ.</summary>
    public static Gradient OnePhoton(Gradient[] mu, double[] probabilities)
    {
        Gradient sum = 0;
        for (var i = 0; i < mu.Length; i++)
        {
            sum += probabilities[i] * Gradient.Exp(-mu[i]) * mu[i];
        }

        return sum;
    }

    /// <summary>s0 of two decoys: the lower bound on vacuum detections of a basis.</summary>
    public static double Vacuum(IntensityBox box, ScaledCounts counts, double[] probabilities) =>
        Math.Max(0, box.Least(mu => NoPhoton(mu, probabilities) * VacuumOverTau(mu, counts)));

    /// <summary>s1 of two decoys: the lower bound on single-photon detections of a basis; never more than there are detections.</summary>
    public static double SinglePhotons(IntensityBox box, ScaledCounts counts, double[] probabilities, long total) => Math.Clamp(box.Least(mu =>
    {
        var (mu1, mu2, mu3) = (mu[0], mu[1], mu[2]);
        var brightShare = (mu2 - mu3) * (mu2 + mu3) / (mu1 * mu1) * (counts.High(mu, 0) - VacuumOverTau(mu, counts));
        return OnePhoton(mu, probabilities) * mu1 * (counts.Low(mu, 1) - counts.High(mu, 2) - brightShare) / ((mu2 - mu3) * (mu1 - mu2 - mu3));
    }), 0, total);

    /// <summary>v: the upper bound on single-photon errors of a basis, from the two intensities named.</summary>
    public static double SinglePhotonErrors(IntensityBox box, ScaledCounts errors, double[] probabilities, int brighter, int weaker) => box.Greatest(mu =>
        OnePhoton(mu, probabilities) * (errors.High(mu, brighter) - errors.Low(mu, weaker)) / (mu[brighter] - mu[weaker]));

    /// <summary>
    /// Whether v grows when all errors of the basis grow by a common factor. On any line e^μ m/p grows with μ; where the errors of the
    /// weaker intensity outweigh those of the brighter one by more than half their deviations, v falls as errors are added, and is no measure
    /// of them.
    /// </summary>
    /// <param name="box">The intensities.</param>
    /// <param name="errors">Errors per intensity.</param>
    /// <param name="probabilities">Probability of each intensity.</param>
    /// <param name="logarithm">L of the deviation.</param>
    /// <param name="clipped">Whether the errors moved by their deviation are clipped to 0 and their total.</param>
    /// <param name="brighter">The brighter intensity of the two that v is made from.</param>
    /// <param name="weaker">The weaker one.</param>
    public static bool ErrorsGrow(
        IntensityBox box, IReadOnlyList<long> errors, double[] probabilities, double logarithm, bool clipped, int brighter, int weaker)
    {
        // The derivative by the factor t at t = 1 of t m ± √t D; v is concave in t, so that it has grown all the way up to here.
        double total = errors.Sum();
        var deviation = ScaledCounts.Deviation(Math.Max(GammaErrors, total), logarithm);
        var rise = errors[brighter] + (deviation / 2);
        var fall = errors[weaker] - (deviation / 2);
        if (clipped)
        {
            rise = errors[brighter] + deviation < total ? rise : Math.Min(rise, total);
            fall = errors[weaker] > deviation ? fall : 0;
        }

        return box.Least(mu => (rise / probabilities[brighter] * Gradient.Exp(mu[brighter])) - (fall / probabilities[weaker] * Gradient.Exp(mu[weaker]))) >= 0;
    }

    /// <summary>Refuses what cannot be counts, probabilities or failure probabilities.</summary>
    /// <exception cref="DistillationException">It names what was refused.</exception>
    public static void Validate(
        string bound, int count, IReadOnlyList<IntensityClass> intensities, double leakedBits, params ReadOnlySpan<(string Name, IReadOnlyList<long> Counts)> lists)
    {
        if (intensities.Count != count)
        {
            throw new DistillationException($"The {bound} bound needs {count} intensities, not {intensities.Count}.");
        }

        foreach (var (name, counts) in lists)
        {
            if (counts.Count != count)
            {
                throw new DistillationException($"The {bound} bound needs {name} of {count} intensities, not of {counts.Count}.");
            }

            if (counts.Any(value => value is < 0 or > MaximumCount))
            {
                throw new DistillationException($"The {bound} bound was given {name} that are no counts: {string.Join(", ", counts)}.");
            }
        }

        if (intensities.Any(intensity => !(intensity.Probability is > 0 and < 1)) || Math.Abs(intensities.Sum(intensity => intensity.Probability) - 1) > 1e-9)
        {
            throw new DistillationException(FormattableString.Invariant(
                $"The {bound} bound needs probabilities between 0 and 1 that add up to 1: {string.Join(", ", intensities.Select(intensity => FormattableString.Invariant($"{intensity.Probability}")))}."));
        }

        if (leakedBits < 0)
        {
            throw new DistillationException(FormattableString.Invariant($"The {bound} bound was given {leakedBits} leaked bits."));
        }
    }

    /// <summary>Refuses more errors than counts.</summary>
    /// <exception cref="DistillationException">There are more errors than counts.</exception>
    public static void ValidateErrors(string name, IReadOnlyList<long> errors, IReadOnlyList<long> counts)
    {
        if (errors.Zip(counts).Any(pair => pair.First > pair.Second))
        {
            throw new DistillationException($"There are more {name} errors than counts: {string.Join(", ", errors)} of {string.Join(", ", counts)}.");
        }
    }

    /// <summary>Refuses a failure probability out of its range.</summary>
    /// <exception cref="DistillationException">The value lies outside 1e-30 to 1.</exception>
    public static void ValidateEpsilon(string name, double value)
    {
        if (!(value is >= LeastEpsilon and < 1))
        {
            throw new DistillationException(FormattableString.Invariant($"The failure probability {name} is {value}; it must lie between 1e-30 and 1."));
        }
    }

    private static Gradient VacuumOverTau(Gradient[] mu, ScaledCounts counts) =>
        Gradient.Max0(((mu[1] * counts.Low(mu, 2)) - (mu[2] * counts.High(mu, 1))) / (mu[1] - mu[2]));
}
