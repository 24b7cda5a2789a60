using System.Text.Json.Serialization;

namespace Qkd.Cli.Distilling;

/// <summary>What became of brought bits. Rates are 0 to 1.</summary>
internal sealed record DistillSummary
{
    /// <summary>Key-basis bits that were corrected, the sample left out.</summary>
    public required int Bits { get; init; }

    /// <summary>Error rate in them.</summary>
    public required double Qber { get; init; }

    /// <summary>Everything that was said in the open.</summary>
    public required long LeakedBits { get; init; }

    /// <summary>f: what error correction told, over n h(QBER); null without an error.</summary>
    public required double? Efficiency { get; init; }

    public required int Rounds { get; init; }

    public required int Frames { get; init; }

    public required int FramesFailed { get; init; }

    public required bool Verified { get; init; }

    public required long SecretBits { get; init; }

    [JsonPropertyName("elapsed_s")]
    public required double ElapsedSeconds { get; init; }

    /// <summary>Corrected bits over elapsed time, both ends' work together, reading and writing of files left out; 10^6 bits a second.</summary>
    public required double ThroughputMbps { get; init; }

    public required string Method { get; init; }

    public required int TestBits { get; init; }

    public required double? TestQber { get; init; }

    /// <summary>Bits of one end's parities or syndromes; the rest of the leak is what <see cref="VerificationBits"/> and <see cref="DisclosedBits"/> say, and the price of a variable length.</summary>
    public required long ReconciliationBits { get; init; }

    public required long VerificationBits { get; init; }

    public required long DisclosedBits { get; init; }

    public required string Grade { get; init; }

    public string? Bound { get; init; }

    public double? PhaseErrorRate { get; init; }

    public double? Epsilon { get; init; }

    /// <summary>Why there is no key.</summary>
    public string? Reason { get; init; }
}
