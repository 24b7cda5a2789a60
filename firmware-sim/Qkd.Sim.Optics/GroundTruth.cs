namespace Qkd.Sim.Optics;

/// <summary>Why a detector clicked.</summary>
public enum ClickCause
{
    /// <summary>Light of the transmitter.</summary>
    Signal = 0,

    /// <summary>Light of the eavesdropper.</summary>
    Resent = 1,

    /// <summary>A dark count.</summary>
    Dark = 2,

    /// <summary>An afterpulse of an earlier click.</summary>
    Afterpulse = 3,
}

/// <summary>One click as it really was.</summary>
/// <param name="Picoseconds">Bench time.</param>
/// <param name="Detector">0 to 3: H, V, D, A.</param>
/// <param name="Cause">Why.</param>
/// <param name="Slot">The slot that caused it or, for dark counts and afterpulses, the one nearest in time; -1 if no light was sent then.</param>
/// <param name="Symbol">That slot's symbol: bit + 2 × basis + 4 × intensity index; -1 if no light was sent then.</param>
public readonly record struct LoggedClick(long Picoseconds, int Detector, ClickCause Cause, long Slot, int Symbol);

/// <summary>A run of slots emitted without a break.</summary>
/// <param name="FirstSlot">Its first slot.</param>
/// <param name="SlotCount">Its length so far.</param>
/// <param name="FromPicoseconds">Bench time at which the first slot left the transmitter.</param>
/// <param name="ToPicoseconds">Bench time at which the slot after the last would have left.</param>
public readonly record struct EmissionInterval(long FirstSlot, long SlotCount, long FromPicoseconds, long ToPicoseconds);

/// <summary>
/// What the optics really did, for tests and for judging a node; a node never reads it. Counters are always kept: totals, and those of
/// the latest frames. May be read by any thread while light passes.
/// </summary>
public sealed class GroundTruth
{
    private readonly Lock _lock = new();

    internal GroundTruth(TruthSettings settings) => Settings = settings;

    /// <summary>The settings given.</summary>
    public TruthSettings Settings { get; }

    /// <summary>
    /// Called for each click, in the thread that drives the line, ascending in time within a detector but not across detectors; null
    /// (the default) for none. Must not call back into the truth.
    /// </summary>
    public Action<LoggedClick>? ClickLog { get; set; }

    /// <summary>Counters since the start over all slots outside the pilots.</summary>
    public TruthCounters Payload() => new();

    /// <summary>Counters since the start over the slots of the pilots.</summary>
    public TruthCounters Pilots() => new();

    /// <summary>Counters of some frames' slots outside their pilots.</summary>
    /// <param name="firstFrame">Frame number of the first: slot divided by <see cref="TruthSettings.FrameSlots"/>.</param>
    /// <param name="frameCount">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">A frame is no longer kept, or was not sent.</exception>
    public TruthCounters Frames(long firstFrame, int frameCount) => new();

    /// <summary>Clicks of each detector while no light was sent, by cause (dark counts and afterpulses).</summary>
    public TruthCounters Unlit() => new();

    /// <summary>The latest runs of slots sent without a break, oldest first; at most 1000 are kept.</summary>
    public IReadOnlyList<EmissionInterval> EmissionIntervals()
    {
        lock (_lock)
        {
            return [];
        }
    }
}

/// <summary>Counters of emitted symbols and of the clicks in their slots. A symbol is basis (0 = Z, 1 = X), bit and intensity index (0 to 3).</summary>
public sealed class TruthCounters
{
    internal long[] Cells { get; } = new long[320];

    /// <summary>Pulses sent with this symbol.</summary>
    public long Emitted(int intensity, int basis, int bit) => Cells[0];

    /// <summary>Clicks of a detector in slots of this symbol, for one reason.</summary>
    public long Clicks(int intensity, int basis, int bit, int detector, ClickCause cause) => Cells[0];
}
