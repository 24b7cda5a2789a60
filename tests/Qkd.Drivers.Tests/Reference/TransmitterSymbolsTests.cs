using System.Collections.Concurrent;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Shouldly;
using static Qkd.Drivers.Tests.Reference.TransmitterOpeningTests;

namespace Qkd.Drivers.Tests.Reference;

/// <summary>Symbols on the wire: their bytes, and the credit they wait for.</summary>
public sealed class TransmitterSymbolsTests
{
    private static readonly ModulationPlan Plan = new() { FrameSlots = 640, PilotSlots = 64, MarkerDivisor = 10, Mode = SymbolMode.Stream };

    [Fact]
    public async Task A_plan_and_symbols_are_sent_as_the_page_says()
    {
        await using var peer = new TransmitterPeer { CapabilitiesPayload = TransmitterPeer.Able(modes: 3, photons: [2, 1]) };
        await using var device = await OpenAsync(peer.Address);

        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[] { 0x0123456789ABCDEF, 2, 3, 4 }, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[] { 5, 6, 7, 8, 9, 10, 11, 12 }, TestLimits.Token).WithinLimit();
        await device.StartAsync(1280, TestLimits.Token).WithinLimit();
        await device.ConfigureAsync(Plan with { Mode = SymbolMode.Seeded, Weights = new(13, [255, 1]) }, TestLimits.Token).WithinLimit();

        peer.ReceivedOf(TransmitterPeer.Configure).Select(message => Convert.ToHexString(message.Payload)).ShouldBe(
            ["0180020000400000000A0000000000", "0280020000400000000A0000000D02FF000100"]);
        var symbols = peer.ReceivedOf(TransmitterPeer.Symbols).ToArray();
        Convert.ToHexString(symbols[0].Payload).ShouldBe(
            "000000000000000040000000" + "EFCDAB8967452301" + "0200000000000000" + "0300000000000000" + "0400000000000000");
        symbols.Select(message => (message.Position, message.Slots)).ShouldBe([(0L, 64), (64L, 128)]);
        Convert.ToHexString(peer.ReceivedOf(TransmitterPeer.Start).Single().Payload).ShouldBe("0005000000000000");
        peer.Received.Select(message => message.Sequence).ShouldBeUnique();
        peer.Received.ShouldAllBe(message => message.Sequence != 0);
    }

    [Fact]
    public async Task Nothing_is_sent_before_the_first_credit_nor_beyond_it_and_requests_pass_meanwhile()
    {
        await using var peer = new TransmitterPeer { FirstCredit = null };
        await using var device = await OpenAsync(peer.Address);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        var loading = device.LoadSymbolsAsync(new ulong[80], TestLimits.Token).AsTask();
        await using var lease = await device.StartEmissionAsync(TestLimits.Token).WithinLimit();

        foreach (var (credit, sent) in new[] { (0L, 0), (63, 0), (127, 64), (200, 192), (640, 640), (700, 640), (1300, 1280) })
        {
            await peer.SendCreditAsync(credit);
            await TestLimits.UntilAsync(() => Sent(peer) >= sent);
            await device.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
            await lease.RenewAsync(TestLimits.Token).WithinLimit();
            Sent(peer).ShouldBe(sent);
            (loading.IsCompleted && sent < 1280).ShouldBeFalse();
        }

        await loading.WithinLimit();
        ShouldBeConsecutive(peer);
    }

    [Fact]
    public async Task A_large_block_is_cut_so_that_a_request_need_not_wait_for_all_of_it()
    {
        const int slots = 1 << 23;
        await using var peer = new TransmitterPeer { FirstCredit = slots };
        await using var device = await OpenAsync(peer.Address);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[slots / 16], TestLimits.Token).WithinLimit();
        await TestLimits.UntilAsync(() => Sent(peer) == slots);
        peer.ReceivedOf(TransmitterPeer.Symbols).ShouldAllBe(message => message.Payload.Length <= (1 << 18) + 12);
        ShouldBeConsecutive(peer);
    }

    [Fact]
    public async Task Credit_from_before_a_new_plan_does_not_count_for_it()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit();
        peer.Override = async message =>
        {
            if (message.Type != TransmitterPeer.Configure)
            {
                return false;
            }

            await peer.SendCreditAsync(1_000_000);
            await peer.ReplyAsync(message);
            return true;
        };
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        peer.Received.Clear();
        var loading = device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).AsTask();
        await device.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
        Sent(peer).ShouldBe(0);

        await peer.SendCreditAsync(6400);

        await loading.WithinLimit();
        await TestLimits.UntilAsync(() => Sent(peer) == 640);
        peer.ReceivedOf(TransmitterPeer.Symbols).Single().Position.ShouldBe(0);
    }

    [Fact]
    public async Task A_refused_block_is_told_and_ends_loading_until_the_next_plan()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address);
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = device.Events.Subscribe(events.Enqueue);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        peer.Override = async message =>
        {
            if (message.Type != TransmitterPeer.Symbols)
            {
                return false;
            }

            await peer.RefuseAsync(message, 2, "odd bytes");
            return true;
        };

        await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit();
        await device.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();

        var error = await Should.ThrowAsync<DeviceRefusedException>(async () => await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("error 2");
        error.Message.ShouldContain("odd bytes");
        events.ShouldContain(happened => happened.Kind == DeviceEventKind.Warning && happened.Detail.Contains("odd bytes"));
        peer.Override = _ => Task.FromResult(false);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_plan_that_is_not_answered_leaves_no_former_one_to_load_for()
    {
        await using var peer = new TransmitterPeer();
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "0.3"));
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        peer.Override = message => Task.FromResult(message.Type == TransmitterPeer.Configure);
        await Should.ThrowAsync<DeviceTimeoutException>(async () => await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit());
        var error = await Should.ThrowAsync<DeviceException>(async () => await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("CONFIGURE");
    }

    [Theory]
    [InlineData(1, "loop open")]
    [InlineData(2, "no symbol for slot 640")]
    [InlineData(3, "diode")]
    [InlineData(4, "not renewed")]
    public async Task Whatever_ends_modulation_ends_who_waits_for_credit_and_says_why(byte kind, string text)
    {
        await using var peer = new TransmitterPeer { FirstCredit = 640 };
        await using var device = await OpenAsync(peer.Address);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit();
        await device.StartAsync(0, TestLimits.Token).WithinLimit();
        var loading = device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).AsTask();

        await peer.SendEventAsync(kind, text);

        (await Should.ThrowAsync<DeviceException>(async () => await loading.WithinLimit())).Message.ShouldContain(text);
    }

    [Fact]
    public async Task An_interlock_that_opens_before_the_start_costs_no_symbols()
    {
        await using var peer = new TransmitterPeer { FirstCredit = 640 };
        await using var device = await OpenAsync(peer.Address);
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        await device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).WithinLimit();
        var loading = device.LoadSymbolsAsync(new ulong[40], TestLimits.Token).AsTask();
        await peer.SendEventAsync(1, "loop open");
        await peer.SendCreditAsync(1280);
        await loading.WithinLimit();
        ShouldBeConsecutive(peer);
    }

    [Fact]
    public async Task An_instrument_that_takes_no_more_bytes_breaks_the_connection()
    {
        const int slots = 1 << 26;
        var reading = new TaskCompletionSource();
        await using var peer = new TransmitterPeer { FirstCredit = slots };
        await using var device = await OpenAsync(peer.Address, ("TimeoutSeconds", "0.5"));
        await device.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();
        peer.Override = async message =>
        {
            if (message.Type == TransmitterPeer.Symbols)
            {
                await reading.Task;
            }

            return false;
        };

        var error = await Should.ThrowAsync<DeviceException>(async () => await device.LoadSymbolsAsync(new ulong[slots / 16], TestLimits.Token).WithinLimit());

        (error is DeviceTimeoutException or DeviceDisconnectedException).ShouldBeTrue(error.ToString());
        device.IsBroken.ShouldBeTrue();
        await Should.ThrowAsync<DeviceDisconnectedException>(async () => await device.GetSourceStatusAsync(TestLimits.Token).WithinLimit());
        reading.SetResult();
    }

    private static int Sent(TransmitterPeer peer) => peer.ReceivedOf(TransmitterPeer.Symbols).Sum(message => message.Slots);

    private static void ShouldBeConsecutive(TransmitterPeer peer)
    {
        long position = 0;
        foreach (var message in peer.ReceivedOf(TransmitterPeer.Symbols))
        {
            message.Position.ShouldBe(position);
            message.Payload.Length.ShouldBe(12 + (message.Slots / 2));
            position += message.Slots;
        }
    }
}
