using NSubstitute;
using Qkd.Devices;

namespace Qkd.Node.Tests.Devices;

/// <summary>A driver of one device that does nothing; it opens, fails and closes as a test wants it to.</summary>
internal sealed class TestDriver
{
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TestDriver(string id, IDevice device)
    {
        Device = device;
        Driver = Substitute.For<IDeviceDriver>();
        Driver.Id.Returns(id);
        Driver.OpenAsync(default!, TestContext.Current.CancellationToken)
            .ReturnsForAnyArgs(call => OpenAsync(call.Arg<DeviceOpenRequest>(), call.Arg<CancellationToken>()));
        device.Identity.Returns(new DeviceIdentity("Vendor", id, "7", "1.2"));
        device.Address.Returns(_ => Request!.Address);
        device.Events.Returns(new DeviceEventSource());
        device.DisposeAsync().Returns(_ =>
        {
            Disposed++;
            return DisposeProblem is null ? ValueTask.CompletedTask : ValueTask.FromException(DisposeProblem);
        });
    }

    public IDevice Device { get; }

    public IDeviceDriver Driver { get; }

    /// <summary>What it was asked to open.</summary>
    public DeviceOpenRequest? Request { get; private set; }

    /// <summary>How often the device was disposed.</summary>
    public int Disposed { get; private set; }

    /// <summary>Completes when the driver has been asked.</summary>
    public Task Asked => _asked.Task;

    /// <summary>Completes when the device is open.</summary>
    public Task Opened => _opened.Task;

    /// <summary>It waits for this before it opens or fails.</summary>
    public Task After { get; set; } = Task.CompletedTask;

    /// <summary>Is thrown instead of opening.</summary>
    public Exception? OpenProblem { get; set; }

    /// <summary>Is thrown on dispose.</summary>
    public Exception? DisposeProblem { get; set; }

    private async ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken)
    {
        Request = request;
        _asked.SetResult();
        await After.WaitAsync(cancellationToken);
        if (OpenProblem is not null)
        {
            throw OpenProblem;
        }

        _opened.SetResult();
        return Device;
    }
}
