using System.Threading.Channels;
using NSubstitute;
using NSubstitute.ExceptionExtensions;
using Qkd.Devices;
using Qkd.Link;
using Qkd.Node.Nodes;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Nodes;

public sealed class CountRateGuardTests
{
    private const double Limit = 20e6;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly ManualTime _time = new();
    private readonly NodeMonitor _monitor;
    private readonly CountRateGuard _guard;

    public CountRateGuardTests()
    {
        _monitor = Make.Monitor(_time);
        _guard = new CountRateGuard(Limit, _monitor);
    }

    [Fact]
    public async Task Up_to_the_limit_nothing_happens()
    {
        var (detectors, counts) = Detectors();
        counts.Writer.TryWrite(Counts(2_000_000, 1, 1, 0));
        counts.Writer.Complete();
        await Watch(detectors).ShouldThrowAsync<DeviceException>();
        _guard.Tripped.ShouldBeNull();
        await detectors.DidNotReceiveWithAnyArgs().SetEnabledAsync(default, TestContext.Current.CancellationToken);
        _monitor.Snapshot().Alarms.ShouldBeEmpty();
    }

    [Fact]
    public async Task Above_it_bias_goes_off_once_and_a_person_is_told_which_detector()
    {
        // 2 000 001 counts in a tenth of a second.
        var (detectors, counts) = Detectors();
        counts.Writer.TryWrite(Counts(5, 5, 2_000_001, 5));
        counts.Writer.TryWrite(Counts(5, 5, 9_000_000, 9_000_000));
        counts.Writer.Complete();
        await Watch(detectors).ShouldThrowAsync<DeviceException>();
        await detectors.Received(1).SetEnabledAsync(false, Arg.Any<CancellationToken>());
        await detectors.DidNotReceive().SetEnabledAsync(true, Arg.Any<CancellationToken>());
        var alarm = _monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(AlarmKind.Device);
        alarm.Detail.ShouldContain("detectors");
        alarm.Detail.ShouldContain("detector 3");
        alarm.Detail.ShouldContain("until the node is started again");
    }

    [Fact]
    public async Task It_stays_tripped_when_the_instrument_is_opened_anew()
    {
        var (first, counts) = Detectors();
        counts.Writer.TryWrite(Counts(3_000_000, 0, 0, 0));
        counts.Writer.Complete();
        await Watch(first).ShouldThrowAsync<DeviceException>();
        var (second, again) = Detectors();
        again.Writer.TryWrite(Counts(0, 0, 0, 0));
        again.Writer.Complete();
        await Watch(second).ShouldThrowAsync<DeviceException>();
        _guard.Tripped.ShouldNotBeNull().ShouldContain("detector 1");
    }

    [Fact]
    public async Task A_detector_that_cannot_be_switched_off_is_told_and_stays_latched()
    {
        var (detectors, counts) = Detectors();
        detectors.SetEnabledAsync(false, Arg.Any<CancellationToken>())
            .Throws(new DeviceTimeoutException("detectors", "TCPIP0::h::1::SOCKET", "switching off", TimeSpan.FromSeconds(2)));
        counts.Writer.TryWrite(Counts(0, 0, 0, 3_000_000));
        (await Watch(detectors).ShouldThrowAsync<DeviceTimeoutException>()).Device.ShouldBe("detectors");
        _guard.Tripped.ShouldNotBeNull();
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Detail.ShouldContain("detector 4");
    }

    [Fact]
    public async Task It_is_told_although_another_instrument_failed_just_before()
    {
        _monitor.Alarm(AlarmKind.Device, "paddles: connection lost");
        var (detectors, counts) = Detectors();
        counts.Writer.TryWrite(Counts(3_000_000, 0, 0, 0));
        counts.Writer.Complete();
        await Watch(detectors).ShouldThrowAsync<DeviceException>();
        _monitor.Snapshot().Alarms.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Counts_that_no_longer_come_are_a_fault_of_the_device()
    {
        var (detectors, counts) = Detectors();
        counts.Writer.Complete();
        var fault = await Watch(detectors).ShouldThrowAsync<DeviceException>();
        fault.Device.ShouldBe("detectors");
        fault.Message.ShouldContain("count rates ended");
    }

    [Fact]
    public async Task Being_told_to_stop_is_no_fault()
    {
        var (detectors, _) = Detectors();
        using var stop = new CancellationTokenSource();
        var watching = _guard.RunAsync(detectors, stop.Token);
        await stop.CancelAsync();
        await watching.WaitAsync(Patience, TestContext.Current.CancellationToken).ShouldThrowAsync<OperationCanceledException>();
    }

    private Task Watch(ISinglePhotonDetector detectors) =>
        _guard.RunAsync(detectors, TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);

    private DetectorCounts Counts(params long[] counts) => new(_time.GetUtcNow(), TimeSpan.FromMilliseconds(100), counts);

    private static (ISinglePhotonDetector Detectors, Channel<DetectorCounts> Counts) Detectors()
    {
        var counts = Channel.CreateUnbounded<DetectorCounts>();
        var detectors = Substitute.For<ISinglePhotonDetector>();
        detectors.Name.Returns("detectors");
        detectors.Address.Returns(DeviceAddress.ForTcp("h", 1));
        detectors.ReadCountsAsync(Arg.Any<CancellationToken>()).Returns(call => counts.Reader.ReadAllAsync(call.Arg<CancellationToken>()));
        return (detectors, counts);
    }
}
