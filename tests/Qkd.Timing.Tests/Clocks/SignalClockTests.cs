using Shouldly;

namespace Qkd.Timing.Tests.Clocks;

public sealed class SignalClockTests
{
    [Theory]
    [InlineData(20, 1000, 20, 0, 1)]
    [InlineData(30, 10, 20, 0, 3)]
    [InlineData(30, 10, -50, 1, 3)]
    [InlineData(30, 1, 50, -1, 6)]
    [InlineData(40, 10, 35, 0.5, 12)]
    [InlineData(40, 1, -50, 1, 30)]
    public void Light_alone_gives_period_and_numbers(double loss, double signalToNoise, double ppm, double drift, double seconds)
    {
        for (var seed = 1; seed <= 4; seed++)
        {
            var began = System.Diagnostics.Stopwatch.GetTimestamp();
            var trial = new SyncTrial { Loss = loss, SignalToNoise = signalToNoise, Ppm = ppm, DriftPpmPerSecond = drift, Seconds = seconds };
            var result = trial.Run(seed);
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"locked after {result.LockedAfter:0.00} s, right {result.Right}, wrong {result.Wrong}, added {result.JitterAdded:0.0} ps, state {result.Clock.State}, losses {result.Clock.Losses} slips {result.Clock.Slips} sigma {result.Clock.NumberingSigmas:0.0} jitter {result.Clock.JitterSlots * 1e4:0} window {result.Clock.WindowSlots:0.000} light {result.Clock.LightShare:0.00} took {System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds:0.00} s, drift {result.Clock.Clock?.DriftPpmPerSecond:0.00} ppm {result.Clock.Clock?.DeviationPpm(10000):0.000}");
            result.Wrong.ShouldBe(0);
            result.LockedAfter.ShouldNotBeNull();
        }
    }
}
