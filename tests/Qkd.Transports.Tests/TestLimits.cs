namespace Qkd.Transports.Tests;

/// <summary>Every wait in these tests ends, whatever goes wrong.</summary>
internal static class TestLimits
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);

    public static Task WithinLimit(this Task task) => task.WaitAsync(Longest, TestContext.Current.CancellationToken);

    public static Task<T> WithinLimit<T>(this Task<T> task) => task.WaitAsync(Longest, TestContext.Current.CancellationToken);

    public static Task WithinLimit(this ValueTask task) => task.AsTask().WithinLimit();

    public static Task<T> WithinLimit<T>(this ValueTask<T> task) => task.AsTask().WithinLimit();

    public static CancellationToken Token => TestContext.Current.CancellationToken;
}
