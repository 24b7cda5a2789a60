namespace Qkd.Sim.Optics.Tests;

/// <summary>
/// The plain twin of <see cref="OpticalLine"/> for aligned frames: pulse by pulse and photon by photon, each photon finding its way by
/// itself, every noise process event by event. Slow, short, and meant to be seen to be right.
/// </summary>
internal sealed class ReferenceLine(OpticsSettings settings, int seed)
{
    private readonly Random _random = new(seed);
    private readonly List<(long Time, int Symbol, ClickCause Cause)>[] _light = [[], [], [], []];
    private readonly List<int> _symbols = [];

    public long[] Emitted { get; } = new long[16];

    /// <summary>By symbol, detector, cause.</summary>
    public long[,,] Clicks { get; } = new long[16, 4, 4];

    /// <summary>By symbol, detector: light lost in the dead time.</summary>
    public long[,] Missed { get; } = new long[16, 4];

    /// <summary>Times between successive clicks of a detector below 200 ns, in bins of 5 ns.</summary>
    public long[] Gaps { get; } = new long[40];

    /// <summary>Sends one pulse in the next slot.</summary>
    public void Send(int symbol, double photons, double eavesdropperFraction, double resentPhotons)
    {
        var slot = _symbols.Count;
        _symbols.Add(symbol);
        Emitted[symbol]++;
        var (s1, s2) = Purity(State(symbol & 3, settings.Source.BasisSkewRadians), 1 - (2 * settings.Source.StateError));
        var cause = ClickCause.Signal;
        if (_random.NextDouble() < eavesdropperFraction)
        {
            var basis = _random.Next(2);
            Span<bool> seen = [false, false];
            for (var n = Poisson(photons); n > 0; n--)
            {
                seen[_random.NextDouble() < (1 + (basis == 0 ? s1 : s2)) / 2 ? 0 : 1] = true;
            }

            var result = seen[0] && seen[1] ? _random.Next(2) : seen[1] ? 1 : 0;
            photons = seen[0] || seen[1] ? resentPhotons : 0;
            (s1, s2) = State((2 * basis) + result, 0);
            cause = ClickCause.Resent;
        }

        Span<bool> clicked = [false, false, false, false];
        for (var n = Poisson(photons); n > 0; n--)
        {
            if (Photon(s1, s2) is >= 0 and var detector)
            {
                clicked[detector] = true;
            }
        }

        for (var detector = 0; detector < 4; detector++)
        {
            if (clicked[detector])
            {
                var jitter = Gaussian() * settings.Detectors[detector].JitterPicoseconds;
                var time = (slot * settings.Source.SlotPeriodPicoseconds) + (long)Math.Round(jitter);
                _light[detector].Add((time, symbol, cause));
            }
        }
    }

    /// <summary>Runs the detectors over what was sent.</summary>
    public void Detect()
    {
        for (var detector = 0; detector < 4; detector++)
        {
            Detect(detector, settings.Detectors[detector]);
        }
    }

    private void Detect(int index, DetectorSettings detector)
    {
        var period = settings.Source.SlotPeriodPicoseconds;
        var events = new PriorityQueue<(int Symbol, ClickCause Cause), long>();
        foreach (var (time, symbol, cause) in _light[index])
        {
            events.Enqueue((symbol, cause), time);
        }

        for (var time = Exponential(1e12 / detector.DarkCountsPerSecond); time < _symbols.Count * period; time += Exponential(1e12 / detector.DarkCountsPerSecond))
        {
            events.Enqueue((-1, ClickCause.Dark), (long)time);
        }

        var last = long.MinValue / 2;
        while (events.TryDequeue(out var candidate, out var time))
        {
            var symbol = candidate.Symbol;
            if (symbol < 0)
            {
                var slot = (time + (period / 2)) / period;
                if (slot >= _symbols.Count)
                {
                    continue;
                }

                symbol = _symbols[(int)slot];
            }

            if (time < last + detector.DeadTimePicoseconds)
            {
                if (candidate.Cause is ClickCause.Signal or ClickCause.Resent)
                {
                    Missed[symbol, index]++;
                }

                continue;
            }

            Clicks[symbol, index, (int)candidate.Cause]++;
            if (time - last < 200_000)
            {
                Gaps[(time - last) / 5000]++;
            }

            last = time;
            if (_random.NextDouble() < detector.AfterpulseProbability)
            {
                events.Enqueue((-1, ClickCause.Afterpulse), time + detector.DeadTimePicoseconds + (long)Exponential(detector.AfterpulseDecayPicoseconds));
            }
        }
    }

    /// <summary>Where one photon ends: a detector, or -1.</summary>
    private int Photon(double s1, double s2)
    {
        var channel = settings.Channel;
        var receiver = settings.Receiver;
        var decibels = (channel.LengthKm * channel.LossDecibelsPerKm) + channel.ExtraLossDecibels + receiver.InsertionLossDecibels;
        if (_random.NextDouble() > Math.Pow(10, -decibels / 10))
        {
            return -1;
        }

        var inZ = _random.NextDouble() < receiver.ZArmFraction;
        var port = _random.NextDouble() < (1 + (inZ ? s1 : s2)) / 2 ? 0 : 1;
        if (_random.NextDouble() < Math.Pow(10, -(inZ ? receiver.ZExtinctionDecibels : receiver.XExtinctionDecibels) / 10))
        {
            port = 1 - port;
        }

        var detector = (inZ ? 0 : 2) + port;
        return _random.NextDouble() < settings.Detectors[detector].Efficiency ? detector : -1;
    }

    private static (double S1, double S2) State(int state, double skew) => state switch
    {
        0 => (1, 0),
        1 => (-1, 0),
        2 => (Math.Sin(skew), Math.Cos(skew)),
        _ => (-Math.Sin(skew), -Math.Cos(skew)),
    };

    private static (double S1, double S2) Purity((double S1, double S2) state, double purity) => (purity * state.S1, purity * state.S2);

    private int Poisson(double mean)
    {
        var count = 0;
        for (var product = _random.NextDouble(); product > Math.Exp(-mean); product *= _random.NextDouble())
        {
            count++;
        }

        return count;
    }

    private double Exponential(double mean) => -mean * Math.Log(1 - _random.NextDouble());

    private double Gaussian() =>
        Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
