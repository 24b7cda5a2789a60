namespace Qkd.Sim.Optics.Tests;

/// <summary>
/// What a receiver makes of the clicks, slot by slot: a slot after one with any click is not looked at, clicks in both bases are thrown
/// away, both detectors of a basis give a random bit, counted here as half an error. Fed from the log of the truth.
/// </summary>
internal sealed class Gate(int vetoSlots)
{
    private readonly Dictionary<long, (int Symbol, int Pattern)> _slots = [];

    /// <summary>Detections by symbol and basis of the receiver.</summary>
    public double[,] Detections { get; } = new double[16, 2];

    /// <summary>Detections with the wrong bit, by symbol, in the symbol's basis.</summary>
    public double[] Errors { get; } = new double[16];

    public void Add(LoggedClick click)
    {
        _slots.TryGetValue(click.Slot, out var seen);
        _slots[click.Slot] = (click.Symbol, seen.Pattern | 1 << click.Detector);
    }

    /// <summary>Takes what has come; the few slots at a stretch's border whose veto is not known are let go.</summary>
    public void Take()
    {
        foreach (var (slot, (symbol, pattern)) in _slots)
        {
            var vetoed = symbol < 0;
            for (var back = 1; back <= vetoSlots; back++)
            {
                vetoed |= _slots.ContainsKey(slot - back);
            }

            var (inZ, inX) = (pattern & 3, pattern >> 2);
            if (vetoed || (inZ != 0 && inX != 0))
            {
                continue;
            }

            var (basis, clicked) = inZ != 0 ? (0, inZ) : (1, inX);
            Detections[symbol, basis]++;
            if (basis == (symbol >> 1 & 1))
            {
                Errors[symbol] += clicked == 3 ? 0.5 : clicked == 2 - (symbol & 1) ? 1 : 0;
            }
        }

        _slots.Clear();
    }

    /// <summary>Error rate of some intensities in a basis, and the matched detections behind it.</summary>
    public (double Rate, double Detections) ErrorRate(int basis, params ReadOnlySpan<int> intensities)
    {
        var (errors, detections) = (0.0, 0.0);
        foreach (var intensity in intensities)
        {
            for (var bit = 0; bit < 2; bit++)
            {
                var symbol = bit | basis << 1 | intensity << 2;
                errors += Errors[symbol];
                detections += Detections[symbol, basis];
            }
        }

        return (errors / detections, detections);
    }

    public static Gate Run(Emission emission, long slots, int vetoSlots)
    {
        var gate = new Gate(vetoSlots);
        emission.Truth.ClickLog = gate.Add;
        emission.Send(slots, _ => gate.Take());
        emission.Truth.ClickLog = null;
        return gate;
    }
}
