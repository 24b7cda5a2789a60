using CsCheck;

namespace Qkd.Distillation.Tests.Bounds;

/// <summary>How the inputs of a bound are changed before it is computed.</summary>
internal sealed record Change
{
    public long TestErrorFactor { get; init; } = 1;

    public long KeyErrorFactor { get; init; } = 1;

    public double MoreLeak { get; init; }

    /// <summary>What the failure probabilities are multiplied with.</summary>
    public double Secrecy { get; init; } = 1;

    public double Correctness { get; init; } = 1;

    /// <summary>Where in its interval each intensity is, 0 to 1; the whole interval if absent.</summary>
    public double[]? Where { get; init; }
}

/// <summary>A block that any of the bounds can be asked about. A change that cannot be (more errors than counts) gives nothing.</summary>
internal sealed record Problem(string Text, long KeyBits, Func<Change, KeyBound?> Bound)
{
    public static readonly string[] Names = ["lim-2decoy", "rusca-1decoy", "wiesemann-1decoy", "tomamichel", "lim-xu-pan-ekert"];

    /// <summary>Blocks that a link could give.</summary>
    public static Gen<Problem> Link(string name) => name switch
    {
        "lim-2decoy" => BoundGen.Link.Select(Epsilons, (block, e) => Lim(block, e)),
        "rusca-1decoy" => BoundGen.Link.Select(Epsilons, (block, e) => OneDecoy(block, e, FiniteKey.Rusca)),
        "wiesemann-1decoy" => BoundGen.Link.Select(Epsilons, (block, e) => OneDecoy(block, e, FiniteKey.Wiesemann)),
        "tomamichel" => TomamichelOf(Gen.Double[2, 8].Select(Power), Gen.Double[0, .12], Gen.Double[0, 1.3]),
        _ => PairsOf(Gen.Double[4, 6].Select(Power), Gen.Double[0, .05], Gen.Double[.05, .15], Gen.Double[.5, .9], Gen.Double[0, 1.3]),
    };

    /// <summary>Whatever the bounds take, likely or not.</summary>
    public static Gen<Problem> Any(string name) => name switch
    {
        "lim-2decoy" => BoundGen.Any.Select(Epsilons, (block, e) => Lim(block, e)),
        "rusca-1decoy" => BoundGen.Any.Select(Epsilons, (block, e) => OneDecoy(block, e, FiniteKey.Rusca)),
        "wiesemann-1decoy" => BoundGen.Any.Select(Epsilons, (block, e) => OneDecoy(block, e, FiniteKey.Wiesemann)),
        "tomamichel" => TomamichelOf(AnyCount, Gen.Double[0, 1], Gen.OneOf(Gen.Double[0, 10], Gen.Const(double.NaN), Gen.Const(double.PositiveInfinity))),
        _ => PairsOf(AnyCount, Gen.Double[0, .499], Gen.Double[0, 1], Gen.Double[1e-3, .999], Gen.Double[0, 10]),
    };

    public override string ToString() => Text;

    private static Gen<(double, double)> Epsilons => Gen.Select(BoundGen.Epsilon, BoundGen.Epsilon);

    private static Gen<long> AnyCount => Gen.OneOf(Gen.Const(0L), Gen.Long[0, 100], Gen.Double[0, 15].Select(Power), Gen.Const(1L << 52));

    private static long Power(double exponent) => (long)Math.Pow(10, exponent);

    private static double Less(double epsilon, double factor) => Math.Max(1e-30, epsilon * factor);

    private static Problem Lim(TwoDecoyInputs block, (double Secrecy, double Correctness) e)
    {
        var inputs = new LimInputs
        {
            Intensities = block.Intensities,
            KeyCounts = block.KeyCounts,
            TestCounts = block.TestCounts,
            TestErrors = block.TestErrors,
            LeakedBits = block.LeakedBits,
            Secrecy = e.Secrecy,
            Correctness = e.Correctness,
        };
        return new(inputs.ToString(), inputs.KeyCounts.Sum(), change =>
        {
            long[] errors = [.. inputs.TestErrors.Select(count => count * change.TestErrorFactor)];
            return errors.Zip(inputs.TestCounts).Any(pair => pair.First > pair.Second) ? null : FiniteKey.Lim(inputs with
            {
                Intensities = At(inputs.Intensities, change.Where),
                TestErrors = errors,
                LeakedBits = inputs.LeakedBits + change.MoreLeak,
                Secrecy = Less(inputs.Secrecy, change.Secrecy),
                Correctness = Less(inputs.Correctness, change.Correctness),
            });
        });
    }

    /// <summary>The two brighter intensities of a block of three.</summary>
    private static Problem OneDecoy(TwoDecoyInputs block, (double Secrecy, double Correctness) e, Func<OneDecoyInputs, KeyBound> bound)
    {
        var p = block.Intensities[0].Probability / (block.Intensities[0].Probability + block.Intensities[1].Probability);
        var inputs = new OneDecoyInputs
        {
            Intensities = [block.Intensities[0] with { Probability = p }, block.Intensities[1] with { Probability = 1 - p }],
            KeyCounts = [block.KeyCounts[0], block.KeyCounts[1]],
            KeyErrors = [Part(0), Part(1)],
            TestCounts = [block.TestCounts[0], block.TestCounts[1]],
            TestErrors = [block.TestErrors[0], block.TestErrors[1]],
            LeakedBits = block.LeakedBits,
            Secrecy = e.Secrecy,
            Correctness = e.Correctness,
        };
        return new(inputs.ToString(), inputs.KeyCounts.Sum(), change =>
        {
            long[] keyErrors = [.. inputs.KeyErrors.Select(count => count * change.KeyErrorFactor)];
            long[] testErrors = [.. inputs.TestErrors.Select(count => count * change.TestErrorFactor)];
            if (keyErrors.Zip(inputs.KeyCounts).Concat(testErrors.Zip(inputs.TestCounts)).Any(pair => pair.First > pair.Second))
            {
                return null;
            }

            return bound(inputs with
            {
                Intensities = At(inputs.Intensities, change.Where),
                KeyErrors = keyErrors,
                TestErrors = testErrors,
                LeakedBits = inputs.LeakedBits + change.MoreLeak,
                Secrecy = Less(inputs.Secrecy, change.Secrecy),
                Correctness = Less(inputs.Correctness, change.Correctness),
            });
        });

        // The key basis has the error rate of the test basis.
        long Part(int i) => block.TestCounts[i] == 0
            ? block.KeyCounts[i] / 2
            : Math.Min(block.KeyCounts[i], (long)((double)block.TestErrors[i] / block.TestCounts[i] * block.KeyCounts[i]));
    }

    private static Gen<Problem> TomamichelOf(Gen<long> counts, Gen<double> rates, Gen<double> leaks) =>
        from n in Gen.Select(counts, counts)
        from q in rates
        from leak in leaks
        from e in Epsilons
        select OfTomamichel(new()
        {
            Source = DeclaredSource.SinglePhotons,
            KeyBits = n.Item1,
            TestBits = n.Item2,
            ToleratedErrorRate = q,
            LeakedBits = leak * n.Item1 * FiniteKey.BinaryEntropy(q),
            Secrecy = e.Item1,
            Correctness = e.Item2,
        });

    private static Problem OfTomamichel(TomamichelInputs inputs) => new(inputs.ToString(), inputs.KeyBits, change =>
    {
        var rate = inputs.ToleratedErrorRate * change.TestErrorFactor;
        return rate > 1 ? null : FiniteKey.Tomamichel(inputs with
        {
            ToleratedErrorRate = rate,
            LeakedBits = inputs.LeakedBits + change.MoreLeak,
            Secrecy = Less(inputs.Secrecy, change.Secrecy),
            Correctness = Less(inputs.Correctness, change.Correctness),
        });
    });

    private static Gen<Problem> PairsOf(Gen<long> counts, Gen<double> rates, Gen<double> deviations, Gen<double> shares, Gen<double> leaks) =>
        from n in Gen.Select(counts, Gen.Double[0, 1])
        from q in rates
        from deviation in Gen.Select(deviations, shares)
        from leak in leaks
        from tag in Gen.Int[20, 120]
        from e in BoundGen.Epsilon
        select OfPairs(new()
        {
            Source = DeclaredSource.EntangledPairs,
            TotalBits = n.Item1,
            TestBits = (long)(n.Item1 * n.Item2),
            ToleratedErrorRate = q,
            KeyDeviation = Math.Clamp(deviation.Item1, 1e-6, .4999 - q),
            TotalDeviation = deviation.Item2 * Math.Clamp(deviation.Item1, 1e-6, .4999 - q),
            LeakedBits = leak * n.Item1 * FiniteKey.BinaryEntropy(q),
            VerificationBits = tag,
            Epsilon = e,
        });

    private static Problem OfPairs(LimXuPanEkertInputs inputs) => new(inputs.ToString(), inputs.TotalBits - inputs.TestBits, change =>
    {
        var rate = inputs.ToleratedErrorRate * change.TestErrorFactor;
        return rate + inputs.KeyDeviation >= .5 ? null : FiniteKey.LimXuPanEkert(inputs with
        {
            ToleratedErrorRate = rate,
            LeakedBits = inputs.LeakedBits + change.MoreLeak,
            Epsilon = Less(inputs.Epsilon, change.Secrecy),
        });
    });

    private static IReadOnlyList<IntensityClass> At(IReadOnlyList<IntensityClass> intensities, double[]? where) =>
        where is null ? intensities : [.. intensities.Select((intensity, i) =>
        {
            var mean = intensity.MeanLow + (where[i] * (intensity.MeanHigh - intensity.MeanLow));
            return intensity with { Mean = mean, MeanLow = mean, MeanHigh = mean };
        })];
}
