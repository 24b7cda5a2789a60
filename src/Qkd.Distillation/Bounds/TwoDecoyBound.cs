namespace Qkd.Distillation;

/// <summary>
/// The two-decoy bound with every intermediate. Symbols as in the paper. K1, X1 and v are each taken at their own worst point of the
/// intensity intervals, so the length is at most that of any point in them.
/// </summary>
public sealed record TwoDecoyBound : KeyBound
{
    /// <inheritdoc/>
    public override string Name => "tupkary-2decoy";

    /// <summary>K1: lower bound on single-photon detections in the key basis.</summary>
    public double KeySinglePhotons { get; init; }

    /// <summary>X1: lower bound on single-photon detections in the test basis.</summary>
    public double TestSinglePhotons { get; init; }

    /// <summary>v: upper bound on single-photon errors in the test basis.</summary>
    public double TestSinglePhotonErrors { get; init; }

    /// <summary>e = v/X1, clipped to 0..1.</summary>
    public double TestErrorRate { get; init; }

    /// <summary>gS: deviation of the key from the test sample.</summary>
    public double SamplingDeviation { get; init; }

    /// <summary>δ1: what the detector mismatch adds to the phase error rate.</summary>
    public double Delta1 { get; init; }

    /// <summary>δ2: the share of detections that the detector mismatch may take.</summary>
    public double Delta2 { get; init; }

    /// <summary>gB(K1, δ1, ε_b).</summary>
    public double Delta1Deviation { get; init; }

    /// <summary>gB(K1, δ2, ε_c).</summary>
    public double Delta2Deviation { get; init; }
}
