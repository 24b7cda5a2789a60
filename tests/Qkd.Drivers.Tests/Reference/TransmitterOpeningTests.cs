using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Qkd.Devices;
using Qkd.Drivers.Reference;
using Qkd.Drivers.Reference.Transmitter;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.Reference;

/// <summary>Who is at the other end, and what it says it can do.</summary>
public sealed class TransmitterOpeningTests
{
    [Fact]
    public async Task Opening_asks_three_questions_and_switches_nothing()
    {
        await using var peer = new TransmitterPeer { CapabilitiesPayload = TransmitterPeer.Able(photons: [4, 2, 0.5], modes: 3) };
        await using (var device = await OpenAsync(peer.Address))
        {
            device.Identity.ShouldBe(new("Bench works", "Fast board", "17", "2.1"));
            device.SourceCapabilities.RepetitionRateHertz.ShouldBe(1e8);
            device.SourceCapabilities.PhaseRandomised.ShouldBeTrue();
            device.SourceCapabilities.LeaseDuration.ShouldBe(TimeSpan.FromSeconds(1));
            device.SourceCapabilities.OutputPhotonsPerPulse.ShouldBe([4, 2, 0.5]);
            var modulator = device.ModulatorCapabilities;
            (modulator.SymbolRateHertz, modulator.IntensityCount, modulator.BufferSlots, modulator.MaximumMarkerDivisor).ShouldBe((1e8, 3, 6400, 1000));
            modulator.Modes.ShouldBe([SymbolMode.Stream, SymbolMode.Seeded]);
        }

        peer.Received.Select(message => message.Type).ShouldBe([TransmitterPeer.Identify, TransmitterPeer.Capabilities, TransmitterPeer.Status]);
    }

    [Theory]
    [InlineData("SerialNumber", "18")]
    [InlineData("Model", "Slow board")]
    public async Task Another_instrument_of_the_kind_is_refused_where_one_is_asked_for(string option, string wanted)
    {
        await using var peer = new TransmitterPeer();
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await OpenAsync(peer.Address, (option, wanted)));
        error.Message.ShouldContain(wanted);
        error.Message.ShouldContain("Bench works Fast board s/n 17");
    }

    [Fact]
    public async Task The_instrument_that_is_asked_for_is_taken()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("SerialNumber", "17"), ("Model", "fast board"));
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("ERR\n")]
    public async Task What_does_not_speak_the_protocol_is_the_wrong_instrument_whether_much_or_little_is_heard(string words)
    {
        var spoken = false;
        await using var peer = new ScriptedPeer(async (line, token) =>
        {
            while (true)
            {
                await line.ReadByteAsync(token);
                if (!spoken)
                {
                    spoken = true;
                    await line.WriteAsync(words, token);
                }
            }
        });
        var error = await Should.ThrowAsync<WrongDeviceException>(async () => await OpenAsync(peer.Address, ("TimeoutSeconds", "0.2")));
        error.Message.ShouldContain("IDENTIFY");
        error.Message.ShouldContain(Convert.ToHexString(Encoding.Latin1.GetBytes(words)[..4]));
    }

    [Fact]
    public async Task A_silent_address_ends_in_a_time_out()
    {
        await using var peer = ScriptedPeer.Silent();
        var error = await Should.ThrowAsync<DeviceTimeoutException>(async () => await OpenAsync(peer.Address, ("TimeoutSeconds", "0.2")));
        error.Message.ShouldContain("IDENTIFY within 0.2 s");
    }

    [Fact]
    public async Task Half_a_header_is_no_wrong_instrument_but_a_time_out()
    {
        await using var peer = new TransmitterPeer();
        peer.Override = async message =>
        {
            await peer.SendAsync(TransmitterPeer.Frame(0x81, message.Sequence)[..7]);
            return true;
        };
        await Should.ThrowAsync<DeviceTimeoutException>(async () => await OpenAsync(peer.Address, ("TimeoutSeconds", "0.2")));
    }

    [Fact]
    public async Task A_transmitter_that_serves_another_host_says_so()
    {
        await using var peer = new ScriptedPeer((line, token) => line.WriteAsync(TransmitterPeer.Frame(0xFF, 0, [7, 0, .. "busy with node 2"u8]), token));
        var error = await Should.ThrowAsync<DeviceException>(async () => await OpenAsync(peer.Address));
        error.Message.ShouldContain("in use by another host");
        error.Message.ShouldContain("busy with node 2");
    }

    [Fact]
    public async Task Capabilities_that_make_no_sense_are_an_error_that_shows_them()
    {
        foreach (var payload in new[]
        {
            TransmitterPeer.Able(rate: 0), TransmitterPeer.Able(rate: double.NaN), TransmitterPeer.Able(buffer: 0), TransmitterPeer.Able(divisor: 0),
            TransmitterPeer.Able(frame: 0), TransmitterPeer.Able(lease: 0), TransmitterPeer.Able(modes: 0), TransmitterPeer.Able(photons: [1, 2]),
            TransmitterPeer.Able(photons: [4, 3, 2, 1, 0]), TransmitterPeer.Able(photons: [-1]), TransmitterPeer.Able()[..^1], [.. TransmitterPeer.Able(), 0],
        })
        {
            await using var peer = new TransmitterPeer { CapabilitiesPayload = payload };
            var error = await Should.ThrowAsync<DeviceProtocolException>(async () => await OpenAsync(peer.Address));
            error.Message.ShouldContain("CAPABILITIES");
            error.Message.ShouldContain(Convert.ToHexString(payload)[..40]);
        }
    }

    [Fact]
    public async Task Only_TCP_addresses_are_taken()
    {
        var error = await Should.ThrowAsync<FormatException>(async () => await OpenAsync(DeviceAddress.ForSerial("/dev/ttyUSB0")));
        error.Message.ShouldContain("transmitter");
        error.Message.ShouldContain("/dev/ttyUSB0");
    }

    [Fact]
    public void Registering_twice_does_no_harm()
    {
        var services = new ServiceCollection().AddReferenceDrivers().AddReferenceDrivers();
        var service = services.ShouldHaveSingleItem();
        service.ServiceType.ShouldBe(typeof(IDeviceDriver));
        service.ImplementationFactory!(null!).ShouldBeOfType<ReferenceTransmitterDriver>().Id.ShouldBe("reference.transmitter");
    }

    internal static async Task<ReferenceTransmitter> OpenAsync(DeviceAddress address, params (string Key, string Value)[] options) =>
        (ReferenceTransmitter)await new ReferenceTransmitterDriver().OpenAsync(
            new()
            {
                Name = "transmitter",
                Address = address,
                Options = options.ToDictionary(option => option.Key, option => option.Value),
            },
            TestLimits.Token).WithinLimit();
}
