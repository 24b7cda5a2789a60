using Qkd.Distillation;

namespace Qkd.Link.Session;

/// <summary>
/// What a session learns about its link from block to block: round-trip time, the pace at which sifted bits come, and the share of them that is secret.
/// It decides which method of error correction is used, and nothing else. Thread-safe.
/// </summary>
/// <param name="time">The clock.</param>
internal sealed class LinkPace(TimeProvider time)
{
    /// <summary>Share of the newest block in each figure.</summary>
    private const double Learning = 0.25;

    private readonly Lock _gate = new();
    private TimeSpan _roundTrip;
    private double _siftedBitsPerSecond;
    private double _secretShare;
    private long _lastSifted;

    /// <summary>What to expect of the next block.</summary>
    public ReconciliationConditions Conditions(SiftedBlock block)
    {
        lock (_gate)
        {
            return new(block.TestErrorRate) { RoundTrip = _roundTrip, SiftedBitsPerSecond = _siftedBitsPerSecond, SecretShare = _secretShare };
        }
    }

    /// <summary>A block was sifted.</summary>
    public void Sifted(SiftedBlock block)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            if (_lastSifted != 0 && time.GetElapsedTime(_lastSifted, now) is { Ticks: > 0 } elapsed)
            {
                Learn(ref _siftedBitsPerSecond, block.KeyBitCount / elapsed.TotalSeconds);
            }

            _lastSifted = now;
        }
    }

    /// <summary>The shortest time in a block from a message to its answer.</summary>
    public void Answered(TimeSpan shortest)
    {
        lock (_gate)
        {
            _roundTrip = _roundTrip == TimeSpan.Zero ? shortest : _roundTrip + (Learning * (shortest - _roundTrip));
        }
    }

    /// <summary>A block's length was agreed.</summary>
    public void Bounded(VerifiedBlock block, long secretLength)
    {
        if (secretLength > 0)
        {
            lock (_gate)
            {
                Learn(ref _secretShare, (double)(secretLength + block.Ledger.TotalBits) / block.Sifted.KeyBitCount);
            }
        }
    }

    private static void Learn(ref double known, double latest) => known = known == 0 ? latest : known + (Learning * (latest - known));
}
