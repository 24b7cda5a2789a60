using Qkd.Devices;
using Qkd.Drivers.OzOptics.Dd100Mc;
using Qkd.Drivers.Tests.Contracts;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.OzOptics;
using Qkd.Sim.Firmware.Transport;

namespace Qkd.Drivers.Tests.OzOptics;

public abstract class Dd100McContractTests(SerialMedium medium) : AttenuatorContract
{
    protected override IDeviceDriver Driver { get; } = new Dd100McDriver();

    protected override DeviceIdentity ExpectedIdentity { get; } = new("OZ Optics", "DD-100-MC", "", "");

    protected override double TrueDecibels => ((Dd100McEmulator)Instrument).AttenuationDecibels;

    protected override IEmulatedInstrument CreateInstrument() =>
        new Dd100McEmulator(new() { Medium = medium, BaudRate = 0, DecibelsPerSecond = 1000, HomingTime = TimeSpan.Zero });

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor()
    {
        var peer = ScriptedPeer.Answering("-113,\"Undefined header\"\n");
        return (peer.Address, peer);
    }
}

/// <summary>On a pseudo-terminal where the system has them.</summary>
public sealed class Dd100McOnASerialLine() : Dd100McContractTests(SerialMedium.Automatic);

/// <summary>Behind a terminal server.</summary>
public sealed class Dd100McOverTcp() : Dd100McContractTests(SerialMedium.Tcp);
