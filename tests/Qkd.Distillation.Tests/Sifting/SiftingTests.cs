using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Sifting;

public sealed class SiftingTests
{
    public static TheoryData<int, int, int, double, int> Shapes => new()
    {
        { 1, 64, 0, 1, 1 }, { 1, 64, 63, 1, 1 }, { 2, 64, 1, .5, 1 }, { 3, 640, 100, .3, 2 }, { 5, 6400, 1000, .02, 5 }, { 4, 64_000, 4096, .001, 3 },
        { 2, 640_000, 128, .0002, 2 }, { 3, 640, 639, .9, 1 }, { 3, 640, 100, 0, 1 }, { 2, 1 << 22, 5, 1e-5, 1 },
    };

    /// <summary>Both ends against a plain reading of what was sent and detected.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Both_ends_keep_the_matched_detections(int frames, int frameSlots, int pilotSlots, double detectionRate, int ahead)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            var run = new SiftingRun(seed, Blocks.Parameters(frames, frameSlots, pilotSlots), detectionRate);
            var (alice, bob) = run.Sift(ahead);
            var expected = new Reference(run);
            foreach (var (block, bits) in new[] { (alice, expected.AliceKey), (bob, expected.BobKey) })
            {
                block.KeyBitCount.ShouldBe(bits.Count);
                block.KeyCounts.ShouldBe(expected.KeyCounts);
                block.TestCounts.ShouldBe(expected.TestCounts);
                block.TestErrors.ShouldBe(expected.TestErrors);
                block.Detections.ShouldBe(expected.Detections);
                block.MultiClicks.ShouldBe(block == bob ? expected.MultiClicks : 0);
                using var taken = block.TakeBits();
                Enumerable.Range(0, taken.Key.Length).Select(i => taken.Key[i]).ShouldBe(bits);
                taken.Intensities.Count(expected.Differences()).ShouldBe(expected.KeyErrors);
            }
        }
    }

    [Fact]
    public void The_test_error_rate_is_that_of_all_intensities()
    {
        var (alice, bob) = new SiftingRun(3, Blocks.Parameters(), .4).Sift();
        alice.TestErrorRate.ShouldBe((double)alice.TestErrors.Sum() / alice.TestCounts.Sum());
        bob.TestErrorRate.ShouldBe(alice.TestErrorRate);
        new SiftingRun(3, Blocks.Parameters(), 0).Sift().Alice.TestErrorRate.ShouldBe(double.NaN);
    }

    /// <summary>The announcement is the same whatever Bob's bits and multi-clicks are, and Alice's answer whatever hers are.</summary>
    [Fact]
    public void Neither_bits_nor_multi_clicks_are_told_before_the_test_bits()
    {
        var (run, other) = (new SiftingRun(8, Blocks.Parameters(), .4), new SiftingRun(8, Blocks.Parameters(), .4));
        var random = new Random(1);
        for (var frame = 0; frame < run.Parameters.FrameCount; frame++)
        {
            for (var i = 0; i < other.Outcomes[frame].Length; i++)
            {
                other.Outcomes[frame][i] ^= (byte)(random.Next(2) | random.Next(2) << 2);
            }

            for (var slot = 0; slot < run.Parameters.FrameSlots; slot++)
            {
                var symbol = PackedSymbols.Read(other.Symbols[frame], slot);
                PackedSymbols.Write(other.Symbols[frame], slot, symbol with { Bit = random.Next(2) });
            }
        }

        using var alice = new AliceSifter(run.Parameters);
        using var bob = new BobSifter(run.Parameters);
        using var otherAlice = new AliceSifter(run.Parameters);
        using var otherBob = new BobSifter(run.Parameters);
        for (var frame = 0; frame < run.Parameters.FrameCount; frame++)
        {
            var announced = run.Announce(bob, frame);
            other.Announce(otherBob, frame).ShouldBe(announced);
            var answer = run.Answer(alice, frame, announced);
            other.Answer(otherAlice, frame, announced).ShouldBe(answer);
            bob.ReceiveMatches(answer);
            otherBob.ReceiveMatches(answer);
        }

        // Test bits differ, key bits have no part in them.
        var (fromAlice, fromBob) = (SiftingRun.Written(alice.WriteTestBits), SiftingRun.Written(bob.WriteTestBits));
        var counted = (long)BitConverter.ToUInt32(fromBob);
        counted.ShouldBe(new Reference(run).TestCounts.Sum());
        fromBob.Length.ShouldBe(4 + (int)((counted + 63) / 64 * 8));
        fromAlice.Length.ShouldBe(fromBob.Length);
    }

    /// <summary>What was detected in the pilot is public: it is not even announced.</summary>
    [Fact]
    public void Pilot_slots_are_left_out()
    {
        var parameters = Blocks.Parameters(frames: 1, frameSlots: 640, pilotSlots: 640 - 64);
        using var bob = new BobSifter(parameters);
        var message = SiftingRun.Written(m => bob.Announce(5, [0, 1, 574, 575, 576, 600], [1, 4, 4, 5, 0, 6], m));
        BitConverter.ToUInt32(message, 8).ShouldBe(2u);
        message.Length.ShouldBe(12 + 8 + 2);
    }

    /// <summary>A second, plain reading.</summary>
    private sealed class Reference
    {
        public Reference(SiftingRun run)
        {
            for (var frame = 0; frame < run.Parameters.FrameCount; frame++)
            {
                for (var i = 0; i < run.Slots[frame].Length; i++)
                {
                    if (run.Slots[frame][i] >= run.Parameters.PilotSlots)
                    {
                        Add(PackedSymbols.Read(run.Symbols[frame], run.Slots[frame][i]), run.Outcomes[frame][i]);
                    }
                }
            }
        }

        public List<int> AliceKey { get; } = [];

        public List<int> BobKey { get; } = [];

        public long[] KeyCounts { get; } = new long[3];

        public long[] KeyErrors { get; } = new long[3];

        public long[] TestCounts { get; } = new long[3];

        public long[] TestErrors { get; } = new long[3];

        public long Detections { get; private set; }

        public long MultiClicks { get; private set; }

        public ulong[] Differences()
        {
            var words = new ulong[(AliceKey.Count + 63) / 64];
            for (var i = 0; i < AliceKey.Count; i++)
            {
                words[i / 64] |= (ulong)(AliceKey[i] ^ BobKey[i]) << (i % 64);
            }

            return words;
        }

        private void Add(Symbol symbol, byte outcome)
        {
            Detections++;
            MultiClicks += outcome >> 2;
            var (bit, basis) = (outcome & 1, outcome >> 1 & 1);
            if (basis != (int)symbol.Basis)
            {
                return;
            }

            var wrong = bit ^ symbol.Bit;
            if (symbol.Basis == Basis.Z)
            {
                AliceKey.Add(symbol.Bit);
                BobKey.Add(bit);
                KeyCounts[symbol.Intensity]++;
                KeyErrors[symbol.Intensity] += wrong;
            }
            else
            {
                TestCounts[symbol.Intensity]++;
                TestErrors[symbol.Intensity] += wrong;
            }
        }
    }
}
