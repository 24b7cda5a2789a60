using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Status;

namespace Qkd.Node.Nodes;

/// <summary>
/// Switches the detectors off when one of them counts faster than its limit: too much light harms them, and blinds them, which is an
/// attack. Latches: they stay off until the node is started again by a person, also when the instrument is opened anew meanwhile.
/// </summary>
internal sealed class CountRateGuard(double limitHertz, NodeMonitor monitor)
{
    /// <summary>Why the detectors must stay off; null while they may be on.</summary>
    public string? Tripped { get; private set; }

    /// <summary>Watches until cancelled.</summary>
    /// <exception cref="DeviceException">The detectors no longer report their counts, or could not be switched off.</exception>
    public async Task RunAsync(ISinglePhotonDetector detectors, CancellationToken cancellationToken)
    {
        await foreach (var counts in detectors.ReadCountsAsync(cancellationToken))
        {
            if (Tripped is null && Excess(detectors.Name, counts) is { } excess)
            {
                // Latched before anything that may fail: a detector that cannot be reached now must not be switched on later either.
                Tripped = excess;
                monitor.Alarm(AlarmKind.Device, excess);
                await detectors.SetEnabledAsync(false, cancellationToken);
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        throw new DeviceException(detectors.Name, detectors.Address.Text, "the stream of count rates ended");
    }

    private string? Excess(string detectors, DetectorCounts counts)
    {
        for (var channel = 0; channel < counts.Counts.Count; channel++)
        {
            var rate = counts.Counts[channel] / counts.Period.TotalSeconds;
            if (rate > limitHertz)
            {
                return FormattableString.Invariant(
                    $"{detectors}: detector {channel + 1} counts {rate:G4} a second, limit {limitHertz:G4}: bias is off until the node is started again");
            }
        }

        return null;
    }
}
