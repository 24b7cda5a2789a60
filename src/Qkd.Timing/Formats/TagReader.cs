namespace Qkd.Timing.Formats;

/// <summary>Reads the tags of a file from its start to its end in constant memory.</summary>
public abstract class TagReader : IDisposable
{
    /// <summary>What the file says of itself.</summary>
    public abstract TagStreamInfo Info { get; }

    /// <summary>What was read so far.</summary>
    public TagCounts Counts { get; } = new();

    /// <summary>Bytes of the file read so far, the header's included.</summary>
    public abstract long Position { get; }

    /// <summary>Overwrites a buffer with the next events.</summary>
    /// <param name="buffer">The buffer; as many events as fit.</param>
    /// <returns>Whether there are any; false at the end of the file.</returns>
    /// <exception cref="TagFormatException">
    /// The file is cut off or corrupt. All events before the fault were handed out by the calls before.
    /// </exception>
    public bool Read(TagBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        buffer.Count = 0;
        if (!Fill(buffer))
        {
            return false;
        }

        Counts.Add(buffer);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Fills an empty buffer; keeps <see cref="TagCounts.Records"/> and the counts of records without events.</summary>
    protected abstract bool Fill(TagBuffer buffer);

    /// <summary>Gives back what the reader holds.</summary>
    protected abstract void Dispose(bool disposing);
}
