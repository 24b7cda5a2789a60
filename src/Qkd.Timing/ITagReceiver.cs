using Qkd.Devices;
using Qkd.Timing.Gating;

namespace Qkd.Timing;

/// <summary>
/// Turns a stream of tags into detections per emission frame: finds which slot each tag belongs to, gates, vetoes, and keeps doing so through drift, gaps
/// and loss of lock. One thread.
/// </summary>
public interface ITagReceiver : IDisposable
{
    /// <summary>What the times of its batches must count from.</summary>
    TagTimeBase TimeBase { get; }

    /// <summary>What it knows of transmitter and receiver.</summary>
    TagReceiverSettings Settings { get; }

    /// <summary>How far the slots are known.</summary>
    SyncStatus Status { get; }

    /// <summary>Clicks that could not be placed in any frame since the start: before the first slot, or while the numbering was not known.</summary>
    long UnplacedClicks { get; }

    /// <summary>When clicks come within their slot, by detector (H, V, D, A), since the start.</summary>
    ArrivalHistogram Arrivals { get; }

    /// <summary>How often each detector (H, V, D, A) clicks again soon after a click.</summary>
    AfterpulseStatistics Afterpulses { get; }

    /// <summary>Says that the light that is to come begins with this slot. Needed once, at the start of emission.</summary>
    /// <param name="slot">Slot number, a multiple of the marker divisor.</param>
    void Anchor(long slot);

    /// <summary>Takes a batch and returns the frames that it completes, in order; each is the caller's to dispose of.</summary>
    /// <exception cref="ArgumentException">The batch's times count from something else.</exception>
    IReadOnlyList<DetectionFrame> Process(TagBatch batch);

    /// <summary>The receiver for a kind of time: with a marker for referenced times, without one for absolute times.</summary>
    /// <param name="timeBase">What its times will count from.</param>
    /// <param name="settings">Transmitter and receiver.</param>
    /// <param name="random">Draws the bit of a double click.</param>
    /// <exception cref="ArgumentException">The settings make no sense.</exception>
    static ITagReceiver Create(TagTimeBase timeBase, TagReceiverSettings settings, ISecretRandomness random) =>
        timeBase == TagTimeBase.Referenced ? new TagReceiver(settings, random) : new SignalReceiver(settings, random);
}
