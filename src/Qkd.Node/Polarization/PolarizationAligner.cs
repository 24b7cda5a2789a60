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
    /// <summary>Error rate, of the worse basis, by which an alignment may miss the best setting that the paddles have.</summary>
    public const double Tolerance = 0.003;

    /// <summary>What the model must promise: less than the tolerance, since a model fitted to few clicks thinks a little too well of itself.</summary>
    private const double Goal = 0.002;

    private const double LeastVisibility = 0.88;
    private const double DarkSigma = 0.2;
    private const double DoubtFactor = 7;
    private const double ConfirmationSigmas = 2;
    private const double ProbeDegrees = 14;
    private const double AtTargetDegrees = 0.15;

    // In squared radians of misalignment, four times an error rate: what is given up for short ways and for room to follow the fibre.
    private const double CostOfTravel = 2e-4;
    private const double CostAtEnd = 2e-3;
    private const double RoomDegrees = 25;

    private const int ExplorationSettings = 5;
    private const int TargetStarts = 48;

    private readonly PaddleLimits _limits;
    private readonly double[] _nominalWaves;
    private readonly double _errorLimit;
    private readonly int _maximumMeasurements;
    private readonly double _alignedBelow;
    private readonly List<(double[] Degrees, Contrasts Seen)> _measurements = [];
    private readonly Random _random;
    private ModelFit? _fit;

    /// <summary>Creates an aligner that knows nothing yet.</summary>
    /// <param name="limits">The paddles.</param>
    /// <param name="errorLimit">Error rate, 0 to 0.5, above which the bench does not count as aligned.</param>
    /// <param name="maximumMeasurements">Measurements after which it gives up.</param>
    /// <param name="alignedBelow">Error rate below which the bench counts as aligned at the first look, its paddles unlearnt; 0 to learn them always.</param>
    /// <param name="seed">Seed of the starting points of its searches.</param>
    public PolarizationAligner(PaddleLimits limits, double errorLimit, int maximumMeasurements, double alignedBelow = 0, int seed = 1)
    {
        ArgumentNullException.ThrowIfNull(limits);
        _limits = limits;
        _nominalWaves = [.. limits.RetardanceWaves];
        _errorLimit = errorLimit;
        _maximumMeasurements = maximumMeasurements;
        _alignedBelow = alignedBelow;
        _random = new Random(seed);
    }

    /// <summary>Measurements taken since the start.</summary>
    public int Measurements => _measurements.Count;

    /// <summary>The model fitted last; null before.</summary>
    internal PaddleModel? Model => _fit?.Model;

    /// <summary>The model fitted last and how well it is known; null before.</summary>
    internal ModelFit? Fit => _fit;

    /// <summary>Forgets what was measured: the fibre has changed. The model stays as a starting point.</summary>
    public void Restart() => _measurements.Clear();

    /// <summary>
    /// Whether an alignment of this bench still holds: error rates below the limit and, within the tolerance and chance, no higher than its visibility
    /// explains. False before the first alignment.
    /// </summary>
    /// <param name="seen">Contrasts measured now.</param>
    public bool Holds(Contrasts seen) =>
        _fit is not null && seen.Sigma <= DarkSigma && Math.Max(seen.ErrorZ, seen.ErrorX) < _errorLimit && Agrees(seen, 0);

    /// <summary>Takes a measurement and says what to do next.</summary>
    /// <param name="degrees">Where the paddles stood.</param>
    /// <param name="seen">The contrasts there.</param>
    public AlignmentStep Next(IReadOnlyList<double> degrees, Contrasts seen)
    {
        double[] here = [.. degrees];
        _measurements.Add((here, seen));
        if (seen.Sigma > DarkSigma)
        {
            return new AlignmentStep.Failed(FormattableString.Invariant(
                $"polarization cannot be aligned without light: of the pilots one pair of bases has {1 / (seen.Sigma * seen.Sigma):0} clicks where {1 / (DarkSigma * DarkSigma):0} are needed. Fibre, attenuation, bias or threshold of the detectors may be the cause"));
        }

        // The bench as it was left: one look is enough to see whether it still stands.
        if (_measurements.Count == 1 && _fit is not null && _fit.ExtraError(here) < Tolerance && Holds(seen))
        {
            return new AlignmentStep.Aligned();
        }

        // A bench that was aligned by hand.
        if (_measurements.Count == 1 && Math.Max(seen.ErrorZ, seen.ErrorX) < _alignedBelow)
        {
            return new AlignmentStep.Aligned();
        }

        if (_measurements.Count <= ExplorationSettings)
        {
            return _measurements.Count < _maximumMeasurements ? new AlignmentStep.Move(Exploration(_measurements.Count)) : Failed();
        }

        _fit = ModelFit.To(_measurements, _nominalWaves, Model, _random);
        if (_measurements.Count >= ExplorationSettings + 3 && _fit.Model.Visibility < LeastVisibility)
        {
            return Failed();
        }

        var target = Target();
        var least = _fit.ExtraError(target);
        if (_fit.ExtraError(here) - least + (DoubtFactor * _fit.Doubt(here)) < Goal && Agrees(seen, _fit.ExtraError(here)))
        {
            return Math.Max(seen.ErrorZ, seen.ErrorX) < _errorLimit ? new AlignmentStep.Aligned() : Failed();
        }

        if (_measurements.Count >= _maximumMeasurements)
        {
            return Failed();
        }

        // Where the model is sure, to the target. Where it is not, beside it: there the contrasts show in first order what they hide at the target.
        var sure = DoubtFactor * _fit.Doubt(target) < Goal && Distance(target, here) > AtTargetDegrees;
        return new AlignmentStep.Move(sure ? target : Beside(target));
    }

    private static double Distance(ReadOnlySpan<double> a, double[] b)
    {
        var largest = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(a[i] - b[i]));
        }

        return largest;
    }

    private AlignmentStep.Failed Failed() => new(Describe());

    private double[] Beside(double[] target) =>
        [.. target.Select(angle => _limits.Clamp(angle + ((_random.NextDouble() - 0.5) * 2 * ProbeDegrees)))];

    /// <summary>Whether error rates are no higher than the model says, within chance.</summary>
    private bool Agrees(Contrasts seen, double extraError)
    {
        var expected = Math.Clamp(((1 - _fit!.Model.Visibility) / 2) + extraError, 0.002, 0.5);
        var sigma = seen.Sigma * Math.Sqrt(expected * (1 - expected));
        return Math.Max(seen.ErrorZ, seen.ErrorX) < expected + Tolerance + (ConfirmationSigmas * sigma);
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

    /// <summary>
    /// The setting that the model likes best. Of several that are nearly as good, one that leaves the paddles room to follow the fibre, and that is
    /// near to where they are.
    /// </summary>
    private double[] Target()
    {
        var model = Model!;
        var (now, _) = _measurements[^1];
        void Residuals(ReadOnlySpan<double> degrees, Span<double> r)
        {
            (r[0], r[1], r[2]) = model.At(degrees).TurnFrom(Rotation.Identity);
            for (var i = 0; i < 3; i++)
            {
                r[3 + i] = 10 * (degrees[i] - _limits.Clamp(degrees[i]));
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

            var error = LeastSquares.Minimise(Residuals, trial, 6, 60);
            var travel = Distance(trial, now) / (_limits.Maximum - _limits.Minimum);
            var cost = error + (CostOfTravel * travel) + trial.Sum(CostOfEdge);
            if (cost < least)
            {
                least = cost;
                best = [.. trial.Select(_limits.Clamp)];
            }
        }

        return best!;
    }

    private double CostOfEdge(double degrees)
    {
        var room = Math.Min(degrees - _limits.Minimum, _limits.Maximum - degrees);
        return CostAtEnd * Math.Clamp(1 - (room / RoomDegrees), 0, 1);
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
