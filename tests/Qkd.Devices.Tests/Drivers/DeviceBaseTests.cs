using Qkd.Devices.Drivers;
using Shouldly;

namespace Qkd.Devices.Tests.Drivers;

public sealed class DeviceBaseTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_parameter_converts_checks_sets_and_remembers()
    {
        await using var device = new Lamp();
        device.Level.Last.ShouldBeNull();

        await device.Level.SetAsync("2.5", Token);
        device.Present.ShouldBe(2.5);
        device.Level.Last!.Value.Value.ShouldBe(2.5);
        await device.Level.SetAsync(3, Token);
        device.Present.ShouldBe(3);

        var error = await Should.ThrowAsync<SettingOutOfRangeException>(async () => await device.Level.SetAsync(10.5, Token));
        error.Message.ShouldBe("lamp (TCPIP0::127.0.0.1::1::SOCKET): level 10.5 V is outside 0 to 10 V");
        await Should.ThrowAsync<SettingOutOfRangeException>(async () => await device.Level.SetAsync(double.NaN, Token));
        await Should.ThrowAsync<FormatException>(async () => await device.Level.SetAsync("bright", Token));
        await Should.ThrowAsync<NotSupportedException>(async () => await device.Hours.SetAsync(1, Token));
        device.Present.ShouldBe(3);
        (await device.Level.GetAsync(Token)).Value.ShouldBe(3.0);
    }

    [Fact]
    public async Task A_snapshot_reads_every_parameter()
    {
        await using var device = new Lamp { Present = 4 };
        var snapshot = await device.SnapshotAsync(Token);
        snapshot.Device.ShouldBe("lamp");
        snapshot.Parameters.Select(entry => (entry.Name, entry.Unit, entry.Value, entry.Minimum, entry.Maximum)).ShouldBe(
            [("level", "V", 4.0, 0, 10), ("hours", "h", 17L, null, null)]);
    }

    [Fact]
    public async Task An_exchange_that_takes_too_long_names_device_address_request_and_time()
    {
        await using var device = new Lamp();
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await device.AskAsync(
            TimeSpan.FromMilliseconds(20), async token => await Task.Delay(Timeout.Infinite, token), Token));
        error.Message.ShouldBe("lamp (TCPIP0::127.0.0.1::1::SOCKET): no answer to asking within 0.02 s");
        device.IsBroken.ShouldBeFalse();
    }

    [Fact]
    public async Task A_cancelled_exchange_is_cancelled_and_not_late()
    {
        await using var device = new Lamp();
        using var impatient = new CancellationTokenSource();
        var asking = device.AskAsync(Patience, async token => await Task.Delay(Timeout.Infinite, token), impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(async () => await asking);
    }

    [Fact]
    public async Task Exchanges_take_turns_and_waiting_for_one_s_turn_does_not_count()
    {
        await using var device = new Lamp();
        var release = new TaskCompletionSource();
        var running = 0;
        var first = device.AskAsync(Patience, async token => await RunAsync(() => release.Task.WaitAsync(token)), Token).AsTask();
        var second = device.AskAsync(TimeSpan.FromSeconds(10), async _ => await RunAsync(() => Task.CompletedTask), Token).AsTask();
        second.IsCompleted.ShouldBeFalse();
        release.SetResult();
        await Task.WhenAll(first, second).WaitAsync(Patience, Token);

        async Task RunAsync(Func<Task> work)
        {
            Interlocked.Increment(ref running).ShouldBe(1);
            await work();
            Interlocked.Decrement(ref running);
        }
    }

    [Fact]
    public async Task A_lost_connection_is_told_once_and_ends_every_later_call()
    {
        await using var device = new Lamp();
        var events = new List<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Add);
        for (var attempt = 0; attempt < 2; attempt++)
        {
            await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.AskAsync(
                Patience, _ => throw new DeviceDisconnectedException("lamp", "there", "cable pulled"), Token));
        }

        device.IsBroken.ShouldBeTrue();
        events.Select(happened => (happened.Device, happened.Kind)).ShouldBe([("lamp", DeviceEventKind.Disconnected)]);
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.AskAsync(Patience, _ => Task.CompletedTask, Token));
    }

    [Fact]
    public async Task Disposing_releases_once_completes_the_events_and_never_throws()
    {
        var device = new Lamp { FailsToRelease = true };
        var observer = new Completion();
        var events = new List<DeviceEvent>();
        using var completion = device.Events.Subscribe(observer);
        using var subscription = device.Events.Subscribe(events.Add);

        await device.DisposeAsync();
        await device.DisposeAsync();

        device.Releases.ShouldBe(1);
        observer.Completed.ShouldBeTrue();
        events.ShouldHaveSingleItem().Kind.ShouldBe(DeviceEventKind.Warning);
        await Should.ThrowAsync<ObjectDisposedException>(async () => await device.Level.GetAsync(Token));
    }

    private sealed class Lamp : DeviceBase
    {
        public Lamp()
            : base(new() { Name = "lamp", Address = DeviceAddress.ForTcp("127.0.0.1", 1) })
        {
            Level = AddParameter(
                "level",
                "V",
                _ =>
                {
                    ThrowIfUnusable();
                    return ValueTask.FromResult(Present);
                },
                (value, _) =>
                {
                    Present = value;
                    return ValueTask.CompletedTask;
                },
                0,
                10);
            Hours = AddParameter("hours", "h", _ => ValueTask.FromResult(17L));
        }

        public DeviceParameter<double> Level { get; }

        public DeviceParameter<long> Hours { get; }

        public double Present { get; set; }

        public bool FailsToRelease { get; init; }

        public int Releases { get; private set; }

        public ValueTask<bool> AskAsync(TimeSpan limit, Func<CancellationToken, Task> exchange, CancellationToken cancellationToken) =>
            ExchangeAsync(
                "asking",
                limit,
                async token =>
                {
                    await exchange(token);
                    return true;
                },
                cancellationToken);

        protected override ValueTask ReleaseAsync()
        {
            Releases++;
            return FailsToRelease ? throw new DeviceException(Name, Address.Text, "stuck") : ValueTask.CompletedTask;
        }
    }

    private sealed class Completion : IObserver<DeviceEvent>
    {
        public bool Completed { get; private set; }

        public void OnCompleted() => Completed = true;

        public void OnError(Exception error)
        {
        }

        public void OnNext(DeviceEvent value)
        {
        }
    }
}
