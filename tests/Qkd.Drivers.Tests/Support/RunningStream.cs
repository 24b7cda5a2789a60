using Qkd.Devices;
using Shouldly;

namespace Qkd.Drivers.Tests.Support;

/// <summary>A stream whose next batch is always being waited for, as a reader would.</summary>
public sealed class RunningStream : IAsyncDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private readonly IAsyncEnumerator<TagBatch> _batches;

    public RunningStream(IAsyncEnumerable<TagBatch> batches)
    {
        _batches = batches.GetAsyncEnumerator(_ending.Token);
        Waiting = _batches.MoveNextAsync().AsTask();
    }

    /// <summary>Ends with the next batch, or with the end of the stream.</summary>
    public Task<bool> Waiting { get; private set; }

    public async Task<TagBatch> NextAsync()
    {
        (await Waiting.WithinLimit()).ShouldBeTrue("the stream has ended");
        var batch = _batches.Current;
        Waiting = _batches.MoveNextAsync().AsTask();
        return batch;
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await ((Task)Waiting).WaitAsync(TestLimits.Longest).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (Waiting.IsCompletedSuccessfully && await Waiting)
        {
            _batches.Current.Dispose();
        }

        await _batches.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
        _ending.Dispose();
    }
}
