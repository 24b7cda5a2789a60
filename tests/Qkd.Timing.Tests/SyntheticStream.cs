using Qkd.Devices;

namespace Qkd.Timing.Tests;

/// <summary>
/// A stream of tags with known truth: pulses by pilot and random symbols, clicks by chance, a tagger clock that is off, a fibre delay,
/// sub-acquisitions with gaps, markers lost or extra. Slow and plain.
/// </summary>
internal sealed class SyntheticStream
{
    public const int Divisor = 1000;
    public const int FrameSlots = 64_000;
    public const int PilotSlots = 2048;
    public const double Period = 10_000;
    private const int VacuumIntensity = 2;

    private readonly Random _random;
    private readonly List<(double Time, int Detector)> _clicks = [];
    private readonly List<double> _edges = [];

    public SyntheticStream(
        int frames, int seed, double ppm = 0, double delayPicoseconds = 0, double signalClick = 0.2, double darkClick = 0.0005, double jitter = 40, double lightFrom = 0,
        double[]? detectorDelays = null)
    {
        _random = new Random(seed);
        Ppm = ppm;
        Stretch = 1 + (ppm * 1e-6);
        Delay = delayPicoseconds;
        var pilot = new ulong[PackedSymbols.WordCount(PilotSlots)];
        for (var frame = 0; frame < frames; frame++)
        {
            Pilot.Fill(frame, VacuumIntensity, pilot);
            for (var slot = 0; slot < FrameSlots; slot++)
            {
                var symbol = slot < PilotSlots
                    ? PackedSymbols.Read(pilot, slot)
                    : new Symbol((Basis)_random.Next(2), _random.Next(2), _random.Next(3));
                var number = ((long)frame * FrameSlots) + slot;
                for (var detector = 0; detector < 4; detector++)
                {
                    var same = (int)symbol.Basis == detector >> 1;
                    var right = symbol.Bit == (detector & 1);
                    var p = darkClick + (symbol.Intensity == 2 ? 0 : signalClick / (symbol.Intensity + 1) * (same ? (right ? 0.5 : 0.005) : 0.25));
                    if (_random.NextDouble() < p)
                    {
                        Truth.Add((number, detector));
                        var time = lightFrom + ((((number * Period) + Delay + (detectorDelays?[detector] ?? 0)) + Gauss(jitter)) * Stretch);
                        _clicks.Add((time, detector));
                    }
                }
            }
        }

        LightFrom = lightFrom;
        if (detectorDelays is not null)
        {
            Settings = Settings with { Detectors = [.. Settings.Detectors.Select((detector, i) => detector with { DelayPicoseconds = detectorDelays[i] })] };
        }

        for (long marker = 0; marker * Divisor < ((long)frames * FrameSlots) + 20_000; marker++)
        {
            _edges.Add(lightFrom + (marker * Divisor * Period * Stretch));
        }

        _clicks.Sort();
    }

    public double Ppm { get; }

    public double Stretch { get; }

    public double Delay { get; }

    public double LightFrom { get; }

    /// <summary>Slot and detector of every click, by slot.</summary>
    public List<(long Slot, int Detector)> Truth { get; } = [];

    public List<double> Edges => _edges;

    public TagReceiverSettings Settings { get; set; } = new()
    {
        FrameSlots = FrameSlots,
        PilotSlots = PilotSlots,
        MarkerDivisor = Divisor,
        VacuumIntensity = VacuumIntensity,
        MaximumDelaySlots = 40_000,
        DeadTimePicoseconds = 15_000,
        GateWidthPicoseconds = 2000,
        Detectors = [new(1, Basis.Z, 0, 0), new(2, Basis.Z, 1, 0), new(3, Basis.X, 0, 0), new(4, Basis.X, 1, 0)],
    };

    /// <summary>Cuts the stream into acquisitions as a tagger with marker reference delivers them.</summary>
    public IEnumerable<TagBatch> Acquisitions(double lengthPicoseconds, double gapPicoseconds = 40_000)
    {
        var end = Math.Max(_clicks[^1].Time, _edges[^1]);
        long number = 0;
        for (var start = 0.0; start < end; start += lengthPicoseconds + gapPicoseconds, number++)
        {
            var stop = start + lengthPicoseconds;
            var edges = _edges.Where(e => e >= start && e < stop).ToList();
            var times = new List<long>[4];
            var indexes = new List<long>[4];
            for (var d = 0; d < 4; d++)
            {
                (times[d], indexes[d]) = ([], []);
            }

            var edge = 0;
            foreach (var (time, detector) in _clicks.SkipWhile(c => c.Time < start).TakeWhile(c => c.Time < stop))
            {
                while (edge < edges.Count && edges[edge] <= time)
                {
                    edge++;
                }

                if (edge > 0)
                {
                    times[detector].Add((long)Math.Round(time - edges[edge - 1]));
                    indexes[detector].Add(edge);
                }
            }

            yield return new TagBatch
            {
                TimeBase = TagTimeBase.Referenced,
                Acquisition = number,
                AcquisitionStartPicoseconds = (long)start,
                Runs = [.. Enumerable.Range(0, 4).Where(d => times[d].Count > 0).Select(d => new TagRun(d + 1, times[d].ToArray(), indexes[d].ToArray()))],
                LossesBefore = number == 0 ? [] : [new TagLoss(TagLossCause.AcquisitionGap, (long)gapPicoseconds, null)],
                EndsAcquisition = true,
                ReceivedAt = DateTimeOffset.UnixEpoch,
            };
        }
    }

    /// <summary>The same without a reference: times since each acquisition's start.</summary>
    public IEnumerable<TagBatch> AbsoluteAcquisitions(double lengthPicoseconds, double gapPicoseconds = 40_000)
    {
        long number = 0;
        var at = 0;
        for (var start = 0.0; start < _clicks[^1].Time; start += lengthPicoseconds + gapPicoseconds, number++)
        {
            var times = new List<long>[4];
            for (var d = 0; d < 4; d++)
            {
                times[d] = [];
            }

            for (; at < _clicks.Count && _clicks[at].Time < start + lengthPicoseconds + gapPicoseconds; at++)
            {
                if (_clicks[at].Time >= start && _clicks[at].Time < start + lengthPicoseconds)
                {
                    times[_clicks[at].Detector].Add((long)Math.Round(_clicks[at].Time - start));
                }
            }

            yield return new TagBatch
            {
                TimeBase = TagTimeBase.Absolute,
                Acquisition = number,
                AcquisitionStartPicoseconds = (long)start,
                Runs = [.. Enumerable.Range(0, 4).Where(d => times[d].Count > 0).Select(d => new TagRun(d + 1, times[d].ToArray(), default))],
                LossesBefore = number == 0 ? [] : [new TagLoss(TagLossCause.AcquisitionGap, (long)gapPicoseconds, null)],
                EndsAcquisition = true,
                ReceivedAt = DateTimeOffset.UnixEpoch,
            };
        }
    }

    /// <summary>The plain twin of the gate: click by click, by the rules of the veto and of multi-clicks, for slots that were not lost.</summary>
    public Dictionary<long, (byte Outcome, bool Random)> Expected()
    {
        var expected = new Dictionary<long, (byte, bool)>();
        var lastClick = long.MinValue / 2;
        foreach (var slot in Truth.GroupBy(c => c.Slot))
        {
            var dead = (slot.Key - lastClick) * Period < 15_000 + 2000;
            lastClick = slot.Key;
            if (dead)
            {
                continue;
            }

            var detectors = slot.Select(c => c.Detector).Distinct().ToList();
            if (detectors.Count == 1)
            {
                expected[slot.Key] = ((byte)detectors[0], false);
            }
            else if (detectors.All(d => d >> 1 == detectors[0] >> 1))
            {
                expected[slot.Key] = ((byte)(detectors[0] & 2), true);
            }
        }

        return expected;
    }

    private double Gauss(double sigma) =>
        sigma * Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
