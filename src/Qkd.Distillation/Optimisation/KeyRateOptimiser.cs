namespace Qkd.Distillation;

/// <summary>The intensities, probabilities and basis bias that give the most secret bits a pulse on a link.</summary>
public static class KeyRateOptimiser
{
    private const double BrightestMean = 1.2;
    private const int Evaluations = 500;
    private const int Rounds = 6;
    private const double Tolerance = 1e-7;

    // Where searches begin, from short blocks to long ones: brightest mean, the next by the brightest, first and second probability, key basis.
    private static readonly double[][] Starts =
    [
        [0.45, 0.33, 0.5, 0.3, 0.8],
        [0.55, 0.2, 0.7, 0.2, 0.9],
        [0.35, 0.45, 0.2, 0.55, 0.6],
        [0.6, 0.25, 0.9, 0.07, 0.96],
    ];

    private static readonly double[][] PairStarts = [[0.3, 0.09, 0.75], [0.2, 0.05, 0.75], [0.1, 0.02, 0.8], [0.5, 0.14, 0.75]];

    /// <summary>Seeks the best source settings by Nelder-Mead from several starting points. Deterministic.</summary>
    /// <param name="link">The link.</param>
    /// <param name="settings">Bound, block and failure probabilities.</param>
    /// <param name="near">A further starting point, such as the best for a similar link.</param>
    /// <returns>The best that was found; no key if every attempt ends without one.</returns>
    /// <exception cref="DistillationException">A value is out of its range.</exception>
    public static KeyRate Best(LinkModel link, KeyRateSettings settings, SourceSettings? near = null)
    {
        ArgumentNullException.ThrowIfNull(link);
        ArgumentNullException.ThrowIfNull(settings);
        link.Validate();
        settings.Validate();
        var code = new Code(settings);
        double Worth(double[] point) => Score(KeyRateModel.At(link, settings, code.Read(point)));
        IEnumerable<double[]> starts = code.Starts();
        if (near is not null && near.Means.Count == settings.IntensityCount)
        {
            starts = starts.Prepend(code.Write(near));
        }

        var ends = starts.Select(start => NelderMead.Maximise(Worth, start, step: 0.4, Evaluations / 2, 1e-4)).OrderByDescending(end => end.Value);
        (double[] Point, double Value) best = ends.First();
        for (var round = 0; round < Rounds; round++)
        {
            // A fresh simplex at the end of the last: the method can stall.
            var again = NelderMead.Maximise(Worth, best.Point, step: round % 2 == 0 ? 0.3 : -0.1, Evaluations, Tolerance);
            var gained = again.Value - best.Value;
            best = again.Value > best.Value ? again : best;
            if (round > 0 && gained <= 1e-6 * Math.Abs(best.Value))
            {
                break;
            }
        }

        return KeyRateModel.At(link, settings, code.Read(best.Point));
    }

    /// <summary>Secret bits a pulse; without a key a negative number that is greater the nearer the phase error rate is to one that gives some.</summary>
    private static double Score(KeyRate rate) =>
        rate.SecretBits > 0 ? rate.SecretBitsPerPulse
        : rate.Bound.PhaseErrorRate is >= 0 and < 1 and var phase ? -phase + (Math.Min(0, rate.Bound.SecretLength) / 1e15) - 1e-9
        : -1 - Starvation(rate);

    /// <summary>Where not even a phase error rate is known: how few the test basis' detections are.</summary>
    private static double Starvation(KeyRate rate) => 1 / (1.0 + Math.Min(rate.TestCounts.Sum(), rate.KeyCounts.Sum()));

    /// <summary>Source settings as numbers without limits.</summary>
    private sealed class Code(KeyRateSettings settings)
    {
        private double Weakest => settings.WeakestMean;

        public IEnumerable<double[]> Starts() => settings.Bound switch
        {
            KeyBoundKind.LimXuPanEkert => PairStarts.Select(s => Write(new() { TestShare = s[0], KeyDeviation = s[1], TotalDeviation = s[1] * s[2] })),
            KeyBoundKind.Tomamichel => KeyRateOptimiser.Starts.Select(s => Write(new() { KeyBasis = s[4] })),
            _ => KeyRateOptimiser.Starts.Select(s => Write(settings.IntensityCount == 3
                ? new() { Means = [s[0], s[0] * s[1], Weakest], Probabilities = [s[2], s[3], 1 - s[2] - s[3]], KeyBasis = s[4] }
                : new() { Means = [s[0], s[0] * s[1]], Probabilities = [s[2], 1 - s[2]], KeyBasis = s[4] })),
        };

        public SourceSettings Read(double[] x)
        {
            switch (settings.Bound)
            {
                case KeyBoundKind.LimXuPanEkert:
                    var nu = 0.499 * Share(x[1]);
                    return new() { TestShare = Share(x[0]), KeyDeviation = nu, TotalDeviation = nu * Share(x[2]) };
                case KeyBoundKind.Tomamichel:
                    return new() { KeyBasis = Share(x[0]) };
            }

            var bright = LeastBright + ((BrightestMean - LeastBright) * Share(x[0]));
            var decoy = LeastDecoy + ((MostDecoy(bright) - LeastDecoy) * Share(x[1]));
            if (settings.IntensityCount == 2)
            {
                var p = Share(x[2]);
                return new() { Means = [bright, decoy], Probabilities = [p, 1 - p], KeyBasis = Share(x[3]) };
            }

            var (a, b) = (Math.Exp(Math.Clamp(x[2], -12, 12)), Math.Exp(Math.Clamp(x[3], -12, 12)));
            var sum = a + b + 1;
            return new()
            {
                Means = [bright, decoy, Weakest],
                Probabilities = [a / sum, b / sum, 1 - (a / sum) - (b / sum)],
                KeyBasis = Share(x[4]),
            };
        }

        public double[] Write(SourceSettings source)
        {
            switch (settings.Bound)
            {
                case KeyBoundKind.LimXuPanEkert:
                    return [Free(source.TestShare), Free(source.KeyDeviation / 0.499), Free(source.TotalDeviation / source.KeyDeviation)];
                case KeyBoundKind.Tomamichel:
                    return [Free(source.KeyBasis)];
            }

            var (bright, decoy) = (source.Means[0], source.Means[1]);
            var first = Free((bright - LeastBright) / (BrightestMean - LeastBright));
            var second = Free((decoy - LeastDecoy) / (MostDecoy(bright) - LeastDecoy));
            return settings.IntensityCount == 2
                ? [first, second, Free(source.Probabilities[0]), Free(source.KeyBasis)]
                : [first, second, Math.Log(source.Probabilities[0] / source.Probabilities[2]), Math.Log(source.Probabilities[1] / source.Probabilities[2]), Free(source.KeyBasis)];
        }

        // Within these the order of the intensities holds over their intervals.
        private double Wide => (1 + settings.IntensityUncertainty) / (1 - settings.IntensityUncertainty);

        private double LeastBright => 0.02 + (4 * Wide * Wide * Weakest);

        private double LeastDecoy => settings.IntensityCount == 2 ? 1e-3 : (1.001 * Wide * Weakest) + 1e-4;

        private double MostDecoy(double bright) => Math.Max(LeastDecoy * 1.01, (0.98 * bright / Wide) - (settings.IntensityCount == 2 ? 0 : Weakest));

        // A number without limits as a share between 0 and 1, and back.
        private static double Share(double x) => Math.Clamp(1 / (1 + Math.Exp(-x)), 1e-6, 1 - 1e-6);

        private static double Free(double share)
        {
            var inside = Math.Clamp(share, 1e-5, 1 - 1e-5);
            return Math.Log(inside / (1 - inside));
        }
    }
}
