using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Status;

namespace Qkd.Node.Nodes;

/// <summary>
/// Switches the detectors off when one of them counts faster than its limit: too much light harms them, and blinds them, which is an
/// attack. Stays off until the node is started again by a person.
/// </summary>
internal sealed class CountRateGuard(ISinglePhotonDetector detectors, double limitHertz, NodeMonitor monitor)
{
    /// <summary>Watches until cancelled.</summary>
    /// <exception cref="DeviceException">The detectors no longer report their counts.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var tripped = false;
        await foreach (var counts in detectors.ReadCountsAsync(cancellationToken))
        {
            for (var channel = 0; channel < counts.Counts.Count && !tripped; channel++)
            {
                var rate = counts.Counts[channel] / counts.Period.TotalSeconds;
                if (rate > limitHertz)
                {
                    tripped = true;
                    await detectors.SetEnabledAsync(false, cancellationToken);
                    monitor.Alarm(
                        AlarmKind.Device,
                        FormattableString.Invariant($"{detectors.Name}: detector {channel + 1} counts {rate:G4} a second, limit {limitHertz:G4}: bias is off until the node is started again"));
                }
            }
        }

        throw new DeviceException(detectors.Name, detectors.Address.Text, "the stream of count rates ended");
    }
}
