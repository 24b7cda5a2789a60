using Qkd.Sim.Optics;
using Qkd.Timing.Clocks;

namespace Qkd.Timing.Tests.Clocks;

/// <summary>One run of clock recovery on an emulated link, judged by the link's own truth.</summary>
internal sealed record SyncTrial
{
    public const double Period = 10_000;

    private static readonly PilotIntensities Pilots = new(1_000_000, 4096);

    /// <summary>Loss from the sender to the click, in dB.</summary>
    public double Loss { get; init; } = 30;

    /// <summary>Signal to noise: light clicks over background clicks.</summary>
    public double SignalToNoise { get; init; } = 10;

    public double Ppm { get; init; } = 20;

    public double DriftPpmPerSecond { get; init; }

    public double WanderPpm { get; init; }

    public double Jitter { get; init; } = 50;

    public IReadOnlyList<double> Delays { get; init; } = [0, 320, -410, 150];

    public double Seconds { get; init; } = 5;

    public IReadOnlyList<(double From, double To)> DarkSeconds { get; init; } = [];

    public int FramesToTry { get; init; } = 16;

    /// <summary>Mean clicks of light a second.</summary>
    public double LightHertz => MeanPhotons * Math.Pow(10, -Loss / 10) * 1e12 / Period;

    /// <summary>By the probabilities of <see cref="PilotIntensities"/>.</summary>
    private static double MeanPhotons => (0.5 * 0.45) + (0.3125 * 0.15) + (0.1875 * 0.001);

    /// <summary>Added to the frame number that the pilots are made of: another sender's pilots.</summary>
    public long PilotsOfFrame { get; init; }

    public SyncResult Run(int seed)
    {
        var source = Source(seed);
        return Judge(source, source.Draw(Seconds));
    }

    public Sim.Optics.Clicks Draw(int seed) => Source(seed).Draw(Seconds);

    private ClickSource Source(int seed)
    {
        var random = new Random(seed);
        var start = (10L * 1_000_000) + random.NextInt64((long)FramesToTry * 1_000_000 * 9 / 10);
        return new ClickSource(
            new ClickSourceSettings
            {
                Intensity = slot => Pilots.Of(slot + (PilotsOfFrame * 1_000_000)),
                LossDecibels = Loss,
                BackgroundHertz = LightHertz / SignalToNoise,
                FirstSlot = start,
                ArrivalPicoseconds = random.NextDouble() * 1e9,
                DeviationPpm = Ppm,
                DriftPpmPerSecond = DriftPpmPerSecond,
                WanderPpm = WanderPpm,
                JitterPicoseconds = Jitter,
                DetectorDelaysPicoseconds = Delays,
                DarkSeconds = DarkSeconds,
            },
            seed);
    }

    private SyncResult Judge(ClickSource source, Sim.Optics.Clicks clicks)
    {
        var clock = new SignalClock(new SignalClockSettings { FirstFrame = 10, FramesToTry = FramesToTry });
        var result = new SyncResult { Clock = clock };
        for (var from = 0; from < clicks.Times.Length;)
        {
            // Batches of a tenth of a second, as an instrument delivers them.
            var to = from;
            while (to < clicks.Times.Length && clicks.Times[to] - clicks.Times[from] < 100_000_000_000)
            {
                to++;
            }

            foreach (var stretch in clock.Add(clicks.Times.AsSpan(from, to - from), clicks.Detectors.AsSpan(from, to - from)))
            {
                if (stretch.State == ClockState.Locked)
                {
                    Judge(source, clicks, stretch, from, clock.DetectorOffsets, result);
                }
            }

            from = to;
        }

        return result;
    }

    private void Judge(ClickSource source, Sim.Optics.Clicks clicks, ClockStretch stretch, int at, ReadOnlySpan<double> offsets, SyncResult result)
    {
        for (var i = at + stretch.From; i < at + stretch.To; i++)
        {
            var slot = clicks.Slots[i];
            if (slot < 0)
            {
                continue;
            }

            result.LockedAfter ??= (clicks.Times[i] - clicks.Times[0]) * 1e-12;

            // The clock as it would place a click without jitter, in the detector that clicked.
            var detector = clicks.Detectors[i];
            var ideal = source.ArrivalOf(slot) + Delays[detector];
            var (found, late) = stretch.Clock.At(ideal - (offsets[detector] * stretch.Clock.PeriodPicoseconds));
            if (found == slot)
            {
                result.Right++;
                result.AddError(late * Period);
            }
            else
            {
                result.Wrong++;
                result.FirstWrong ??= clicks.Times[i] * 1e-12;
            }
        }
    }
}

/// <summary>How a run went.</summary>
internal sealed class SyncResult
{
    private double _sum;
    private double _squares;

    public required SignalClock Clock { get; init; }

    /// <summary>Seconds from the first click to the lock; null if there was none.</summary>
    public double? LockedAfter { get; set; }

    /// <summary>Clicks of light that were given their own slot while locked.</summary>
    public long Right { get; set; }

    /// <summary>And another.</summary>
    public long Wrong { get; set; }

    public double? FirstWrong { get; set; }

    /// <summary>Error of the clock itself about its mean, one standard deviation, in picoseconds: what it adds to the detectors' jitter.</summary>
    public double JitterAdded => Math.Sqrt(Math.Max(0, (_squares / Right) - Math.Pow(_sum / Right, 2)));

    public void AddError(double picoseconds)
    {
        _sum += picoseconds;
        _squares += picoseconds * picoseconds;
    }
}
