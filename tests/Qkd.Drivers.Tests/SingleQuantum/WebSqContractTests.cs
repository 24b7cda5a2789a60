using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;
using Qkd.Drivers.Tests.Contracts;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Qkd.Sim.Firmware.SingleQuantum;

namespace Qkd.Drivers.Tests.SingleQuantum;

public sealed class WebSqContractTests : SinglePhotonDetectorContract
{
    protected override IDeviceDriver Driver { get; } = new WebSqDriver();

    protected override DeviceIdentity ExpectedIdentity { get; } = new("Single Quantum", "WebSQ", "", "");

    protected override bool TrulyEnabled => ((WebSqEmulator)Instrument).Enabled;

    protected override IEmulatedInstrument CreateInstrument() => new WebSqEmulator();

    protected override void Click(int channel, long count) => ((WebSqEmulator)Instrument).AddCounts(channel, count);

    /// <summary>Asked on a connection of its own, as the vendor's program would.</summary>
    protected override async Task<double[]?> TrueBiasMicroamperesAsync()
    {
        var address = DeviceAddress.Parse(Instrument.Address);
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, TestLimits.Token);
        var stream = client.GetStream();
        await stream.WriteAsync("""{"request":"BiasCurrent"}"""u8.ToArray(), TestLimits.Token);
        var text = new StringBuilder();
        var one = new byte[1];
        while (true)
        {
            await stream.ReadExactlyAsync(one, TestLimits.Token);
            if (one[0] == 0x17)
            {
                break;
            }

            text.Append((char)one[0]);
        }

        using var document = JsonDocument.Parse(text.ToString());
        return [.. document.RootElement.GetProperty("value").EnumerateArray().Select(item => item.GetDouble())];
    }

    protected override (DeviceAddress Address, IAsyncDisposable Peer) StartImpostor()
    {
        var peer = ScriptedPeer.Answering("-113,\"Undefined header\"\n");
        return (peer.Address, peer);
    }
}
