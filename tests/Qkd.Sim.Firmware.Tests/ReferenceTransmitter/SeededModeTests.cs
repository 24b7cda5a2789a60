using Qkd.Sim.Firmware.ReferenceTransmitter;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.ReferenceTransmitter.RawHost;

namespace Qkd.Sim.Firmware.Tests.ReferenceTransmitter;

/// <summary>Symbols that the instrument makes itself.</summary>
public sealed class SeededModeTests
{
    [Fact]
    public void The_first_block_of_the_key_stream_gives_the_first_eight_slots()
    {
        // AES-256 of the zero block under the zero key (NIST KAT): DC95C078A2408989AD48A21492842087, so the values of the slots are
        // 95DC 78C0 40A2 8989 48AD 14A2 8492 8720, bytes swapped.
        using var expander = new SymbolExpander(64, [64, 64, 128], 0);
        expander.SetFrame(0, new byte[32]);
        var group = new ulong[4];

        expander.Expand(0, group);

        int[] values = [0x95DC, 0x78C0, 0x40A2, 0x8989, 0x48AD, 0x14A2, 0x8492, 0x8720];
        (group[0] & 0xFF).ShouldBe(Bits(value => (value & 1) == 1));
        (group[1] & 0xFF).ShouldBe(Bits(value => (value >> 1 & 127) < 64));
        (group[2] & 0xFF).ShouldBe(Bits(value => value >> 8 is >= 64 and < 128));
        (group[3] & 0xFF).ShouldBe(Bits(value => value >> 8 >= 128));

        ulong Bits(Func<int, bool> holds) => values.Select((value, slot) => holds(value) ? 1UL << slot : 0).Aggregate((a, b) => a | b);
    }

    [Theory]
    [InlineData(0, new ushort[] { 256 })]
    [InlineData(128, new ushort[] { 0, 256 })]
    [InlineData(24, new ushort[] { 128, 80, 48 })]
    [InlineData(1, new ushort[] { 1, 254, 1 })]
    [InlineData(127, new ushort[] { 64, 64, 64, 64 })]
    [InlineData(64, new ushort[] { 0, 0, 0, 256 })]
    [InlineData(77, new ushort[] { 255, 0, 1, 0 })]
    public void The_fast_expansion_is_its_plain_twin(int xWeight, ushort[] weights)
    {
        using var expander = new SymbolExpander(xWeight, weights, 192);
        var random = new Random(5);
        foreach (var (first, slots) in new[] { (0, 128), (128, 8192), (64, 20_032), (999_936, 64) })
        {
            var seed = new byte[32];
            random.NextBytes(seed);
            expander.SetFrame(random.NextInt64(), seed);
            var fast = new ulong[slots / 16];
            var plain = new ulong[slots / 16];

            expander.Expand(first, fast);
            expander.ExpandPlainly(first, plain);

            fast.ShouldBe(plain);
        }
    }

    [Fact]
    public void The_pilot_is_the_public_function_of_the_frame_number()
    {
        using var expander = new SymbolExpander(24, [128, 80, 48], 128);
        expander.SetFrame(41, new byte[32]);
        var words = new ulong[12];

        expander.Expand(0, words);

        for (ulong group = 0; group < 2; group++)
        {
            var at = (int)group * 4;
            words[at].ShouldBe(Mix(Mix(41) + (4 * group)));
            words[at + 1].ShouldBe(Mix(Mix(41) + (4 * group) + 1));
            words[at + 2].ShouldBe(0UL); // the weakest of three has index 2
            words[at + 3].ShouldBe(~Mix(Mix(41) + (4 * group) + 2));
        }

        static ulong Mix(ulong x)
        {
            x = unchecked(x + 0x9E3779B97F4A7C15);
            x ^= x >> 30;
            x = unchecked(x * 0xBF58476D1CE4E5B9);
            x ^= x >> 27;
            x = unchecked(x * 0x94D049BB133111EB);
            return x ^ (x >> 31);
        }
    }

    [Fact]
    public async Task Frames_leave_from_their_seeds_and_credit_counts_seeds()
    {
        const int frame = 640;
        await using var emulator = new ReferenceTransmitterEmulator(
            new TransmitterSettings { BufferSlots = 3 * frame, MaximumFrameSlots = frame, PhotonsPerPulse = [4, 2, 0.5] },
            new ManualTime());
        await emulator.StartAsync(TestContext.Current.CancellationToken);
        using var host = new RawHost(emulator.Address);
        host.Ask(0x10, 1, SeededPlan(frame, 64, 10, 24, 128, 80, 48));
        host.ReadCredit().ShouldBe(3);
        host.Ask(0x11, 2);
        host.AskRefused(0x20, 3, U64(7 * frame)).ShouldBe(4); // no seed yet
        var seeds = Enumerable.Range(0, 4).Select(i => Enumerable.Repeat((byte)(i + 1), 32).ToArray()).ToArray();
        for (var i = 0; i < 3; i++)
        {
            host.Send(0x31, 4, [.. U64(7 + i), .. seeds[i]]);
        }

        host.AskRefused(0x31, 5, [.. U64(10), .. seeds[3]]).ShouldBe(4); // beyond the credit
        host.AskRefused(0x30, 6, Symbols(0, new ulong[4])).ShouldBe(4); // symbols in seeded mode
        host.AskRefused(0x20, 7, U64(8 * frame)).ShouldBe(4); // the first seed is for another frame
        host.Ask(0x20, 8, U64(7 * frame));

        var left = new ulong[4 * frame / 16];
        emulator.TakeEmission(960, left, out var first).ShouldBe(960);
        first.ShouldBe(7 * frame);
        host.ReadCredit().ShouldBe(4);
        host.AskRefused(0x31, 9, [.. U64(11), .. seeds[3]]).ShouldBe(4); // skips one
        host.Send(0x31, 10, [.. U64(10), .. seeds[3]]);
        host.Ask(0x03, 11)[15..23].ShouldBe(U64((4 * frame) - 960));
        emulator.TakeEmission(4 * frame, left.AsSpan(60), out first).ShouldBe((4 * frame) - 960);
        first.ShouldBe((7 * frame) + 960);

        using var expander = new SymbolExpander(24, [128, 80, 48], 64);
        var expected = new ulong[left.Length];
        for (var i = 0; i < 4; i++)
        {
            expander.SetFrame(7 + i, seeds[i]);
            expander.ExpandPlainly(0, expected.AsSpan(i * frame / 16, frame / 16));
        }

        left.ShouldBe(expected);
    }
}
