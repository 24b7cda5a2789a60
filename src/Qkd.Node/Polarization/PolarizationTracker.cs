namespace Qkd.Node.Polarization;

/// <summary>
/// Follows the slow drift of the fibre while key is made: a Kalman filter over the small rotation by which the fibre has moved since the
/// alignment and over what the alignment left open, fed by the same contrasts, with small known movements of the paddles that make every
/// component of the rotation visible.
/// </summary>
/// <remarks>
/// State: the rotation vector d (radians) that the fibre has turned, a random walk, and the ten parameters of the <see cref="PaddleModel"/>,
/// which stay but are known no better than the alignment's fit. A measurement sees v · After(θ) · About(d) · Before. The paddles then go where the
/// model with the estimated d is aligned, plus a dither of fixed size whose direction changes from step to step; its cost in error rate is
/// stated by <see cref="DitherErrorRate"/>.
/// </remarks>
public sealed class PolarizationTracker
{
    /// <summary>Amplitude of the dither in degrees of paddle angle.</summary>
    public const double DitherDegrees = 0.6;

    /// <summary>Error rate that the dither adds at most: a paddle turns the sphere by up to four times its angle.</summary>
    public static double DitherErrorRate => Math.Pow(4 * DitherDegrees * Math.PI / 180 / 2, 2);

    private const int Turns = 3;
    private const int States = Turns + PaddleModel.ParameterCount;
    private const double DriftRadiansPerRootSecond = 0.015;
    private const double LargestStepDegrees = 3;
    private const double DampingPerDegree = 0.01;
    private const double ErrorAtEndOfRange = 0.005;
    private const double SlopeStep = 1e-4;

    private static readonly double[][] DitherDirections =
        [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];

    private readonly PaddleLimits _limits;
    private readonly double[] _state = new double[States];
    private readonly double[,] _covariance = new double[States, States];
    private readonly double _errorAtStart;
    private double[] _centre;
    private int _step;

    internal PolarizationTracker(ModelFit fit, PaddleLimits limits, IReadOnlyList<double> degrees)
    {
        _limits = limits;
        _centre = [.. degrees];
        _errorAtStart = fit.ExtraError(_centre);
        fit.Model.CopyTo(_state.AsSpan(Turns));
        var known = fit.Covariance();
        for (var i = 0; i < PaddleModel.ParameterCount; i++)
        {
            for (var j = 0; j < PaddleModel.ParameterCount; j++)
            {
                _covariance[Turns + i, Turns + j] = known[i, j];
            }
        }
    }

    /// <summary>Error rate, of the worse basis, that the model expects at the best setting within reach.</summary>
    public double RemainingError { get; private set; }

    /// <summary>
    /// Whether the paddles can still follow. False when the best setting within reach has become clearly worse than the alignment was: a paddle is
    /// at the end of its range, and only a new alignment finds a setting elsewhere.
    /// </summary>
    public bool CanFollow => RemainingError < _errorAtStart + ErrorAtEndOfRange;

    /// <summary>Takes a measurement and returns where the paddles should stand for the next.</summary>
    /// <param name="degrees">Where they stood.</param>
    /// <param name="seen">The contrasts there.</param>
    /// <param name="elapsed">Time since the last measurement.</param>
    public IReadOnlyList<double> Next(IReadOnlyList<double> degrees, Contrasts seen, TimeSpan elapsed)
    {
        Predict(elapsed.TotalSeconds);
        Update([.. degrees], seen);
        _centre = Aligned();
        var rotation = Seen(_centre, _state);
        RemainingError = (1 - Math.Min(rotation.ZtoZ, rotation.XtoX)) / 2;
        var dither = DitherDirections[_step++ % DitherDirections.Length];
        return [.. _centre.Select((angle, i) => _limits.Clamp(angle + (DitherDegrees * dither[i])))];
    }

    private static Rotation Seen(ReadOnlySpan<double> degrees, ReadOnlySpan<double> state)
    {
        var model = PaddleModel.From(state[Turns..]);
        return model.After(degrees) * Rotation.About(state[0], state[1], state[2]) * model.Before;
    }

    private static double Expected(ReadOnlySpan<double> degrees, ReadOnlySpan<double> state, int which) =>
        state[^1] * Contrast(Seen(degrees, state), which);

    private static double Contrast(Rotation rotation, int which) => which switch
    {
        0 => rotation.ZtoZ,
        1 => rotation.ZtoX,
        2 => rotation.XtoZ,
        _ => rotation.XtoX,
    };

    private void Predict(double seconds)
    {
        for (var i = 0; i < Turns; i++)
        {
            _covariance[i, i] += DriftRadiansPerRootSecond * DriftRadiansPerRootSecond * Math.Max(0, seconds);
        }
    }

    private void Update(double[] degrees, Contrasts seen)
    {
        // One contrast at a time: their noise is independent, and each update is a division instead of a matrix inverse.
        ReadOnlySpan<double> values = [seen.ZtoZ, seen.ZtoX, seen.XtoZ, seen.XtoX];
        Span<double> slope = stackalloc double[States];
        Span<double> gain = stackalloc double[States];
        double[] moved = [.. _state];
        for (var which = 0; which < values.Length; which++)
        {
            var expected = Expected(degrees, _state, which);
            for (var i = 0; i < States; i++)
            {
                _state.CopyTo(moved, 0);
                moved[i] += SlopeStep;
                slope[i] = (Expected(degrees, moved, which) - expected) / SlopeStep;
            }

            var innovation = ModelFit.Variance(values[which], seen.Sigma);
            for (var i = 0; i < States; i++)
            {
                gain[i] = 0;
                for (var j = 0; j < States; j++)
                {
                    gain[i] += _covariance[i, j] * slope[j];
                }

                innovation += slope[i] * gain[i];
            }

            for (var i = 0; i < States; i++)
            {
                _state[i] += gain[i] / innovation * (values[which] - expected);
            }

            for (var i = 0; i < States; i++)
            {
                for (var j = 0; j <= i; j++)
                {
                    _covariance[i, j] -= gain[i] * gain[j] / innovation;
                    _covariance[j, i] = _covariance[i, j];
                }
            }
        }
    }

    /// <summary>
    /// The aligned setting nearest to the present one, at most one step away from it. Where a turn can hardly be made by small movements (two paddles
    /// that do the same), the damping leaves it rather than going far for it.
    /// </summary>
    private double[] Aligned()
    {
        double[] from = [.. _centre];
        void Residuals(ReadOnlySpan<double> degrees, Span<double> r)
        {
            (r[0], r[1], r[2]) = Seen(degrees, _state).TurnFrom(Rotation.Identity);
            for (var i = 0; i < 3; i++)
            {
                r[3 + i] = (10 * (degrees[i] - _limits.Clamp(degrees[i]))) + (DampingPerDegree * (degrees[i] - from[i]));
            }
        }

        double[] target = [.. from];
        LeastSquares.Minimise(Residuals, target, 6, 20);
        for (var i = 0; i < target.Length; i++)
        {
            target[i] = _limits.Clamp(from[i] + Math.Clamp(target[i] - from[i], -LargestStepDegrees, LargestStepDegrees));
        }

        return target;
    }
}
