namespace Qkd.Timing.Formats;

/// <summary>How tags are to be written.</summary>
public sealed record TagWriteOptions
{
    /// <summary>What the buffers that will come say of themselves: their ticks, and whether they carry delays.</summary>
    public required TagStreamInfo Source { get; init; }

    /// <summary>Kind of records of a PTU file. Without it the one that fits: HydraHarp V2, T3 if the source carries delays.</summary>
    public PicoQuantRecordType? RecordType { get; init; }

    /// <summary>Picoseconds a tick of the file, where the format leaves it open; without it the source's.</summary>
    public double? TickPicoseconds { get; init; }

    /// <summary>A PTU header whose entries the file shall have as well; those that describe the records are replaced.</summary>
    public PtuHeader? Header { get; init; }

    /// <summary>The channel to write, for formats that know one alone.</summary>
    public int Channel { get; init; } = 1;
}
