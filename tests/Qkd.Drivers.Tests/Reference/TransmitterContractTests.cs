using Qkd.Devices;
using Qkd.Drivers.Reference.Transmitter;
using Qkd.Drivers.Tests.Contracts;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.ReferenceTransmitter;

namespace Qkd.Drivers.Tests.Reference;

internal static class EmulatedTransmitter
{
    private const int Buffer = 6400;

    public static DeviceIdentity Identity { get; } = new("QKD Reference", "Reference transmitter", "RT-EMU-001", "1.0.0");

    public static ReferenceTransmitterEmulator Create(TimeProvider time) =>
        new(new() { BufferSlots = Buffer, MaximumFrameSlots = Buffer, PhotonsPerPulse = [4.0, 2.0, 0.5] }, time);

    public static (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor()
    {
        var peer = ScriptedPeer.Answering("220 ready\r\n");
        return (peer.Address, peer);
    }
}

/// <summary>The transmitter as a light source.</summary>
public sealed class TransmitterAsSource : SinglePhotonSourceContract
{
    private readonly ManualTime _time = new();

    protected override IDeviceDriver Driver { get; } = new ReferenceTransmitterDriver();

    protected override DeviceIdentity ExpectedIdentity => EmulatedTransmitter.Identity;

    protected override bool TrueLight => Emulator.State == EmissionState.Running;

    private ReferenceTransmitterEmulator Emulator => (ReferenceTransmitterEmulator)Instrument;

    protected override IEmulatedInstrument CreateInstrument() => EmulatedTransmitter.Create(_time);

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor() => EmulatedTransmitter.StartImpostor();

    protected override void SetInterlock(InterlockState interlock, bool open)
    {
        switch (interlock)
        {
            case InterlockState.KeySwitchOff:
                Emulator.KeySwitchOn = !open;
                break;
            case InterlockState.LoopOpen:
                Emulator.InterlockLoopClosed = !open;
                break;
            default:
                Emulator.LaserTemperatureCelsius = open ? 31 : 25;
                break;
        }
    }

    protected override void SetFault(string text) => Emulator.SetFault(text);

    protected override void PassTime(TimeSpan time) => _time.Advance(time);

    protected override async Task BeginPulsesAsync(ISinglePhotonSource source)
    {
        var modulator = (IPolarizationModulator)source;
        await modulator.ConfigureAsync(
            new() { FrameSlots = 640, PilotSlots = 64, MarkerDivisor = 10, Mode = SymbolMode.Stream }, TestLimits.Token);
        await modulator.LoadSymbolsAsync(new ulong[40], TestLimits.Token);
        await modulator.StartAsync(0, TestLimits.Token);
    }
}

/// <summary>The transmitter as a modulator.</summary>
public sealed class TransmitterAsModulator : PolarizationModulatorContract
{
    private readonly ManualTime _time = new();
    private (IDevice Device, IEmissionLease Lease)? _light;

    protected override IDeviceDriver Driver { get; } = new ReferenceTransmitterDriver();

    protected override DeviceIdentity ExpectedIdentity => EmulatedTransmitter.Identity;

    protected override bool TrueRunning => Emulator.State == EmissionState.Running;

    protected override int TrueMarkerDivisor => Emulator.MarkerDivisor;

    private ReferenceTransmitterEmulator Emulator => (ReferenceTransmitterEmulator)Instrument;

    protected override IEmulatedInstrument CreateInstrument() => EmulatedTransmitter.Create(_time);

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor() => EmulatedTransmitter.StartImpostor();

    protected override async Task AllowStartAsync(IPolarizationModulator modulator)
    {
        if (_light?.Device != modulator)
        {
            _light = (modulator, await ((ISinglePhotonSource)modulator).StartEmissionAsync(TestLimits.Token).WithinLimit());
        }
    }

    protected override (long FirstSlot, ulong[] Packed) Emit(int slots)
    {
        var packed = new ulong[slots / 16];
        var taken = Emulator.TakeEmission(slots, packed, out var first);
        return (first, packed[..(taken / 16)]);
    }

    protected override void RunDry() => Emulator.DeclareUnderrun();
}
