using Qkd.Devices;
using Qkd.Drivers.OzOptics.Dd100Mc;
using Qkd.Drivers.Tests.Support;
using Qkd.Drivers.Thorlabs.Mpc320;
using Qkd.Sim.Firmware.OzOptics;
using Qkd.Sim.Firmware.Thorlabs;
using Qkd.Sim.Firmware.Transport;
using Shouldly;

namespace Qkd.Drivers.Tests;

/// <summary>
/// Drivers of serial instruments on a line that socat makes: one that speaks text and one that speaks bytes of any value. Windows has no such terminals.
/// </summary>
public sealed class SocatTests
{
    [Fact]
    public async Task An_attenuator_is_set_through_a_line_of_socat_s_and_its_loss_is_noticed()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        await using var instrument = new Dd100McEmulator(new() { Medium = SerialMedium.Tcp, BaudRate = 0, DecibelsPerSecond = 1000, HomingTime = TimeSpan.Zero });
        await instrument.StartAsync(TestLimits.Token).WithinLimit();
        await using var line = await Socat.ToAsync(DeviceAddress.Parse(instrument.Address));
        await using var device = await new Dd100McDriver().OpenAsync(Request("attenuator", line), TestLimits.Token).WithinLimit();
        var attenuator = (IAttenuator)device;

        (await attenuator.SetAttenuationAsync(12.5, TestLimits.Token).WithinLimit()).ShouldBe(12.5, 0.05);
        instrument.AttenuationDecibels.ShouldBe(12.5, 0.05);

        line.Cut();
        var error = await Should.ThrowAsync<DeviceException>(async () => await attenuator.SetAttenuationAsync(20, TestLimits.Token).WithinLimit());
        error.Device.ShouldBe("attenuator");
        error.Address.ShouldBe(line.Address.Text);
    }

    [Fact]
    public async Task Paddles_turn_through_a_line_of_socat_s()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        await using var instrument = new Mpc320Emulator(new() { Medium = SerialMedium.Tcp });
        await instrument.StartAsync(TestLimits.Token).WithinLimit();
        await using var line = await Socat.ToAsync(DeviceAddress.Parse(instrument.Address));
        await using var device = await new Mpc320Driver().OpenAsync(Request("paddles", line), TestLimits.Token).WithinLimit();
        var paddles = (IPolarizationController)device;

        await paddles.HomeAsync(TestLimits.Token).WithinLimit();
        await paddles.MoveAsync(new double[] { 10, 20, 30 }, TestLimits.Token).WithinLimit();
        var angles = new double[Mpc320Emulator.PaddleCount];
        instrument.ReadPaddleAngles(angles);
        for (var paddle = 0; paddle < angles.Length; paddle++)
        {
            angles[paddle].ShouldBe(10 * (paddle + 1), 0.5);
        }
    }

    private static DeviceOpenRequest Request(string name, Socat line) => new() { Name = name, Address = line.Address };
}
