using System.Buffers;

namespace Qkd.Devices;

/// <summary>What the times of a <see cref="TagBatch"/> count from.</summary>
public enum TagTimeBase
{
    /// <summary>Picoseconds since the start of the acquisition.</summary>
    Absolute,

    /// <summary>Picoseconds since the last edge on the reference channel, with the count of such edges since the start of the acquisition.</summary>
    Referenced,
}

/// <summary>The tags of one channel in a batch, in order of time.</summary>
/// <param name="Channel">Channel number.</param>
/// <param name="TimesPicoseconds">Times by the batch's <see cref="TagBatch.TimeBase"/>.</param>
/// <param name="ReferenceIndexes">
/// For <see cref="TagTimeBase.Referenced"/>: how many reference edges the acquisition had seen when the tag was taken, 1 for
/// the first; never decreasing. Otherwise empty.
/// </param>
public readonly record struct TagRun(int Channel, ReadOnlyMemory<long> TimesPicoseconds, ReadOnlyMemory<long> ReferenceIndexes)
{
    /// <summary>Number of tags.</summary>
    public int Count => TimesPicoseconds.Length;
}

/// <summary>Why tags are missing.</summary>
public enum TagLossCause
{
    /// <summary>Between two acquisitions the instrument does not record.</summary>
    AcquisitionGap,

    /// <summary>The instrument's buffer overflowed.</summary>
    InstrumentOverflow,

    /// <summary>The host did not take the tags fast enough.</summary>
    HostOverflow,

    /// <summary>Tags that cannot be placed in time, e.g. before the first reference edge.</summary>
    Unplaceable,
}

/// <summary>Tags that are missing, said explicitly.</summary>
/// <param name="Cause">Why.</param>
/// <param name="DurationPicoseconds">For how long nothing was recorded; null if unknown.</param>
/// <param name="Tags">How many tags are missing; null if unknown.</param>
public sealed record TagLoss(TagLossCause Cause, long? DurationPicoseconds, long? Tags);

/// <summary>
/// Tags of one or more channels over one stretch of time. The batch holds, on each of its channels, every tag of that stretch:
/// a channel without a run was silent. Disposing it gives its memory back; the memory must not be used afterwards.
/// </summary>
public sealed class TagBatch : IDisposable
{
    private IDisposable? _memory;

    /// <summary>Creates a batch.</summary>
    /// <param name="memory">Owner of the arrays that the runs point into; disposed with the batch. May be null.</param>
    public TagBatch(IDisposable? memory = null) => _memory = memory;

    /// <summary>What the times count from.</summary>
    public required TagTimeBase TimeBase { get; init; }

    /// <summary>
    /// Number of the (sub-)acquisition, from 0. Times and reference indexes start anew in each; the gap before it is in <see cref="LossesBefore"/>.
    /// </summary>
    public required long Acquisition { get; init; }

    /// <summary>
    /// When the acquisition began, in picoseconds of the tagger's own clock since the first one began. With absolute times it makes one continuous
    /// time of all acquisitions.
    /// </summary>
    public long AcquisitionStartPicoseconds { get; init; }

    /// <summary>The tags, one run a channel that has any.</summary>
    public required IReadOnlyList<TagRun> Runs { get; init; }

    /// <summary>What is missing between the batch before and this one; empty if the two join.</summary>
    public IReadOnlyList<TagLoss> LossesBefore { get; init; } = [];

    /// <summary>Whether this is the last batch of its acquisition.</summary>
    public required bool EndsAcquisition { get; init; }

    /// <summary>When the host received the last byte of this batch.</summary>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>Number of tags over all channels.</summary>
    public long Count
    {
        get
        {
            long count = 0;
            foreach (var run in Runs)
            {
                count += run.Count;
            }

            return count;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _memory, null)?.Dispose();
}

/// <summary>Arrays rented from the shared pool for a batch, given back together.</summary>
public sealed class TagMemory : IDisposable
{
    private readonly List<long[]> _rented = [];

    /// <summary>Rents an array of at least <paramref name="length"/> elements.</summary>
    public long[] Rent(int length)
    {
        var array = ArrayPool<long>.Shared.Rent(length);
        _rented.Add(array);
        return array;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var array in _rented)
        {
            ArrayPool<long>.Shared.Return(array);
        }

        _rented.Clear();
    }
}
