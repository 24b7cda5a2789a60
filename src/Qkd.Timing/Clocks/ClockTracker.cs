namespace Qkd.Timing.Clocks;

/// <summary>
/// Follows a sender's clock through the arrival times, a step of some milliseconds at a time: a Kalman filter of phase, frequency and drift, whose
/// measurements are the mean distances of clicks from the slot centres that the clock foretells.
/// </summary>
/// <remarks>
/// <para>A click counts if it lies within a window about the centre: four standard deviations of jitter and phase error. Background falls into
/// it evenly, so the mean of a window is s times the clock's error, where s is the share of clicks that are light; s follows from the density outside the
/// window. The variance of the measured error is then (s σ² + (1 - s) w²/3) / (n s²) for n clicks, jitter σ and half width w.</para>
/// <para>The frequency performs a random walk, and its rate of change another; the covariances over a time t are those of integrators of second order,
/// q · [t³/3, t²/2; t²/2, t], and of third, q · [t⁵/20, t⁴/8, t³/6; t⁴/8, t³/3, t²/2; t³/6, t²/2, t] (Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and
/// Navigation, 2001, eq. 6.2.3-7).</para>
/// </remarks>
internal sealed class ClockTracker
{
    /// <summary>Length of a step in picoseconds.</summary>
    public const long StepPicoseconds = 5_000_000_000;

    /// <summary>Clicks that a step looks at; more would not make it noticeably better.</summary>
    private const int MostClicksAStep = 2048;

    /// <summary>A step with fewer clicks in the window waits for the next.</summary>
    private const int FewestClicksAStep = 16;

    private const double WidestWindow = 0.25;
    private const double NarrowestWindow = 0.004;
    private const double LargestPhaseError = 0.12;

    /// <summary>Seconds without a correction that are no reason to ask how far off the clock may be.</summary>
    private const double LongestBlind = 0.05;

    private const int BadChecksToLose = 2;

    /// <summary>Variance of a jitter so small that it does not matter, in slots squared.</summary>
    private const double LeastJitterVariance = 1e-16;

    private const double Second = 1e12;

    /// <summary>Standard deviations by which light must stand out of the background in a check that expects <see cref="ExpectedSigmas"/>.</summary>
    private const double LeastSigmas = 3;

    private const double ExpectedSigmas = 9;
    private const int FewestClicksACheck = 60;

    private readonly double _wander;
    private readonly double _frequencyWander;
    private readonly double[] _offsets;
    private readonly double[,] _covariance = new double[3, 3];
    private readonly double[] _detectorSums;
    private readonly int[] _detectorCounts;
    private SlotClock _clock;
    private double _jitterVariance = 0.01;
    private double _light = 0.5;
    private Check _check;
    private int _badChecks;
    private Sums _sums;

    /// <summary>Starts from what was found.</summary>
    public ClockTracker(SignalClockSettings settings, FoundFrequency found)
    {
        _clock = found.Clock;
        _offsets = [.. found.DetectorOffsets];
        _detectorSums = new double[_offsets.Length];
        _detectorCounts = new int[_offsets.Length];
        var slotsPerSecond = Second / settings.SlotPeriodPicoseconds;
        _wander = Math.Pow(settings.DriftWanderPpm * 1e-6 * slotsPerSecond, 2);
        _frequencyWander = Math.Pow(settings.FrequencyWanderPpm * 1e-6 * slotsPerSecond, 2);
        _covariance[0, 0] = 0.05 * 0.05;
        _covariance[1, 1] = Math.Pow(0.3 * found.FrequencyError * Second, 2);
        _covariance[2, 2] = Math.Pow(settings.LargestDriftPpmPerSecond * 1e-6 * slotsPerSecond, 2);
        Window = WidestWindow;
    }

    /// <summary>The clock, described around the last measurement.</summary>
    public SlotClock Clock => _clock;

    /// <summary>How much later each detector's clicks come than slot centres, in slots.</summary>
    public ReadOnlySpan<double> Offsets => _offsets;

    /// <summary>Half width of the window about a slot's centre, in slots.</summary>
    public double Window { get; private set; }

    /// <summary>Jitter of the clicks, one standard deviation, in slots.</summary>
    public double JitterSlots => Math.Sqrt(_jitterVariance);

    /// <summary>Share of all clicks that are light.</summary>
    public double LightShare => _light;

    /// <summary>What the filter believes its phase error to be, one standard deviation, in slots.</summary>
    public double PhaseErrorSlots => Math.Sqrt(_covariance[0, 0]);

    /// <summary>Whether the light is no longer where it should be.</summary>
    public bool IsLost => _badChecks >= BadChecksToLose;

    /// <summary>Gives the slots another number.</summary>
    public void Renumber(long bySlots) => _clock = _clock.Renumbered(bySlots);

    /// <summary>Takes the clicks of a step and corrects the clock by them; where they are too few, they count with those of the next.</summary>
    public void Step(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        if (IsOutOfSight(times[^1]))
        {
            _badChecks = BadChecksToLose;
            return;
        }

        Gather(times, detectors);
        if (_sums.Inside >= FewestClicksAStep)
        {
            Correct();
        }
    }

    /// <summary>Whether so much time has passed without a correction that which slot is which cannot be told any more.</summary>
    private bool IsOutOfSight(long time)
    {
        var since = (time - _clock.Time) / Second;
        var error = _covariance[0, 0] + (since * since * _covariance[1, 1]) + (0.25 * Math.Pow(since, 4) * _covariance[2, 2]);
        return since > LongestBlind && Math.Sqrt(error) > LargestPhaseError;
    }

    private void Gather(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        var step = Math.Max(1, times.Length / MostClicksAStep);
        var window = Window;
        int inside = 0, outside = 0;
        double sum = 0, squares = 0, moments = 0;
        for (var i = 0; i < times.Length; i += step)
        {
            var position = _clock.Since(times[i]) - _offsets[detectors[i]];
            var late = position - Math.Round(position);
            if (Math.Abs(late) > window)
            {
                outside++;
                continue;
            }

            inside++;
            sum += late;
            squares += late * late;
            moments += times[i] - _clock.Time;
            _detectorSums[detectors[i]] += late;
            _detectorCounts[detectors[i]]++;
        }

        _sums = new(_sums.Inside + inside, _sums.Outside + outside, _sums.Late + sum, _sums.Squares + squares, _sums.Times + moments);
    }

    private void Correct()
    {
        var (n, window) = (_sums.Inside, Window);
        var share = _light / (_light + ((1 - _light) * 2 * window));
        var mean = _sums.Late / n;
        var late = Math.Clamp(mean / share, -window, window);
        var variance = ((share * _jitterVariance) + ((1 - share) * window * window / 3)) / (n * share * share);
        var time = _clock.Time + (long)(_sums.Times / n);
        Predict((time - _clock.Time) / Second);
        _clock = _clock.MovedTo(time);
        Update(late, variance);
        LearnJitter(mean, share);
        AlignDetectors(share);
        CheckLight();
        _sums = default;
        var spread = Math.Sqrt(_jitterVariance + _covariance[0, 0]);
        Window = Math.Clamp(4 * spread, NarrowestWindow, WidestWindow);
    }

    private void Predict(double t)
    {
        // P <- F P Fᵀ + Q, with F = [1 t t²/2; 0 1 t; 0 0 1].
        var p = _covariance;
        var half = t * t / 2;
        double a = p[0, 0], b = p[0, 1], c = p[0, 2], d = p[1, 1], e = p[1, 2], f = p[2, 2];
        p[0, 0] = a + (2 * t * b) + (2 * half * c) + (t * t * d) + (2 * t * half * e) + (half * half * f) + (_wander * Math.Pow(t, 5) / 20) + (_frequencyWander * t * half * 2 / 3);
        p[0, 1] = p[1, 0] = b + (t * c) + (t * d) + ((half + (t * t)) * e) + (t * half * f) + (_wander * Math.Pow(t, 4) / 8) + (_frequencyWander * half);
        p[0, 2] = p[2, 0] = c + (t * e) + (half * f) + (_wander * Math.Pow(t, 3) / 6);
        p[1, 1] = d + (2 * t * e) + (t * t * f) + (_wander * Math.Pow(t, 3) / 3) + (_frequencyWander * t);
        p[1, 2] = p[2, 1] = e + (t * f) + (_wander * half);
        p[2, 2] = f + (_wander * t);
    }

    private void Update(double late, double variance)
    {
        var p = _covariance;
        var total = p[0, 0] + variance;
        double k0 = p[0, 0] / total, k1 = p[0, 1] / total, k2 = p[0, 2] / total;
        double p0 = p[0, 0], p1 = p[0, 1], p2 = p[0, 2];
        p[0, 0] -= k0 * p0;
        p[0, 1] = p[1, 0] = p1 - (k0 * p1);
        p[0, 2] = p[2, 0] = p2 - (k0 * p2);
        p[1, 1] -= k1 * p1;
        p[1, 2] = p[2, 1] = p[1, 2] - (k1 * p2);
        p[2, 2] -= k2 * p2;

        // Clicks that seem late say that the clock is ahead.
        var fraction = _clock.Fraction - (k0 * late);
        var whole = Math.Floor(fraction);
        _clock = new(
            _clock.Time,
            _clock.Slot + (long)whole,
            fraction - whole,
            _clock.SlotsPerPicosecond - (k1 * late / Second),
            _clock.Drift - (k2 * late / (Second * Second)));
    }

    private void LearnJitter(double mean, double share)
    {
        var (n, window) = (_sums.Inside, Window);
        var observed = (_sums.Squares / n) - (mean * mean);
        var jitter = Math.Clamp((observed - ((1 - share) * window * window / 3)) / share, LeastJitterVariance, WidestWindow * WidestWindow / 3);
        _jitterVariance += (jitter - _jitterVariance) * n / (n + 1500.0);
    }

    /// <summary>The first detector that has clicks stays where it is: the clock's phase is its; the others are moved towards their own mean.</summary>
    private void AlignDetectors(double share)
    {
        var reference = Array.FindIndex(_detectorCounts, count => count > 0);
        for (var detector = 0; detector < _offsets.Length; detector++)
        {
            if (_detectorCounts[detector] >= 400)
            {
                if (detector != reference)
                {
                    _offsets[detector] += 0.5 * _detectorSums[detector] / (_detectorCounts[detector] * share);
                }

                (_detectorSums[detector], _detectorCounts[detector]) = (0, detector == reference ? 1 : 0);
            }
        }
    }

    private void CheckLight()
    {
        _check = new(_check.Inside + _sums.Inside, _check.Outside + _sums.Outside, _check.Window + (Window * (_sums.Inside + _sums.Outside)));
        var n = _check.Inside + _check.Outside;
        var part = 2 * _check.Window / n;
        var expected = _light * (1 - part) * Math.Sqrt(n / (part * (1 - part)));
        if (n < FewestClicksACheck || expected < ExpectedSigmas)
        {
            return;
        }

        var sigmas = (_check.Inside - (part * n)) / Math.Sqrt(part * (1 - part) * n);
        _badChecks = sigmas < LeastSigmas ? _badChecks + 1 : 0;
        if (_badChecks == 0)
        {
            var light = Math.Clamp(1 - (_check.Outside / (1 - part) / n), 0.02, 1);
            _light += (light - _light) * n / (n + 3000.0);
        }

        _check = default;
    }

    private readonly record struct Sums(int Inside, int Outside, double Late, double Squares, double Times);

    private readonly record struct Check(long Inside, long Outside, double Window);
}
