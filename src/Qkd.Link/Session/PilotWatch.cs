using Qkd.Timing;

namespace Qkd.Link.Session;

/// <summary>
/// Watches the error rate of the pilots frame by frame: a jump shows within hundredths of a second, long before a block ends. It is an
/// early warning only. Pilots are public and an eavesdropper may spare them; what the key is worth is decided by the block's own test bits.
/// </summary>
internal sealed class PilotWatch(double limit)
{
    private const int Window = 8;
    private const double Sigmas = 5;

    private readonly Queue<(long Frame, long Errors, long Matched)> _recent = new();

    /// <summary>What looks wrong, and since when.</summary>
    public sealed record Suspicion(long FromFrame, string Detail);

    /// <summary>Starts anew.</summary>
    public void Reset() => _recent.Clear();

    /// <summary>Takes a frame; returns a suspicion if the last frames' pilots are in error beyond the limit by more than five sigma.</summary>
    public Suspicion? Suspicious(DetectionFrame frame)
    {
        var (errors, matched) = frame.Pilot.ErrorsAndMatched();
        _recent.Enqueue((frame.Frame, errors, matched));
        if (_recent.Count > Window)
        {
            _recent.Dequeue();
        }

        // From the newest backwards: one bad frame is enough if it is bad beyond chance.
        long sumErrors = 0, sumMatched = 0;
        foreach (var (number, e, m) in _recent.Reverse())
        {
            sumErrors += e;
            sumMatched += m;
            var expected = limit * sumMatched;
            if (sumMatched > 0 && sumErrors - expected > Sigmas * Math.Sqrt(Math.Max(expected, 1)))
            {
                return new(
                    number,
                    FormattableString.Invariant($"pilot error rate {(double)sumErrors / sumMatched:P1} over frames {number} to {frame.Frame}, limit {limit:P1}"));
            }
        }

        return null;
    }
}
