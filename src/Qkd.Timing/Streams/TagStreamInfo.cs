namespace Qkd.Timing;

/// <summary>What a stream of tags says of itself before the first tag.</summary>
public sealed record TagStreamInfo
{
    /// <summary>Format of the file, by the name that <c>--format</c> takes.</summary>
    public required string Format { get; init; }

    /// <summary>Kind of record in words, e.g. <c>HydraHarp V2 T2</c>.</summary>
    public required string RecordType { get; init; }

    /// <summary>What one unit of <see cref="TagBuffer.Times"/> is in picoseconds; in T3 streams the period of the sync pulses,
    /// not a number if the file does not tell it.</summary>
    public required double TickPicoseconds { get; init; }

    /// <summary>Whether events carry a delay after a counted sync pulse (T3) instead of a time alone.</summary>
    public bool HasDelays { get; init; }

    /// <summary>What one unit of <see cref="TagBuffer.Delays"/> is in picoseconds; 0 without delays.</summary>
    public double DelayTickPicoseconds { get; init; }

    /// <summary>Finest step of a time that the stream can tell, in seconds: the delay's in T3 streams, the tick elsewhere.</summary>
    public double ResolutionSeconds => (HasDelays ? DelayTickPicoseconds : TickPicoseconds) * 1e-12;

    /// <summary>Records that the header announces; null if it does not say.</summary>
    public long? DeclaredRecords { get; init; }

    /// <summary>What else the header says, in its order and its names.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Header { get; init; } = [];

    /// <summary>Picoseconds of an event since the start of the stream.</summary>
    public double Picoseconds(long time, uint delay) => (time * TickPicoseconds) + (HasDelays ? delay * DelayTickPicoseconds : 0);
}
