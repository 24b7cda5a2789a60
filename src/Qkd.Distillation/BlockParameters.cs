using System.Text.Json.Serialization;

namespace Qkd.Distillation;

/// <summary>One of Alice's intensities.</summary>
/// <param name="Mean">Mean photon number of a pulse as it leaves Alice.</param>
/// <param name="MeanLow">Lower end of the interval in which the mean is attested to lie.</param>
/// <param name="MeanHigh">Upper end of that interval.</param>
/// <param name="Probability">Probability with which it is sent, in either basis.</param>
public sealed record IntensityClass(double Mean, double MeanLow, double MeanHigh, double Probability);

/// <summary>
/// What a block is, fixed and announced before its first pulse: a number of emission frames, never a number of detections. The bound
/// holds for a number of signals that does not depend on what is detected.
/// </summary>
public sealed record BlockParameters
{
    /// <summary>Number of intensities: signal, decoy and near-vacuum.</summary>
    public const int IntensityCount = 3;

    /// <summary>Most slots a frame can have.</summary>
    public const int MaximumFrameSlots = 1 << 24;

    /// <summary>Most frames a block can have.</summary>
    public const int MaximumFrameCount = 1 << 20;

    /// <summary>Identifies the block; never used twice.</summary>
    public required long BlockId { get; init; }

    /// <summary>Number of the block's first emission frame.</summary>
    public required long FirstFrame { get; init; }

    /// <summary>Number of emission frames.</summary>
    public required int FrameCount { get; init; }

    /// <summary>Slots a frame, a multiple of 64.</summary>
    public required int FrameSlots { get; init; }

    /// <summary>Slots at the head of each frame that are a public pilot: they never enter key or statistics.</summary>
    public required int PilotSlots { get; init; }

    /// <summary>Three intensities, brightest first.</summary>
    public required IReadOnlyList<IntensityClass> Intensities { get; init; }

    /// <summary>Failure probabilities and detector model.</summary>
    public required SecurityParameters Security { get; init; }

    /// <summary>What sent the bits; it decides which bound counts. Never on the wire: what two nodes make of light is of pulses, whatever a peer may say.</summary>
    [JsonIgnore]
    public SourceModel Source { get; init; } = SourceModel.Decoys;

    /// <summary>What the key may be called.</summary>
    public required KeyGrade Grade { get; init; }

    /// <summary>Number of the frame after the last.</summary>
    public long EndFrame => FirstFrame + FrameCount;

    /// <summary>Checks every value.</summary>
    /// <exception cref="DistillationException">A value is missing or out of its range; the message names it.</exception>
    public void Validate()
    {
        Require(FirstFrame is >= 0 and <= long.MaxValue - MaximumFrameCount, nameof(FirstFrame), FirstFrame);
        Require(FrameCount is > 0 and <= MaximumFrameCount, nameof(FrameCount), FrameCount);
        Require(FrameSlots is > 0 and <= MaximumFrameSlots && FrameSlots % 64 == 0, nameof(FrameSlots), FrameSlots);
        Require(PilotSlots >= 0 && PilotSlots < FrameSlots, nameof(PilotSlots), PilotSlots);
        Require(Enum.IsDefined(Grade), nameof(Grade), Grade);
        if (Source is SourceModel.SinglePhotons photons)
        {
            Require(Grade == KeyGrade.Laboratory, nameof(Grade), Grade);
            Require(photons.Secrecy is > 0 and < 1, nameof(photons.Secrecy), photons.Secrecy);
            Require(double.IsNaN(photons.ToleratedErrorRate) || photons.ToleratedErrorRate is >= 0 and < 0.5, nameof(photons.ToleratedErrorRate), photons.ToleratedErrorRate);
        }

        if (Security is null || Security.Mismatch is null || Intensities is null || Intensities.Any(intensity => intensity is null))
        {
            throw new DistillationException("The block parameters are incomplete.");
        }

        Require(Intensities.Count == IntensityCount, nameof(Intensities), Intensities.Count);
        foreach (var intensity in Intensities)
        {
            Require(
                intensity.MeanLow >= 0 && intensity.MeanLow <= intensity.Mean && intensity.Mean <= intensity.MeanHigh && intensity.MeanHigh <= 10,
                nameof(Intensities),
                intensity);
            Require(intensity.Probability is > 0 and < 1, nameof(Intensities), intensity);
        }

        Require(Math.Abs(Intensities.Sum(intensity => intensity.Probability) - 1) < 1e-9, nameof(Intensities), "probabilities that do not add up to 1");
        Security.Validate();
    }

    private static void Require(bool condition, string name, object value)
    {
        if (!condition)
        {
            throw new DistillationException(FormattableString.Invariant($"The block parameter {name} is out of range: {value}."));
        }
    }
}
