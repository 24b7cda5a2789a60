namespace Qkd.Distillation;

/// <summary>Expected counts of a link, and the bound at them.</summary>
public static class KeyRateModel
{
    private const int FixedPointSteps = 60;

    /// <summary>
    /// What a block is expected to give. Every count is its expected value, rounded: half of all blocks do worse, and a tolerated error rate
    /// is the expected one. The leak is f n h(Q) of the pooled error rate of the key basis.
    /// </summary>
    /// <exception cref="DistillationException">A value is out of its range.</exception>
    public static KeyRate At(LinkModel link, KeyRateSettings settings, SourceSettings source)
    {
        ArgumentNullException.ThrowIfNull(link);
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(source);
        link.Validate();
        settings.Validate();
        if (source.Means.Count != settings.IntensityCount || source.Probabilities.Count != settings.IntensityCount)
        {
            throw new DistillationException($"This bound needs {settings.IntensityCount} intensities, not {source.Means.Count}.");
        }

        if (!(source.KeyBasis is > 0 and < 1))
        {
            throw new DistillationException(FormattableString.Invariant($"The share of the key basis is {source.KeyBasis}; it must lie between 0 and 1."));
        }

        return settings.SecrecyPerBit is { } perBit ? PerBit(link, settings, source, perBit) : Evaluate(link, settings, source, settings.Secrecy);
    }

    /// <summary>
    /// The greatest length l with ε_sec = κ l. A length shrinks with its ε, so that the lengths from the longest thinkable one down fall
    /// towards it.
    /// </summary>
    private static KeyRate PerBit(LinkModel link, KeyRateSettings settings, SourceSettings source, double perBit)
    {
        var rate = Evaluate(link, settings, source, 0.5);
        var length = (double)rate.KeyCounts.Sum();
        for (var step = 0; step < FixedPointSteps && length > 0; step++)
        {
            rate = Evaluate(link, settings, source, Math.Clamp(perBit * length, 1e-30, 0.5));
            if (Math.Abs(rate.SecretBits - length) <= 1e-9 * length)
            {
                break;
            }

            length = rate.SecretBits;
        }

        return rate;
    }

    private static KeyRate Evaluate(LinkModel link, KeyRateSettings settings, SourceSettings source, double secrecy)
    {
        var (pulses, key, test) = Expected(link, settings, source);
        var block = new Block(
            Round(key, yield => yield.Clicks),
            Round(key, yield => yield.Errors),
            Round(test, yield => yield.Clicks),
            Round(test, yield => yield.Errors),
            key.Sum(yield => yield.Errors) / Math.Max(double.Epsilon, key.Sum(yield => yield.Clicks)),
            secrecy);
        return new()
        {
            Source = source,
            Bound = Bound(settings, source, block),
            Pulses = pulses,
            KeyCounts = block.KeyCounts,
            KeyErrors = block.KeyErrors,
            TestCounts = block.TestCounts,
            TestErrors = block.TestErrors,
            Secrecy = secrecy,
            KeyErrorRate = block.KeyErrorRate,
        };
    }

    private static KeyBound Bound(KeyRateSettings settings, SourceSettings source, Block block)
    {
        var leak = settings.ErrorCorrectionEfficiency * block.KeyCounts.Sum() * FiniteKey.BinaryEntropy(block.KeyErrorRate);
        IntensityClass[] intensities =
        [
            .. source.Means.Select((mean, i) => new IntensityClass(
                mean, mean * (1 - settings.IntensityUncertainty), mean * (1 + settings.IntensityUncertainty), source.Probabilities[i])),
        ];
        switch (settings.Bound)
        {
            case KeyBoundKind.TupkaryTwoDecoy:
                return FiniteKey.TwoDecoy(new()
                {
                    Intensities = intensities,
                    KeyCounts = block.KeyCounts,
                    TestCounts = block.TestCounts,
                    TestErrors = block.TestErrors,
                    LeakedBits = leak,
                    Security = settings.Security,
                });
            case KeyBoundKind.LimTwoDecoy:
                return FiniteKey.Lim(new()
                {
                    Intensities = intensities,
                    KeyCounts = block.KeyCounts,
                    TestCounts = block.TestCounts,
                    TestErrors = block.TestErrors,
                    LeakedBits = leak,
                    Secrecy = block.Secrecy,
                    Correctness = settings.Correctness,
                });
            case KeyBoundKind.WiesemannOneDecoy or KeyBoundKind.RuscaOneDecoy:
                var inputs = new OneDecoyInputs
                {
                    Intensities = intensities,
                    KeyCounts = block.KeyCounts,
                    KeyErrors = block.KeyErrors,
                    TestCounts = block.TestCounts,
                    TestErrors = block.TestErrors,
                    LeakedBits = leak,
                    Secrecy = block.Secrecy,
                    Correctness = settings.Correctness,
                };
                return settings.Bound == KeyBoundKind.RuscaOneDecoy ? FiniteKey.Rusca(inputs) : FiniteKey.Wiesemann(inputs);
            case KeyBoundKind.Tomamichel:
                return FiniteKey.Tomamichel(new()
                {
                    Source = DeclaredSource.SinglePhotons,
                    KeyBits = block.KeyCounts[0],
                    TestBits = block.TestCounts[0],
                    ToleratedErrorRate = (double)block.TestErrors[0] / Math.Max(1, block.TestCounts[0]),
                    LeakedBits = leak,
                    Secrecy = block.Secrecy,
                    Correctness = settings.Correctness,
                });
            default:
                return Pairs(settings, source, block);
        }
    }

    private static LimXuPanEkertBound Pairs(KeyRateSettings settings, SourceSettings source, Block block)
    {
        var (key, test) = (block.KeyCounts[0], block.TestCounts[0]);
        if (block.KeyErrorRate + source.KeyDeviation >= 0.5)
        {
            return new LimXuPanEkertBound { KeyBits = key, Reason = "the error rate is too high for any deviation" };
        }

        return FiniteKey.LimXuPanEkert(new()
        {
            Source = DeclaredSource.EntangledPairs,
            TotalBits = key + test,
            TestBits = test,
            ToleratedErrorRate = block.KeyErrorRate,
            KeyDeviation = source.KeyDeviation,
            TotalDeviation = source.TotalDeviation,
            Epsilon = block.Secrecy,

            // A tag that takes an eighth of ε.
            VerificationBits = (int)Math.Ceiling(-Math.Log2(block.Secrecy)) + 3,
            LeakedBits = settings.ErrorCorrectionEfficiency * key * FiniteKey.BinaryEntropy(block.KeyErrorRate),
        });
    }

    /// <summary>Expected counts and errors of a block, by intensity and basis.</summary>
    private static (double Pulses, BasisYield[] Key, BasisYield[] Test) Expected(LinkModel link, KeyRateSettings settings, SourceSettings source)
    {
        var eta = link.Transmittance;
        var light = settings.IntensityCount == 0
            ? [(1.0, 1 - eta, 1 - (eta / 2))]
            : source.Means.Select((mean, i) => (source.Probabilities[i], Math.Exp(-eta * mean), Math.Exp(-eta * mean / 2))).ToArray();
        var yields = light.Select(l => (Share: l.Item1, Both: link.Yields(l.Item2, l.Item3, source.KeyBasis))).ToArray();

        // Every detection makes the receiver dead, whatever basis Alice had.
        var live = link.LiveShare(yields.Sum(y => y.Share * (y.Both.Key.Clicks + y.Both.Test.Clicks)));
        var q = source.KeyBasis;
        BasisYield[] key = [.. yields.Select(y => live * y.Share * q * y.Both.Key)];
        BasisYield[] test = [.. yields.Select(y => live * y.Share * (1 - q) * y.Both.Test)];
        if (settings.Bound == KeyBoundKind.LimXuPanEkert)
        {
            // Key and test are drawn from the matching detections of both bases.
            var all = new BasisYield(key[0].Clicks + test[0].Clicks, key[0].Errors + test[0].Errors);
            (key[0], test[0]) = ((1 - source.TestShare) * all, source.TestShare * all);
        }

        var keyBits = key.Sum(y => y.Clicks) + (settings.Bound == KeyBoundKind.LimXuPanEkert ? test[0].Clicks : 0);
        var pulses = settings.Unit == BlockUnit.Pulses ? settings.BlockSize : keyBits > 0 ? settings.BlockSize / keyBits : 0;
        return (pulses, [.. key.Select(y => pulses * y)], [.. test.Select(y => pulses * y)]);
    }

    private static long[] Round(BasisYield[] yields, Func<BasisYield, double> value) =>
        [.. yields.Select(yield => (long)Math.Min(DecoyEstimates.MaximumCount, Math.Round(value(yield))))];

    private sealed record Block(long[] KeyCounts, long[] KeyErrors, long[] TestCounts, long[] TestErrors, double KeyErrorRate, double Secrecy);
}
