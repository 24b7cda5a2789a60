namespace Qkd.Distillation;

/// <summary>
/// The simplex method of Nelder and Mead, Computer Journal 7, 308 (1965), for a few variables. Deterministic: the same start gives the same end.
/// </summary>
internal static class NelderMead
{
    /// <summary>Seeks a greatest value from a starting point.</summary>
    /// <param name="function">The function; greater is better. It must not give NaN.</param>
    /// <param name="start">Where to begin.</param>
    /// <param name="step">Size of the first simplex along each axis.</param>
    /// <param name="evaluations">The most evaluations.</param>
    /// <param name="tolerance">Ends when the simplex' best and worst values differ by less than this share of the best.</param>
    public static (double[] Point, double Value) Maximise(Func<double[], double> function, double[] start, double step, int evaluations, double tolerance)
    {
        var n = start.Length;
        var simplex = new (double[] Point, double Value)[n + 1];
        simplex[0] = (start, function(start));
        for (var i = 0; i < n; i++)
        {
            double[] point = [.. start];
            point[i] += step;
            simplex[i + 1] = (point, function(point));
        }

        for (var used = n + 1; used < evaluations;)
        {
            Array.Sort(simplex, (a, b) => b.Value.CompareTo(a.Value));
            var (best, worst) = (simplex[0].Value, simplex[n]);
            if (best - worst.Value <= tolerance * Math.Abs(best) && Spread(simplex) < 1e-3)
            {
                break;
            }

            var centre = new double[n];
            foreach (var (point, _) in simplex.AsSpan(0, n))
            {
                for (var i = 0; i < n; i++)
                {
                    centre[i] += point[i] / n;
                }
            }

            var reflected = Along(1);
            if (reflected.Value > best)
            {
                var expanded = Along(2);
                simplex[n] = expanded.Value > reflected.Value ? expanded : reflected;
                continue;
            }

            if (reflected.Value > simplex[n - 1].Value)
            {
                simplex[n] = reflected;
                continue;
            }

            var contracted = reflected.Value > worst.Value ? Along(0.5) : Along(-0.5);
            if (contracted.Value > Math.Max(worst.Value, reflected.Value))
            {
                simplex[n] = contracted;
                continue;
            }

            for (var k = 1; k <= n; k++)
            {
                double[] point = [.. simplex[k].Point.Zip(simplex[0].Point, (a, b) => (a + b) / 2)];
                simplex[k] = (point, function(point));
                used++;
            }

            (double[] Point, double Value) Along(double factor)
            {
                used++;
                double[] point = [.. centre.Zip(worst.Point, (c, w) => c + (factor * (c - w)))];
                return (point, function(point));
            }
        }

        return simplex.MaxBy(vertex => vertex.Value);
    }

    private static double Spread((double[] Point, double Value)[] simplex) =>
        simplex.Max(vertex => vertex.Point.Zip(simplex[0].Point, (a, b) => Math.Abs(a - b)).Max());
}
