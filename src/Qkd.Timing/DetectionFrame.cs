using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Qkd.Timing;

/// <summary>
/// The detections of one emission frame, after gating and vetoes. Its outcomes are the receiver's raw bits: whoever is last to need them disposes
/// of the frame, which erases them.
/// </summary>
public sealed class DetectionFrame : IDisposable
{
    private ReadOnlyMemory<byte> _outcomes;
    private OutcomePool? _pool;
    private byte[]? _pooled;

    /// <summary>Number of the emission frame.</summary>
    public required long Frame { get; init; }

    /// <summary>Slots with a detection, counted from the head of the frame, ascending, the pilot's included.</summary>
    public required ReadOnlyMemory<int> Slots { get; init; }

    /// <summary>For each of them: bit 0 the bit, bit 1 the basis (1 = X), bit 2 whether it was a multi-click. Empty once disposed of.</summary>
    public required ReadOnlyMemory<byte> Outcomes
    {
        get => _outcomes;
        init => _outcomes = value;
    }

    /// <summary>Slots of this frame in which nothing could be recorded: gaps of the tagger, markers lost.</summary>
    public required int LostSlots { get; init; }

    /// <summary>What the gate did.</summary>
    public required GateCounts Gate { get; init; }

    /// <summary>What was detected in the pilot.</summary>
    public required PilotStatistics Pilot { get; init; }

    /// <summary>Erases the outcomes.</summary>
    public void Dispose()
    {
        var used = _outcomes.Length;
        _outcomes = default;
        if (Interlocked.Exchange(ref _pooled, null) is { } pooled)
        {
            _pool!.Return(pooled, used);
        }
    }

    /// <summary>The same frame once more, with outcomes of its own: for a replay, in which two blocks may claim it.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed of.</exception>
    public DetectionFrame Copy()
    {
        ObjectDisposedException.ThrowIf(_outcomes.Length != Slots.Length, this);
        var pool = new OutcomePool();
        var outcomes = pool.Rent(_outcomes.Length);
        _outcomes.CopyTo(outcomes);
        var copy = new DetectionFrame
        {
            Frame = Frame,
            Slots = Slots,
            Outcomes = outcomes.AsMemory(0, _outcomes.Length),
            LostSlots = LostSlots,
            Gate = Gate,
            Pilot = Pilot,
        };
        copy.Own(pool, outcomes);
        return copy;
    }

    /// <summary>Says whose array the outcomes are in.</summary>
    internal void Own(OutcomePool pool, byte[] pooled) => (_pool, _pooled) = (pool, pooled);
}

/// <summary>Pinned arrays for the outcomes of frames, erased when they come back. Any thread.</summary>
internal sealed class OutcomePool
{
    /// <summary>Arrays kept; as many frames as may be under way in a few blocks.</summary>
    private const int Kept = 64;

    private readonly ConcurrentStack<byte[]> _arrays = new();

    /// <summary>An array of at least this length.</summary>
    public byte[] Rent(int length) =>
        _arrays.TryPop(out var array) && array.Length >= length ? array : GC.AllocateUninitializedArray<byte>(length, pinned: true);

    /// <summary>Erases what was used of an array and takes it back.</summary>
    public void Return(byte[] array, int used)
    {
        CryptographicOperations.ZeroMemory(array.AsSpan(0, used));
        if (_arrays.Count < Kept)
        {
            _arrays.Push(array);
        }
    }
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
