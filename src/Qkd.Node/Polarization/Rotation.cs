namespace Qkd.Node.Polarization;

/// <summary>
/// A rotation of the Poincaré sphere. Axis 1 is horizontal/vertical (basis Z), axis 2 diagonal/anti-diagonal (basis X), axis 3 circular.
/// </summary>
internal readonly struct Rotation
{
    private readonly double _m00, _m01, _m02, _m10, _m11, _m12, _m20, _m21, _m22;

    private Rotation(
        double m00, double m01, double m02, double m10, double m11, double m12, double m20, double m21, double m22) =>
        (_m00, _m01, _m02, _m10, _m11, _m12, _m20, _m21, _m22) = (m00, m01, m02, m10, m11, m12, m20, m21, m22);

    /// <summary>No rotation.</summary>
    public static Rotation Identity { get; } = new(1, 0, 0, 0, 1, 0, 0, 0, 1);

    /// <summary>How much of what was sent in Z shows in Z: +1 if aligned.</summary>
    public double ZtoZ => _m00;

    /// <summary>How much of what was sent in Z shows in X: 0 if aligned.</summary>
    public double ZtoX => _m10;

    /// <summary>How much of what was sent in X shows in Z: 0 if aligned.</summary>
    public double XtoZ => _m01;

    /// <summary>How much of what was sent in X shows in X: +1 if aligned.</summary>
    public double XtoX => _m11;

    /// <summary>The rotation about a vector by its length, in radians (Rodrigues).</summary>
    public static Rotation About(double x, double y, double z)
    {
        var angle = Math.Sqrt((x * x) + (y * y) + (z * z));
        if (angle < 1e-12)
        {
            return new(1, -z, y, z, 1, -x, -y, x, 1);
        }

        var (sin, cos) = Math.SinCos(angle);
        (x, y, z) = (x / angle, y / angle, z / angle);
        var k = 1 - cos;
        return new(
            cos + (k * x * x), (k * x * y) - (sin * z), (k * x * z) + (sin * y),
            (k * x * y) + (sin * z), cos + (k * y * y), (k * y * z) - (sin * x),
            (k * x * z) - (sin * y), (k * y * z) + (sin * x), cos + (k * z * z));
    }

    /// <summary>A linear retarder whose fast axis stands at an angle: a rotation about the equator's axis at twice that angle.</summary>
    public static Rotation Retarder(double angleDegrees, double retardanceWaves)
    {
        var (sin, cos) = Math.SinCos(2 * angleDegrees * Math.PI / 180);
        var turn = 2 * Math.PI * retardanceWaves;
        return About(turn * cos, turn * sin, 0);
    }

    /// <summary>The rotation vector, in radians, that leads from another rotation to this one; the reverse of <see cref="About"/> below half a turn.</summary>
    public (double First, double Second, double Third) TurnFrom(Rotation other)
    {
        var turn = this * other.Inverse();
        var (x, y, z) = ((turn._m21 - turn._m12) / 2, (turn._m02 - turn._m20) / 2, (turn._m10 - turn._m01) / 2);
        var sin = Math.Sqrt((x * x) + (y * y) + (z * z));
        var scale = sin < 1e-9 ? 1 : Math.Atan2(sin, (turn._m00 + turn._m11 + turn._m22 - 1) / 2) / sin;
        return (scale * x, scale * y, scale * z);
    }

    /// <summary>First <paramref name="b"/>, then <paramref name="a"/>.</summary>
    public static Rotation operator *(Rotation a, Rotation b) => new(
        (a._m00 * b._m00) + (a._m01 * b._m10) + (a._m02 * b._m20),
        (a._m00 * b._m01) + (a._m01 * b._m11) + (a._m02 * b._m21),
        (a._m00 * b._m02) + (a._m01 * b._m12) + (a._m02 * b._m22),
        (a._m10 * b._m00) + (a._m11 * b._m10) + (a._m12 * b._m20),
        (a._m10 * b._m01) + (a._m11 * b._m11) + (a._m12 * b._m21),
        (a._m10 * b._m02) + (a._m11 * b._m12) + (a._m12 * b._m22),
        (a._m20 * b._m00) + (a._m21 * b._m10) + (a._m22 * b._m20),
        (a._m20 * b._m01) + (a._m21 * b._m11) + (a._m22 * b._m21),
        (a._m20 * b._m02) + (a._m21 * b._m12) + (a._m22 * b._m22));

    private Rotation Inverse() => new(_m00, _m10, _m20, _m01, _m11, _m21, _m02, _m12, _m22);
}
