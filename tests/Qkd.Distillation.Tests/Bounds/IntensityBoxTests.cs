using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Bounds;

public sealed class IntensityBoxTests
{
    private static readonly IntensityBox Box = new([new(.5, .4, .6, .5), new(.2, .1, .3, .3), new(.01, 0, .02, .2)]);

    [Fact]
    public void Exact_where_the_function_is_monotone()
    {
        Box.Least(mu => mu[0] - mu[1] + mu[2]).ShouldBe(.4 - .3 + 0, 1e-15);
        Box.Least(mu => Gradient.Exp(-mu[0]) * mu[1] / mu[0]).ShouldBe(Math.Exp(-.6) * .1 / .6, 1e-15);
        Box.Least(mu => Gradient.Max0(mu[0] - 1) + mu[1]).ShouldBe(.1, 1e-15);
    }

    [Fact]
    public void Never_above_a_least_value_inside_and_close_to_it()
    {
        var least = Box.Least(mu => (mu[0] - .47) * (mu[0] - .47));
        least.ShouldBeInRange(-1e-4, 0);
        var saddle = Box.Least(mu => (mu[0] - .5) * (mu[1] - .2));
        saddle.ShouldBeInRange(-.0105, -.01 + 1e-15);
    }

    [Fact]
    public void Without_a_bound_there_is_no_number()
    {
        Box.Least(mu => 1 / (mu[0] - .5)).ShouldBe(double.NaN);
        Box.Least(mu => Gradient.Exp(10_000 * mu[0])).ShouldBe(double.NaN);
    }

    [Fact]
    public void Intervals_enclose_what_points_give() =>
        Gen.Select(Gen.Double[-3, 3], Gen.Double[0, 2], Gen.Double[-3, 3], Gen.Double[0, 2], Gen.Double[0, 1], Gen.Double[0, 1]).Sample(
            (aLow, aWidth, bLow, bWidth, s, t) =>
            {
                Interval a = new(aLow, aLow + aWidth), b = new(bLow, bLow + bWidth);
                double x = Math.Min(a.High, aLow + (s * aWidth)), y = Math.Min(b.High, bLow + (t * bWidth));
                Encloses(a + b, x + y);
                Encloses(a - b, x - y);
                Encloses(a * b, x * y);
                Encloses(-a, -x);
                Encloses(Interval.Exp(a), Math.Exp(x));
                if (bLow > 0 || b.High < 0)
                {
                    Encloses(a / b, x / y);
                }
                else
                {
                    (a / b).IsFinite.ShouldBeFalse();
                }
            });

    /// <summary>The slopes enclose every difference quotient (mean value theorem), the kink at 0 included.</summary>
    [Fact]
    public void Slopes_enclose_every_difference() =>
        Gen.Select(Gen.Double[.1, 1], Gen.Double[0, .5], Gen.Double[0, 1], Gen.Double[0, 1], Gen.Double[-1, 1]).Sample(
            (low, width, s, t, kink) =>
            {
                static Gradient F(Gradient x, double kink) => (Gradient.Max0((x * x) - kink) * Gradient.Exp(-x) / (1 + x)) - (3 * x);
                double At(double x) => (Math.Max(0, (x * x) - kink) * Math.Exp(-x) / (1 + x)) - (3 * x);
                double x = low + (s * width), y = low + (t * width);
                var slope = F(Gradient.Variable(new(low, low + width), 0), kink).Slope(0);
                if (Math.Abs(y - x) > 1e-6)
                {
                    ((At(y) - At(x)) / (y - x)).ShouldBeInRange(slope.Low - 1e-6, slope.High + 1e-6);
                }
            });

    private static void Encloses(Interval interval, double value)
    {
        var lastDigits = 1e-14 * (1 + Math.Abs(value));
        value.ShouldBeInRange(interval.Low - lastDigits, interval.High + lastDigits);
    }
}
