using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>
/// Counts the markers that fall between two acquisitions. Such a marker leaves no edge; where light is bright it is still known, since both acquisitions are equally
/// long and the last tag comes close before the end of each.
/// </summary>
/// <remarks>
/// With start s of an acquisition, length W, last tag a span S after the first edge and ε before the end, the first edge is at s + W - ε - S. From one
/// acquisition to the next W cancels, and the two ε are of the order of the mean time between tags.
/// </remarks>
internal sealed class GapMarkers
{
    /// <summary>Mean times between tags in half a marker interval at least: the count is then wrong once in exp(20) acquisitions.</summary>
    private const int LeastTags = 20;

    private Seen? _last;

    /// <summary>Forgets the acquisition before.</summary>
    public void Reset() => _last = null;

    /// <summary>Takes the next acquisition.</summary>
    /// <param name="batch">The acquisition.</param>
    /// <param name="edges">Its edges up to the last tag.</param>
    /// <param name="lastTag">Picoseconds from the last of these to the last tag.</param>
    /// <param name="interval">Picoseconds from marker to marker.</param>
    /// <returns>How many markers lie between the last edge of the acquisition before and the first of this one; null if that is not known.</returns>
    public long? Next(TagBatch batch, long edges, long lastTag, double interval)
    {
        var seen = new Seen(batch.Acquisition, batch.AcquisitionStartPicoseconds, edges, lastTag);
        var last = _last;
        _last = batch.Count * interval / 2 > LeastTags * (((edges - 1) * interval) + lastTag) ? seen : null;
        if (last is not { } before || _last is null || seen.Acquisition != before.Acquisition + 1
            || batch.LossesBefore.Any(loss => loss.Cause is not (TagLossCause.AcquisitionGap or TagLossCause.Unplaceable)))
        {
            return null;
        }

        var edgesApart = ((seen.Start - before.Start + before.LastTag - seen.LastTag) / interval) + before.Edges - seen.Edges;
        var between = (long)Math.Round(edgesApart) - before.Edges;

        // What the gap can hold, and no more: starts that a driver does not tell are no starts.
        var gap = batch.LossesBefore.Sum(loss => loss.DurationPicoseconds ?? 0) / interval;
        return between >= 0 && Math.Abs(between - gap) <= 1 ? between : null;
    }

    private readonly record struct Seen(long Acquisition, long Start, long Edges, long LastTag);
}
