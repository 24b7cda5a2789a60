namespace Qkd.Timing.Clocks;

/// <summary>
/// Watches whether the slots still have the right numbers: the pilots' signal slots go on clicking and their vacuum slots do not. Tells by how many
/// slots the numbering has slipped, if it has.
/// </summary>
internal sealed class NumberingCheck
{
    /// <summary>Slips that are looked for, in slots either way.</summary>
    public const int Reach = 512;

    private const int FewestClicks = 60;
    private const int MostClicks = 20_000;

    /// <summary>Standard deviations that a check is planned to have, those that are enough, and those that a slip needs.</summary>
    private const double ExpectedSigmas = 8;

    private const double LeastSigmas = 3.5;
    private const double SlipSigmas = 6.5;

    private readonly PilotTable _pilots;
    private readonly int _frameSlots;
    private readonly int _pilotSlots;
    private readonly List<long> _near = [];
    private int _inPilots;
    private double _contrast = 0.5;
    private int _bad;

    public NumberingCheck(SignalClockSettings settings, PilotTable pilots) =>
        (_frameSlots, _pilotSlots, _pilots) = (settings.FrameSlots, settings.PilotSlots, pilots);

    /// <summary>Whether check after check has found no pilot in its place or near it.</summary>
    public bool IsLost => _bad >= 2;

    /// <summary>Takes a slot with a click.</summary>
    public void Add(long slot)
    {
        var within = (slot + Reach) % _frameSlots;
        if (within < _pilotSlots + (2 * Reach))
        {
            _near.Add(slot);
            _inPilots += within >= Reach && within < Reach + _pilotSlots ? 1 : 0;
        }
    }

    /// <summary>Checks, if enough clicks have come.</summary>
    /// <returns>What must be added to slots to number them rightly again; 0 if they are, or if that cannot be told.</returns>
    public int Check()
    {
        var needed = Math.Clamp(ExpectedSigmas * ExpectedSigmas / (_contrast * _contrast), FewestClicks, MostClicks);
        if (_inPilots < needed)
        {
            return 0;
        }

        var (present, clicks) = Sigmas(0);
        var slip = 0;
        if (present >= LeastSigmas)
        {
            _bad = 0;
            _contrast += 0.25 * (Math.Clamp(present / Math.Sqrt(clicks), 0.05, 1) - _contrast);
        }
        else
        {
            var best = (Slip: 0, Sigmas: present);
            for (var candidate = -Reach; candidate <= Reach; candidate++)
            {
                var (sigmas, _) = Sigmas(candidate);
                best = sigmas > best.Sigmas ? (candidate, sigmas) : best;
            }

            slip = best.Sigmas >= SlipSigmas ? best.Slip : 0;
            _bad = slip != 0 ? 0 : _bad + 1;
        }

        _near.Clear();
        _inPilots = 0;
        return slip;
    }

    private (double Sigmas, int Clicks) Sigmas(int slip)
    {
        int score = 0, clicks = 0;
        foreach (var slot in _near)
        {
            var frame = Math.DivRem(slot + slip, _frameSlots, out var within);
            if (slot + slip >= 0 && within < _pilotSlots)
            {
                clicks++;
                score += _pilots.Signs(frame)[(int)within];
            }
        }

        return (score / Math.Sqrt(Math.Max(1, clicks)), clicks);
    }
}
