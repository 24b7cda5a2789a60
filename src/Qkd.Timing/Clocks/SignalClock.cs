using System.Runtime.InteropServices;

namespace Qkd.Timing.Clocks;

/// <summary>How much of the sender's clock is known.</summary>
public enum ClockState
{
    /// <summary>Nothing yet.</summary>
    Searching,

    /// <summary>Where slots lie is known, and followed; which is which is not.</summary>
    Counting,

    /// <summary>Every click has its slot.</summary>
    Locked,

    /// <summary>The light is no longer where it was; everything is looked for anew.</summary>
    Lost,
}

/// <summary>A stretch of clicks over which one description of the sender's clock holds.</summary>
/// <param name="From">Index of its first click in the span that was given.</param>
/// <param name="To">Index after its last.</param>
/// <param name="State">How much of the clock is known.</param>
/// <param name="Clock">The clock; its slots are numbered only when <see cref="ClockState.Locked"/>.</param>
public readonly record struct ClockStretch(int From, int To, ClockState State, SlotClock Clock);

/// <summary>
/// Recovers the sender's clock from the quantum signal alone: period, phase and drift from the arrival times, the numbers of the slots from the
/// public pilots; then follows it, and finds it again when it is lost. Pure: no I/O, no clock, no threads.
/// </summary>
/// <remarks>
/// As in Qubit4Sync (Calderaro et al., arXiv:1909.12050) nothing but the nominal rate and the public string must be known beforehand. Here the string is
/// the pilot of each frame, and the period is followed through drift of up to <see cref="SignalClockSettings.LargestDriftPpmPerSecond"/>.
/// </remarks>
public sealed class SignalClock
{
    private readonly SignalClockSettings _settings;
    private readonly FrequencySearch _search;
    private readonly PilotTable _pilots;
    private readonly List<long> _heldTimes = [];
    private readonly List<byte> _heldDetectors = [];
    private readonly List<ClockStretch> _stretches = [];
    private readonly List<long> _slots = [];
    private readonly long[] _lookAt;
    private int _nextLook;
    private ClockTracker? _tracker;
    private PilotNumbering? _numbering;
    private NumberingCheck? _check;
    private SlotClock? _before;
    private long _lastSlot = long.MinValue;
    private long? _firstTime;

    /// <summary>Creates a clock that knows nothing yet.</summary>
    /// <exception cref="ArgumentException">The settings make no sense.</exception>
    public SignalClock(SignalClockSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate();
        _settings = settings;
        _search = new FrequencySearch(settings);
        _pilots = new PilotTable(settings.PilotSlots, settings.VacuumIntensity);

        // From what gives a usable frequency in bright light up to the longest that drift allows.
        _lookAt = [.. new[] { 32L, 16, 8, 4, 2, 1 }.Select(part => _search.LongestStretchPicoseconds / part)];
    }

    /// <summary>How much is known.</summary>
    public ClockState State { get; private set; }

    /// <summary>The clock as last corrected; null before there is one.</summary>
    public SlotClock? Clock => _tracker?.Clock;

    /// <summary>How much later each detector's clicks come than the centres of slots, in slots; empty before there is a clock.</summary>
    public ReadOnlySpan<double> DetectorOffsets => _tracker is null ? [] : _tracker.Offsets;

    /// <summary>Jitter of the clicks about the clock, one standard deviation, in slots.</summary>
    public double JitterSlots => _tracker?.JitterSlots ?? 0;

    /// <summary>What the phase's own error is believed to be, one standard deviation, in slots.</summary>
    public double PhaseErrorSlots => _tracker?.PhaseErrorSlots ?? 0;

    /// <summary>Share of the clicks that are light.</summary>
    public double LightShare => _tracker?.LightShare ?? 0;

    /// <summary>Half width, in slots, of the window that holds practically all of the light.</summary>
    public double WindowSlots => _tracker?.Window ?? 0;

    /// <summary>How often slots were found and numbered.</summary>
    public int Locks { get; private set; }

    /// <summary>How often the clock was lost.</summary>
    public int Losses { get; private set; }

    /// <summary>How often the numbering slipped and was put right.</summary>
    public int Slips { get; private set; }

    /// <summary>By how many standard deviations the numbering stood out when it was found.</summary>
    public double NumberingSigmas { get; private set; }

    /// <summary>Takes the next clicks.</summary>
    /// <param name="times">Times in picoseconds of the receiver's clock, ascending, none before those given already.</param>
    /// <param name="detectors">The detector of each, from 0.</param>
    /// <returns>The stretches of these clicks over which a clock is known; valid until the next call.</returns>
    /// <exception cref="ArgumentException">The spans differ in length, or a detector's number is too large.</exception>
    public IReadOnlyList<ClockStretch> Add(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        if (times.Length != detectors.Length || detectors.ContainsAnyExceptInRange((byte)0, (byte)(_settings.Detectors - 1)))
        {
            throw new ArgumentException("Each click has a time and one of the detectors.", nameof(detectors));
        }

        _firstTime ??= times.Length > 0 ? times[0] : null;
        _stretches.Clear();
        for (var from = 0; from < times.Length;)
        {
            var end = times[from] + ClockTracker.StepPicoseconds;
            var to = from + FirstFrom(times[from..], end);
            if (_tracker is null)
            {
                Hold(times[from..to], detectors[from..to]);
            }
            else
            {
                Follow(times[from..to], detectors[from..to]);
                if (_tracker is not null)
                {
                    _stretches.Add(new(from, to, State, _tracker.Clock));
                }
            }

            from = to;
        }

        return _stretches;
    }

    /// <summary>Index of the first time not before a limit.</summary>
    private static int FirstFrom(ReadOnlySpan<long> times, long limit)
    {
        var index = times.BinarySearch(limit);
        index = index < 0 ? ~index : index;

        // Of equal times any may have been hit.
        while (index > 0 && times[index - 1] == limit)
        {
            index--;
        }

        return Math.Max(index, 1);
    }

    /// <summary>Keeps clicks until a frequency stands out in them.</summary>
    private void Hold(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        _heldTimes.AddRange(times);
        _heldDetectors.AddRange(detectors);
        if (times[^1] - _heldTimes[0] > _lookAt[^1] + ClockTracker.StepPicoseconds)
        {
            // A pause: what was before it does not belong to one stretch with what comes after.
            DropBefore(times[^1] - _lookAt[^1]);
        }

        if (times[^1] - _heldTimes[0] < _lookAt[_nextLook])
        {
            return;
        }

        var held = CollectionsMarshal.AsSpan(_heldTimes);
        var heldDetectors = CollectionsMarshal.AsSpan(_heldDetectors);
        if (_search.Find(held, heldDetectors) is { } found)
        {
            Begin(found, held, heldDetectors);
            _heldTimes.Clear();
            _heldDetectors.Clear();
            _nextLook = 0;
            return;
        }

        if (++_nextLook == _lookAt.Length)
        {
            // As long as it gets: most of it gives way. The long looks are the dear ones, and in the dark they find nothing.
            DropBefore(times[^1] - (_lookAt[^1] / 4));
            _nextLook = _lookAt.Length - 1;
        }
    }

    private void DropBefore(long time)
    {
        var old = FirstFrom(CollectionsMarshal.AsSpan(_heldTimes), time);
        _heldTimes.RemoveRange(0, old);
        _heldDetectors.RemoveRange(0, old);
    }

    /// <summary>Follows from the middle of the held clicks on, where the frequency is known best.</summary>
    private void Begin(FoundFrequency found, ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        _tracker = new ClockTracker(_settings, found);
        State = ClockState.Counting;

        // Found again: the numbers are near what the old clock says, unless something jumped. Else they are counted from the first click.
        BeginNumbering(_before is { } before ? Near(before.MovedTo(found.Clock.Time).Slot / _settings.FrameSlots) : SinceFirst(found.Clock.Time));
        var from = FirstFrom(times, found.Clock.Time);
        while (from < times.Length && _tracker is not null)
        {
            var to = from + FirstFrom(times[from..], times[from] + ClockTracker.StepPicoseconds);
            Follow(times[from..to], detectors[from..to]);
            from = to;
        }
    }

    /// <summary>Frames about one, the nearest first.</summary>
    private IEnumerable<long> Near(long frame) =>
        Enumerable.Range(0, (_settings.FramesWhenLost ?? _settings.FramesToTry) + 1).Select(i => frame + ((i + 1) / 2 * (i % 2 == 0 ? 1 : -1))).Where(near => near >= 0);

    /// <summary>
    /// Frames that may pass at a time by what is known of the first click, the nearest to the first first: light that began after the first click is found soon after it began. Where it
    /// began after the time in question, that time has a number before the first.
    /// </summary>
    private IEnumerable<long> SinceFirst(long time)
    {
        // One more than asked for: what lies between two frames at one instant may have reached the next at another.
        var passed = (long)((time - _firstTime!.Value) / _settings.SlotPeriodPicoseconds) / _settings.FrameSlots;
        return Enumerable.Range(0, _settings.LongestWaitFrames + _settings.FramesToTry + 1)
            .Select(i => passed - _settings.LongestWaitFrames + i)
            .OrderBy(Math.Abs)
            .Select(frame => _settings.FirstFrame + frame);
    }

    private void BeginNumbering(IEnumerable<long> frames)
    {
        _numbering = new PilotNumbering(_settings, _pilots, frames);
        _check = null;
        _lastSlot = long.MinValue;
    }

    private void Follow(ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        var tracker = _tracker!;
        tracker.Step(times, detectors);
        if (tracker.IsLost)
        {
            Lose();
            return;
        }

        CollectSlots(tracker, times, detectors);
        if (State == ClockState.Locked)
        {
            CheckNumbering(tracker);
        }
        else if (_numbering!.Look() is { } found)
        {
            tracker.Renumber(found.Shift);
            (State, _numbering, _check) = (ClockState.Locked, null, new NumberingCheck(_settings, _pilots));
            (NumberingSigmas, Locks, _lastSlot) = (found.Sigmas, Locks + 1, long.MinValue);
        }
    }

    /// <summary>The slots in which light clicked, each once.</summary>
    private void CollectSlots(ClockTracker tracker, ReadOnlySpan<long> times, ReadOnlySpan<byte> detectors)
    {
        var (clock, window) = (tracker.Clock, tracker.Window);
        var offsets = tracker.Offsets;
        _slots.Clear();
        for (var i = 0; i < times.Length; i++)
        {
            var position = clock.Since(times[i]) - offsets[detectors[i]];
            var whole = Math.Round(position);
            var slot = clock.Slot + (long)whole;
            if (Math.Abs(position - whole) <= window && slot > _lastSlot && slot >= 0)
            {
                _lastSlot = slot;
                _slots.Add(slot);
            }
        }

        if (_check is { } check)
        {
            foreach (var slot in _slots)
            {
                check.Add(slot);
            }
        }
        else
        {
            _numbering!.Add(CollectionsMarshal.AsSpan(_slots));
        }
    }

    private void CheckNumbering(ClockTracker tracker)
    {
        var slip = _check!.Check();
        if (slip != 0)
        {
            tracker.Renumber(slip);
            _lastSlot = long.MinValue;
            Slips++;
        }
        else if (_check.IsLost)
        {
            // The slots are still there: only their numbers are looked for.
            var frame = tracker.Clock.Slot / _settings.FrameSlots;
            tracker.Renumber(-tracker.Clock.Slot);
            (State, Losses) = (ClockState.Counting, Losses + 1);
            BeginNumbering(Near(frame));
        }
    }

    private void Lose()
    {
        // Numbers that were never right say nothing of where to look.
        _before = State == ClockState.Locked ? _tracker!.Clock : _before;
        (_tracker, _numbering, _check) = (null, null, null);
        (State, Losses) = (ClockState.Lost, Losses + 1);
        _nextLook = 0;
    }
}
