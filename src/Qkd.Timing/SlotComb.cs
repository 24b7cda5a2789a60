using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>
/// Where the slots lie in the tagger's clock: their period, and for each detector the phase of arrivals within a slot. Found from the times
/// alone, which cluster once a slot; followed from batch to batch.
/// </summary>
internal sealed class SlotComb
{
    private const double LargestDeviationPpm = 60;
    private const double GridPpm = 4;
    private const int TagsToFind = 4000;
    private const double LeastConcentration = 0.2;

    private readonly double _nominalPeriod;
    private readonly double[] _phases;
    private readonly double[] _delays;
    private bool _found;

    public SlotComb(TagReceiverSettings settings)
    {
        _nominalPeriod = settings.SlotPeriodPicoseconds;
        _phases = new double[settings.Detectors.Count];
        _delays = new double[settings.Detectors.Count];
        foreach (var detector in settings.Detectors)
        {
            _delays[detector.Index] = detector.DelayPicoseconds;
        }

        Period = _nominalPeriod;
    }

    /// <summary>Length of a slot in picoseconds of the tagger's clock.</summary>
    public double Period { get; private set; }

    /// <summary>Deviation of the period from nominal, in parts per million.</summary>
    public double DeviationPpm => ((Period / _nominalPeriod) - 1) * 1e6;

    /// <summary>Phase of each detector: its clicks lie this many picoseconds behind the start of a slot, its delay included.</summary>
    public ReadOnlySpan<double> Phases => _phases;

    /// <summary>Looks for the comb in the tags of a batch; false if there are too few or they do not cluster.</summary>
    public bool TryFind(IReadOnlyList<(int Detector, TagRun Run)> runs)
    {
        var all = runs.SelectMany(Undelayed).ToArray();
        if (all.Length < 200)
        {
            return false;
        }

        var (best, concentration) = (0.0, 0.0);
        for (var ppm = -LargestDeviationPpm; ppm <= LargestDeviationPpm; ppm += GridPpm)
        {
            var c = Concentration(all, _nominalPeriod * (1 + (ppm * 1e-6)), out _);
            if (c > concentration)
            {
                (best, concentration) = (ppm, c);
            }
        }

        if (concentration < LeastConcentration)
        {
            return false;
        }

        Period = _nominalPeriod * (1 + (best * 1e-6));
        Concentration(all, Period, out var common);
        for (var detector = 0; detector < _phases.Length; detector++)
        {
            var own = runs.Where(r => r.Detector == detector).SelectMany(Undelayed).ToArray();
            Concentration(own, Period, out var phase);

            // All phases on the same side of the wrap: detectors of one slot must stay in one slot.
            _phases[detector] = _delays[detector] + (own.Length < 50 ? common : common + Wrap(phase - common));
        }

        _found = true;
        for (var round = 0; round < 3; round++)
        {
            Follow(runs);
        }

        return true;
    }

    /// <summary>Corrects period and phases from the tags of a batch: mean and slope of what is left, against the time since the marker.</summary>
    public void Follow(IReadOnlyList<(int Detector, TagRun Run)> runs)
    {
        if (!_found)
        {
            return;
        }

        // Slope over all detectors, each about its own mean; then each one's mean.
        double sxx = 0, sxy = 0;
        Span<double> meanX = stackalloc double[_phases.Length];
        Span<double> meanY = stackalloc double[_phases.Length];
        Span<long> counts = stackalloc long[_phases.Length];
        foreach (var (detector, run) in runs)
        {
            var inverse = 1 / Period;
            double n = 0, x = 0, y = 0, xx = 0, xy = 0;
            var times = run.TimesPicoseconds.Span;
            var step = Math.Max(1, times.Length / TagsToFind);
            for (var i = 0; i < times.Length; i += step)
            {
                var time = times[i] - _phases[detector];
                var rest = time - (Period * Math.Round(time * inverse));
                if (Math.Abs(rest) < 0.2 * Period)
                {
                    n++;
                    x += times[i];
                    y += rest;
                    xx += (double)times[i] * times[i];
                    xy += times[i] * rest;
                }
            }

            if (n < 50)
            {
                continue;
            }

            (counts[detector], meanX[detector], meanY[detector]) = ((long)n, x / n, y / n);
            sxx += xx - (x * x / n);
            sxy += xy - (x * y / n);
        }

        if (sxx <= 0)
        {
            return;
        }

        var slope = sxy / sxx;
        Period *= 1 + slope;
        for (var detector = 0; detector < _phases.Length; detector++)
        {
            if (counts[detector] > 0)
            {
                // The stretched period moves the mean as well.
                _phases[detector] += meanY[detector] - (slope * meanX[detector]);
            }
        }
    }

    /// <summary>Some of a detector's times, its delay taken off.</summary>
    private IEnumerable<double> Undelayed((int Detector, TagRun Run) of)
    {
        var step = Math.Max(1, of.Run.Count / TagsToFind);
        for (var i = 0; i < of.Run.Count; i += step)
        {
            yield return of.Run.TimesPicoseconds.Span[i] - _delays[of.Detector];
        }
    }

    /// <summary>How well times cluster at one phase of a period, 0 to 1 (the length of the mean vector), and at which.</summary>
    private static double Concentration(double[] times, double period, out double phase)
    {
        double sin = 0, cos = 0;
        foreach (var time in times)
        {
            var (s, c) = Math.SinCos(2 * Math.PI * (time / period % 1));
            sin += s;
            cos += c;
        }

        phase = Math.Atan2(sin, cos) / (2 * Math.PI) * period;
        if (phase < 0)
        {
            phase += period;
        }

        return times.Length == 0 ? 0 : Math.Sqrt((sin * sin) + (cos * cos)) / times.Length;
    }

    private double Wrap(double difference) => difference - (Period * Math.Round(difference / Period));
}
