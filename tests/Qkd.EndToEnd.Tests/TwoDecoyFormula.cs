namespace Qkd.EndToEnd.Tests;

/// <summary>
/// The two-decoy variable-length bound of Tupkary et al. (arXiv:2408.17349) for equal detectors, written out a second time and plainly, for
/// a block's public figures. Intensities within a relative uncertainty are scanned on a grid for the worst point of each estimate.
/// </summary>
internal static class TwoDecoyFormula
{
    private static readonly double[] Means = [0.45, 0.15, 0.001];
    private static readonly double[] Probabilities = [0.5, 0.3125, 0.1875];

    /// <summary>l in bits before it is rounded down.</summary>
    public static double Length(LoggedBlock block, double intensityUncertainty, double epsilon)
    {
        var (k1, x1, v) = (double.MaxValue, double.MaxValue, 0.0);
        for (var corner = 0; corner < 8; corner++)
        {
            var mu = Means.Select((mean, i) => mean * (1 + ((corner >> i & 1) == 0 ? -intensityUncertainty : intensityUncertainty))).ToArray();
            k1 = Math.Min(k1, SinglePhotons(mu, block.KeyCounts, epsilon));
            x1 = Math.Min(x1, SinglePhotons(mu, block.TestCounts, epsilon));
            v = Math.Max(v, SinglePhotonErrors(mu, block.TestErrors, epsilon));
        }

        var e = Math.Min(1, v / x1);
        if (k1 <= 0 || x1 <= 0 || e >= 1)
        {
            return 0;
        }

        var f = k1 * x1 * x1 / ((k1 + x1) * (x1 + 1));
        var phase = e + Math.Sqrt(Math.Log(1 / epsilon) / f);
        return (k1 * (1 - Entropy(phase))) - block.LeakedBits - (2 * Math.Log2(1 / (2 * epsilon))) - Math.Log2(2 / epsilon);
    }

    private static double SinglePhotons(double[] mu, long[] counts, double epsilon)
    {
        var delta = Delta(counts.Sum(), epsilon);
        var zero = Math.Max(0, Tau(mu, 0) * ((mu[1] * Scaled(mu, counts, 2, -delta)) - (mu[2] * Scaled(mu, counts, 1, delta))) / (mu[1] - mu[2]));
        var bracket = Scaled(mu, counts, 1, -delta) - Scaled(mu, counts, 2, delta)
            - (((mu[1] * mu[1]) - (mu[2] * mu[2])) / (mu[0] * mu[0]) * (Scaled(mu, counts, 0, delta) - (zero / Tau(mu, 0))));
        return Math.Max(0, Tau(mu, 1) * mu[0] * bracket / ((mu[0] * (mu[1] - mu[2])) - (mu[1] * mu[1]) + (mu[2] * mu[2])));
    }

    private static double SinglePhotonErrors(double[] mu, long[] errors, double epsilon)
    {
        var delta = Delta(errors.Sum(), epsilon);
        return Tau(mu, 1) * (Scaled(mu, errors, 1, delta) - Scaled(mu, errors, 2, -delta)) / (mu[1] - mu[2]);
    }

    private static double Scaled(double[] mu, long[] counts, int i, double delta) => Math.Exp(mu[i]) / Probabilities[i] * (counts[i] + delta);

    private static double Tau(double[] mu, int photons) =>
        Enumerable.Range(0, 3).Sum(i => Probabilities[i] * Math.Exp(-mu[i]) * (photons == 0 ? 1 : mu[i]));

    private static double Delta(long total, double epsilon) => Math.Sqrt(total / 2.0 * Math.Log(2 / (epsilon * epsilon)));

    private static double Entropy(double x) => x >= 0.5 ? 1 : x <= 0 ? 0 : -(x * Math.Log2(x)) - ((1 - x) * Math.Log2(1 - x));
}
