using System.Security.Cryptography;
using Qkd.Devices;
using Qkd.Timing.Clocks;
using Qkd.Timing.Gating;

namespace Qkd.Timing;

/// <summary>
/// A receiver that needs no marker: it finds the sender's clock in the light itself (<see cref="SignalClock"/>), follows it, and finds it again when it
/// was lost. For instruments whose times are absolute. Pure: no I/O, no clock, no threads.
/// </summary>
/// <remarks>Slots are numbered by the pilots as they arrive, so the path's length does not matter.</remarks>
public sealed class SignalReceiver : ITagReceiver
{
    /// <summary>How long after the anchor the light may begin, in picoseconds.</summary>
    private const double LongestWait = 2e12;

    /// <summary>Frames that are tried about the expected one when the clock was lost, the nearest first: acquisitions that were lost unseen may have hidden some.</summary>
    private const int FramesAround = 250;

    private const long MostSlotsAtOnce = 1 << 25;

    private readonly TagReceiverSettings _settings;
    private readonly FrameAssembler _assembler;
    private readonly SlotMap _map = new();
    private readonly SlotGate _gate;
    private readonly TagMerge _merge;
    private readonly double[] _delays = new double[4];
    private SignalClock? _clock;
    private int[] _slots = [];
    private byte[] _marks = [];
    private byte[] _channels = [];
    private long _last;
    private int _slips;
    private SlotClock? _placedBy;

    /// <summary>Creates a receiver that knows nothing yet.</summary>
    /// <param name="settings">Transmitter and receiver; the marker divisor and the range of delays do not matter.</param>
    /// <param name="random">Draws the bit of a double click.</param>
    /// <exception cref="ArgumentException">The settings make no sense.</exception>
    public SignalReceiver(TagReceiverSettings settings, ISecretRandomness random)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate();
        _settings = settings;
        _assembler = new FrameAssembler(settings, new PilotTable(settings.PilotSlots, settings.VacuumIntensity), random);
        var inOrder = settings.Detectors.OrderBy(detector => detector.Index).ToArray();
        _gate = new SlotGate([.. inOrder.Select((detector, i) => new GateChannel((byte)(i + 1), 0, settings.GateOf(detector)))]);
        _merge = new TagMerge(settings.Detectors);
        Status = new SyncStatus(SyncState.Searching, "waiting for light", 0, 0, 0);
    }

    /// <inheritdoc/>
    public TagTimeBase TimeBase => TagTimeBase.Absolute;

    /// <inheritdoc/>
    public TagReceiverSettings Settings => _settings;

    /// <inheritdoc/>
    public SyncStatus Status { get; private set; }

    /// <inheritdoc/>
    public long UnplacedClicks { get; private set; }

    /// <inheritdoc/>
    public ArrivalHistogram Arrivals => _gate.Arrivals;

    /// <inheritdoc/>
    public AfterpulseStatistics Afterpulses => _assembler.Afterpulses;

    /// <inheritdoc/>
    public void Anchor(long slot)
    {
        var framePicoseconds = _settings.FrameSlots * _settings.SlotPeriodPicoseconds;
        _clock = new SignalClock(new SignalClockSettings
        {
            SlotPeriodPicoseconds = _settings.SlotPeriodPicoseconds,
            FrameSlots = _settings.FrameSlots,
            PilotSlots = _settings.PilotSlots,
            VacuumIntensity = _settings.VacuumIntensity,
            FirstFrame = slot / _settings.FrameSlots,
            FramesToTry = 1,
            FramesWhenLost = FramesAround,
            LongestWaitFrames = (int)Math.Clamp(LongestWait / framePicoseconds, 4, 256),
        });
        _assembler.Reset();
        (_slips, _last, _placedBy) = (0, long.MinValue / 2, null);
        Status = new SyncStatus(SyncState.Searching, "waiting for light", 0, 0, 0);
    }

    /// <inheritdoc/>
    /// <remarks>Tags that come before others already taken, which no continuous time can hold, are left out with their batch and count as unplaced.</remarks>
    public IReadOnlyList<DetectionFrame> Process(TagBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.TimeBase != TagTimeBase.Absolute)
        {
            throw new ArgumentException("Times since the start of the acquisition are needed.", nameof(batch));
        }

        var finished = new List<DetectionFrame>();
        if (_clock is null || !_merge.Merge(batch, _last))
        {
            UnplacedClicks += batch.Count;
            return finished;
        }

        var times = _merge.Times;
        var detectors = _merge.Detectors;
        if (times.Length == 0)
        {
            return finished;
        }

        _last = times[^1];
        PlaceAll(times, detectors, batch, finished);
        _merge.Erase();
        Report();
        return finished;
    }

    /// <summary>Erases the detections of the unfinished frame.</summary>
    public void Dispose()
    {
        _map.Erase();
        _assembler.Reset();
    }

    private void PlaceAll(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors, TagBatch batch, List<DetectionFrame> finished)
    {
        var placedTo = 0;
        foreach (var stretch in _clock!.Add(times, detectors))
        {
            if (stretch.State != ClockState.Locked)
            {
                continue;
            }

            // What was not placed before this stretch is lost, and so is what the gap between acquisitions hid. Where the numbers have slipped, the slots between are.
            if (stretch.From != placedTo || _placedBy is not { } before || !SameNumbers(before, stretch.Clock, times[stretch.From]))
            {
                _assembler.Lose(stretch.Clock.At(times[stretch.From]).Slot, finished);
            }
            else if (placedTo == 0 && batch.LossesBefore.Count > 0)
            {
                _assembler.Lose(stretch.Clock.At(batch.AcquisitionStartPicoseconds).Slot, finished);
            }

            UnplacedClicks += stretch.From - placedTo + Place(times[stretch.From..stretch.To], detectors[stretch.From..stretch.To], stretch.Clock, finished);
            (placedTo, _placedBy) = (stretch.To, stretch.Clock);
        }

        UnplacedClicks += times.Length - placedTo;
        _placedBy = placedTo == times.Length ? _placedBy : null;
    }

    private static bool SameNumbers(SlotClock one, SlotClock other, long time) =>
        Math.Abs(other.Slot - one.Slot + (other.Since(time) - one.Since(time))) < 0.5;

    /// <summary>Gives clicks their slots and hands them on; returns how many had none.</summary>
    private long Place(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors, SlotClock clock, List<DetectionFrame> finished)
    {
        if (_slots.Length < times.Length)
        {
            _slots = new int[times.Length];
            (_marks, _channels) = (GC.AllocateArray<byte>(times.Length, pinned: true), GC.AllocateArray<byte>(times.Length, pinned: true));
        }

        for (var i = 0; i < detectors.Length; i++)
        {
            _channels[i] = (byte)(detectors[i] + 1);
        }

        var offsets = _clock!.DetectorOffsets;
        for (var detector = 0; detector < offsets.Length; detector++)
        {
            var delay = offsets[detector] * clock.PeriodPicoseconds;
            if (Math.Abs(delay - _delays[detector]) > 0.1)
            {
                _gate.SetDelay(detector, _delays[detector] = delay);
            }
        }

        var origin = _gate.Place(times, _channels.AsSpan(0, times.Length), 1, clock, _slots, _marks);
        var slots = _slots.AsSpan(0, times.Length);
        var end = origin + Max(slots) + 1;

        var start = Math.Max(_assembler.NextSlot, 0);
        long unplaced = times.Length;
        if (end > start && end - start <= MostSlotsAtOnce)
        {
            _map.Begin(start, (int)(end - start));
            unplaced = _map.Mark(slots, _marks, origin);
            _assembler.Take(_map, start, end, finished);
            _map.Erase();
        }
        else
        {
            // A numbering that was put right by going back, or so long a dark time that it is not kept in memory.
            _assembler.Lose(end, finished);
        }

        CryptographicOperations.ZeroMemory(_marks.AsSpan(0, times.Length));
        CryptographicOperations.ZeroMemory(_channels.AsSpan(0, times.Length));
        return unplaced;
    }

    private static int Max(ReadOnlySpan<int> slots)
    {
        var most = slots[^1];

        // Delays and jitter reorder neighbours only.
        for (var i = Math.Max(0, slots.Length - 64); i < slots.Length; i++)
        {
            most = Math.Max(most, slots[i]);
        }

        return most;
    }

    private void Report()
    {
        var clock = _clock!;
        var ppm = clock.Clock?.DeviationPpm(_settings.SlotPeriodPicoseconds) ?? 0;
        var (state, detail) = clock.State switch
        {
            ClockState.Locked when clock.Slips > _slips => (SyncState.Locked, "the numbering of slots slipped and was put right"),
            ClockState.Locked => (SyncState.Locked, "slots numbered"),
            ClockState.Counting when clock.Locks > 0 => (SyncState.Lost, "slots are there, their numbers are looked for again"),
            ClockState.Counting => (SyncState.Searching, "slots are there, their pilot is not found yet"),
            _ when clock.Locks > 0 => (SyncState.Lost, "the light is no longer where it was"),
            _ => (SyncState.Searching, "light is looked for"),
        };
        _slips = clock.Slips;
        Status = new SyncStatus(state, detail, ppm, 0, _delays[0]);
    }
}
