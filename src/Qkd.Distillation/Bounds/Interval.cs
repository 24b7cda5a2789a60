namespace Qkd.Distillation;

/// <summary>
/// A closed interval of real numbers. Its arithmetic encloses every result, up to the rounding of the last digits, which the bound's
/// numerical margin covers.
/// </summary>
internal readonly record struct Interval(double Low, double High)
{
    public Interval(double point)
        : this(point, point)
    {
    }

    public bool IsPoint => Low == High;

    public double Width => High - Low;

    public bool IsFinite => double.IsFinite(Low) && double.IsFinite(High);

    public static Interval operator -(Interval a) => new(-a.High, -a.Low);

    public static Interval operator +(Interval a, Interval b) => new(a.Low + b.Low, a.High + b.High);

    public static Interval operator -(Interval a, Interval b) => new(a.Low - b.High, a.High - b.Low);

    public static Interval operator *(Interval a, Interval b)
    {
        double ll = a.Low * b.Low, lh = a.Low * b.High, hl = a.High * b.Low, hh = a.High * b.High;
        return new(Math.Min(Math.Min(ll, lh), Math.Min(hl, hh)), Math.Max(Math.Max(ll, lh), Math.Max(hl, hh)));
    }

    public static Interval operator /(Interval a, Interval b) =>
        b.Low > 0 || b.High < 0 ? a * new Interval(1 / b.High, 1 / b.Low) : new(double.NaN);

    public static Interval Exp(Interval a) => new(Math.Exp(a.Low), Math.Exp(a.High));

    public (Interval Lower, Interval Upper) Halves()
    {
        var middle = (Low + High) / 2;
        return (new(Low, middle), new(middle, High));
    }
}

/// <summary>A function's value and its derivatives by three variables, each as an interval (forward differentiation).</summary>
internal readonly record struct Gradient(Interval Value, Interval D0, Interval D1, Interval D2)
{
    public bool IsFinite => Value.IsFinite && D0.IsFinite && D1.IsFinite && D2.IsFinite;

    /// <summary>The variable <paramref name="axis"/> itself.</summary>
    public static Gradient Variable(Interval value, int axis) =>
        new(value, new(axis == 0 ? 1 : 0), new(axis == 1 ? 1 : 0), new(axis == 2 ? 1 : 0));

    public static implicit operator Gradient(double constant) => new(new(constant), default, default, default);

    public Interval Slope(int axis) => axis switch { 0 => D0, 1 => D1, _ => D2 };

    public static Gradient operator -(Gradient a) => new(-a.Value, -a.D0, -a.D1, -a.D2);

    public static Gradient operator +(Gradient a, Gradient b) => new(a.Value + b.Value, a.D0 + b.D0, a.D1 + b.D1, a.D2 + b.D2);

    public static Gradient operator -(Gradient a, Gradient b) => new(a.Value - b.Value, a.D0 - b.D0, a.D1 - b.D1, a.D2 - b.D2);

    public static Gradient operator *(Gradient a, Gradient b) => new(
        a.Value * b.Value,
        (a.D0 * b.Value) + (a.Value * b.D0),
        (a.D1 * b.Value) + (a.Value * b.D1),
        (a.D2 * b.Value) + (a.Value * b.D2));

    public static Gradient operator /(Gradient a, Gradient b)
    {
        var quotient = a.Value / b.Value;
        return new(
            quotient,
            (a.D0 - (quotient * b.D0)) / b.Value,
            (a.D1 - (quotient * b.D1)) / b.Value,
            (a.D2 - (quotient * b.D2)) / b.Value);
    }

    public static Gradient Exp(Gradient a)
    {
        var value = Interval.Exp(a.Value);
        return new(value, value * a.D0, value * a.D1, value * a.D2);
    }

    /// <summary>The greater of the value and 0. Across the kink the slope lies between 0 and that of the value.</summary>
    public static Gradient Max0(Gradient a)
    {
        if (a.Value.Low >= 0)
        {
            return a;
        }

        return a.Value.High <= 0
            ? (Gradient)0
            : new Gradient(new(0, a.Value.High), WithZero(a.D0), WithZero(a.D1), WithZero(a.D2));

        static Interval WithZero(Interval slope) => new(Math.Min(0, slope.Low), Math.Max(0, slope.High));
    }
}
