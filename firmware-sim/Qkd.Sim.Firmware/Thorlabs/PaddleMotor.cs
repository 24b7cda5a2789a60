namespace Qkd.Sim.Firmware.Thorlabs;

/// <summary>What a paddle is doing.</summary>
internal enum PaddleMotion
{
    Resting,
    Moving,
    Jogging,
    Homing,
}

/// <summary>One paddle: where it is as a function of time. Positions in counts, times in seconds of bench time.</summary>
internal sealed class PaddleMotor(double position, bool homed)
{
    private readonly List<Leg> _legs = [];
    private double _rest = position;

    public PaddleMotion Motion { get; private set; }

    /// <summary>Whether the instrument knows where the paddle is.</summary>
    public bool Homed { get; private set; } = homed;

    /// <summary>A movement was refused or cut off; until the next one succeeds.</summary>
    public bool Error { get; set; }

    /// <summary>When it arrives; only while it is not resting.</summary>
    public double Arrival => _legs[^1].End;

    /// <summary>Where it really is.</summary>
    public double At(double now)
    {
        foreach (var leg in _legs)
        {
            if (now < leg.End)
            {
                return leg.At(now);
            }
        }

        return _legs.Count > 0 ? _legs[^1].To : _rest;
    }

    /// <summary>What the instrument takes for its position, in whole counts.</summary>
    public int CountsAt(double now) => Homed ? (int)Math.Round(At(now)) : 0;

    /// <summary>1 or -1 while it moves, else 0.</summary>
    public int DirectionAt(double now)
    {
        foreach (var leg in _legs)
        {
            if (now < leg.End)
            {
                return Math.Sign(leg.To - leg.From);
            }
        }

        return 0;
    }

    /// <summary>Sets off along one or more positions; from where it is, even in mid-movement.</summary>
    public void Go(PaddleMotion motion, double now, double countsPerSecond, params ReadOnlySpan<double> targets)
    {
        var from = At(now);
        var start = now;
        _legs.Clear();
        foreach (var to in targets)
        {
            var end = start + (Math.Abs(to - from) / countsPerSecond);
            _legs.Add(new(from, to, start, end));
            (from, start) = (to, end);
        }

        Motion = motion;
    }

    /// <summary>Stands still where it is.</summary>
    public void Halt(double now)
    {
        _rest = At(now);
        _legs.Clear();
        Motion = PaddleMotion.Resting;
    }

    /// <summary>Comes to rest at its target.</summary>
    public void Arrive()
    {
        _rest = _legs[^1].To;
        _legs.Clear();
        Homed |= Motion == PaddleMotion.Homing;
        Motion = PaddleMotion.Resting;
        Error = false;
    }

    private readonly record struct Leg(double From, double To, double Start, double End)
    {
        public double At(double now) => From + ((To - From) * Math.Clamp((now - Start) / (End - Start), 0, 1));
    }
}
