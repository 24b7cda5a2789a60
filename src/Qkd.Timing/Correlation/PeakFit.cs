using MathNet.Numerics;
using MathNet.Numerics.LinearAlgebra;

namespace Qkd.Timing.Correlation;

/// <summary>A Gaussian peak on a constant background.</summary>
/// <param name="Centre">Where it is, in bins: 0 is the left edge of the first.</param>
/// <param name="Sigma">Its standard deviation in bins.</param>
/// <param name="Area">Counts of the peak.</param>
/// <param name="Background">Counts of the background in a bin.</param>
/// <param name="CentreError">Standard error of the centre.</param>
/// <param name="SigmaError">Standard error of the standard deviation.</param>
/// <param name="AreaError">Standard error of the area.</param>
public sealed record PeakFit(double Centre, double Sigma, double Area, double Background, double CentreError, double SigmaError, double AreaError)
{
    private const int MostSteps = 200;

    /// <summary>Full width at half maximum in bins: 2 √(2 ln 2) σ.</summary>
    public double FullWidthHalfMaximum => 2 * Math.Sqrt(2 * Math.Log(2)) * Sigma;

    /// <summary>
    /// Fits by maximum likelihood for Poisson counts, with the peak integrated over each bin: right for few counts and for narrow peaks, where least squares is not.
    /// </summary>
    /// <param name="counts">Counts by bin; eight at least.</param>
    /// <returns>The fit; null if there is no peak to be found.</returns>
    /// <remarks>
    /// Fisher scoring: with expected counts m_k and their derivatives D, each step solves (Dᵀ diag(1/m) D) δ = Dᵀ ((n - m)/m), halved until the likelihood grows; the
    /// inverse of the matrix at the end is the covariance (e.g. Cowan, Statistical Data Analysis, 1998, ch. 6).
    /// </remarks>
    public static PeakFit? Of(ReadOnlySpan<long> counts)
    {
        if (counts.Length < 8 || Start(counts) is not { } parameters)
        {
            return null;
        }

        var data = counts.ToArray();
        var likelihood = LogLikelihood(data, parameters);
        Matrix<double>? information = null;
        for (var step = 0; step < MostSteps; step++)
        {
            var (matrix, gradient) = Score(data, parameters);
            information = matrix;
            var direction = matrix.Solve(gradient);
            var moved = false;
            for (var length = 1.0; length > 1e-6; length /= 2)
            {
                var candidate = parameters + (length * direction);
                var next = candidate[1] > 0.02 && candidate[1] < data.Length && candidate[2] > 0 && candidate[3] >= 0 ? LogLikelihood(data, candidate) : double.NegativeInfinity;
                if (next > likelihood)
                {
                    moved = next - likelihood > 1e-9;
                    (parameters, likelihood) = (candidate, next);
                    break;
                }
            }

            if (!moved)
            {
                break;
            }
        }

        var covariance = information!.Inverse();
        double Error(int of) => Math.Sqrt(covariance[of, of]);
        var fit = new PeakFit(parameters[0], parameters[1], parameters[2], parameters[3], Error(0), Error(1), Error(2));
        return double.IsFinite(fit.CentreError + fit.SigmaError + fit.AreaError) && fit.Area > 5 * fit.AreaError ? fit : null;
    }

    private static Vector<double>? Start(ReadOnlySpan<long> counts)
    {
        // The median bin is background where the peak fills less than half of the bins.
        var sorted = counts.ToArray();
        Array.Sort(sorted);
        double background = sorted[sorted.Length / 2];
        var top = 0;
        for (var bin = 0; bin < counts.Length; bin++)
        {
            top = counts[bin] > counts[top] ? bin : top;
        }

        if (counts[top] <= background)
        {
            return null;
        }

        var half = background + ((counts[top] - background) / 2);
        int left = top, right = top;
        while (left > 0 && counts[left - 1] > half)
        {
            left--;
        }

        while (right < counts.Length - 1 && counts[right + 1] > half)
        {
            right++;
        }

        var sigma = Math.Max(0.3, (right - left + 1) / 2.355);
        var area = Math.Max(1, (counts[top] - background) * sigma * Math.Sqrt(2 * Math.PI));
        return Vector<double>.Build.Dense([(left + right + 1) / 2.0, sigma, area, Math.Max(background, 1e-3)]);
    }

    private static double LogLikelihood(long[] counts, Vector<double> parameters)
    {
        double sum = 0;
        var below = Cumulative(-parameters[0] / parameters[1]);
        for (var bin = 0; bin < counts.Length; bin++)
        {
            var above = Cumulative((bin + 1 - parameters[0]) / parameters[1]);
            var expected = Math.Max(1e-9, (parameters[2] * (above - below)) + parameters[3]);
            sum += (counts[bin] * Math.Log(expected)) - expected;
            below = above;
        }

        return sum;
    }

    private static (Matrix<double> Information, Vector<double> Gradient) Score(long[] counts, Vector<double> parameters)
    {
        var (centre, sigma, area, background) = (parameters[0], parameters[1], parameters[2], parameters[3]);
        var information = Matrix<double>.Build.Dense(4, 4);
        var gradient = Vector<double>.Build.Dense(4);
        var derivative = new double[4];
        var (u, below, density) = (-centre / sigma, Cumulative(-centre / sigma), Density(-centre / sigma));
        for (var bin = 0; bin < counts.Length; bin++)
        {
            var next = (bin + 1 - centre) / sigma;
            var (above, nextDensity) = (Cumulative(next), Density(next));
            var expected = Math.Max(1e-9, (area * (above - below)) + background);
            derivative[0] = -area / sigma * (nextDensity - density);
            derivative[1] = -area / sigma * ((next * nextDensity) - (u * density));
            derivative[2] = above - below;
            derivative[3] = 1;
            for (var i = 0; i < 4; i++)
            {
                gradient[i] += derivative[i] * (counts[bin] - expected) / expected;
                for (var j = 0; j < 4; j++)
                {
                    information[i, j] += derivative[i] * derivative[j] / expected;
                }
            }

            (u, below, density) = (next, above, nextDensity);
        }

        return (information, gradient);
    }

    private static double Cumulative(double u) => 0.5 * SpecialFunctions.Erfc(-u / Math.Sqrt(2));

    private static double Density(double u) => Math.Exp(-u * u / 2) / Math.Sqrt(2 * Math.PI);
}
