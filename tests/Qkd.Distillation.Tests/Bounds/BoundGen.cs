using CsCheck;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>Inputs of the bound: those that a link could give, and any that are not refused.</summary>
internal static class BoundGen
{
    /// <summary>Counts of a link with loss, dark counts and misalignment, with intervals of up to 5 % around the intensities.</summary>
    public static readonly Gen<TwoDecoyInputs> Link =
        from means in Gen.Select(Gen.Double[.3, .9], Gen.Double[.1, .4], Gen.Double[0, .05])
        from width in Gen.OneOf(Gen.Const(0.0), Gen.Double[0, .05])
        from shares in Gen.Select(Gen.Double[.3, .7], Gen.Double[.3, .7])
        from line in Gen.Select(Gen.Double[6, 10], Gen.Double[-3.5, -.5], Gen.Double[-7, -4], Gen.Double[0, .06])
        from leak in Gen.Double[1, 1.3]
        from security in Security
        select OfLink(means, width, shares, line, leak, security);

    /// <summary>Whatever the bound takes, likely or not.</summary>
    public static readonly Gen<TwoDecoyInputs> Any =
        from means in Gen.Select(Interval(10), Interval(10), Interval(10))
        from shares in Gen.Select(Gen.Double[1e-6, .999], Gen.Double[1e-6, .999])
        from key in Gen.Select(Count, Count, Count)
        from test in Gen.Select(Count, Count, Count)
        from errors in Gen.Select(Gen.Double[0, 1], Gen.Double[0, 1], Gen.Double[0, 1])
        from leak in Gen.OneOf(Gen.Double[0, 1e9], Gen.Const(double.PositiveInfinity), Gen.Const(double.NaN))
        from security in Security
        select new TwoDecoyInputs
        {
            Intensities = Intensities([means.Item1, means.Item2, means.Item3], shares),
            KeyCounts = [key.Item1, key.Item2, key.Item3],
            TestCounts = [test.Item1, test.Item2, test.Item3],
            TestErrors = [(long)(test.Item1 * errors.Item1), (long)(test.Item2 * errors.Item2), (long)(test.Item3 * errors.Item3)],
            LeakedBits = leak,
            Security = security,
        };

    public static Gen<double> Epsilon => Gen.Double[-30, -3].Select(exponent => Math.Max(1e-30, Math.Pow(10, exponent)));

    private static Gen<SecurityParameters> Security =>
        from a in Gen.Select(Epsilon, Epsilon, Epsilon)
        from b in Gen.Select(Epsilon, Epsilon, Epsilon)
        from mismatch in Gen.OneOf(
            Gen.Const(DetectorMismatch.None),
            Gen.Select(Gen.Double[0, .02], Gen.Double[0, .02], Gen.Double[0, 1e-4], Gen.Bool, (e, d, p, s) => new DetectorMismatch(e, d, p, s)),
            Gen.Select(Gen.Double[0, .99], Gen.Double[0, .99], Gen.Double[0, .49], Gen.Bool, (e, d, p, s) => new DetectorMismatch(e, d, p, s)))
        select new SecurityParameters
        {
            Concentration = a.Item1,
            Sampling = a.Item2,
            MismatchRatio = a.Item3,
            MismatchLoss = b.Item1,
            Amplification = b.Item2,
            Verification = b.Item3,
            Mismatch = mismatch,
        };

    private static Gen<long> Count => Gen.OneOf(Gen.Const(0L), Gen.Long[0, 100], Gen.Double[0, 52].Select(bits => (long)Math.Pow(2, bits)));

    private static Gen<(double Low, double High)> Interval(double most) =>
        Gen.Select(Gen.Double[0, most], Gen.Double[0, 1], (high, share) => (high * share, high));

    private static TwoDecoyInputs OfLink(
        (double Bright, double Decoy, double Vacuum) means,
        double width,
        (double, double) shares,
        (double Pulses, double Efficiency, double Dark, double Misalignment) line,
        double leak,
        SecurityParameters security)
    {
        double[] mu = [means.Bright, means.Bright * means.Decoy, means.Bright * means.Decoy * means.Vacuum];
        var intensities = Intensities([.. mu.Select(mean => (mean * (1 - width), mean * (1 + width)))], shares);
        var (pulses, efficiency, dark) = (Math.Pow(10, line.Pulses), Math.Pow(10, line.Efficiency), Math.Pow(10, line.Dark));
        var key = new long[3];
        var test = new long[3];
        var errors = new long[3];
        for (var i = 0; i < 3; i++)
        {
            var light = 1 - Math.Exp(-efficiency * mu[i]);
            var p = intensities[i].Probability;
            key[i] = (long)(pulses * p * (light + dark));
            test[i] = (long)(pulses / 9 * p * (light + dark));
            errors[i] = (long)(pulses / 9 * p * ((light * line.Misalignment) + (dark / 2)));
        }

        var q = Math.Max(1e-3, (double)errors.Sum() / Math.Max(1, test.Sum()));
        return new()
        {
            Intensities = intensities,
            KeyCounts = key,
            TestCounts = test,
            TestErrors = errors,
            LeakedBits = leak * key.Sum() * FiniteKey.BinaryEntropy(q),
            Security = security,
        };
    }

    private static IntensityClass[] Intensities((double Low, double High)[] means, (double First, double Second) shares)
    {
        double[] p = [shares.First, (1 - shares.First) * shares.Second, (1 - shares.First) * (1 - shares.Second)];
        return [.. means.Select((mean, i) => new IntensityClass((mean.Low + mean.High) / 2, mean.Low, mean.High, p[i]))];
    }
}
