using System.Buffers.Binary;
using Qkd.Sim.Firmware.ReferenceTransmitter;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.ReferenceTransmitter.RawHost;

namespace Qkd.Sim.Firmware.Tests.ReferenceTransmitter;

/// <summary>What leaves the transmitter, when, and what stops it.</summary>
public sealed class TransmitterEmissionTests : IAsyncLifetime
{
    private const int Buffer = 6400;
    private const int Frame = 640;

    private readonly ManualTime _time = new();
    private readonly ReferenceTransmitterEmulator _emulator;

    public TransmitterEmissionTests() => _emulator = new ReferenceTransmitterEmulator(
        new TransmitterSettings { BufferSlots = Buffer, MaximumFrameSlots = Buffer, PhotonsPerPulse = [4.0, 2.0, 0.5] },
        _time);

    public async ValueTask InitializeAsync() => await _emulator.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync() => await _emulator.DisposeAsync();

    [Fact]
    public void Symbols_leave_as_they_were_sent_however_they_are_cut_and_credit_follows_them()
    {
        using var host = Configured();
        var random = new Random(1);
        var sent = Draw(random, 5 * Buffer);
        var left = new List<ulong>();
        long credit = Buffer, position = 0;
        var started = false;
        while (left.Count < sent.Length)
        {
            while (position < credit && position * 4 / 64 < sent.Length)
            {
                var slots = (int)Math.Min(64 * random.Next(1, 20), credit - position);
                var packed = sent.AsSpan((int)position / 16);
                packed = packed[..Math.Min(packed.Length, slots / 16)];
                var message = Message(0x30, 9, Symbols(position, packed)).AsSpan();
                var cut = random.Next(message.Length);
                host.Send(message[..cut]);
                host.Send(message[cut..]);
                position += packed.Length * 16;
            }

            if (!started)
            {
                host.Ask(0x11, 1);
                host.Ask(0x20, 2, U64(Frame * 3L));
                started = true;
            }

            // A STATUS is answered after all that was sent before, so that everything is in the buffer.
            host.Send(0x03, 3);
            byte[] message2;
            while ((message2 = host.Read())[3] == 0x70)
            {
                credit = BinaryPrimitives.ReadInt64LittleEndian(message2.AsSpan(12));
            }

            message2[3].ShouldBe((byte)0x83);
            var before = left.Count;
            var taken = new ulong[40];
            var count = _emulator.TakeEmission(random.Next(64, 640), taken, out var first);
            first.ShouldBe((Frame * 3L) + (before * 16L));
            left.AddRange(taken.AsSpan(0, count / 16));
        }

        left.ToArray().ShouldBe(sent);
    }

    [Fact]
    public void Credit_grows_by_a_frame_or_an_eighth_of_the_buffer_whichever_is_less()
    {
        using var host = Running(firstSlot: 0);

        Take(640 - 64).ShouldBe(576);
        Take(128).ShouldBe(128);

        host.ReadCredit().ShouldBe(Buffer + 704);
        Take(640).ShouldBe(640);
        host.ReadCredit().ShouldBe(Buffer + 704 + 640);
    }

    [Fact]
    public void Symbols_at_the_wrong_position_or_beyond_the_credit_or_not_in_groups_are_refused()
    {
        using var host = Configured();
        var frame = new ulong[Frame / 16];

        host.AskRefused(0x30, 1, Symbols(64, frame)).ShouldBe(4);
        host.AskRefused(0x30, 2, Symbols(0, new ulong[(Buffer + 64) / 16])).ShouldBe(4);
        var odd = Symbols(0, new ulong[4]);
        odd[8] = 32;
        host.AskRefused(0x30, 3, odd.AsSpan()[..(12 + 16)]).ShouldBe(2);
        host.AskRefused(0x30, 4, odd).ShouldBe(2); // 64 slots of bytes, said to be 32
        host.Send(0x30, 5, Symbols(0, frame));
        host.Send(0x30, 6, Symbols(Frame, frame));
        Buffered(host).ShouldBe(2 * Frame);
        host.AskRefused(0x31, 7, [.. U64(0), .. new byte[32]]).ShouldBe(4); // a seed in stream mode
    }

    [Fact]
    public void Nothing_may_be_sent_before_CONFIGURE()
    {
        using var host = new RawHost(_emulator.Address);

        host.AskRefused(0x30, 1, Symbols(0, new ulong[4])).ShouldBe(4);
        host.AskRefused(0x31, 2, [.. U64(0), .. new byte[32]]).ShouldBe(4);
        host.Ask(0x11, 3);
        host.AskRefused(0x20, 4, U64(0)).ShouldBe(4);
    }

    [Fact]
    public void Start_wants_light_a_frame_of_symbols_and_the_start_of_a_frame()
    {
        using var host = Configured();

        host.AskRefused(0x20, 1, U64(0)).ShouldBe(4); // dark
        host.Ask(0x11, 2);
        host.AskRefused(0x20, 3, U64(0)).ShouldBe(4); // no symbols
        host.Send(0x30, 4, Symbols(0, new ulong[(Frame - 64) / 16]));
        host.AskRefused(0x20, 5, U64(0)).ShouldBe(4); // not a whole frame
        host.Send(0x30, 6, Symbols(Frame - 64, new ulong[4]));
        host.AskRefused(0x20, 7, U64(64)).ShouldBe(3);
        _emulator.State.ShouldBe(EmissionState.Dark);
        host.Ask(0x20, 8, U64(2 * Frame)).ShouldBeEmpty();
        _emulator.State.ShouldBe(EmissionState.Running);
        host.AskRefused(0x20, 9, U64(0)).ShouldBe(4); // already
        host.AskRefused(0x10, 10, StreamPlan(Frame, 64, 10)).ShouldBe(4);
    }

    [Fact]
    public void Status_counts_the_slots_that_have_left_and_those_that_wait()
    {
        using var host = Running(firstSlot: 5 * Frame);

        Take(192).ShouldBe(192);

        host.Ask(0x03, 1).ShouldBe([
            1, 0, 1, .. BitConverter.GetBytes(25f), .. U64((5 * Frame) + 192), .. U64(Buffer - 192), .. U32(0), 0]);
    }

    [Fact]
    public void A_bench_that_waits_gets_no_slots_and_no_underrun()
    {
        using var host = Running(firstSlot: 0);
        Take(Buffer).ShouldBe(Buffer);
        host.ReadCredit().ShouldBe(2 * Buffer);

        Take(64).ShouldBe(0);

        _emulator.State.ShouldBe(EmissionState.Running);
        host.Send(0x30, 1, Symbols(Buffer, new ulong[4]));
        Buffered(host).ShouldBe(64);
        Take(640).ShouldBe(64);
    }

    [Fact]
    public void An_underrun_stops_modulation_counts_and_asks_for_CONFIGURE()
    {
        using var host = Running(firstSlot: 0);
        Take(Buffer).ShouldBe(Buffer);
        host.ReadCredit();

        _emulator.DeclareUnderrun();

        host.ReadEvent().ShouldBe(2);
        _emulator.State.ShouldBe(EmissionState.Dark);
        host.Ask(0x03, 1).ShouldBe([1, 0, 0, .. BitConverter.GetBytes(25f), .. U64(Buffer), .. U64(0), .. U32(1), 0]);
        host.AskRefused(0x30, 2, Symbols(Buffer, new ulong[4])).ShouldBe(4);
        host.AskRefused(0x20, 3, U64(0)).ShouldBe(4);
        _emulator.DeclareUnderrun(); // dark already: nothing
        host.Ask(0x10, 4, StreamPlan(Frame, 64, 10));
        host.ReadCredit().ShouldBe(Buffer);
        host.Send(0x30, 5, Symbols(0, new ulong[Frame / 16]));
        host.Ask(0x20, 6, U64(0));
        host.Ask(0x03, 7).ShouldBe([1, 0, 1, .. BitConverter.GetBytes(25f), .. U64(0), .. U64(Frame), .. U32(0), 0]);
    }

    [Fact]
    public void Stop_forgets_what_is_buffered()
    {
        using var host = Running(firstSlot: 0);
        Take(64);

        host.Ask(0x21, 1).ShouldBeEmpty();

        _emulator.State.ShouldBe(EmissionState.Dark);
        Take(64).ShouldBe(0);
        host.Ask(0x03, 2).ShouldBe([1, 0, 0, .. BitConverter.GetBytes(25f), .. U64(64), .. U64(0), .. U32(0), 0]);
    }

    [Fact]
    public void Without_renewal_light_and_modulation_stop_after_the_lease_in_bench_time()
    {
        using var host = Running(firstSlot: 0);
        _time.Advance(TimeSpan.FromMilliseconds(999));
        _emulator.State.ShouldBe(EmissionState.Running);
        host.Ask(0x12, 1);
        _time.Advance(TimeSpan.FromMilliseconds(999));
        _emulator.State.ShouldBe(EmissionState.Running);

        _time.Advance(TimeSpan.FromMilliseconds(1));

        host.ReadEvent().ShouldBe(4);
        _emulator.State.ShouldBe(EmissionState.Dark);
        host.Ask(0x03, 2)[..3].ShouldBe([0, 8, 0]);
        host.AskRefused(0x12, 3).ShouldBe(5);
        host.Ask(0x11, 4).ShouldBe(U32(1000));
        host.Ask(0x03, 5)[..3].ShouldBe([1, 0, 0]);
    }

    [Fact]
    public void The_light_goes_off_with_the_connection()
    {
        using (Running(firstSlot: 0))
        {
        }

        SpinWait.SpinUntil(() => _emulator.State == EmissionState.Dark, TimeSpan.FromSeconds(20)).ShouldBeTrue();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void An_open_interlock_puts_the_light_out_and_keeps_it_out_until_closed(int bit)
    {
        using var host = Running(firstSlot: 0);

        Set(open: true);

        host.ReadEvent().ShouldBe(1);
        _emulator.State.ShouldBe(EmissionState.Dark);
        host.Ask(0x03, 1)[..3].ShouldBe([0, (byte)bit, 0]);
        host.AskRefused(0x11, 2).ShouldBe(5);
        host.AskRefused(0x12, 3).ShouldBe(5);
        Set(open: false);
        host.ReadEvent().ShouldBe(5);
        host.Ask(0x03, 4)[..3].ShouldBe([0, 0, 0]);
        host.Ask(0x11, 5).ShouldBe(U32(1000));

        void Set(bool open)
        {
            switch (bit)
            {
                case 1:
                    _emulator.KeySwitchOn = !open;
                    break;
                case 2:
                    _emulator.InterlockLoopClosed = !open;
                    break;
                default:
                    _emulator.LaserTemperatureCelsius = open ? 31 : 25;
                    break;
            }
        }
    }

    [Fact]
    public void A_fault_puts_the_light_out_and_stands_in_the_status_until_mended()
    {
        using var host = Running(firstSlot: 0);

        _emulator.SetFault("diode");

        host.ReadEvent().ShouldBe(3);
        var status = host.Ask(0x03, 1);
        status[..3].ShouldBe([0, 16, 0]);
        status[27..].ShouldBe([5, .. "diode"u8]);
        host.AskRefused(0x11, 2).ShouldBe(6);
        _emulator.SetFault("");
        host.ReadEvent().ShouldBe(5);
        host.Ask(0x11, 3);
    }

    private static ulong[] Draw(Random random, int slots)
    {
        var words = new ulong[slots / 16];
        random.NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(words.AsSpan()));
        return words;
    }

    private RawHost Configured()
    {
        var host = new RawHost(_emulator.Address);
        host.Ask(0x10, 100, StreamPlan(Frame, 64, 10));
        host.ReadCredit().ShouldBe(Buffer);
        return host;
    }

    /// <summary>With a full buffer.</summary>
    private RawHost Running(long firstSlot)
    {
        var host = Configured();
        host.Send(0x30, 101, Symbols(0, new ulong[Buffer / 16]));
        host.Ask(0x11, 102);
        host.Ask(0x20, 103, U64(firstSlot));
        return host;
    }

    private int Take(int slots) => _emulator.TakeEmission(slots, new ulong[slots / 16], out _);

    private static long Buffered(RawHost host) => BinaryPrimitives.ReadInt64LittleEndian(host.Ask(0x03, 200).AsSpan(15));
}
