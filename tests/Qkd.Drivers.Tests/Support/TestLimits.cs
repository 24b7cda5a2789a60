namespace Qkd.Drivers.Tests.Support;

/// <summary>Every wait in these tests ends, whatever goes wrong.</summary>
internal static class TestLimits
{
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public static Task WithinLimit(this Task task) => task.WaitAsync(Longest, Token);

    public static Task<T> WithinLimit<T>(this Task<T> task) => task.WaitAsync(Longest, Token);

    public static Task WithinLimit(this ValueTask task) => task.AsTask().WithinLimit();

    public static Task<T> WithinLimit<T>(this ValueTask<T> task) => task.AsTask().WithinLimit();

    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Longest);
        while (!await condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }
}
