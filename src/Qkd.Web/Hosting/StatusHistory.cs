using Microsoft.Extensions.Hosting;
using Qkd.Node.Nodes;
using Qkd.Node.Status;

namespace Qkd.Web.Hosting;

/// <summary>Takes a picture of all nodes every second and keeps the last minutes of the figures that the status page draws.</summary>
public sealed class StatusHistory(NodesService nodes, TimeProvider time) : BackgroundService
{
    /// <summary>Seconds kept.</summary>
    public const int Length = 180;

    private readonly Lock _gate = new();
    private readonly Queue<Sample> _samples = new();

    /// <summary>One second's figures.</summary>
    /// <param name="Time">When.</param>
    /// <param name="SecretKilobitsPerSecond">Secret key rate.</param>
    /// <param name="QberZPercent">Error rate in the key basis of the last block; NaN if there is none.</param>
    /// <param name="QberXPercent">Error rate in the test basis of the last block; NaN if there is none.</param>
    public sealed record Sample(DateTimeOffset Time, double SecretKilobitsPerSecond, double QberZPercent, double QberXPercent);

    /// <summary>The newest picture of each node.</summary>
    public IReadOnlyList<NodeStatus> Nodes { get; private set; } = [];

    /// <summary>Raised after each new picture.</summary>
    public event Action? Updated;

    /// <summary>The samples, oldest first.</summary>
    public IReadOnlyList<Sample> Samples
    {
        get
        {
            lock (_gate)
            {
                return [.. _samples];
            }
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            Nodes = [.. nodes.Nodes.Select(node => node.Monitor.Snapshot())];
            if (Nodes.Count > 0)
            {
                var last = Nodes[0].LastBlock;
                lock (_gate)
                {
                    _samples.Enqueue(new(time.GetUtcNow(), Nodes[0].SecretRateBps / 1000, 100 * (last?.QberZ ?? double.NaN), 100 * (last?.QberX ?? double.NaN)));
                    if (_samples.Count > Length)
                    {
                        _samples.Dequeue();
                    }
                }
            }

            Updated?.Invoke();
        }
    }
}
