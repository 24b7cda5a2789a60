using Qkd.Link;

namespace Qkd.Node.Status;

/// <summary>
/// Notices when simultaneous clicks rise: clicks of both detectors of a basis, and of detectors of both bases. Light stronger than Alice's makes more
/// of them, whether somebody blinds the detectors, resends brighter pulses, or her attenuator has failed. Not thread-safe.
/// </summary>
/// <remarks>
/// A block is held against the mean of the accepted blocks before it, by its share of all clicks, which does not depend on the block's length. It
/// has risen if it lies five sigma of the counts above the mean and half as much again: what the fibre's drift does to the share stays far below that,
/// and without the second condition five sigma of a large block would be a per cent.
/// </remarks>
internal sealed class MultiClickWatch
{
    private const double Sigmas = 5;
    private const double Factor = 1.5;

    private double _clicks;
    private double _coincidences;

    /// <summary>Takes a block that has ended; says in words what has risen, or null.</summary>
    /// <param name="report">The block.</param>
    /// <param name="accepted">Whether it became key: only such blocks make up the mean, and not those that are themselves too high.</param>
    public string? Rise(BlockReport report, bool accepted)
    {
        if (report.Gate is not { Clicks: > 0 } gate)
        {
            return null;
        }

        double coincidences = gate.DoubleClicks + gate.CrossClicks;
        if (_clicks > 0)
        {
            // Two counts differ: that of the block, and that of the mean.
            var expected = _coincidences / _clicks * gate.Clicks;
            var variance = Math.Max(1, expected * (1 + (gate.Clicks / _clicks)));
            if (coincidences > Factor * expected && coincidences > expected + (Sigmas * Math.Sqrt(variance)))
            {
                return FormattableString.Invariant(
                    $"simultaneous clicks have risen: {coincidences / gate.Clicks:P3} of the clicks of block {report.BlockId}, {_coincidences / _clicks:P3} in the accepted blocks before");
            }
        }

        if (accepted)
        {
            _clicks += gate.Clicks;
            _coincidences += coincidences;
        }

        return null;
    }
}
