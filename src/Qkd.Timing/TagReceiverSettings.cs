using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>One detector of a receiver.</summary>
/// <param name="Channel">Its tagger channel.</param>
/// <param name="Basis">The basis it stands in.</param>
/// <param name="Bit">The bit that its click means.</param>
/// <param name="DelayPicoseconds">What its path is longer than the others': subtracted from its times.</param>
public sealed record ReceiverDetector(int Channel, Basis Basis, int Bit, double DelayPicoseconds);

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

    /// <summary>Full width of the gate around a slot's centre, in picoseconds.</summary>
    public double GateWidthPicoseconds { get; init; } = 2000;

    /// <summary>Dead time of the slowest detector, in picoseconds.</summary>
    public double DeadTimePicoseconds { get; init; } = 15_000;

    /// <summary>Longest path that is searched for, in slots: how late light may arrive after its marker.</summary>
    public int MaximumDelaySlots { get; init; } = 100_000;

    /// <summary>The four detectors: H, V, D, A.</summary>
    public required IReadOnlyList<ReceiverDetector> Detectors { get; init; }
}
