using System.Numerics;
using System.Runtime.InteropServices;

namespace Qkd.Timing.Clocks;

/// <summary>
/// Finds which number the slots have, anywhere in a frame and in one of several frames, by the pilots: where signal slots click and vacuum slots do
/// not. The clicks are gathered until one numbering stands out.
/// </summary>
/// <remarks>
/// For a numbering the score is the clicks in the pilots' signal slots less those in their vacuum slots. At a wrong numbering each of its C clicks
/// counts +1 or -1 evenly, so the score is above z √C with a probability of at most exp(-z²/2) (Hoeffding 1963). With N numberings a wrong
/// one is chosen with a probability of at most p for z = √(2 ln(N/p)).
/// </remarks>
internal sealed class PilotNumbering
{
    /// <summary>Clicks kept at most; older ones are forgotten.</summary>
    private const int ManyClicks = 1 << 19;

    /// <summary>Clicks gathered before the first look.</summary>
    private const int FewestClicks = 400;

    /// <summary>Clicks within pilots that the first look makes do with: enough in good light. Each further look takes more.</summary>
    private const int FirstLookInPilots = 150;

    /// <summary>
    /// Votes, of a click for one frame's pilot, that may be cast at once, and for each second of the stream. A vote takes a fifth of a microsecond: where nothing is to
    /// be found the search stays below half of a processor.
    /// </summary>
    private const double VotesAtOnce = 1e7;

    private const double VotesASecond = 2e6;

    private readonly PilotTable _pilots;
    private readonly double _slotsASecond;
    private readonly int _frameSlots;
    private readonly int _pilotSlots;
    private readonly long[] _frames;
    private readonly double _falseProbability;
    private readonly int _mostClicks;
    private readonly List<long> _clicks = [];
    private short[] _scores = [];
    private int[] _counts = [];
    private int _nextLook = FewestClicks;
    private double _votes;
    private double _spent;
    private long _firstSlot = -1;
    private int _stride = 1;

    /// <summary>Starts a search.</summary>
    /// <param name="settings">Frames and pilots.</param>
    /// <param name="pilots">The pilots.</param>
    /// <param name="frames">Frames that slot 0 of the clicks' own numbering may lie in, the most likely first.</param>
    public PilotNumbering(SignalClockSettings settings, PilotTable pilots, IEnumerable<long> frames)
    {
        _pilots = pilots;
        (_frameSlots, _pilotSlots) = (settings.FrameSlots, settings.PilotSlots);
        _slotsASecond = 1e12 / settings.SlotPeriodPicoseconds;
        _frames = [.. frames];
        _falseProbability = settings.FalseLockProbability;

        // A score is a short: the clicks in pilots must fit.
        _votes = FirstLookInPilots * ((double)_frameSlots / _pilotSlots);
        _mostClicks = (int)Math.Min(ManyClicks, 30_000L * _frameSlots / _pilotSlots);
    }

    /// <summary>Standard deviations by which the right numbering must stand out.</summary>
    public double LeastSigmas => Math.Sqrt(2 * Math.Log((double)_frames.Length * _frameSlots / _falseProbability));

    /// <summary>Adds slots with clicks, ascending, each slot once, numbered from wherever the search began.</summary>
    public void Add(ReadOnlySpan<long> slots)
    {
        if (slots.Length > 0 && _firstSlot < 0)
        {
            _firstSlot = slots[0];
        }

        if (_clicks.Count + slots.Length > _mostClicks)
        {
            _clicks.RemoveRange(0, Math.Min(_clicks.Count, _mostClicks / 2));
        }

        _clicks.AddRange(slots[..Math.Min(slots.Length, _mostClicks / 2)]);
    }

    /// <summary>Looks, if enough has come since the last look.</summary>
    /// <returns>What must be added to the clicks' slots to give true slots, and by how many standard deviations it stands out; null if none does yet.</returns>
    public (long Shift, double Sigmas)? Look()
    {
        // Two frames at least: before that the pilot may not have been among the clicks.
        if (_clicks.Count < _nextLook || _clicks[^1] - _clicks[0] < 2L * _frameSlots)
        {
            return null;
        }

        var stride = Math.Max(1, (int)(_clicks.Count / _votes));
        var cost = (double)_frames.Length * (_clicks.Count / stride);
        if (_spent + cost > VotesAtOnce + (VotesASecond * (_clicks[^1] - _firstSlot) / _slotsASecond))
        {
            return null;
        }

        // In bright light some of the clicks are enough. Every few of them, evenly: no pilot is left out.
        _stride = stride;
        _votes *= 1.5;
        _nextLook = _stride > 1 ? _clicks.Count : Math.Min((int)(1.25 * _clicks.Count), _mostClicks - 1);
        Count();

        // A score is at most its clicks, so z is at most the score's root: fewer clicks than this cannot stand out, nor can a lower score.
        var least = (short)Math.Ceiling(LeastSigmas * LeastSigmas);
        if (!_counts.AsSpan().ContainsAnyInRange(least, int.MaxValue))
        {
            return null;
        }

        var best = (Shift: 0L, Sigmas: 0.0);
        foreach (var frame in _frames)
        {
            // All that may be tried count in the threshold: the first that passes it is as good as the best.
            if (best.Sigmas >= LeastSigmas)
            {
                break;
            }

            _spent += _clicks.Count / _stride;
            Vote(frame);
            for (var offset = 0; offset < _frameSlots; offset++)
            {
                var next = _scores.AsSpan(offset).IndexOfAnyInRange(least, short.MaxValue);
                if (next < 0)
                {
                    break;
                }

                offset += next;
                var sigmas = _scores[offset] / Math.Sqrt(_counts[offset]);
                if (sigmas > best.Sigmas)
                {
                    best = ((frame * _frameSlots) + offset, sigmas);
                }
            }
        }

        return best.Sigmas >= LeastSigmas ? best : null;
    }

    /// <summary>For every offset within a frame: how many clicks fall into pilots.</summary>
    private void Count()
    {
        // A click at b of its frame lies in a pilot for the offsets -b to -b + pilot - 1, around the frame.
        _counts = _counts.Length == _frameSlots ? _counts : new int[_frameSlots];
        _counts.AsSpan().Clear();
        for (var i = 0; i < _clicks.Count; i += _stride)
        {
            _counts[First(_clicks[i])]++;
        }

        var window = 0;
        for (var i = 1; i <= _pilotSlots - 1; i++)
        {
            window += _counts[(_frameSlots - i) % _frameSlots];
        }

        // The sums take the place of what they are sums of: the starts that are still in the window are kept aside, in a ring.
        var leaving = new int[_pilotSlots - 1];
        for (var i = 0; i < leaving.Length; i++)
        {
            leaving[i] = _counts[_frameSlots - leaving.Length + i];
        }

        for (var offset = 0; offset < _frameSlots; offset++)
        {
            var entering = _counts[offset];
            window += entering;
            var place = offset % leaving.Length;
            _counts[offset] = window;
            window -= leaving[place];
            leaving[place] = entering;
        }
    }

    private int First(long click)
    {
        var within = (int)(click % _frameSlots);
        return within == 0 ? 0 : _frameSlots - within;
    }

    /// <summary>Scores of all offsets if slot 0 of the clicks lies in this frame.</summary>
    private void Vote(long frame)
    {
        _scores = _scores.Length == _frameSlots ? _scores : new short[_frameSlots];
        _scores.AsSpan().Clear();
        for (var i = 0; i < _clicks.Count; i += _stride)
        {
            // Offsets from First(click) on put the click into the pilot of the next frame, those past the frame's end into that of its own.
            var click = _clicks[i];
            var own = frame + (click / _frameSlots);
            var first = First(click);
            var untilWrap = first == 0 ? 0 : Math.Min(_pilotSlots, _frameSlots - first);
            if (untilWrap > 0)
            {
                AddSigns(_scores.AsSpan(first, untilWrap), _pilots.Signs(own + 1));
            }

            if (untilWrap < _pilotSlots)
            {
                AddSigns(_scores.AsSpan(0, _pilotSlots - untilWrap), _pilots.Signs(own)[untilWrap..]);
            }
        }
    }

    private static void AddSigns(Span<short> scores, ReadOnlySpan<short> signs)
    {
        // This is where the search spends its time: whole vectors through references, the rest one by one.
        var whole = scores.Length - (scores.Length % Vector<short>.Count);
        ref var score = ref MemoryMarshal.GetReference(scores);
        ref var sign = ref MemoryMarshal.GetReference(signs[..scores.Length]);
        for (var i = 0; i < whole; i += Vector<short>.Count)
        {
            (Vector.LoadUnsafe(ref score, (nuint)i) + Vector.LoadUnsafe(ref sign, (nuint)i)).StoreUnsafe(ref score, (nuint)i);
        }

        for (var i = whole; i < scores.Length; i++)
        {
            scores[i] += signs[i];
        }
    }
}
