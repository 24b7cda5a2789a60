namespace Qkd.Sim.Optics;

/// <summary>A pulsed link as seen by a receiver whose clock is not the sender's, reduced to what synchronisation meets.</summary>
public sealed record ClickSourceSettings
{
    /// <summary>Time from one slot to the next in the sender's clock, in picoseconds.</summary>
    public double SlotPeriodPicoseconds { get; init; } = 10_000;

    /// <summary>Mean photon number of a pulse by intensity index, brightest first.</summary>
    public IReadOnlyList<double> PhotonsPerPulse { get; init; } = [0.45, 0.15, 0.001];

    /// <summary>The intensity index of a slot.</summary>
    public required Func<long, int> Intensity { get; init; }

    /// <summary>Loss from the sender's output to the click, detectors included, in dB.</summary>
    public double LossDecibels { get; init; } = 20;

    /// <summary>Clicks a second that are not light of the sender's, all detectors together, uniform in time.</summary>
    public double BackgroundHertz { get; init; } = 400;

    /// <summary>Detectors, each equally likely to click.</summary>
    public int Detectors { get; init; } = 4;

    /// <summary>How much later each detector's clicks come, in picoseconds; none if empty.</summary>
    public IReadOnlyList<double> DetectorDelaysPicoseconds { get; init; } = [];

    /// <summary>Jitter of a click, one standard deviation, in picoseconds.</summary>
    public double JitterPicoseconds { get; init; } = 50;

    /// <summary>A detector does not click again within this time of its last click, in picoseconds.</summary>
    public double DeadTimePicoseconds { get; init; } = 15_000;

    /// <summary>The first slot that arrives, which does so at <see cref="ArrivalPicoseconds"/> of the receiver's clock.</summary>
    public long FirstSlot { get; init; }

    /// <summary>When it arrives.</summary>
    public double ArrivalPicoseconds { get; init; }

    /// <summary>How much faster the receiver's clock runs than the sender's at first, in parts per million.</summary>
    public double DeviationPpm { get; init; }

    /// <summary>How much faster it becomes, in parts per million a second.</summary>
    public double DriftPpmPerSecond { get; init; }

    /// <summary>Random walk of the receiver's frequency: standard deviation after a second, in parts per million.</summary>
    public double WanderPpm { get; init; }

    /// <summary>Stretches of the sender's time, in seconds from the first slot, in which none of its light arrives.</summary>
    public IReadOnlyList<(double From, double To)> DarkSeconds { get; init; } = [];
}

/// <summary>
/// Clicks of a pulsed link drawn from click to click, for long stretches at high loss in which polarization does not matter. Every click comes with
/// its true slot. For everything else there is <see cref="OpticalLine"/>.
/// </summary>
public sealed class ClickSource
{
    private const double Second = 1e12;

    /// <summary>Step of the frequency's random walk, in picoseconds of the sender's time.</summary>
    private const double WanderStep = 1e9;

    private readonly ClickSourceSettings _settings;
    private readonly Random _random;
    private readonly List<(double Phase, double Frequency)> _wander = [(0, 0)];
    private readonly Random _walk;

    /// <summary>Creates a stream.</summary>
    /// <param name="settings">Link and clocks.</param>
    /// <param name="seed">Seed of everything drawn.</param>
    public ClickSource(ClickSourceSettings settings, int seed)
    {
        ArgumentNullException.ThrowIfNull(settings);
        _settings = settings;
        _random = new Random(seed);
        _walk = new Random(seed ^ 0x5A5A5A);
    }

    /// <summary>When the middle of a slot's pulse reaches a detector without delay, in picoseconds of the receiver's clock.</summary>
    public double ArrivalOf(long slot) => Receiver((slot - _settings.FirstSlot) * _settings.SlotPeriodPicoseconds);

    /// <summary>Draws the clicks of the first seconds of the stream.</summary>
    public Clicks Draw(double seconds)
    {
        var clicks = new List<(long Time, byte Detector, long Slot)>();
        var last = new double[_settings.Detectors];
        last.AsSpan().Fill(double.NegativeInfinity);
        var end = seconds * Second;
        foreach (var (sender, slot) in Merge(end))
        {
            var detector = _random.Next(_settings.Detectors);
            var time = Receiver(sender) + (slot >= 0 ? _settings.JitterPicoseconds * Gauss() : 0);
            time += detector < _settings.DetectorDelaysPicoseconds.Count ? _settings.DetectorDelaysPicoseconds[detector] : 0;
            if (time - last[detector] >= _settings.DeadTimePicoseconds && time >= 0)
            {
                last[detector] = time;
                clicks.Add(((long)Math.Round(time), (byte)detector, slot));
            }
        }

        clicks.Sort((a, b) => a.Time.CompareTo(b.Time));
        return new([.. clicks.Select(c => c.Time)], [.. clicks.Select(c => c.Detector)], [.. clicks.Select(c => c.Slot)]);
    }

    private IEnumerable<(double Sender, long Slot)> Merge(double end)
    {
        var period = _settings.SlotPeriodPicoseconds;
        var efficiency = Math.Pow(10, -_settings.LossDecibels / 10);
        double[] probabilities = [.. _settings.PhotonsPerPulse.Select(mu => 1 - Math.Exp(-mu * efficiency))];
        var most = probabilities.Max();
        var background = _settings.BackgroundHertz > 0 ? Second / _settings.BackgroundHertz : double.PositiveInfinity;
        var nextNoise = Exponential(background);
        var slot = _settings.FirstSlot - 1L;
        while (true)
        {
            // Geometric: how many slots until the brightest pulse would click.
            slot += 1 + (long)Math.Min(1e15, Math.Floor(Math.Log(1 - _random.NextDouble()) / Math.Log(1 - most)));
            var sender = (slot - _settings.FirstSlot) * period;
            while (nextNoise < Math.Min(sender, end))
            {
                yield return (nextNoise, -1);
                nextNoise += Exponential(background);
            }

            if (sender >= end)
            {
                yield break;
            }

            if (_random.NextDouble() * most < probabilities[_settings.Intensity(slot)] && !IsDark(sender))
            {
                yield return (sender, slot);
            }
        }
    }

    private bool IsDark(double sender)
    {
        foreach (var (from, to) in _settings.DarkSeconds)
        {
            if (sender >= from * Second && sender < to * Second)
            {
                return true;
            }
        }

        return false;
    }

    private double Receiver(double sender)
    {
        var drift = 0.5e-6 * _settings.DriftPpmPerSecond * sender * (sender / Second);
        return _settings.ArrivalPicoseconds + sender + (_settings.DeviationPpm * 1e-6 * sender) + drift + Wander(sender);
    }

    private double Wander(double sender)
    {
        if (_settings.WanderPpm == 0)
        {
            return 0;
        }

        var step = (int)Math.Max(0, sender / WanderStep);
        var sigma = _settings.WanderPpm * 1e-6 * Math.Sqrt(WanderStep / Second);
        while (_wander.Count <= step)
        {
            var (phase, frequency) = _wander[^1];
            _wander.Add((phase + (frequency * WanderStep), frequency + (sigma * Gauss(_walk))));
        }

        return _wander[step].Phase + (_wander[step].Frequency * (sender - (step * WanderStep)));
    }

    private double Exponential(double mean) => -mean * Math.Log(1 - _random.NextDouble());

    private double Gauss() => Gauss(_random);

    private static double Gauss(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}

/// <summary>Clicks with their truth.</summary>
/// <param name="Times">Picoseconds of the receiver's clock, ascending.</param>
/// <param name="Detectors">The detector of each, from 0.</param>
/// <param name="Slots">The slot whose light it was; -1 for background.</param>
public sealed record Clicks(long[] Times, byte[] Detectors, long[] Slots);
