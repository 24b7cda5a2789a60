using Qkd.Node.Nodes;
using Shouldly;

namespace Qkd.Node.Tests.Nodes;

public sealed class BackoffTests
{
    [Fact]
    public void The_wait_doubles_from_a_quarter_of_a_second_to_its_limit()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(10));
        Next(backoff, 9).ShouldBe([0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]);
    }

    [Fact]
    public void After_success_it_starts_anew()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(10));
        Next(backoff, 5);
        backoff.Reset();
        Next(backoff, 3).ShouldBe([0.25, 0.5, 1]);
    }

    [Fact]
    public void A_limit_below_the_first_wait_holds_too()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(0.1));
        Next(backoff, 2).ShouldBe([0.1, 0.1]);
        backoff.Reset();
        Next(backoff, 1).ShouldBe([0.1]);
    }

    [Fact]
    public void It_never_overflows()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(10));
        Next(backoff, 1000)[^1].ShouldBe(10);
    }

    private static double[] Next(Backoff backoff, int times) =>
        [.. Enumerable.Range(0, times).Select(_ => backoff.Next().TotalSeconds)];
}
