namespace Qkd.Node.Polarization;

/// <summary>What the aligner wants next.</summary>
public abstract record AlignmentStep
{
    private AlignmentStep()
    {
    }

    /// <summary>Move the paddles there, measure, and come back.</summary>
    /// <param name="Degrees">One angle a paddle.</param>
    public sealed record Move(IReadOnlyList<double> Degrees) : AlignmentStep;

    /// <summary>Aligned as they stand.</summary>
    public sealed record Aligned : AlignmentStep;

    /// <summary>Cannot be aligned; the reason is for a person.</summary>
    /// <param name="Reason">Why.</param>
    public sealed record Failed(string Reason) : AlignmentStep;
}

/// <summary>
/// Aligns a three-paddle controller by learning: it measures the contrasts at a few settings, fits a model of fibre and paddles to all
/// that was measured, goes where the model promises alignment, and measures again. No I/O and no clock; one caller.
/// </summary>
/// <remarks>
/// Near alignment an error rate shows a misalignment only in second order, but the contrasts between different bases show one of its three
/// components in first order, and measurements at different settings the others. That is why a model fitted to all contrasts needs
/// some ten measurements where a search for the smallest error rate needs fifty.
/// </remarks>
public sealed class PolarizationAligner
{
    /// <summary>Extra error rate, per basis, that counts as aligned.</summary>
    public const double Tolerance = 0.003;

    private const double RetardanceUncertainty = 0.02;
    private const double LeastVisibility = 0.88;
    private const double ModelSigma = 0.004;
    private const int ExplorationSettings = 5;
    private const int FitStarts = 24;
    private const int TargetStarts = 48;

    private readonly PaddleLimits _limits;
    private readonly double[] _nominalWaves;
    private readonly double _errorLimit;
    private readonly int _maximumMeasurements;
    private readonly List<(double[] Degrees, Contrasts Seen)> _measurements = [];
    private readonly Random _random;
    private double[]? _best;

    /// <summary>Creates an aligner that knows nothing yet.</summary>
    /// <param name="limits">The paddles.</param>
    /// <param name="errorLimit">Error rate, 0 to 0.5, above which the bench does not count as aligned.</param>
    /// <param name="maximumMeasurements">Measurements after which it gives up.</param>
    /// <param name="seed">Seed of the starting points of its searches.</param>
    public PolarizationAligner(PaddleLimits limits, double errorLimit, int maximumMeasurements, int seed = 1)
    {
        ArgumentNullException.ThrowIfNull(limits);
        _limits = limits;
        _nominalWaves = [.. limits.RetardanceWaves];
        _errorLimit = errorLimit;
        _maximumMeasurements = maximumMeasurements;
        _random = new Random(seed);
    }

    /// <summary>Measurements taken since the start.</summary>
    public int Measurements => _measurements.Count;

    /// <summary>The model fitted last; null before.</summary>
    internal PaddleModel? Model { get; private set; }

    /// <summary>Forgets what was measured: the fibre has changed. The model stays as a starting point.</summary>
    public void Restart() => _measurements.Clear();

    /// <summary>Takes a measurement and says what to do next.</summary>
    /// <param name="degrees">Where the paddles stood.</param>
    /// <param name="seen">The contrasts there.</param>
    public AlignmentStep Next(IReadOnlyList<double> degrees, Contrasts seen)
    {
        _measurements.Add(([.. degrees], seen));
        if (IsAligned(seen))
        {
            // The model need not be ready for that, but the tracker wants one.
            if (_measurements.Count >= 3)
            {
                Fit();
            }

            return new AlignmentStep.Aligned();
        }

        if (_measurements.Count >= _maximumMeasurements)
        {
            return new AlignmentStep.Failed(Describe());
        }

        // A fibre that moved a little since the last alignment: the old model serves to begin with.
        if (_measurements.Count <= ExplorationSettings && (Model is null || _measurements.Count > 1))
        {
            return new AlignmentStep.Move(Exploration(_measurements.Count));
        }

        if (_measurements.Count > ExplorationSettings)
        {
            Fit();
            if (_measurements.Count >= ExplorationSettings + 3 && Model!.Visibility < LeastVisibility)
            {
                return new AlignmentStep.Failed(Describe());
            }
        }

        var target = Target();
        if (_best is not null && Distance(target, degrees) < 0.15)
        {
            // The model thinks that this is it, the measurement does not: step aside and learn.
            target = [.. target.Select(angle => _limits.Clamp(angle + (_random.NextDouble() - 0.5) * 16))];
        }

        _best = target;
        return new AlignmentStep.Move(target);
    }

    private static double Distance(ReadOnlySpan<double> a, IReadOnlyList<double> b)
    {
        var largest = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(a[i] - b[i]));
        }

        return largest;
    }

    /// <summary>
    /// Aligned is as good as the visibility allows, within the tolerance, and in any case below the error limit. Before there is a model the
    /// visibility is taken for perfect and only the limit counts.
    /// </summary>
    private bool IsAligned(Contrasts seen)
    {
        var worst = Math.Max(seen.ErrorZ, seen.ErrorX);
        if (worst > _errorLimit)
        {
            return false;
        }

        var floor = Model is { } model && _measurements.Count > ExplorationSettings ? (1 - model.Visibility) / 2 : 0.01;
        return worst < floor + Tolerance + (seen.Sigma / 2);
    }

    private string Describe()
    {
        var visibility = Model?.Visibility ?? 0;
        var (z, x) = (_measurements.Min(m => m.Seen.ErrorZ), _measurements.Min(m => m.Seen.ErrorX));
        return FormattableString.Invariant(
            $"polarization cannot be aligned after {_measurements.Count} measurements: the contrast is {visibility:0.00} where {LeastVisibility:0.00} is needed, the lowest error rates seen are Z {z:P1}, X {x:P1}. An eavesdropper, stray light or a depolarising fibre looks like this");
    }

    private double[] Exploration(int number)
    {
        // Spread over the range so that each paddle takes different angles each time (a Latin square with a random shift).
        double[][] fractions = [[0.1, 0.7, 0.4], [0.45, 0.2, 0.85], [0.8, 0.5, 0.15], [0.3, 0.95, 0.6], [0.65, 0.35, 0.95]];
        var fraction = fractions[(number - 1) % fractions.Length];
        return [.. fraction.Select(f => _limits.Minimum + (((f + (0.08 * (_random.NextDouble() - 0.5))) * (_limits.Maximum - _limits.Minimum))))];
    }

    private void Fit()
    {
        var nominal = _nominalWaves;
        var measurements = _measurements;
        void Residuals(ReadOnlySpan<double> p, Span<double> r)
        {
            var model = PaddleModel.From(p);
            var at = 0;
            foreach (var (degrees, seen) in measurements)
            {
                var rotation = model.At(degrees);
                var weight = 1 / Math.Sqrt((seen.Sigma * seen.Sigma) + (ModelSigma * ModelSigma));
                r[at++] = weight * ((p[9] * rotation.ZtoZ) - seen.ZtoZ);
                r[at++] = weight * ((p[9] * rotation.ZtoX) - seen.ZtoX);
                r[at++] = weight * ((p[9] * rotation.XtoZ) - seen.XtoZ);
                r[at++] = weight * ((p[9] * rotation.XtoX) - seen.XtoX);
            }

            for (var i = 0; i < 3; i++)
            {
                r[at++] = (p[6 + i] - nominal[i]) / RetardanceUncertainty;
            }

            r[at] = (p[9] - 0.97) / 0.3;
        }

        var count = (4 * measurements.Count) + 4;
        var best = new double[PaddleModel.ParameterCount];
        var least = double.PositiveInfinity;
        var trial = new double[PaddleModel.ParameterCount];
        for (var start = 0; start < FitStarts; start++)
        {
            if (start == 0 && Model is { } last)
            {
                last.CopyTo(trial);
            }
            else
            {
                for (var i = 0; i < 6; i++)
                {
                    trial[i] = (_random.NextDouble() - 0.5) * 2 * Math.PI;
                }

                nominal.CopyTo(trial.AsSpan(6));
                trial[9] = 0.97;
            }

            var sum = LeastSquares.Minimise(Residuals, trial, count, 60);
            if (sum < least)
            {
                least = sum;
                trial.CopyTo(best, 0);
            }

            // As good as the noise allows: no better minimum is to be had.
            if (least < count)
            {
                break;
            }
        }

        Model = PaddleModel.From(best);
    }

    /// <summary>The setting that the model likes best; of several equally good ones the one nearest to where the paddles are.</summary>
    private double[] Target()
    {
        var model = Model!;
        var (now, _) = _measurements[^1];
        void Residuals(ReadOnlySpan<double> degrees, Span<double> r)
        {
            var rotation = model.At(degrees);
            r[0] = rotation.ZtoZ - 1;
            r[1] = rotation.ZtoX;
            r[2] = rotation.XtoZ;
            r[3] = rotation.XtoX - 1;
            for (var i = 0; i < 3; i++)
            {
                r[4 + i] = 10 * (degrees[i] - _limits.Clamp(degrees[i]));
            }
        }

        double[]? best = null;
        var least = double.PositiveInfinity;
        var trial = new double[3];
        for (var start = 0; start < TargetStarts; start++)
        {
            for (var i = 0; i < 3; i++)
            {
                trial[i] = start == 0 ? now[i] : _limits.Minimum + (_random.NextDouble() * (_limits.Maximum - _limits.Minimum));
            }

            var error = LeastSquares.Minimise(Residuals, trial, 7, 60);
            var travel = Distance(trial, now) / (_limits.Maximum - _limits.Minimum);
            var cost = error + (2e-4 * travel);
            if (cost < least)
            {
                least = cost;
                best = [.. trial.Select(_limits.Clamp)];
            }
        }

        return best!;
    }
}

/// <summary>The paddles of a controller.</summary>
/// <param name="Minimum">Smallest angle in degrees.</param>
/// <param name="Maximum">Largest angle in degrees.</param>
/// <param name="RetardanceWaves">Nominal retardance of each, in waves, from input to output.</param>
public sealed record PaddleLimits(double Minimum, double Maximum, IReadOnlyList<double> RetardanceWaves)
{
    /// <summary>The nearest allowed angle.</summary>
    public double Clamp(double degrees) => Math.Clamp(degrees, Minimum, Maximum);
}
