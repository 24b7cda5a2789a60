using Qkd.Devices;
using Qkd.Timing.Gating;

namespace Qkd.Timing;

/// <summary>
/// Turns a stream of tags into detections per emission frame: finds where the slots lie in the tagger's clock and which slot is which, gates,
/// vetoes, and keeps doing so through drift, gaps between acquisitions, and lost or extra markers. Pure: no I/O, no clock, no threads.
/// </summary>
/// <remarks>
/// <para>Period and phase of the slots come from the times alone (<see cref="SlotComb"/>). The numbering comes from the markers, whose count is
/// anchored once, and from the pilots: they give the delay of the light at the start, and tell for each frame whether the count has slipped.</para>
/// <para>A marker that the tagger missed shows as tags later than one marker interval after the last edge, and is counted where it was. One that
/// fell between two acquisitions is counted where light is bright (<see cref="GapMarkers"/>). Any other that was not there to see, or an extra one, shows at the next
/// pilot; the slots since the last good pilot are then declared lost.</para>
/// </remarks>
public sealed class TagReceiver : ITagReceiver
{
    private const int SlipsTried = 3;
    private const int SlipsTriedWhenLost = 200;
    private const int BatchesToLose = 4;

    // Ten seconds at 100 MHz, and as many bytes of the map: no acquisition is longer.
    private const long MostSlotsAtOnce = 1 << 30;

    private readonly TagReceiverSettings _settings;
    private readonly SlotComb _comb;
    private readonly PilotTable _pilots;
    private readonly PilotSearch _search;
    private readonly SlotMap _map = new();
    private readonly GapMarkers _gap = new();
    private readonly FrameAssembler _assembler;
    private readonly Dictionary<int, int> _detectorOfChannel = [];
    private readonly double[] _halfGates = new double[4];
    private long? _anchorSlot;
    private bool _anchored;
    private bool _combFound;
    private long? _delaySlots;
    private long _nextMarker;
    private int _badBatches;
    private long[] _markers = [];

    /// <summary>Creates a receiver that knows nothing yet.</summary>
    /// <param name="settings">Transmitter and receiver.</param>
    /// <param name="random">Draws the bit of a double click.</param>
    /// <exception cref="ArgumentException">The settings make no sense.</exception>
    public TagReceiver(TagReceiverSettings settings, ISecretRandomness random)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate();
        if (settings.PilotSlots + settings.MaximumDelaySlots - PilotSearch.EarliestDelaySlots > settings.FrameSlots)
        {
            throw new ArgumentException("A frame must be longer than the range of delays searched and the pilot together.", nameof(settings));
        }

        _settings = settings;
        _comb = new SlotComb(settings);
        _pilots = new PilotTable(settings.PilotSlots, settings.VacuumIntensity);
        _search = new PilotSearch(settings, _pilots);
        _assembler = new FrameAssembler(settings, _pilots, random);
        foreach (var detector in settings.Detectors)
        {
            _detectorOfChannel[detector.Channel] = detector.Index;
            _halfGates[detector.Index] = settings.GateOf(detector) / 2;
        }

        Status = new SyncStatus(SyncState.Searching, "waiting for light", 0, 0, 0);
    }

    /// <inheritdoc/>
    public TagTimeBase TimeBase => TagTimeBase.Referenced;

    /// <inheritdoc/>
    public TagReceiverSettings Settings => _settings;

    /// <inheritdoc/>
    public SyncStatus Status { get; private set; }

    /// <inheritdoc/>
    public long UnplacedClicks { get; private set; }

    /// <inheritdoc/>
    public ArrivalHistogram Arrivals { get; } = new(4);

    /// <inheritdoc/>
    public AfterpulseStatistics Afterpulses => _assembler.Afterpulses;

    /// <summary>
    /// Says that the first reference edge of the next acquisition that has tags is the marker of this slot. Needed once, at the start of
    /// emission.
    /// </summary>
    /// <param name="slot">Slot number, a multiple of the marker divisor.</param>
    public void AnchorFirstEdge(long slot)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(slot % _settings.MarkerDivisor, 0);
        _anchorSlot = slot;
        (_anchored, _combFound, _delaySlots, _badBatches) = (false, false, null, 0);
        _search.Reset();
        _assembler.Reset();
        _gap.Reset();
    }

    /// <inheritdoc/>
    void ITagReceiver.Anchor(long slot) => AnchorFirstEdge(slot);

    /// <inheritdoc/>
    /// <remarks>A batch with times or indexes that no acquisition can hold is left out whole: its clicks count as unplaced.</remarks>
    public IReadOnlyList<DetectionFrame> Process(TagBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.TimeBase != TagTimeBase.Referenced)
        {
            throw new ArgumentException("Times since the transmitter's marker are needed.", nameof(batch));
        }

        var finished = new List<DetectionFrame>();
        var runs = Runs(batch);
        if (_anchorSlot is not { } anchor)
        {
            UnplacedClicks += batch.Count;
            return finished;
        }

        // How long nothing was recorded, in markers: the count goes on at the next edge.
        var between = MarkersIn(batch.LossesBefore);
        _nextMarker += between;
        if (runs.Count == 0)
        {
            _gap.Reset();
            return finished;
        }

        if (!CanBe(runs))
        {
            _gap.Reset();
            Refuse(batch);
            return finished;
        }

        if (!_anchored)
        {
            (_anchored, _nextMarker) = (true, anchor / _settings.MarkerDivisor);
        }

        if (_combFound)
        {
            _comb.Follow(runs);
        }
        else
        {
            _combFound = _comb.TryFind(runs);
        }

        // Counted even where the slots are not found yet: the first edge after the anchor may come long before enough light does.
        var markers = MarkerNumbers(runs, out var edges);
        if (_combFound && _gap.Next(batch, edges, LastTag(runs, markers, edges), _comb.Period * _settings.MarkerDivisor) is { } counted)
        {
            _nextMarker += counted - between;
        }

        var firstMarker = _nextMarker;
        var lastMarker = firstMarker + edges - 1;
        if (lastMarker - firstMarker + 2 > MostSlotsAtOnce / _settings.MarkerDivisor)
        {
            Refuse(batch);
            return finished;
        }

        if (!_combFound || (_delaySlots is null && !TryFindDelay(runs, markers)))
        {
            UnplacedClicks += batch.Count;
            _nextMarker = lastMarker + 1;
            return finished;
        }

        Place(runs, markers, firstMarker, lastMarker, finished);
        Arrivals.Settle();
        return finished;
    }

    /// <summary>Erases the detections of the unfinished frame.</summary>
    public void Dispose()
    {
        _map.Erase();
        _assembler.Reset();
    }

    /// <summary>Whether times and indexes are such as an acquisition can hold. The index never falls within a run, so its ends are enough.</summary>
    private bool CanBe(List<(int Detector, TagRun Run)> runs)
    {
        var latest = (long)(MostSlotsAtOnce * _comb.Period);
        foreach (var (_, run) in runs)
        {
            var indexes = run.ReferenceIndexes.Span;
            if (indexes.Length != run.Count
                || indexes[0] < 1
                || indexes[^1] < indexes[0]
                || indexes[^1] > MostSlotsAtOnce / _settings.MarkerDivisor
                || run.TimesPicoseconds.Span.ContainsAnyExceptInRange(0, latest))
            {
                return false;
            }
        }

        return true;
    }

    private void Refuse(TagBatch batch)
    {
        UnplacedClicks += batch.Count;
        _badBatches++;
        Status = Status with
        {
            State = Status.State == SyncState.Locked && _badBatches >= BatchesToLose ? SyncState.Lost : Status.State,
            Detail = "tags at times that no acquisition can hold",
        };
    }

    private List<(int Detector, TagRun Run)> Runs(TagBatch batch)
    {
        var runs = new List<(int, TagRun)>(4);
        foreach (var run in batch.Runs)
        {
            if (run.Count > 0 && _detectorOfChannel.TryGetValue(run.Channel, out var detector))
            {
                runs.Add((detector, run));
            }
        }

        return runs;
    }

    private long MarkersIn(IReadOnlyList<TagLoss> losses)
    {
        // The gap between two acquisitions is far shorter than a marker interval and rounds to none.
        var interval = _comb.Period * _settings.MarkerDivisor;
        var total = 0.0;
        foreach (var loss in losses)
        {
            total += loss.DurationPicoseconds ?? 0;
        }

        return (long)Math.Round(total / interval);
    }

    /// <summary>
    /// For every tag the number of its marker, counted from the first edge of the acquisition and corrected for edges that the tagger missed:
    /// a tag later than one interval after its edge says that one is missing.
    /// </summary>
    private List<ReadOnlyMemory<long>> MarkerNumbers(List<(int Detector, TagRun Run)> runs, out long edges)
    {
        var interval = _comb.Period * _settings.MarkerDivisor;
        var limit = (long)(interval + (_comb.Period / 2));
        SortedDictionary<long, long>? missing = null;
        long lastIndex = 0;
        foreach (var (_, run) in runs)
        {
            var times = run.TimesPicoseconds.Span;
            var indexes = run.ReferenceIndexes.Span;
            lastIndex = Math.Max(lastIndex, indexes[^1]);
            for (var i = 0; i < times.Length; i++)
            {
                if (times[i] > limit)
                {
                    missing ??= [];
                    var count = (long)((times[i] + (_comb.Period / 2)) / interval);
                    missing[indexes[i]] = Math.Max(count, missing.GetValueOrDefault(indexes[i]));
                }
            }
        }

        var numbers = new List<ReadOnlyMemory<long>>(runs.Count);
        if (missing is null)
        {
            numbers.AddRange(runs.Select(r => r.Run.ReferenceIndexes));
            edges = lastIndex;
            return numbers;
        }

        var needed = runs.Sum(r => r.Run.Count);
        if (_markers.Length < needed)
        {
            _markers = new long[needed];
        }

        var at = 0;
        foreach (var (_, run) in runs)
        {
            var indexes = run.ReferenceIndexes.Span;
            var corrected = _markers.AsMemory(at, indexes.Length);
            at += indexes.Length;
            using var gaps = missing.GetEnumerator();
            var more = gaps.MoveNext();
            long shift = 0;
            for (var i = 0; i < indexes.Length; i++)
            {
                // The edges missing after index k move everything from index k + 1 on.
                while (more && gaps.Current.Key < indexes[i])
                {
                    shift += gaps.Current.Value;
                    more = gaps.MoveNext();
                }

                corrected.Span[i] = indexes[i] + shift;
            }

            numbers.Add(corrected);
        }

        edges = lastIndex + missing.Values.Sum();
        return numbers;
    }

    /// <summary>Picoseconds from the last edge to the last tag.</summary>
    private long LastTag(List<(int Detector, TagRun Run)> runs, List<ReadOnlyMemory<long>> markers, long edges)
    {
        var interval = _comb.Period * _settings.MarkerDivisor;
        var last = long.MinValue;
        for (var r = 0; r < runs.Count; r++)
        {
            last = Math.Max(last, runs[r].Run.TimesPicoseconds.Span[^1] - (long)((edges - markers[r].Span[^1]) * interval));
        }

        return last;
    }

    private bool TryFindDelay(List<(int Detector, TagRun Run)> runs, List<ReadOnlyMemory<long>> markers)
    {
        var phases = _comb.Phases;
        var inverse = 1 / _comb.Period;
        var window = _settings.PilotSlots + _settings.MaximumDelaySlots;
        var perFrame = new SortedDictionary<long, List<int>>();
        for (var r = 0; r < runs.Count; r++)
        {
            var times = runs[r].Run.TimesPicoseconds.Span;
            var numbers = markers[r].Span;
            var phase = phases[runs[r].Detector];
            for (var i = 0; i < times.Length; i++)
            {
                var slot = ((_nextMarker + numbers[i] - 1) * _settings.MarkerDivisor) + (long)Math.Round((times[i] - phase) * inverse);

                // Before the head of the next frame only if light may come before its marker.
                var frame = Math.DivRem(slot - PilotSearch.EarliestDelaySlots, _settings.FrameSlots, out var within);
                within += PilotSearch.EarliestDelaySlots;
                if (frame >= 0 && within < window)
                {
                    if (!perFrame.TryGetValue(frame, out var clicks))
                    {
                        // A few frames are enough wherever there is enough light to make key.
                        if (perFrame.Count >= 6)
                        {
                            continue;
                        }

                        perFrame[frame] = clicks = [];
                    }

                    clicks.Add((int)within);
                }
            }
        }

        // The first frame may be cut off, and the last: neither does harm, each click votes for itself.
        foreach (var (frame, clicks) in perFrame)
        {
            _search.Add(frame, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(clicks));
        }

        if (_search.Best() is not { } best)
        {
            Status = Status with { Detail = "light is there, its pilot is not found yet", PeriodPpm = _comb.DeviationPpm };
            return false;
        }

        _delaySlots = best.DelaySlots;
        _search.Reset();
        return true;
    }

    private void Place(
        List<(int Detector, TagRun Run)> runs, List<ReadOnlyMemory<long>> markers, long firstMarker, long lastMarker, List<DetectionFrame> finished)
    {
        Scatter(runs, markers, firstMarker, lastMarker);
        var firstSlot = (firstMarker * _settings.MarkerDivisor) - _delaySlots!.Value;
        var endSlot = EndOf(runs, markers, firstMarker);

        // Where each frame's pilot stands tells which numbering holds for its slots.
        var from = firstSlot;
        var current = 0L;
        var slips = 0;
        var (seen, good) = (0, 0);
        for (var frame = FirstHead(firstSlot); frame * _settings.FrameSlots < endSlot; frame++)
        {
            var (best, sigmas) = BestSlip(frame, current);
            if (sigmas is null)
            {
                continue;
            }

            seen++;
            if (sigmas > PilotSearch.SlipSigmas)
            {
                good++;
            }

            if (best != current)
            {
                // The count slipped somewhere since the last pilot: what lies between is lost.
                Deliver(from, Math.Max(from, LastPilotEnd(frame) + (current * _settings.MarkerDivisor)), current, finished);
                from = (frame * _settings.FrameSlots) + (best * _settings.MarkerDivisor);
                slips++;
                current = best;
            }
        }

        Report(seen, good, slips);
        _nextMarker = lastMarker + 1 - current;
        if (Status.State == SyncState.Locked)
        {
            Deliver(from, endSlot, current, finished);
        }

        _map.Erase();
    }

    private void Scatter(List<(int Detector, TagRun Run)> runs, List<ReadOnlyMemory<long>> markers, long firstMarker, long lastMarker)
    {
        var slots = (int)((lastMarker - firstMarker + 2) * _settings.MarkerDivisor);
        _map.Begin((firstMarker * _settings.MarkerDivisor) - _delaySlots!.Value, slots);
        var geometry = new SlotGeometry(_comb.Period, _settings.MarkerDivisor, firstMarker - 1, _delaySlots.Value);
        for (var r = 0; r < runs.Count; r++)
        {
            var (detector, run) = runs[r];
            UnplacedClicks += _map.Scatter(
                run.TimesPicoseconds.Span, markers[r].Span, new(detector, _comb.Phases[detector], _halfGates[detector]), geometry, Arrivals);
        }
    }

    /// <summary>The slot after the last tag of the batch: later ones may still have been recorded, but nothing says so.</summary>
    private long EndOf(List<(int Detector, TagRun Run)> runs, List<ReadOnlyMemory<long>> markers, long firstMarker)
    {
        var end = long.MinValue;
        for (var r = 0; r < runs.Count; r++)
        {
            var (detector, run) = runs[r];
            var slot = ((firstMarker + markers[r].Span[^1] - 1) * _settings.MarkerDivisor)
                + (long)Math.Floor((run.TimesPicoseconds.Span[^1] - _comb.Phases[detector]) / _comb.Period + 0.5) - _delaySlots!.Value;
            end = Math.Max(end, slot + 1);
        }

        return Math.Min(end, _map.FirstSlot + _map.Count);
    }

    private long FirstHead(long firstSlot) => Math.Max(0, (firstSlot + _settings.FrameSlots - 1) / _settings.FrameSlots);

    /// <summary>Which slip, in markers, a frame's pilot speaks for: the present one unless another is clearly better.</summary>
    private (long Slip, double? Sigmas) BestSlip(long frame, long current)
    {
        if (_search.Score(_map, frame, current * _settings.MarkerDivisor) is not { } present)
        {
            return (current, null);
        }

        if (present > PilotSearch.SlipSigmas)
        {
            return (current, present);
        }

        var (best, score) = (current, present);
        var range = Status.State == SyncState.Lost ? SlipsTriedWhenLost : SlipsTried;
        for (var slip = current - range; slip <= current + range; slip++)
        {
            if (_search.Score(_map, frame, slip * _settings.MarkerDivisor) is { } other && other > score)
            {
                (best, score) = (slip, other);
            }
        }

        return score > PilotSearch.SlipSigmas && score > present + PilotSearch.SlipSigmas ? (best, score) : (current, present);
    }

    private long LastPilotEnd(long frame) => ((frame - 1) * _settings.FrameSlots) + _settings.PilotSlots;

    /// <summary>Hands slots of the map on, with a slip in markers between the map's numbering and the true one.</summary>
    private void Deliver(long from, long to, long slip, List<DetectionFrame> finished)
    {
        if (slip == 0)
        {
            _assembler.Take(_map, from, to, finished);
            return;
        }

        _map.Renumber(-slip * _settings.MarkerDivisor);
        _assembler.Take(_map, from - (slip * _settings.MarkerDivisor), to - (slip * _settings.MarkerDivisor), finished);
        _map.Renumber(slip * _settings.MarkerDivisor);
    }

    private void Report(int seen, int good, int slips)
    {
        // Frames without any good pilot, again and again: there is light, but not the one expected.
        _badBatches = seen > 0 && good == 0 ? _badBatches + 1 : 0;
        var state = _badBatches >= BatchesToLose ? SyncState.Lost : SyncState.Locked;
        var detail = state == SyncState.Lost
            ? "no pilot found in its place"
            : slips > 0 ? "the numbering of markers slipped and was put right" : "slots numbered";
        Status = new SyncStatus(state, detail, _comb.DeviationPpm, _delaySlots ?? 0, _comb.Phases[0]);
    }
}
