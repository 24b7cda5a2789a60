using Qkd.Devices;
using Qkd.Drivers.Tests.Contracts;
using Qkd.Drivers.Thorlabs.Mpc320;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.Thorlabs;
using Qkd.Sim.Firmware.Transport;

namespace Qkd.Drivers.Tests.Thorlabs;

public abstract class Mpc320ContractTests(SerialMedium medium) : PolarizationControllerContract
{
    protected override IDeviceDriver Driver { get; } = new Mpc320Driver();

    protected override DeviceIdentity ExpectedIdentity { get; } = new("Thorlabs", "MPC320", "38000001", "1.0.4");

    protected override IReadOnlyList<double> TruePositions
    {
        get
        {
            var angles = new double[Mpc320Emulator.PaddleCount];
            ((Mpc320Emulator)Instrument).ReadPaddleAngles(angles);
            return angles;
        }
    }

    protected override IEmulatedInstrument CreateInstrument() => new Mpc320Emulator(new() { Medium = medium, StrayZeroEvery = 1 });

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor()
    {
        var rotationMount = new AptPeer { Model = "K10CR1" };
        return (rotationMount.Address, rotationMount);
    }
}

/// <summary>On a pseudo-terminal where the system has them.</summary>
public sealed class Mpc320OnASerialLine() : Mpc320ContractTests(SerialMedium.Automatic);

/// <summary>Behind a terminal server.</summary>
public sealed class Mpc320OverTcp() : Mpc320ContractTests(SerialMedium.Tcp);
