namespace Qkd.Distillation;

/// <summary>The intervals of two or three intensities, and the least value that a function takes in them.</summary>
/// <remarks>
/// The function is computed with intervals for the value and for its derivatives. Where a derivative keeps its sign over the box, the
/// least value lies on that side of it: the box is reduced to the side. Where it does not, the box is halved, and after
/// <see cref="MaximumDepth"/> halvings the lower end of the value's interval is taken. So the result is never above the least value,
/// whether or not the function is monotone, and is exact where it is.
/// </remarks>
internal sealed class IntensityBox(IReadOnlyList<IntensityClass> intensities)
{
    private const int MaximumDepth = 9;

    /// <summary>
    /// Whether, everywhere in the box, μ1 > μ2 + μ3, μ2 > μ3 and μ3 ≥ 0 (three intensities), or μ1 > μ2 > 0 (two).
    /// </summary>
    public bool IsOrdered =>
        intensities.All(intensity => intensity.MeanLow >= 0 && intensity.MeanLow <= intensity.MeanHigh && double.IsFinite(intensity.MeanHigh))
        && (intensities.Count == 2
            ? intensities[0].MeanLow > intensities[1].MeanHigh && intensities[1].MeanLow > 0
            : intensities[0].MeanLow > intensities[1].MeanHigh + intensities[2].MeanHigh && intensities[1].MeanLow > intensities[2].MeanHigh);

    /// <summary>A lower bound on the least value of a function of the means; NaN if it cannot be bounded.</summary>
    public double Least(Func<Gradient[], Gradient> function) =>
        Least(function, [.. intensities.Select(intensity => new Interval(intensity.MeanLow, intensity.MeanHigh))], 0);

    /// <summary>An upper bound on the greatest value of a function of the means; NaN if it cannot be bounded.</summary>
    public double Greatest(Func<Gradient[], Gradient> function) => -Least(mu => -function(mu));

    private static double Least(Func<Gradient[], Gradient> function, Interval[] box, int depth)
    {
        Gradient value;
        while (true)
        {
            value = function([.. box.Select((interval, axis) => Gradient.Variable(interval, axis))]);
            if (!value.IsFinite)
            {
                return double.NaN;
            }

            var reduced = false;
            for (var axis = 0; axis < box.Length; axis++)
            {
                var slope = value.Slope(axis);
                if (!box[axis].IsPoint && (slope.Low >= 0 || slope.High <= 0))
                {
                    box[axis] = new(slope.Low >= 0 ? box[axis].Low : box[axis].High);
                    reduced = true;
                }
            }

            if (!reduced)
            {
                break;
            }
        }

        var open = Enumerable.Range(0, box.Length).Where(axis => !box[axis].IsPoint).ToArray();
        if (open.Length == 0 || depth == MaximumDepth)
        {
            return value.Value.Low;
        }

        // Halve where the slope makes the greatest difference.
        var widest = open.MaxBy(axis => box[axis].Width * Math.Max(Math.Abs(value.Slope(axis).Low), Math.Abs(value.Slope(axis).High)));
        var (lower, upper) = box[widest].Halves();
        Interval[] left = [.. box], right = [.. box];
        (left[widest], right[widest]) = (lower, upper);
        return Math.Min(Least(function, left, depth + 1), Least(function, right, depth + 1));
    }
}
