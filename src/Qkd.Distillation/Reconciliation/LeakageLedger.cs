namespace Qkd.Distillation;

/// <summary>Every bit about the key that was said in the open, each under its own heading.</summary>
public sealed record LeakageLedger
{
    /// <summary>Parities that Alice told.</summary>
    public long ReconciliationBits { get; init; }

    /// <summary>
    /// Parities that Bob's requests imply. Counted only where the detectors may differ: with equal detectors and no credit for vacuum
    /// the error pattern may be taken as public, and what Bob says follows from it and from what Alice told.
    /// </summary>
    public long ReverseReconciliationBits { get; init; }

    /// <summary>
    /// The price of a leak whose size depends on the data: 2 log2 J for the J values that it can take.
    /// </summary>
    public long VariableLengthBits { get; init; }

    /// <summary>
    /// Bits of verification beyond the log2(2/ε_EV) that stand in the formula for the length: the rest of the tag, and with detectors that may
    /// differ Bob's verdict and error counts.
    /// </summary>
    public long VerificationBits { get; init; }

    /// <summary>Key bits that were told outright.</summary>
    public long DisclosedBits { get; init; }

    /// <summary>The sum: λ in the formula for the length.</summary>
    public long TotalBits => ReconciliationBits + ReverseReconciliationBits + VariableLengthBits + VerificationBits + DisclosedBits;
}
