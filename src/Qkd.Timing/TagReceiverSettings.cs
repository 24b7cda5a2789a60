using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>One detector of a receiver.</summary>
/// <param name="Channel">Its tagger channel.</param>
/// <param name="Basis">The basis it stands in.</param>
/// <param name="Bit">The bit that its click means.</param>
/// <param name="DelayPicoseconds">What its path is longer than the others': subtracted from its times. What is left of it within a slot is found by itself.</param>
public sealed record ReceiverDetector(int Channel, Basis Basis, int Bit, double DelayPicoseconds)
{
    /// <summary>Full width of this detector's gate in picoseconds; null for that of the receiver.</summary>
    public double? GateWidthPicoseconds { get; init; }

    /// <summary>Its place among the four: H, V, D, A.</summary>
    public int Index => (2 * (int)Basis) + Bit;
}

/// <summary>What a <see cref="TagReceiver"/> must know of transmitter and receiver.</summary>
public sealed record TagReceiverSettings
{
    /// <summary>Nominal length of a slot in picoseconds. The real one, in the tagger's clock, may differ by 50 ppm.</summary>
    public double SlotPeriodPicoseconds { get; init; } = 10_000;

    /// <summary>Slots between two markers.</summary>
    public int MarkerDivisor { get; init; } = 1000;

    /// <summary>Slots a frame, a multiple of the marker divisor and of 64.</summary>
    public int FrameSlots { get; init; } = 1_000_000;

    /// <summary>Pilot slots at the head of each frame, a multiple of 64.</summary>
    public int PilotSlots { get; init; } = 4096;

    /// <summary>Index of the weakest intensity, which the pilot uses for its dark slots.</summary>
    public int VacuumIntensity { get; init; } = 2;

    /// <summary>Full width of the gate around a slot's centre, in picoseconds, of every detector that has none of its own.</summary>
    public double GateWidthPicoseconds { get; init; } = 2000;

    /// <summary>Dead time of the slowest detector, in picoseconds.</summary>
    public double DeadTimePicoseconds { get; init; } = 15_000;

    /// <summary>Longest path that is searched for, in slots: how late light may arrive after its marker.</summary>
    public int MaximumDelaySlots { get; init; } = 100_000;

    /// <summary>The four detectors: H, V, D, A.</summary>
    public required IReadOnlyList<ReceiverDetector> Detectors { get; init; }

    /// <summary>The widest gate of any detector, in picoseconds.</summary>
    public double WidestGatePicoseconds => Detectors.Max(GateOf);

    /// <summary>Full width of a detector's gate, in picoseconds.</summary>
    public double GateOf(ReceiverDetector detector)
    {
        ArgumentNullException.ThrowIfNull(detector);
        return detector.GateWidthPicoseconds ?? GateWidthPicoseconds;
    }

    /// <summary>Checks that detectors and frames make sense.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public void Validate()
    {
        if (Detectors.Count != 4
            || Detectors.Select(d => (d.Basis, d.Bit)).Distinct().Count() != 4
            || Detectors.Select(d => d.Channel).Distinct().Count() != 4)
        {
            throw new ArgumentException("Four detectors on four channels are needed: each bit of each basis.");
        }

        if (FrameSlots % 64 != 0 || FrameSlots % MarkerDivisor != 0 || PilotSlots % 64 != 0 || PilotSlots > FrameSlots)
        {
            throw new ArgumentException("A frame is a multiple of 64 and of the marker divisor, and its pilot a multiple of 64.");
        }
    }
}
