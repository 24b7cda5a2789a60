using System.Numerics;
using System.Runtime.CompilerServices;

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
/// <param name="Symbol">What the transmitter sent in that slot: bit + 2 × basis + 4 × intensity index; -1 if nothing.</param>
public readonly record struct LoggedClick(long Picoseconds, int Detector, ClickCause Cause, long Slot, int Symbol);

/// <summary>A run of slots emitted without a break.</summary>
/// <param name="FirstSlot">Its first slot.</param>
/// <param name="SlotCount">Its length so far.</param>
/// <param name="FromPicoseconds">Bench time at which the first slot left the transmitter.</param>
/// <param name="ToPicoseconds">Bench time at which the slot after the last would have left.</param>
public readonly record struct EmissionInterval(long FirstSlot, long SlotCount, long FromPicoseconds, long ToPicoseconds);

/// <summary>
/// What the optics really did, for tests and for judging a node; a node never reads it. Counters are always kept: totals, and those of
/// the latest frames. May be read by any thread while light passes; a frame's counters are final once the next frame has begun.
/// </summary>
public sealed class GroundTruth
{
    /// <summary>How many runs <see cref="EmissionIntervals"/> goes back.</summary>
    public const int IntervalsKept = 1000;

    private readonly Lock _lock = new();
    private readonly TruthCounters _payload = new();
    private readonly TruthCounters _pilots = new();
    private readonly long[] _unlit = new long[OpticalLine.DetectorCount * 4];
    private readonly Queue<EmissionInterval> _pastIntervals = new();
    private readonly FrameCounters?[] _frames;
    private readonly int[] _segment = new int[TruthCounters.CellCount];
    private EmissionInterval _interval;
    private int _newestFrame;
    private long _segmentFirstSlot = long.MaxValue;

    internal GroundTruth(TruthSettings settings)
    {
        Settings = settings;
        _frames = new FrameCounters?[settings.FramesKept];
    }

    /// <summary>The settings given.</summary>
    public TruthSettings Settings { get; }

    /// <summary>
    /// Called for each click, in the thread that drives the line, ascending in time within a detector but not across detectors; null
    /// (the default) for none. Must be quick and must not call the line or the truth.
    /// </summary>
    public Action<LoggedClick>? ClickLog { get; set; }

    /// <summary>Counters since the start over all slots outside the pilots.</summary>
    public TruthCounters Payload() => Copy(_payload);

    /// <summary>Counters since the start over the slots of the pilots.</summary>
    public TruthCounters Pilots() => Copy(_pilots);

    /// <summary>Counters of some frames' slots outside their pilots. Of a frame sent more than once, the latest.</summary>
    /// <param name="firstFrame">Frame number of the first: slot divided by <see cref="TruthSettings.FrameSlots"/>.</param>
    /// <param name="frameCount">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">A frame was not sent or is no longer kept.</exception>
    public TruthCounters Frames(long firstFrame, int frameCount)
    {
        lock (_lock)
        {
            var sum = new TruthCounters();
            for (var frame = firstFrame; frame < firstFrame + frameCount; frame++)
            {
                var counters = Find(frame)
                    ?? throw new ArgumentOutOfRangeException(nameof(firstFrame), frame, "This frame was not sent or is no longer kept.");
                sum.Add(counters.Cells);
            }

            return sum;
        }
    }

    /// <summary>Clicks of a detector (0 to 3) at times at which no light was sent, by cause: dark counts and afterpulses.</summary>
    public long UnlitClicks(int detector, ClickCause cause)
    {
        lock (_lock)
        {
            return _unlit[(detector * 4) + (int)cause];
        }
    }

    /// <summary>The latest runs of slots sent without a break, oldest first; at most <see cref="IntervalsKept"/>.</summary>
    public IReadOnlyList<EmissionInterval> EmissionIntervals()
    {
        lock (_lock)
        {
            return _interval.SlotCount == 0 ? [] : [.. _pastIntervals, _interval];
        }
    }

    /// <summary>Held by the line for a stretch.</summary>
    internal Lock.Scope Enter() => _lock.EnterScope();

    /// <summary>A stretch leaves the transmitter.</summary>
    internal void Emit(long firstSlot, int slotCount, long fromPicoseconds, long toPicoseconds, bool newRun)
    {
        if (!newRun)
        {
            _interval = _interval with { SlotCount = _interval.SlotCount + slotCount, ToPicoseconds = toPicoseconds };
            return;
        }

        if (_interval.SlotCount > 0)
        {
            if (_pastIntervals.Count == IntervalsKept - 1)
            {
                _pastIntervals.Dequeue();
            }

            _pastIntervals.Enqueue(_interval);
        }

        _interval = new(firstSlot, slotCount, fromPicoseconds, toPicoseconds);
    }

    /// <summary>Begins a segment: slots of one frame that are all pilot or all payload.</summary>
    internal void BeginSegment(long firstSlot, ReadOnlySpan<ulong> packedSymbols)
    {
        _segmentFirstSlot = firstSlot;
        CountSymbols(packedSymbols, _segment.AsSpan(TruthCounters.EmittedCells));
    }

    /// <summary>Adds the segment to the counters that it belongs to.</summary>
    internal void EndSegment(bool newRun)
    {
        var frame = Math.DivRem(_segmentFirstSlot, Settings.FrameSlots, out var slotInFrame);
        if (slotInFrame < Settings.PilotSlots)
        {
            _pilots.Add(_segment);
        }
        else
        {
            _payload.Add(_segment);
        }

        if (_frames.Length > 0)
        {
            var counters = _frames[_newestFrame];
            if (counters is null || counters.Frame != frame || newRun)
            {
                counters = NextFrame(frame);
            }

            if (slotInFrame >= Settings.PilotSlots)
            {
                counters.Add(_segment);
            }
        }

        Array.Clear(_segment);
    }

    /// <summary>A candidate of light has clicked, or was lost in the dead time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Light(int detector, Candidate candidate, bool lost)
    {
        var kind = (int)candidate.Origin;
        var cell = (detector * TruthCounters.DetectorCells) + (lost ? TruthCounters.MissedCells | (kind & 15) : kind & 31);
        if (candidate.Slot >= _segmentFirstSlot)
        {
            _segment[cell]++;
        }
        else
        {
            CountLate(candidate.Slot, cell);
        }

        if (ClickLog is not null && !lost)
        {
            ClickLog(new(candidate.Picoseconds, detector, (ClickCause)(kind >> 4 & 1), candidate.Slot, kind & 15));
        }
    }

    /// <summary>A dark count or an afterpulse has clicked.</summary>
    internal void Noise(int detector, long picoseconds, ClickCause cause, in SlotLookup slots)
    {
        if (!slots.TryFind(picoseconds, out var slot, out var symbol))
        {
            _unlit[(detector * 4) + (int)cause]++;
            slot = -1;
        }
        else if (slot >= _segmentFirstSlot)
        {
            _segment[TruthCounters.Cell(detector, cause, symbol)]++;
        }
        else
        {
            CountLate(slot, TruthCounters.Cell(detector, cause, symbol));
        }

        ClickLog?.Invoke(new(picoseconds, detector, cause, slot, symbol));
    }

    /// <summary>No segment is open: whatever clicks now belongs to slots already sent.</summary>
    internal void CloseSegment() => _segmentFirstSlot = long.MaxValue;

    /// <summary>A click in a slot of an earlier segment, where jitter or half a slot reaches over the border.</summary>
    private void CountLate(long slot, int cell)
    {
        var frame = Math.DivRem(slot, Settings.FrameSlots, out var slotInFrame);
        if (slotInFrame < Settings.PilotSlots)
        {
            _pilots.Cells[cell]++;
            return;
        }

        _payload.Cells[cell]++;
        if (Find(frame) is { } counters)
        {
            counters.Cells[cell]++;
        }
    }

    /// <summary>Counts each of the sixteen symbols, 64 slots at a time.</summary>
    private static void CountSymbols(ReadOnlySpan<ulong> packed, Span<int> counts)
    {
        Span<int> sums = stackalloc int[TruthCounters.SymbolKinds];
        sums.Clear();
        for (; packed.Length >= Symbol.GroupWords; packed = packed[Symbol.GroupWords..])
        {
            var (bits, bases, low, high) = (packed[0], packed[1], packed[2], packed[3]);
            CountStates(bits, bases, ~low & ~high, sums);
            CountStates(bits, bases, low & ~high, sums[4..]);
            if (high != 0)
            {
                CountStates(bits, bases, ~low & high, sums[8..]);
                CountStates(bits, bases, low & high, sums[12..]);
            }
        }

        for (var symbol = 0; symbol < sums.Length; symbol++)
        {
            counts[symbol] += sums[symbol];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CountStates(ulong bits, ulong bases, ulong slots, Span<int> sums)
    {
        var test = slots & bases;
        var key = slots & ~bases;
        var all = BitOperations.PopCount(key);
        var ones = BitOperations.PopCount(key & bits);
        sums[0] += all - ones;
        sums[1] += ones;
        all = BitOperations.PopCount(test);
        ones = BitOperations.PopCount(test & bits);
        sums[2] += all - ones;
        sums[3] += ones;
    }

    private FrameCounters NextFrame(long frame)
    {
        _newestFrame = (_newestFrame + 1) % _frames.Length;
        var counters = _frames[_newestFrame] ??= new();
        counters.Frame = frame;
        Array.Clear(counters.Cells);
        return counters;
    }

    private FrameCounters? Find(long frame)
    {
        for (var age = 0; age < _frames.Length; age++)
        {
            var counters = _frames[(_newestFrame + _frames.Length - age) % _frames.Length];
            if (counters?.Frame == frame)
            {
                return counters;
            }
        }

        return null;
    }

    private TruthCounters Copy(TruthCounters counters)
    {
        lock (_lock)
        {
            var copy = new TruthCounters();
            copy.Add(counters.Cells);
            return copy;
        }
    }

    private sealed class FrameCounters
    {
        public long Frame { get; set; }

        public long[] Cells { get; } = new long[TruthCounters.CellCount];

        public void Add(ReadOnlySpan<int> cells)
        {
            for (var i = 0; i < cells.Length; i++)
            {
                Cells[i] += cells[i];
            }
        }
    }
}
