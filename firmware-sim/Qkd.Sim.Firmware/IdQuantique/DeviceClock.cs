namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The instrument's clock as a function of bench time, exact in integer picoseconds: bench time plus offset, frequency error and
/// linear drift. The curve is drawn through knots every 2^30 ps (1.07 ms), each rounded to a picosecond, with straight lines
/// between them, so that a conversion is one multiplication and the result does not depend on what was converted before.
/// </summary>
internal sealed class DeviceClock(long offsetPicoseconds, double offsetPpm, double driftPpmPerSecond)
{
    private const int SegmentBits = 30;

    private Segment _current = new(0, 0, 0);
    private bool _loaded;

    /// <summary>Device time at a bench time, both in picoseconds. Never decreasing.</summary>
    public long ToDevice(long bench) => SegmentAt(bench).ToDevice(bench);

    /// <summary>The straight piece that holds a bench time.</summary>
    public Segment SegmentAt(long bench)
    {
        if (!_loaded || !_current.Contains(bench))
        {
            var start = bench >> SegmentBits << SegmentBits;
            var error = Error(start);
            _current = new Segment(start, error, Error(start + (1L << SegmentBits)) - error);
            _loaded = true;
        }

        return _current;
    }

    /// <summary>Device time minus bench time at a knot.</summary>
    private long Error(long bench)
    {
        var seconds = bench * 1e-12;
        return offsetPicoseconds + (long)Math.Round(bench * 1e-6 * (offsetPpm + (0.5 * driftPpmPerSecond * seconds)));
    }

    /// <summary>One straight piece of the curve.</summary>
    /// <param name="Start">Bench time where it starts.</param>
    /// <param name="Error">Device time minus bench time there.</param>
    /// <param name="Growth">By how much that grows over the piece; below 2^21 for the frequency errors allowed.</param>
    internal readonly record struct Segment(long Start, long Error, long Growth)
    {
        public long End => Start + (1L << SegmentBits);

        public bool Contains(long bench) => (ulong)(bench - Start) < 1UL << SegmentBits;

        public long ToDevice(long bench) => bench + Error + ((bench - Start) * Growth >> SegmentBits);
    }
}
