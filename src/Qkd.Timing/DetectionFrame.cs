namespace Qkd.Timing;

/// <summary>The detections of one emission frame, after gating and vetoes.</summary>
public sealed class DetectionFrame
{
    /// <summary>Number of the emission frame.</summary>
    public required long Frame { get; init; }

    /// <summary>Slots with a detection, counted from the head of the frame, ascending, the pilot's included.</summary>
    public required ReadOnlyMemory<int> Slots { get; init; }

    /// <summary>For each of them: bit 0 the bit, bit 1 the basis (1 = X), bit 2 whether it was a multi-click.</summary>
    public required ReadOnlyMemory<byte> Outcomes { get; init; }

    /// <summary>Slots of this frame in which nothing could be recorded: gaps of the tagger, markers lost.</summary>
    public required int LostSlots { get; init; }

    /// <summary>What the gate did.</summary>
    public required GateCounts Gate { get; init; }

    /// <summary>What was detected in the pilot.</summary>
    public required PilotStatistics Pilot { get; init; }
}

/// <summary>What the gate did with the clicks of a frame.</summary>
/// <param name="Clicks">Clicks, all detectors.</param>
/// <param name="OutsideGate">Clicks outside the gate window: not detections, but they make their detector dead.</param>
/// <param name="Vetoed">Slots with clicks that fell within the dead time of any detector.</param>
/// <param name="DoubleClicks">Detections with both detectors of one basis: given a random bit.</param>
/// <param name="CrossClicks">Slots with detectors of both bases: discarded.</param>
public readonly record struct GateCounts(long Clicks, long OutsideGate, long Vetoed, long DoubleClicks, long CrossClicks)
{
    /// <summary>The sum of two.</summary>
    public GateCounts Plus(GateCounts other) => new(
        Clicks + other.Clicks, OutsideGate + other.OutsideGate, Vetoed + other.Vetoed, DoubleClicks + other.DoubleClicks, CrossClicks + other.CrossClicks);
}

/// <summary>Detections in pilots, by what was sent.</summary>
public sealed class PilotStatistics
{
    private readonly long[] _clicks;

    /// <summary>Nothing yet.</summary>
    public PilotStatistics()
        : this(new long[16], 0, 0, 0)
    {
    }

    internal PilotStatistics(long[] clicks, long vacuumClicks, long signalSlots, long vacuumSlots) =>
        (_clicks, VacuumClicks, SignalSlots, VacuumSlots) = (clicks, vacuumClicks, signalSlots, vacuumSlots);

    /// <summary>Detections in signal slots: sent state (H, V, D, A) in the higher place, detector (H, V, D, A) in the lower.</summary>
    public ReadOnlySpan<long> Clicks => _clicks;

    /// <summary>Detections in vacuum slots.</summary>
    public long VacuumClicks { get; }

    /// <summary>Signal slots sent.</summary>
    public long SignalSlots { get; }

    /// <summary>Vacuum slots sent.</summary>
    public long VacuumSlots { get; }

    /// <summary>Errors among the detections whose basis matched, and the number of these.</summary>
    public (long Errors, long Matched) ErrorsAndMatched()
    {
        long errors = 0, matched = 0;
        for (var sent = 0; sent < 4; sent++)
        {
            var basis = sent & 2;
            var right = _clicks[(4 * sent) + sent];
            var wrong = _clicks[(4 * sent) + basis + (1 - (sent & 1))];
            matched += right + wrong;
            errors += wrong;
        }

        return (errors, matched);
    }

    /// <summary>The sum of two.</summary>
    public PilotStatistics Plus(PilotStatistics other)
    {
        ArgumentNullException.ThrowIfNull(other);
        var sum = new long[16];
        for (var i = 0; i < sum.Length; i++)
        {
            sum[i] = _clicks[i] + other._clicks[i];
        }

        return new(sum, VacuumClicks + other.VacuumClicks, SignalSlots + other.SignalSlots, VacuumSlots + other.VacuumSlots);
    }
}
