using Shouldly;

namespace Qkd.Sim.Bench.Tests;

public sealed class TimeTests
{
    private const long Millisecond = 1_000_000_000;

    [Fact]
    public void Bench_time_follows_the_wall_and_is_never_ahead()
    {
        var wall = new Wall();
        var pacer = new Pacer(wall);
        pacer.Target(0).ShouldBe(0);
        wall.Elapsed = TimeSpan.FromMilliseconds(40);
        pacer.Target(0).ShouldBe(40 * Millisecond);
        wall.Elapsed = TimeSpan.FromMilliseconds(100);
        pacer.Target(40 * Millisecond).ShouldBe(100 * Millisecond);
        pacer.LostPicoseconds.ShouldBe(0);
    }

    [Fact]
    public void No_more_than_a_tenth_of_a_second_is_caught_up()
    {
        var wall = new Wall { Elapsed = TimeSpan.FromSeconds(7) };
        var pacer = new Pacer(wall);
        wall.Elapsed = TimeSpan.FromSeconds(8);
        pacer.Target(0).ShouldBe(100 * Millisecond);
        pacer.LostPicoseconds.ShouldBe(900 * Millisecond);
        pacer.Target(60 * Millisecond).ShouldBe(100 * Millisecond);
        wall.Elapsed += TimeSpan.FromMilliseconds(30);
        pacer.Target(100 * Millisecond).ShouldBe(130 * Millisecond);
        pacer.LostPicoseconds.ShouldBe(900 * Millisecond);
    }

    [Fact]
    public async Task Timers_and_dates_follow_the_bench()
    {
        var date = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var clock = new BenchClock(date);
        var fired = new SemaphoreSlim(0);
        using var timer = clock.CreateTimer(_ => fired.Release(), null, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(20));
        clock.AdvanceTo(9 * Millisecond);
        fired.CurrentCount.ShouldBe(0);
        clock.GetUtcNow().ShouldBe(date.AddMilliseconds(9));
        clock.AdvanceTo(10 * Millisecond);
        (await fired.WaitAsync(Waits.Patience, Waits.Token)).ShouldBeTrue();

        // Of the periods in a leap one is left.
        clock.AdvanceTo(75 * Millisecond);
        (await fired.WaitAsync(Waits.Patience, Waits.Token)).ShouldBeTrue();
        clock.AdvanceTo(89 * Millisecond);
        fired.CurrentCount.ShouldBe(0);
        clock.AdvanceTo(90 * Millisecond);
        (await fired.WaitAsync(Waits.Patience, Waits.Token)).ShouldBeTrue();

        timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan).ShouldBeTrue();
        clock.AdvanceTo(1000 * Millisecond);
        fired.CurrentCount.ShouldBe(0);
        Should.Throw<ArgumentOutOfRangeException>(() => clock.AdvanceTo(0));
        clock.GetElapsedTime(0).ShouldBe(TimeSpan.FromSeconds(1));
        timer.Dispose();
        timer.Change(TimeSpan.Zero, TimeSpan.Zero).ShouldBeFalse();
    }

    private sealed class Wall : TimeProvider
    {
        public TimeSpan Elapsed { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Elapsed.Ticks;
    }
}
