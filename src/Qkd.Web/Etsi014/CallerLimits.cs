using System.Threading.RateLimiting;

namespace Qkd.Web.Etsi014;

/// <summary>
/// How many requests of one application are worked on at once, and how many may wait; the next one is refused. So an application that asks
/// without end slows itself down, not the others.
/// </summary>
internal sealed class CallerLimits : IDisposable
{
    /// <summary>Requests of one application that are worked on at once.</summary>
    public const int AtOnce = 8;

    /// <summary>Requests of one application that wait for their turn.</summary>
    public const int Waiting = 24;

    private readonly PartitionedRateLimiter<string> _limiter = PartitionedRateLimiter.Create<string, string>(caller =>
        RateLimitPartition.GetConcurrencyLimiter(caller, static _ => new ConcurrencyLimiterOptions
        {
            PermitLimit = AtOnce,
            QueueLimit = Waiting,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        }));

    /// <summary>Waits for a turn, which lasts until the lease is disposed. A lease that was not acquired is a refusal.</summary>
    public ValueTask<RateLimitLease> EnterAsync(string caller, CancellationToken cancellationToken) => _limiter.AcquireAsync(caller, 1, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _limiter.Dispose();
}
