namespace Qkd.Node.Polarization;

/// <summary>
/// Levenberg-Marquardt for a handful of parameters, with differences in place of derivatives (Marquardt 1963). Small and dense: a dozen
/// parameters and a hundred residuals at most.
/// </summary>
internal static class LeastSquares
{
    /// <summary>Fills the residuals for these parameters.</summary>
    public delegate void Residuals(ReadOnlySpan<double> parameters, Span<double> residuals);

    /// <summary>Improves the parameters in place and returns the sum of squares that is left.</summary>
    public static double Minimise(Residuals residuals, Span<double> parameters, int residualCount, int iterations)
    {
        var n = parameters.Length;
        var (now, trial, moved) = (new double[residualCount], new double[residualCount], new double[n]);
        var jacobian = new double[residualCount, n];
        var (normal, gradient) = (new double[n, n], new double[n]);
        residuals(parameters, now);
        var sum = Square(now);
        var damping = 1e-2;
        for (var iteration = 0; iteration < iterations; iteration++)
        {
            Differentiate(residuals, parameters, now, jacobian, trial, moved);
            Normal(jacobian, now, normal, gradient);
            var improved = false;
            for (var attempt = 0; attempt < 8 && !improved; attempt++)
            {
                if (!Step(normal, gradient, damping, moved))
                {
                    damping *= 8;
                    continue;
                }

                for (var i = 0; i < n; i++)
                {
                    moved[i] += parameters[i];
                }

                residuals(moved, trial);
                var better = Square(trial);
                if (better < sum)
                {
                    improved = true;
                    moved.CopyTo(parameters);
                    (now, trial) = (trial, now);
                    damping = Math.Max(damping / 5, 1e-9);
                    if (sum - better < 1e-9 * sum)
                    {
                        return better;
                    }

                    sum = better;
                }
                else
                {
                    damping *= 4;
                }
            }

            if (!improved)
            {
                break;
            }
        }

        return sum;
    }

    /// <summary>The information matrix (the slopes' normal matrix) at these parameters; its inverse is their covariance where residuals have unit variance.</summary>
    public static double[,] Information(Residuals residuals, ReadOnlySpan<double> parameters, int residualCount)
    {
        var n = parameters.Length;
        var (now, trial, moved) = (new double[residualCount], new double[residualCount], new double[n]);
        var jacobian = new double[residualCount, n];
        var (normal, gradient) = (new double[n, n], new double[n]);
        residuals(parameters, now);
        Differentiate(residuals, parameters, now, jacobian, trial, moved);
        Normal(jacobian, now, normal, gradient);
        return normal;
    }

    /// <summary>Solves a symmetric positive definite system by Cholesky; false if it is not positive definite.</summary>
    public static bool Solve(double[,] matrix, ReadOnlySpan<double> right, Span<double> solution)
    {
        var n = right.Length;
        var lower = new double[n, n];
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j <= i; j++)
            {
                var value = matrix[i, j];
                for (var k = 0; k < j; k++)
                {
                    value -= lower[i, k] * lower[j, k];
                }

                if (i == j)
                {
                    if (!(value > 0))
                    {
                        return false;
                    }

                    lower[i, i] = Math.Sqrt(value);
                }
                else
                {
                    lower[i, j] = value / lower[j, j];
                }
            }
        }

        for (var i = 0; i < n; i++)
        {
            var value = right[i];
            for (var k = 0; k < i; k++)
            {
                value -= lower[i, k] * solution[k];
            }

            solution[i] = value / lower[i, i];
        }

        for (var i = n - 1; i >= 0; i--)
        {
            var value = solution[i];
            for (var k = i + 1; k < n; k++)
            {
                value -= lower[k, i] * solution[k];
            }

            solution[i] = value / lower[i, i];
        }

        return true;
    }

    private static double Square(ReadOnlySpan<double> values)
    {
        var sum = 0.0;
        foreach (var value in values)
        {
            sum += value * value;
        }

        return sum;
    }

    private static void Differentiate(
        Residuals residuals, ReadOnlySpan<double> parameters, double[] now, double[,] jacobian, double[] scratch, double[] moved)
    {
        for (var j = 0; j < parameters.Length; j++)
        {
            parameters.CopyTo(moved);
            var step = 1e-5 * Math.Max(1, Math.Abs(moved[j]));
            moved[j] += step;
            residuals(moved, scratch);
            for (var i = 0; i < now.Length; i++)
            {
                jacobian[i, j] = (scratch[i] - now[i]) / step;
            }
        }
    }

    private static void Normal(double[,] jacobian, double[] residuals, double[,] normal, double[] gradient)
    {
        var n = gradient.Length;
        for (var a = 0; a < n; a++)
        {
            gradient[a] = 0;
            for (var i = 0; i < residuals.Length; i++)
            {
                gradient[a] -= jacobian[i, a] * residuals[i];
            }

            for (var b = 0; b <= a; b++)
            {
                var sum = 0.0;
                for (var i = 0; i < residuals.Length; i++)
                {
                    sum += jacobian[i, a] * jacobian[i, b];
                }

                normal[a, b] = normal[b, a] = sum;
            }
        }
    }

    private static bool Step(double[,] normal, double[] gradient, double damping, double[] step)
    {
        var damped = (double[,])normal.Clone();
        for (var i = 0; i < gradient.Length; i++)
        {
            damped[i, i] += (damping * damped[i, i]) + 1e-12;
        }

        return Solve(damped, gradient, step);
    }
}
