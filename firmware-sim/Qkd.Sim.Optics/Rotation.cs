namespace Qkd.Sim.Optics;

/// <summary>A direction on the Poincaré sphere, or shorter for partly polarized light: S1 (H - V), S2 (D - A), S3 (R - L).</summary>
internal readonly record struct Stokes(double S1, double S2, double S3)
{
    public static Stokes operator *(double scale, Stokes s) => new(scale * s.S1, scale * s.S2, scale * s.S3);
}

/// <summary>A rotation of the Poincaré sphere, as a unit quaternion. A lossless fibre or retarder does nothing else to polarization.</summary>
internal readonly record struct Rotation(double W, double X, double Y, double Z)
{
    public static Rotation Identity { get; } = new(1, 0, 0, 0);

    /// <summary>The rotation <paramref name="a"/> after <paramref name="b"/>.</summary>
    public static Rotation operator *(Rotation a, Rotation b) => new(
        (a.W * b.W) - (a.X * b.X) - (a.Y * b.Y) - (a.Z * b.Z),
        (a.W * b.X) + (a.X * b.W) + (a.Y * b.Z) - (a.Z * b.Y),
        (a.W * b.Y) - (a.X * b.Z) + (a.Y * b.W) + (a.Z * b.X),
        (a.W * b.Z) + (a.X * b.Y) - (a.Y * b.X) + (a.Z * b.W));

    /// <summary>Rotation by a vector: its direction is the axis, its length the angle in radians.</summary>
    public static Rotation About(double x, double y, double z)
    {
        var angle = Math.Sqrt((x * x) + (y * y) + (z * z));
        var scale = angle < 1e-9 ? 0.5 : Math.Sin(angle / 2) / angle;
        return new Rotation(Math.Cos(angle / 2), scale * x, scale * y, scale * z).Normalised();
    }

    /// <summary>A linear retarder with its axis at an angle to the horizontal.</summary>
    /// <param name="retardanceWaves">Retardance in waves.</param>
    /// <param name="degrees">Angle of the axis in the laboratory; it appears doubled on the sphere.</param>
    public static Rotation Retarder(double retardanceWaves, double degrees)
    {
        var (sin, cos) = Math.SinCos(2 * degrees * Math.PI / 180);
        var retardance = 2 * Math.PI * retardanceWaves;
        return About(retardance * cos, retardance * sin, 0);
    }

    /// <summary>A rotation drawn evenly from all rotations.</summary>
    public static Rotation Random(ref CounterRandom random) =>
        new Rotation(random.NextGaussian(), random.NextGaussian(), random.NextGaussian(), random.NextGaussian()).Normalised();

    /// <summary>The same rotation with the rounding of many products taken out.</summary>
    public Rotation Normalised()
    {
        var scale = 1 / Math.Sqrt((W * W) + (X * X) + (Y * Y) + (Z * Z));
        return new(W * scale, X * scale, Y * scale, Z * scale);
    }

    /// <summary>Turns a direction.</summary>
    public Stokes Apply(Stokes s)
    {
        // v + 2 w (u x v) + 2 u x (u x v) for the quaternion (w, u)
        var cx = (Y * s.S3) - (Z * s.S2);
        var cy = (Z * s.S1) - (X * s.S3);
        var cz = (X * s.S2) - (Y * s.S1);
        return new(
            s.S1 + (2 * ((W * cx) + (Y * cz) - (Z * cy))),
            s.S2 + (2 * ((W * cy) + (Z * cx) - (X * cz))),
            s.S3 + (2 * ((W * cz) + (X * cy) - (Y * cx))));
    }
}

/// <summary>
/// The fibre's birefringence as one rotation before the paddles and one after them, both fixed by the seed, and a random walk on the
/// side of the long fibre. The walk's step <c>k</c> depends on the seed and <c>k</c> alone, and its time on the bench's time.
/// </summary>
internal sealed class FibreRotation
{
    private readonly long _stepPicoseconds;
    private readonly ulong _driftKey;
    private readonly double _rootStepSeconds;
    private readonly Rotation _before;
    private readonly Rotation _after;
    private Rotation _walk = Rotation.Identity;
    private long _step;

    public FibreRotation(ChannelSettings settings, ulong seed)
    {
        _stepPicoseconds = settings.DriftStepPicoseconds;
        _rootStepSeconds = Math.Sqrt(_stepPicoseconds * 1e-12);
        _driftKey = CounterRandom.Key(seed, Stream.Drift);
        var random = CounterRandom.At(CounterRandom.Key(seed, Stream.FibreRotation), 0);
        _before = settings.RandomRotation ? Rotation.Random(ref random) : Rotation.Identity;
        _after = settings.RandomRotation ? Rotation.Random(ref random) : Rotation.Identity;
    }

    /// <summary>First bench time at which the next step is due.</summary>
    public long NextStepPicoseconds => (_step + 1) * _stepPicoseconds;

    /// <summary>Walks on to a bench time at the given speed; earlier times leave it where it is.</summary>
    /// <returns>Whether the rotation has changed.</returns>
    public bool Advance(long picoseconds, double radiansPerRootSecond)
    {
        var target = picoseconds / _stepPicoseconds;
        if (target <= _step)
        {
            return false;
        }

        if (radiansPerRootSecond == 0)
        {
            _step = target;
            return false;
        }

        var sigma = radiansPerRootSecond * _rootStepSeconds;
        while (_step < target)
        {
            _step++;
            var random = CounterRandom.At(_driftKey, (ulong)_step * 8);
            var turn = Rotation.About(sigma * random.NextGaussian(), sigma * random.NextGaussian(), sigma * random.NextGaussian());
            _walk = (turn * _walk).Normalised();
        }

        return true;
    }

    /// <summary>The whole way from the transmitter to the receiver for a rotation of the paddles.</summary>
    public Rotation Through(Rotation paddles) => _after * paddles * _walk * _before;
}
