namespace Qkd.Node.Polarization;

/// <summary>
/// A <see cref="PaddleModel"/> fitted to all contrasts that were measured, and how far it can be trusted: the covariance of its parameters,
/// from the slopes of the residuals at the minimum.
/// </summary>
internal sealed class ModelFit
{
    /// <summary>Standard deviation of the nominal retardances in waves: paddles of one make differ by about so much.</summary>
    private const double RetardanceUncertainty = 0.03;

    /// <summary>What the model leaves out of a contrast: bases that are not quite square, steps of the motors, drift while it is measured.</summary>
    private const double ModelSigma = 0.008;

    private const double ExpectedVisibility = 0.97;
    private const double VisibilityUncertainty = 0.3;
    private const int Starts = 24;
    private const int Iterations = 60;

    private readonly double[] _parameters;
    private readonly double[,] _information;

    private ModelFit(double[] parameters, double[,] information)
    {
        _parameters = parameters;
        _information = information;
        Model = PaddleModel.From(parameters);
    }

    /// <summary>The model.</summary>
    public PaddleModel Model { get; }

    /// <summary>Fits.</summary>
    /// <param name="measurements">Angles in degrees and the contrasts seen there.</param>
    /// <param name="nominalWaves">Nominal retardances.</param>
    /// <param name="last">Where to begin; null to begin anywhere.</param>
    /// <param name="random">Draws the other beginnings.</param>
    public static ModelFit To(
        IReadOnlyList<(double[] Degrees, Contrasts Seen)> measurements, double[] nominalWaves, PaddleModel? last, Random random)
    {
        void Residuals(ReadOnlySpan<double> p, Span<double> r)
        {
            var model = PaddleModel.From(p);
            var at = 0;
            foreach (var (degrees, seen) in measurements)
            {
                var rotation = model.At(degrees);
                r[at++] = Weight(seen.ZtoZ, seen.Sigma) * ((p[9] * rotation.ZtoZ) - seen.ZtoZ);
                r[at++] = Weight(seen.ZtoX, seen.Sigma) * ((p[9] * rotation.ZtoX) - seen.ZtoX);
                r[at++] = Weight(seen.XtoZ, seen.Sigma) * ((p[9] * rotation.XtoZ) - seen.XtoZ);
                r[at++] = Weight(seen.XtoX, seen.Sigma) * ((p[9] * rotation.XtoX) - seen.XtoX);
            }

            for (var i = 0; i < 3; i++)
            {
                r[at++] = (p[6 + i] - nominalWaves[i]) / RetardanceUncertainty;
            }

            r[at] = (p[9] - ExpectedVisibility) / VisibilityUncertainty;
        }

        var count = (4 * measurements.Count) + 4;
        var best = new double[PaddleModel.ParameterCount];
        var trial = new double[PaddleModel.ParameterCount];
        var least = double.PositiveInfinity;
        for (var start = 0; start < Starts; start++)
        {
            if (start == 0 && last is not null)
            {
                last.CopyTo(trial);
            }
            else
            {
                for (var i = 0; i < 6; i++)
                {
                    trial[i] = (random.NextDouble() - 0.5) * 2 * Math.PI;
                }

                nominalWaves.CopyTo(trial.AsSpan(6));
                trial[9] = ExpectedVisibility;
            }

            var sum = LeastSquares.Minimise(Residuals, trial, count, Iterations);
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

        return new(best, LeastSquares.Information(Residuals, best, count));
    }

    /// <summary>Error rate, of the worse basis, that the model expects of misalignment at these angles.</summary>
    public double ExtraError(ReadOnlySpan<double> degrees)
    {
        var rotation = Model.At(degrees);
        return (1 - Math.Min(rotation.ZtoZ, rotation.XtoX)) / 2;
    }

    /// <summary>
    /// Error rate, of the worse basis, that is to be expected on top because the model is not known better: an unknown small rotation w
    /// errs by (w₂² + w₃²)/4 in Z and (w₁² + w₃²)/4 in X. Infinite where the measurements leave a parameter open.
    /// </summary>
    public double Doubt(ReadOnlySpan<double> degrees)
    {
        const double step = 1e-5;
        const int n = PaddleModel.ParameterCount;
        var there = Model.At(degrees);
        var slopes = new double[3][];
        for (var axis = 0; axis < 3; axis++)
        {
            slopes[axis] = new double[n];
        }

        double[] moved = [.. _parameters];
        for (var i = 0; i < n; i++)
        {
            moved[i] += step;
            var (w1, w2, w3) = PaddleModel.From(moved).At(degrees).TurnFrom(there);
            (slopes[0][i], slopes[1][i], slopes[2][i]) = (w1 / step, w2 / step, w3 / step);
            moved[i] = _parameters[i];
        }

        Span<double> variance = stackalloc double[3];
        Span<double> solution = stackalloc double[n];
        for (var axis = 0; axis < 3; axis++)
        {
            if (!LeastSquares.Solve(_information, slopes[axis], solution))
            {
                return double.PositiveInfinity;
            }

            for (var i = 0; i < n; i++)
            {
                variance[axis] += slopes[axis][i] * solution[i];
            }
        }

        return (Math.Max(variance[0], variance[1]) + variance[2]) / 4;
    }

    /// <summary>Covariance of the parameters, in their units; zero where the measurements say nothing of them.</summary>
    public double[,] Covariance()
    {
        const int n = PaddleModel.ParameterCount;
        var covariance = new double[n, n];
        Span<double> unit = stackalloc double[n];
        Span<double> column = stackalloc double[n];
        for (var j = 0; j < n; j++)
        {
            unit.Clear();
            unit[j] = 1;
            if (LeastSquares.Solve(_information, unit, column))
            {
                for (var i = 0; i < n; i++)
                {
                    covariance[i, j] = column[i];
                }
            }
        }

        return covariance;
    }

    /// <summary>
    /// Variance of a contrast: near ±1 it is known better than near 0, of n clicks (1 − c²)/n, with a floor because c is itself only measured,
    /// and with what the model leaves out.
    /// </summary>
    public static double Variance(double contrast, double sigma) =>
        (sigma * sigma * Math.Max(1 - (contrast * contrast), 0.05)) + (ModelSigma * ModelSigma);

    private static double Weight(double contrast, double sigma) => 1 / Math.Sqrt(Variance(contrast, sigma));
}
