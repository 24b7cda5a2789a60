using Qkd.Timing;

namespace Qkd.Link;

/// <summary>The public figures of one block: nothing in it is secret.</summary>
public sealed record BlockReport
{
    /// <summary>The block's id.</summary>
    public required long BlockId { get; init; }

    /// <summary>First emission frame.</summary>
    public required long FirstFrame { get; init; }

    /// <summary>Number of emission frames, fixed before the first was sent.</summary>
    public required int FrameCount { get; init; }

    /// <summary>Announced detections.</summary>
    public long Detections { get; init; }

    /// <summary>
    /// What Bob's gate did with the clicks of the block's frames, pilots included: multi-clicks in one basis, cross-clicks, what was vetoed. Null at
    /// Alice, who is not told.
    /// </summary>
    public GateCounts? Gate { get; init; }

    /// <summary>Matched detections in the key basis per intensity.</summary>
    public IReadOnlyList<long> KeyCounts { get; init; } = [];

    /// <summary>Errors in the key basis per intensity; empty until they are known.</summary>
    public IReadOnlyList<long> KeyErrors { get; init; } = [];

    /// <summary>Matched detections in the test basis per intensity.</summary>
    public IReadOnlyList<long> TestCounts { get; init; } = [];

    /// <summary>Errors in the test basis per intensity.</summary>
    public IReadOnlyList<long> TestErrors { get; init; } = [];

    /// <summary>Sifted bits: matched detections of both bases.</summary>
    public long SiftedBits => KeyCounts.Sum() + TestCounts.Sum();

    /// <summary>Error rate in the key basis, 0 to 1; NaN until known.</summary>
    public double QberZ => KeyErrors.Count == 0 || KeyCounts.Sum() == 0 ? double.NaN : (double)KeyErrors.Sum() / KeyCounts.Sum();

    /// <summary>Error rate in the test basis, 0 to 1; NaN until known.</summary>
    public double QberX => TestCounts.Sum() == 0 ? double.NaN : (double)TestErrors.Sum() / TestCounts.Sum();

    /// <summary>Bits leaked by reconciliation, verification and disclosures, as the ledger counts them.</summary>
    public long LeakedBits { get; init; }

    /// <summary>Method of reconciliation; empty until it is done.</summary>
    public string ReconciliationMethod { get; init; } = "";

    /// <summary>Rounds of reconciliation.</summary>
    public int ReconciliationRounds { get; init; }

    /// <summary>Frames that could not be corrected, or not rightly, and were disclosed whole.</summary>
    public int DisclosedFrames { get; init; }

    /// <summary>Upper bound on the phase error rate; NaN if no bound was reached.</summary>
    public double PhaseErrorRate { get; init; } = double.NaN;

    /// <summary>Secret bits.</summary>
    public long SecretBits { get; init; }

    /// <summary>Security parameter of the block's key, authentication included; 0 for a block that gave none. It adds up over blocks.</summary>
    public double Epsilon { get; init; }

    /// <summary>Whether the session ended before the block did: that it gave no key says nothing.</summary>
    public bool CutOff { get; init; }

    /// <summary>The grade of the key.</summary>
    public string Grade { get; init; } = "";
}
