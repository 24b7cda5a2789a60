using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Settlement;

public sealed class RunLoopTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    [Fact]
    public async Task A_fresh_block_is_settled_at_once_however_many_intervals_have_passed_before()
    {
        using var pair = new Pair();
        using var stop = new CancellationTokenSource();
        var run = pair.Alice.Manager.RunAsync(Hour, stop.Token);
        for (var block = 1L; block <= 3; block++)
        {
            // Several intervals in which nothing is open.
            for (var i = 0; i < 4; i++)
            {
                pair.Time.Advance(Hour);
                await Task.Yield();
            }

            pair.Bob.Accept(block, new byte[64]);
            var told = Arrival(pair, block);
            pair.Alice.Accept(block, new byte[64]);
            await told.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        }

        await stop.CancelAsync();
        await run.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_peer_that_is_away_is_asked_again_after_the_interval()
    {
        using var pair = new Pair();
        using var stop = new CancellationTokenSource();
        var tried = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pair.ToBob.Connected = false;
        pair.ToBob.Before = () =>
        {
            tried.TrySetResult();
            return Task.CompletedTask;
        };
        var run = pair.Alice.Manager.RunAsync(Hour, stop.Token);
        pair.Make(1);
        await tried.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);

        var told = Arrival(pair, 1);
        pair.ToBob.Connected = true;
        pair.ToBob.Questions.ShouldBeEmpty();
        for (var i = 0; i < 100 && !told.IsCompleted; i++)
        {
            pair.Time.Advance(Hour);
            await Task.WhenAny(told, Task.Delay(20, TestContext.Current.CancellationToken));
        }

        await told.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await run.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    /// <summary>Ends when the question about a block has reached the other side.</summary>
    private static Task Arrival(Pair pair, long block)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pair.ToBob.Before = () =>
        {
            if (pair.Alice.Store.StateOf(block) == BlockState.Reserved && pair.ToBob.Connected)
            {
                told.TrySetResult();
            }

            return Task.CompletedTask;
        };
        return told.Task;
    }
}
