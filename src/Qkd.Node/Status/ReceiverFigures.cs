using Qkd.Timing;

namespace Qkd.Node.Status;

/// <summary>How a receiver sees the light, from its live histograms.</summary>
/// <param name="Sync">How far the slots are known.</param>
/// <param name="Detectors">Its detectors: H, V, D, A.</param>
public sealed record ReceiverFigures(SyncStatus Sync, IReadOnlyList<DetectorLight> Detectors)
{
    private static readonly string[] Names = ["H", "V", "D", "A"];

    /// <summary>The figures of a receiver that may be at work.</summary>
    public static ReceiverFigures Of(ITagReceiver receiver)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        var period = receiver.Settings.SlotPeriodPicoseconds;
        return new(receiver.Status, [.. Names.Select((name, detector) =>
        {
            var peak = receiver.Arrivals.Peak(detector);
            return new DetectorLight(
                name,
                peak?.CentreSlots * period,
                peak?.WidthSlots * period,
                peak?.BackgroundShare,
                receiver.Afterpulses.Afterpulses(detector) is { } afterpulses && afterpulses.Error < 0.01 ? afterpulses.Probability : null);
        })]);
    }
}

/// <summary>One detector in the light.</summary>
/// <param name="Name">H, V, D or A.</param>
/// <param name="ArrivalPicoseconds">Mean arrival after the slot's centre, its delay taken off; null if no light stands out.</param>
/// <param name="WidthPicoseconds">Standard deviation of the arrivals: pulse, detector and tagger together.</param>
/// <param name="BackgroundShare">Share of its clicks that are not light of the sender's.</param>
/// <param name="Afterpulses">Afterpulses a click; null before they can be told to one per cent.</param>
public sealed record DetectorLight(string Name, double? ArrivalPicoseconds, double? WidthPicoseconds, double? BackgroundShare, double? Afterpulses);
