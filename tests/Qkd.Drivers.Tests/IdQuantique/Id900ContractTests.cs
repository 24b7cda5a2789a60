using Qkd.Devices;
using Qkd.Drivers.IdQuantique.Id900;
using Qkd.Drivers.Tests.Contracts;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.IdQuantique;

namespace Qkd.Drivers.Tests.IdQuantique;

public sealed class Id900ContractTests : TimeTaggerContract
{
    private readonly WireLog _wire = new();

    protected override IDeviceDriver Driver { get; } = new Id900Driver();

    protected override DeviceIdentity ExpectedIdentity { get; } = new("ID Quantique", "ID900", "900-EMU-001", "1.24.2");

    protected override int ReferenceChannel => 0;

    protected override long GapPicoseconds => 40_000;

    private Id900Emulator Emulator => (Id900Emulator)Instrument;

    protected override IEmulatedInstrument CreateInstrument() =>
        new Id900Emulator(new() { HostPatience = TimeSpan.Zero, OverflowAcquisitions = 4, BacklogAcquisitions = 2 });

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor()
    {
        var peer = new ZmqPeer(_ => "Swabian Instruments,Time Tagger Ultra,1234,2.0");
        return (peer.Address, peer);
    }

    protected override async Task<ITimeTagger> OpenTaggerAsync() => (ITimeTagger)await OpenAsync(_wire);

    protected override void Record(int channel, long[] picoseconds)
    {
        if (channel != ReferenceChannel)
        {
            Emulator.RecordClicks(channel, picoseconds);
            return;
        }

        foreach (var edge in picoseconds)
        {
            Emulator.RecordReferenceEdges(edge, 1, 1);
        }
    }

    protected override void AdvanceTo(long picoseconds) => Emulator.AdvanceTo(picoseconds);

    protected override Task UntilRecordingAsync() => Id900World.UntilRecordingAsync(_wire);

    protected override Task UntilNoticedAsync() => Id900World.UntilNoticedAsync(_wire);
}
