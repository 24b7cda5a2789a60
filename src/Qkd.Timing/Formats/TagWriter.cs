namespace Qkd.Timing.Formats;

/// <summary>Writes tags as a file.</summary>
public abstract class TagWriter : IDisposable
{
    /// <summary>Events that the format could not hold and that were left out, e.g. markers where it knows none.</summary>
    public long Omitted { get; protected set; }

    /// <summary>Writes events, which must not come before those already written.</summary>
    /// <exception cref="ArgumentException">An event has a channel or a time that the format cannot hold; the message says which.</exception>
    public abstract void Write(TagBuffer buffer);

    /// <summary>Writes what is still held back, and the header's counts where the stream can seek. Nothing can be written afterwards.</summary>
    public abstract void Complete();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives back what the writer holds.</summary>
    protected abstract void Dispose(bool disposing);
}
