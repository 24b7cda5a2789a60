using Qkd.Devices;
using Qkd.Link.Preparation;
using Qkd.Link.Tests.Session;
using Shouldly;

namespace Qkd.Link.Tests.Preparation;

public sealed class TransmitterTests : IAsyncDisposable
{
    private static CancellationToken Ending => TestContext.Current.CancellationToken;

    private readonly LoopbackLight _light = new(3);

    public ValueTask DisposeAsync() => _light.DisposeAsync();

    [Fact]
    public async Task A_stop_during_a_start_waits_for_it_and_leaves_the_light_off()
    {
        await using var transmitter = Transmitter();
        var (starting, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        _light.Starting = () =>
        {
            starting.TrySetResult();
            return go.Task;
        };
        var start = transmitter.StartAsync(Ending).AsTask();
        await starting.Task.WaitAsync(TimeSpan.FromSeconds(20), Ending);
        var stop = transmitter.StopAsync().AsTask();
        go.SetResult();
        await stop.WaitAsync(TimeSpan.FromSeconds(20), Ending);
        await Should.ThrowAsync<OperationCanceledException>(start);
        _light.Emitting.ShouldBeFalse();
        _light.LeasesEnded.ShouldBe(1);
    }

    [Fact]
    public async Task Starts_and_stops_from_everywhere_end_with_the_light_off_and_no_lease_left()
    {
        await using var transmitter = Transmitter();
        var calls = Enumerable.Range(0, 40).Select(i => Task.Run(async () =>
        {
            try
            {
                await (i % 2 == 0 ? transmitter.StartAsync(Ending).AsTask() : transmitter.StopAsync().AsTask());
            }
            catch (OperationCanceledException)
            {
                // A stop that came later broke the start off.
            }
        }));
        await Task.WhenAll(calls).WaitAsync(TimeSpan.FromSeconds(30), Ending);
        await transmitter.StopAsync();
        _light.Emitting.ShouldBeFalse();

        // And it can be switched on again.
        await transmitter.StartAsync(Ending);
        _light.Emitting.ShouldBeTrue();
    }

    [Fact]
    public async Task An_error_of_any_kind_while_emitting_is_told_as_one_of_the_instrument_and_the_lease_is_let_go()
    {
        await using var transmitter = Transmitter();
        await transmitter.StartAsync(Ending);
        _light.LoadingFails = new InvalidOperationException("nonsense");
        var drain = DrainAsync();
        (await transmitter.Completion.WaitAsync(TimeSpan.FromSeconds(20), Ending).ShouldThrowAsync<DeviceException>()).Message.ShouldContain("nonsense");
        _light.Emitting.ShouldBeFalse();
        await drain.WaitAsync(TimeSpan.FromSeconds(20), Ending);
    }

    /// <summary>Takes what is emitted, so that more is made, until it is dark.</summary>
    private async Task DrainAsync()
    {
        await foreach (var batch in _light.ReadTagsAsync(new() { Channels = [1], ReferenceChannel = 0 }, Ending))
        {
            batch.Dispose();
            if (!_light.Emitting)
            {
                return;
            }
        }
    }

    private Transmitter Transmitter() => new(
        _light,
        _light,
        new ModulationPlan { FrameSlots = 64_000, PilotSlots = 2048, MarkerDivisor = 1000, Mode = SymbolMode.Stream },
        new SymbolDrawer(OperatingSystemRandomness.Instance, SymbolProbabilities.FromProbabilities(0.8125, [0.5, 0.3125, 0.1875])),
        8,
        TimeProvider.System);
}
