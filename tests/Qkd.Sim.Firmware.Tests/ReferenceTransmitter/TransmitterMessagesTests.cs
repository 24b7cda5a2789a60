using System.Net;
using System.Net.Sockets;
using System.Text;
using Qkd.Sim.Firmware.ReferenceTransmitter;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.ReferenceTransmitter.RawHost;

namespace Qkd.Sim.Firmware.Tests.ReferenceTransmitter;

/// <summary>Every message of the transmitter's page, byte by byte.</summary>
public sealed class TransmitterMessagesTests : IAsyncLifetime
{
    private static readonly TransmitterSettings Settings = new()
    {
        SerialNumber = "RT-7",
        FirmwareVersion = "2.1",
        BufferSlots = 6400,
        MaximumMarkerDivisor = 640,
        MaximumFrameSlots = 6400,
        LateAnswerDelay = TimeSpan.FromMilliseconds(50),
        PhotonsPerPulse = [4.0, 2.0, 0.5],
    };

    private readonly ManualTime _time = new();
    private readonly ReferenceTransmitterEmulator _emulator;

    public TransmitterMessagesTests() => _emulator = new ReferenceTransmitterEmulator(Settings, _time);

    public async ValueTask InitializeAsync() => await _emulator.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync() => await _emulator.DisposeAsync();

    [Fact]
    public void Identify_answers_four_strings()
    {
        using var host = new RawHost(_emulator.Address);

        host.Send([0x51, 0x54, 0x01, 0x01, 0x2A, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]);

        byte[] strings = [13, .. "QKD Reference"u8, 21, .. "Reference transmitter"u8, 4, .. "RT-7"u8, 3, .. "2.1"u8];
        host.Read().ShouldBe([0x51, 0x54, 0x01, 0x81, 0x2A, 0x00, 0x00, 0x00, (byte)strings.Length, 0x00, 0x00, 0x00, .. strings]);
    }

    [Fact]
    public void Capabilities_say_rate_buffer_limits_lease_modes_and_intensities()
    {
        using var host = new RawHost(_emulator.Address);

        host.Ask(0x02, 1).ShouldBe([
            .. BitConverter.GetBytes(100e6),
            .. U64(6400),
            .. U32(640),
            .. U32(6400),
            .. U32(1000),
            3,
            1,
            3,
            .. BitConverter.GetBytes(4.0),
            .. BitConverter.GetBytes(2.0),
            .. BitConverter.GetBytes(0.5)]);
    }

    [Fact]
    public void Status_of_an_instrument_at_rest_is_all_zero_but_the_temperature()
    {
        using var host = new RawHost(_emulator.Address);

        host.Ask(0x03, 1).ShouldBe([0, 0, 0, .. BitConverter.GetBytes(25f), .. U64(0), .. U64(0), .. U32(0), 0]);
    }

    [Fact]
    public void Configure_is_answered_empty_and_followed_by_the_whole_buffer_as_credit()
    {
        using var host = new RawHost(_emulator.Address);

        host.Ask(0x10, 7, StreamPlan(640, 64, 10)).ShouldBeEmpty();

        host.Read().ShouldBe([0x51, 0x54, 0x01, 0x70, 0, 0, 0, 0, 8, 0, 0, 0, 0x00, 0x19, 0, 0, 0, 0, 0, 0]);
        _emulator.FrameSlots.ShouldBe(640);
        _emulator.MarkerDivisor.ShouldBe(10);
    }

    [Theory]
    [InlineData(3u, 640u, 64u, 10u)] // mode
    [InlineData(1u, 650u, 64u, 10u)] // frame not a multiple of 64
    [InlineData(1u, 640u, 64u, 11u)] // frame not a multiple of the divisor
    [InlineData(1u, 0u, 0u, 1u)]
    [InlineData(1u, 6464u, 0u, 1u)] // longer than the longest frame
    [InlineData(1u, 640u, 704u, 10u)] // pilot longer than the frame
    [InlineData(1u, 640u, 32u, 10u)] // pilot not a multiple of 64
    [InlineData(1u, 6400u, 64u, 800u)] // divisor beyond the largest
    [InlineData(1u, 640u, 64u, 0u)]
    public void Configure_outside_the_capabilities_is_refused_with_code_3(uint mode, uint frame, uint pilot, uint divisor)
    {
        using var host = new RawHost(_emulator.Address);
        var payload = StreamPlan(frame, pilot, divisor);
        payload[0] = (byte)mode;

        host.AskRefused(0x10, 1, payload).ShouldBe(3);
    }

    [Fact]
    public void Configure_in_seeded_mode_wants_a_weight_for_each_intensity_and_the_sum_256()
    {
        using var host = new RawHost(_emulator.Address);

        host.AskRefused(0x10, 1, SeededPlan(640, 64, 10, 24, 128, 128)).ShouldBe(3);
        host.AskRefused(0x10, 2, SeededPlan(640, 64, 10, 24, 128, 64, 63)).ShouldBe(3);
        host.AskRefused(0x10, 3, SeededPlan(640, 64, 10, 129, 128, 64, 64)).ShouldBe(3);
        host.Ask(0x10, 4, SeededPlan(640, 64, 10, 24, 128, 64, 64)).ShouldBeEmpty();
        host.ReadCredit().ShouldBe(10); // seeds: ten frames fit into the buffer
    }

    [Fact]
    public void Payloads_of_the_wrong_length_are_refused_with_code_2_and_unknown_types_with_code_1()
    {
        using var host = new RawHost(_emulator.Address);

        host.AskRefused(0x01, 1, 0).ShouldBe(2);
        host.AskRefused(0x10, 2, StreamPlan(640, 64, 10).AsSpan()[..^1]).ShouldBe(2);
        host.AskRefused(0x20, 3, 1, 2, 3).ShouldBe(2);
        host.AskRefused(0x31, 4, new byte[39]).ShouldBe(2);
        host.AskRefused(0x30, 5, new byte[11]).ShouldBe(2);
        host.AskRefused(0x42, 6).ShouldBe(1);
        host.AskRefused(0x70, 7, new byte[8]).ShouldBe(1);
        host.AskRefused(0x01, 8, new byte[100_000]).ShouldBe(2);
        host.Ask(0x03, 9).Length.ShouldBe(28); // and the connection is still in step
    }

    [Fact]
    public void The_laser_goes_on_with_a_lease_is_renewed_and_goes_off()
    {
        using var host = new RawHost(_emulator.Address);

        host.Ask(0x11, 1).ShouldBe(U32(1000));
        host.Ask(0x12, 2).ShouldBe(U32(1000));
        host.Ask(0x03, 3)[0].ShouldBe((byte)1);
        host.Ask(0x13, 4).ShouldBeEmpty();
        host.Ask(0x03, 5)[0].ShouldBe((byte)0);
        host.AskRefused(0x12, 6).ShouldBe(4);
    }

    [Theory]
    [InlineData("51550103 01000000 00000000")] // magic
    [InlineData("51540203 01000000 00000000")] // version
    [InlineData("51540130 01000000 01000001")] // payload of 16 777 217 bytes
    public void A_header_that_makes_no_sense_closes_the_connection(string hex)
    {
        using var host = new RawHost(_emulator.Address);

        host.Send(Convert.FromHexString(hex.Replace(" ", "")));

        host.ShouldBeClosed();
    }

    [Fact]
    public void Requests_cut_into_single_bytes_or_joined_are_answered_in_order()
    {
        using var host = new RawHost(_emulator.Address);

        foreach (var one in Message(0x01, 1, []))
        {
            host.Send([one]);
        }

        host.Send([.. Message(0x11, 2, []), .. Message(0x12, 3, []), .. Message(0x13, 4, [])]);

        host.Read()[3..5].ShouldBe([0x81, 1]);
        host.Read()[3..5].ShouldBe([0x91, 2]);
        host.Read()[3..5].ShouldBe([0x92, 3]);
        host.Read()[3..5].ShouldBe([0x93, 4]);
    }

    [Fact]
    public void A_second_host_is_told_so_and_closed_and_the_next_one_is_served_when_the_first_has_gone()
    {
        var first = new RawHost(_emulator.Address);
        first.Ask(0x11, 1);
        using (var second = new RawHost(_emulator.Address))
        {
            second.ReadRefusal(0).ShouldBe(7);
            second.ShouldBeClosed();
        }

        first.Ask(0x03, 2)[0].ShouldBe((byte)1);
        first.Dispose();

        using var third = new RawHost(_emulator.Address);
        third.Ask(0x03, 1)[0].ShouldBe((byte)0); // the light went off with the first
    }

    [Fact]
    public async Task A_port_in_use_is_an_error_that_names_the_instrument_and_the_port()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        await using var emulator = new ReferenceTransmitterEmulator(new TransmitterSettings { Name = "source", Port = port }, _time);

        var exception = await Should.ThrowAsync<IOException>(() => emulator.StartAsync(TestContext.Current.CancellationToken));

        exception.Message.ShouldContain("source");
        exception.Message.ShouldContain($"127.0.0.1:{port}");
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        Should.Throw<ArgumentException>(() => new ReferenceTransmitterEmulator(new TransmitterSettings { BufferSlots = 100 }))
            .Message.ShouldContain("BufferSlots");
        Should.Throw<ArgumentException>(() => new ReferenceTransmitterEmulator(new TransmitterSettings { PhotonsPerPulse = [1, 2] }))
            .Message.ShouldContain("PhotonsPerPulse");
    }

    [Fact]
    public void The_default_intensities_reach_their_means_behind_46_and_a_half_decibels()
    {
        var photons = new TransmitterSettings().PhotonsPerPulse;

        var transmittance = Math.Pow(10, -46.478 / 10);
        (photons[0] * transmittance).ShouldBe(0.45, 0.0001);
        (photons[1] * transmittance).ShouldBe(0.15, 0.0001);
        (photons[2] * transmittance).ShouldBe(0.001, 0.000001);
    }

    [Fact]
    public void A_silent_instrument_throws_away_what_it_is_told_so_that_the_lease_lapses()
    {
        using var host = new RawHost(_emulator.Address);
        host.Ask(0x11, 1);

        _emulator.Inject(InstrumentFault.Silent);
        host.Send(0x12, 2);
        _time.Advance(TimeSpan.FromSeconds(1));
        host.Send(0x03, 3);
        host.HasBytes(TimeSpan.FromMilliseconds(100)).ShouldBeFalse();
        _emulator.Inject(InstrumentFault.None);

        // What was asked while silent is lost, whether or not it has been read by now.
        byte[] answer;
        host.Send(0x03, 4);
        do
        {
            answer = host.Read();
        }
        while (answer[4] != 4);

        answer[12..14].ShouldBe([0, 8]);
    }

    [Fact]
    public void Garbage_has_no_valid_header_and_half_an_answer_is_half_as_long()
    {
        using var host = new RawHost(_emulator.Address);

        _emulator.Inject(InstrumentFault.Garbage);
        host.Send(0x11, 1);
        host.ReadBytes(16)[..2].ShouldNotBe([0x51, 0x54]);
        _emulator.Inject(InstrumentFault.HalfAnswer);
        host.Send(0x11, 2);
        host.ReadBytes(8).ShouldBe(Message(0x91, 2, new byte[4])[..8]);
        host.HasBytes(TimeSpan.FromMilliseconds(50)).ShouldBeFalse();
    }

    [Fact]
    public void A_late_answer_comes()
    {
        _emulator.Inject(InstrumentFault.Late);
        using var host = new RawHost(_emulator.Address);

        Encoding.UTF8.GetString(host.Ask(0x01, 1)).ShouldContain("RT-7");
    }

    [Fact]
    public void A_pulled_cable_drops_the_host_refuses_others_and_puts_the_light_out()
    {
        using (var host = new RawHost(_emulator.Address))
        {
            host.Ask(0x11, 1);
            _emulator.Inject(InstrumentFault.Disconnect);
            host.ShouldBeClosed();
        }

        using (var refused = new RawHost(_emulator.Address))
        {
            refused.ShouldBeClosed();
        }

        _emulator.Inject(InstrumentFault.None);
        using var again = new RawHost(_emulator.Address);
        again.Ask(0x03, 1)[0].ShouldBe((byte)0);
    }
}
