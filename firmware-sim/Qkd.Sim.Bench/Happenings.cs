using Microsoft.Extensions.Logging;
using Qkd.Sim.Firmware;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

/// <summary>What the settings let happen at a time: faults that come and go, an eavesdropper who begins to listen. One thread.</summary>
internal sealed class Happenings
{
    private readonly PriorityQueue<Action, long> _known = new();
    private readonly List<(long After, Action Act)> _afterLight = [];
    private readonly ILogger _logger;

    public Happenings(EmulationSettings settings, LightPath path, BenchInstruments instruments, ILogger logger)
    {
        _logger = logger;
        foreach (var fault in settings.Faults)
        {
            var instrument = instruments.Find(fault.Instrument);
            Plan(fault.AfterSeconds, () => Inject(instrument, fault.Fault));
            if (fault.ForSeconds > 0)
            {
                Plan(fault.AfterSeconds, fault.ForSeconds, () => Inject(instrument, InstrumentFault.None));
            }
        }

        if (settings.Eavesdropper.Kind != EavesdropperKind.None)
        {
            var eavesdropper = new EavesdropperSettings { Kind = settings.Eavesdropper.Kind, Fraction = settings.Eavesdropper.Fraction };
            Plan(settings.Eavesdropper.StartAfterSeconds, () => path.Eavesdropper = eavesdropper);
        }
    }

    /// <summary>Light has left the transmitter; only the first time counts.</summary>
    public void LightBegan(long benchPicoseconds)
    {
        foreach (var (after, act) in _afterLight)
        {
            _known.Enqueue(act, benchPicoseconds + after);
        }

        _afterLight.Clear();
    }

    /// <summary>Lets happen what is due.</summary>
    public void Follow(long benchPicoseconds)
    {
        while (_known.TryPeek(out var act, out var due) && due <= benchPicoseconds)
        {
            _known.Dequeue();
            act();
        }
    }

    private void Plan(double afterSeconds, Action act) => Plan(afterSeconds, 0, act);

    /// <summary>After 0 seconds is from the start, light or not.</summary>
    private void Plan(double afterSeconds, double andSeconds, Action act)
    {
        var after = (long)((afterSeconds + andSeconds) * 1e12);
        if (afterSeconds == 0)
        {
            _known.Enqueue(act, after);
        }
        else
        {
            _afterLight.Add((after, act));
        }
    }

    private void Inject(IEmulatedInstrument instrument, InstrumentFault fault)
    {
        Log.Fault(_logger, instrument.Name, fault);
        instrument.Inject(fault);
    }
}
