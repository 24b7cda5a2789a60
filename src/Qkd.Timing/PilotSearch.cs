namespace Qkd.Timing;

/// <summary>
/// Finds by how many slots the numbering is off, from the pilots: where signal slots click and vacuum slots do not.
/// </summary>
/// <remarks>
/// For an offset D the score is the clicks in signal slots less those in vacuum slots. At a wrong offset each click counts +1 or -1
/// evenly, so the score has mean 0 and a variance equal to the number of clicks: score / √clicks is a standard normal variable.
/// With <see cref="FirstLockSigmas"/> and 1.2·10^5 offsets a false lock has a probability below 10^-13 a search; a slip by whole markers, with
/// seven hypotheses and <see cref="SlipSigmas"/>, below 10^-7 a frame, and the next frame puts it right.
/// </remarks>
internal sealed class PilotSearch(TagReceiverSettings settings, PilotTable pilots)
{
    /// <summary>Standard deviations by which a first lock must stand out.</summary>
    public const double FirstLockSigmas = 9;

    /// <summary>Standard deviations by which another numbering must beat the present one.</summary>
    public const double SlipSigmas = 6;

    /// <summary>Light may seem to come before its marker by so many slots, when the first markers were seen before any click.</summary>
    public const int EarliestDelaySlots = -20_000;

    private readonly int[] _scores = new int[settings.MaximumDelaySlots - EarliestDelaySlots];
    private long _clicks;
    private int _frames;

    /// <summary>Adds one frame's clicks to the search for the delay.</summary>
    /// <param name="frame">Frame number if the delay were 0.</param>
    /// <param name="clicks">Slots of clicks, delay not subtracted, counted from the frame's head; ascending.</param>
    public void Add(long frame, ReadOnlySpan<int> clicks)
    {
        var signs = pilots.Signs(frame);
        foreach (var click in clicks)
        {
            // A click at slot c speaks for every delay D with c - D in the pilot.
            var first = Math.Max(0, click - settings.MaximumDelaySlots + 1);
            var last = Math.Min(settings.PilotSlots - 1, click - EarliestDelaySlots);
            for (var slot = first; slot <= last; slot++)
            {
                _scores[click - slot - EarliestDelaySlots] += signs[slot];
            }
        }

        // Clicks that one offset sees: the density of clicks times the pilot's length.
        _clicks += (long)clicks.Length * settings.PilotSlots / _scores.Length;
        _frames++;
    }

    /// <summary>Starts anew.</summary>
    public void Reset()
    {
        _scores.AsSpan().Clear();
        (_clicks, _frames) = (0, 0);
    }

    /// <summary>The delay that stands out; null if none does yet.</summary>
    public (int DelaySlots, double Sigmas)? Best()
    {
        if (_frames == 0)
        {
            return null;
        }

        var best = 0;
        for (var i = 1; i < _scores.Length; i++)
        {
            if (_scores[i] > _scores[best])
            {
                best = i;
            }
        }

        var second = 0;
        for (var i = 0; i < _scores.Length; i++)
        {
            if (Math.Abs(i - best) > 1)
            {
                second = Math.Max(second, _scores[i]);
            }
        }

        var sigma = Math.Sqrt(Math.Max(1, _clicks));
        return _scores[best] >= FirstLockSigmas * sigma && second < 0.75 * _scores[best] ? (best + EarliestDelaySlots, _scores[best] / sigma) : null;
    }

    /// <summary>Score, in standard deviations, of a frame's pilot in a map if it were <paramref name="shift"/> slots later; null if not wholly in it.</summary>
    public double? Score(SlotMap map, long frame, long shift)
    {
        var start = (frame * settings.FrameSlots) + shift - map.FirstSlot;
        if (start < 0 || start + settings.PilotSlots > map.Count)
        {
            return null;
        }

        var slots = map.Slots.Slice((int)start, settings.PilotSlots);
        var signs = pilots.Signs(frame);
        int score = 0, clicks = 0;
        for (var slot = 0; slot < slots.Length; slot++)
        {
            if ((slots[slot] & 15) != 0)
            {
                clicks++;
                score += signs[slot];
            }
        }

        return score / Math.Sqrt(Math.Max(1, clicks));
    }
}
