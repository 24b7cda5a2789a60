using BenchmarkDotNet.Attributes;
using Qkd.Sim.Optics;
using Qkd.Timing.Clocks;
using Qkd.Timing.Tests.Clocks;

namespace Qkd.Benchmarks;

/// <summary>The sender's clock found in a second of its light and followed to the end, in time a second of stream.</summary>
public class SyncBenchmarks
{
    private const int FrameSlots = 1_000_000;
    private const int PilotSlots = 4096;

    private readonly PilotIntensities _pilots = new(FrameSlots, PilotSlots);
    private Clicks _clicks = new([], [], []);

    /// <summary>Loss in dB: 14.35 is a million clicks a second at 100 MHz, 20 is 270 thousand.</summary>
    [Params(14.35, 20)]
    public double Loss { get; set; }

    /// <summary>Draws the light.</summary>
    [GlobalSetup]
    public void Draw() => _clicks = new ClickSource(
        new ClickSourceSettings { Intensity = _pilots.Of, LossDecibels = Loss, FirstSlot = 7_654_321, ArrivalPicoseconds = 1e9, DeviationPpm = 37, DriftPpmPerSecond = 0.2 }, 3).Draw(1);

    /// <summary>Period within ±55 ppm, numbers anywhere in 16 frames.</summary>
    [Benchmark]
    public ClockState Search()
    {
        var clock = new SignalClock(new SignalClockSettings { FrameSlots = FrameSlots, PilotSlots = PilotSlots });
        clock.Add(_clicks.Times, _clicks.Detectors);
        return clock.State == ClockState.Locked ? clock.State : throw new InvalidOperationException("The clock was not found.");
    }
}
