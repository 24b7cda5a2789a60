using Qkd.Distillation;

namespace Qkd.Link.Replay;

/// <summary>What a block's replay came to.</summary>
public enum ReplayOutcome
{
    /// <summary>The same messages and the same key, bit for bit.</summary>
    Same,

    /// <summary>Another message or another key than was recorded: the recording or the software is not what it was.</summary>
    Different,

    /// <summary>The block was given up when it was recorded, and what it said until then is the same.</summary>
    Discarded,

    /// <summary>The recording ends before the block does.</summary>
    Unfinished,
}

/// <summary>A block that was replayed.</summary>
public sealed record ReplayedBlock : IDisposable
{
    /// <summary>The block's id.</summary>
    public required long BlockId { get; init; }

    /// <summary>First emission frame.</summary>
    public required long FirstFrame { get; init; }

    /// <summary>Number of emission frames.</summary>
    public required int FrameCount { get; init; }

    /// <summary>What the replay came to.</summary>
    public required ReplayOutcome Outcome { get; init; }

    /// <summary>Length of the key that was recorded, in bits; 0 if there was none.</summary>
    public required long KeyBits { get; init; }

    /// <summary>Messages of this end that were compared with those recorded.</summary>
    public required int MessagesCompared { get; init; }

    /// <summary>What differs, or why there is no key; empty if all is the same.</summary>
    public string Detail { get; init; } = "";

    /// <summary>The public figures that the replay came to.</summary>
    public required BlockReport Report { get; init; }

    /// <summary>What the replay came to in the end; null if it did not come so far.</summary>
    public ReplayedKey? Key { get; init; }

    /// <summary>Erases the key.</summary>
    public void Dispose() => Key?.Dispose();
}
