using Qkd.Node.Polarization;

namespace Qkd.Node.Tests.Polarization;

/// <summary>
/// The line from Alice's modulator to Bob's detectors as docs/physics.md has it (sections 2 to 4), written apart from the aligner's own
/// mathematics: rotations are unit quaternions, states are Stokes vectors, clicks are counted from exponential waiting times.
/// </summary>
internal sealed class SimulatedLine
{
    /// <summary>Signal slots of one frame's pilot for each of the four states: half of 4096 slots carry light.</summary>
    public const double SlotsPerStateAndFrame = 4096 / 2.0 / 4;

    /// <summary>Length of a frame at 100 MHz and a million slots.</summary>
    public const double FrameSeconds = 0.01;

    /// <summary>Clicks of an arm in a signal slot at the default settings (physics.md section 6, gain of intensity 0.45).</summary>
    private const double Gain = 0.0516;

    /// <summary>Afterpulses and dark counts of a detector in a slot (physics.md section 5).</summary>
    private const double Noise = 9.1e-5;

    private const double StateError = 0.005;
    private const double Skew = 0.02;
    private static readonly double Leak = Math.Pow(10, -2.7);

    private readonly Random _random;
    private readonly Quaternion _after;
    private Quaternion _before;

    public SimulatedLine(int seed)
    {
        _random = new Random(seed);
        (_before, _after) = (Haar(), Haar());
    }

    /// <summary>Where the paddles stand, in degrees.</summary>
    public double[] Paddles { get; private set; } = [85, 85, 85];

    /// <summary>Retardances in waves; the defaults of physics.md section 3.</summary>
    public double[] RetardanceWaves { get; init; } = [0.23, 0.46, 0.24];

    /// <summary>Drift about each axis in rad/√s.</summary>
    public double Drift { get; init; } = 0.01;

    /// <summary>Share of the pulses that an eavesdropper measures in a random basis and sends again.</summary>
    public double Intercepted { get; set; }

    /// <summary>1 with light, 0 with a broken fibre.</summary>
    public double Light { get; set; } = 1;

    /// <summary>What the aligner is told of the paddles.</summary>
    public static PaddleLimits Limits { get; } = new(0, 170, [0.25, 0.5, 0.25]);

    /// <summary>Moves the paddles; the motors stop at whole steps, 1370 of them over the range.</summary>
    public double[] Move(IReadOnlyList<double> degrees)
    {
        Paddles = [.. degrees.Select(angle => Math.Round(Math.Clamp(angle, 0, 170) * 1370 / 170) * 170 / 1370)];
        return Paddles;
    }

    /// <summary>The fibre turns by chance for so long.</summary>
    public void Wait(double seconds)
    {
        var sigma = Drift * Math.Sqrt(seconds);
        _before = Quaternion.Turn(sigma * Normal(), sigma * Normal(), sigma * Normal()) * _before;
    }

    /// <summary>Someone moves the fibre: a turn by a vector in radians.</summary>
    public void Turn(double first, double second, double third) => _before = Quaternion.Turn(first, second, third) * _before;

    /// <summary>Counts by sent state and detector over the pilots of some frames, the fibre drifting meanwhile.</summary>
    public long[] Count(int frames, int slices = 1)
    {
        var clicks = new long[16];
        for (var slice = 0; slice < slices; slice++)
        {
            Wait(frames * FrameSeconds / slices);
            for (var sent = 0; sent < 4; sent++)
            {
                var (z, x) = Seen(sent);
                ReadOnlySpan<double> shares = [(1 + z) / 2, (1 - z) / 2, (1 + x) / 2, (1 - x) / 2];
                for (var detector = 0; detector < 4; detector++)
                {
                    clicks[(4 * sent) + detector] += Poisson(SlotsPerStateAndFrame * frames / slices * ((Light * Gain * shares[detector]) + Noise));
                }
            }
        }

        return clicks;
    }

    /// <summary>The contrasts of such a count.</summary>
    public Contrasts Measure(int frames = 12) => Contrasts.FromClicks(Count(frames));

    /// <summary>Error rates that misalignment alone adds to each basis: half of what the sent axis lacks along the measured one.</summary>
    public (double Z, double X) Misalignment() => MisalignmentAt(Paddles);

    /// <summary>The same at other angles.</summary>
    public (double Z, double X) MisalignmentAt(ReadOnlySpan<double> degrees)
    {
        var whole = Whole(degrees);
        var (z, x) = (whole.Rotate((1, 0, 0)), whole.Rotate((Math.Sin(Skew), Math.Cos(Skew), 0)));
        return ((1 - z.A) / 2, (1 - x.B) / 2);
    }

    /// <summary>The least misalignment that any setting of the paddles has, found by a plain search: what no aligner can beat.</summary>
    public double LeastMisalignment()
    {
        double Worst(double[] at)
        {
            var (z, x) = MisalignmentAt(at);
            return Math.Max(z, x);
        }

        const int points = 12;
        var grid =
            from index in Enumerable.Range(0, points * points * points)
            let at = new[] { index % points, index / points % points, index / (points * points) }.Select(i => i * 170.0 / (points - 1)).ToArray()
            orderby Worst(at)
            select at;
        return grid.Take(10).Min(start =>
        {
            var (best, least) = (start, Worst(start));
            for (var step = 8.0; step > 0.1; step *= 0.96)
            {
                double[] at = [.. best.Select(angle => Math.Clamp(angle + (step * Normal()), 0, 170))];
                if (Worst(at) < least)
                {
                    (least, best, step) = (Worst(at), at, Math.Min(8, step * 1.3));
                }
            }

            return least;
        });
    }

    private (double Z, double X) Seen(int sent)
    {
        var sign = (sent & 1) == 0 ? 1 - (2 * StateError) : -(1 - (2 * StateError));
        var state = sent < 2 ? (A: sign, B: 0.0, C: 0.0) : (A: sign * Math.Sin(Skew), B: sign * Math.Cos(Skew), C: 0.0);

        // Half of what she measures she measures in the other basis: on average she passes on half of each component.
        var kept = 1 - (Intercepted / 2);
        var arrived = Whole(Paddles).Rotate((state.A * kept, state.B * kept, state.C * (1 - Intercepted)));
        return ((1 - (2 * Leak)) * arrived.A, (1 - (2 * Leak)) * arrived.B);
    }

    private Quaternion Whole(ReadOnlySpan<double> degrees)
    {
        var whole = _before;
        for (var paddle = 0; paddle < 3; paddle++)
        {
            var axis = 2 * degrees[paddle] * Math.PI / 180;
            var turn = 2 * Math.PI * RetardanceWaves[paddle];
            whole = Quaternion.Turn(turn * Math.Cos(axis), turn * Math.Sin(axis), 0) * whole;
        }

        return _after * whole;
    }

    private Quaternion Haar()
    {
        var (w, a, b, c) = (Normal(), Normal(), Normal(), Normal());
        var length = Math.Sqrt((w * w) + (a * a) + (b * b) + (c * c));
        return new(w / length, a / length, b / length, c / length);
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    private long Poisson(double mean)
    {
        var count = 0L;
        for (var waited = -Math.Log(1 - _random.NextDouble()); waited < mean; waited -= Math.Log(1 - _random.NextDouble()))
        {
            count++;
        }

        return count;
    }

    private readonly record struct Quaternion(double W, double A, double B, double C)
    {
        public static Quaternion Turn(double a, double b, double c)
        {
            var angle = Math.Sqrt((a * a) + (b * b) + (c * c));
            var scale = angle < 1e-12 ? 0.5 : Math.Sin(angle / 2) / angle;
            return new(Math.Cos(angle / 2), a * scale, b * scale, c * scale);
        }

        public static Quaternion operator *(Quaternion p, Quaternion q) => new(
            (p.W * q.W) - (p.A * q.A) - (p.B * q.B) - (p.C * q.C),
            (p.W * q.A) + (p.A * q.W) + (p.B * q.C) - (p.C * q.B),
            (p.W * q.B) - (p.A * q.C) + (p.B * q.W) + (p.C * q.A),
            (p.W * q.C) + (p.A * q.B) - (p.B * q.A) + (p.C * q.W));

        public (double A, double B, double C) Rotate((double A, double B, double C) v)
        {
            var turned = this * new Quaternion(0, v.A, v.B, v.C) * new Quaternion(W, -A, -B, -C);
            return (turned.A, turned.B, turned.C);
        }
    }
}
