using Qkd.Devices;
using Qkd.Distillation.Tests.Sifting;
using Shouldly;

namespace Qkd.Distillation.Tests.Stages;

public sealed class WholeBlockTests
{
    /// <summary>Some 10^5 key-basis bits at 1 % errors; lenient failure probabilities, so that they give key.</summary>
    private static readonly Lazy<SiftingRun> Light = new(() => SiftingRun.OfLight(
        1, Blocks.Parameters(frames: 2, frameSlots: 1 << 19, pilotSlots: 4096, security: new(1e-4), grade: KeyGrade.Attested), .01));

    /// <summary>Some 4 x 10^5 key-basis bits, several frames of the correction.</summary>
    private static readonly Lazy<SiftingRun> LongLight = new(() => SiftingRun.OfLight(
        3, Blocks.Parameters(frames: 8, frameSlots: 1 << 19, pilotSlots: 4096, security: new(1e-4), grade: KeyGrade.Attested), .01));

    /// <summary>The methods of error correction, the way through the one-way codes' further rounds included.</summary>
    public enum Correction
    {
        Cascade,
        Ldpc,
        LdpcAskedAgain,
        Auto,
    }

    private static BlockRun RunOf(Correction correction, Func<int, LinkEnd, byte[], byte[]>? onTheWay = null) => new(Light.Value)
    {
        Reconciler = correction switch
        {
            Correction.Cascade => new CascadeReconciler(),
            Correction.Auto => AdaptiveReconciler.Create(ReconciliationMethod.Auto, OperatingSystemRandomness.Instance),
            _ => new LdpcReconciler(OperatingSystemRandomness.Instance),
        },

        // Too little is told if fewer errors are expected than there are.
        ExpectedShare = correction == Correction.LdpcAskedAgain ? 0.8 : 1,
        OnTheWay = onTheWay ?? (static (_, _, message) => message),
    };

    [Theory]
    [InlineData(Correction.Cascade)]
    [InlineData(Correction.Ldpc)]
    [InlineData(Correction.LdpcAskedAgain)]
    [InlineData(Correction.Auto)]
    public void Two_ends_get_the_same_key_of_the_stated_length(Correction correction)
    {
        var run = RunOf(correction).Run();
        run.Lost.ShouldBeNull();
        run.BobKey.ShouldBe(run.AliceKey);
        run.AliceKey!.Length.ShouldBe((int)(run.Verified!.Bound().StatedLength / 8));
        run.AliceKey.Length.ShouldBeGreaterThan(1_000);
        run.Epsilon.ShouldBe(new SecurityParameters(1e-4).Total() + Math.Pow(2, -94));
        run.Verified.KeyErrorRate.ShouldBeInRange(.005, .02);

        if (correction == Correction.LdpcAskedAgain)
        {
            run.RetriedFrames.ShouldBeGreaterThan(0);
        }

        // Another seed, another key.
        RunOf(correction).Run().AliceKey!.SequenceEqual(run.AliceKey).ShouldBeFalse();
    }

    /// <summary>One bit of one message: of every kind of message and at every place in turn, and of a sample of the rest.</summary>
    [Theory]
    [InlineData(Correction.Cascade)]
    [InlineData(Correction.Ldpc)]
    [InlineData(Correction.LdpcAskedAgain)]
    public void A_bit_turned_over_on_its_way_loses_the_block(Correction correction)
    {
        var kinds = RunOf(correction).Run().Messages;
        var random = new Random(2);
        var first = kinds.Distinct().SelectMany(kind => new[] { kinds.IndexOf(kind), kinds.LastIndexOf(kind) });
        foreach (var which in first.Concat(Enumerable.Range(0, 60).Select(_ => random.Next(kinds.Count))).ToArray())
        {
            var spoiled = false;
            var run = RunOf(correction, (number, _, message) =>
            {
                if (number != which)
                {
                    return message;
                }

                spoiled = true;
                if (message.Length == 0)
                {
                    return [0];
                }

                message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
                return message;
            }).Run();

            // The number of messages varies a little from run to run with the order of Bob's questions; the last is Alice's tag.
            spoiled.ShouldBeTrue();
            Lost(run, $"message {which}, {kinds[which]}", aliceMayHaveKey: which == kinds.Count - 1);
        }
    }

    [Theory]
    [InlineData("announcement")]
    [InlineData("matches")]
    [InlineData("test bits")]
    [InlineData("parities")]
    [InlineData("questions")]
    [InlineData("parities", Correction.LdpcAskedAgain)]
    [InlineData("questions", Correction.LdpcAskedAgain)]
    [InlineData("tags")]
    [InlineData("verdicts")]
    [InlineData("length")]
    [InlineData("seed")]
    [InlineData("tag")]
    public void A_message_replaced_by_an_earlier_one_loses_the_block(string kind, Correction correction = Correction.Cascade)
    {
        var kinds = RunOf(correction).Run().Messages;
        var which = kinds.LastIndexOf(kind);
        foreach (var distance in Enumerable.Range(1, Math.Min(3, which)))
        {
            var earlier = new List<byte[]>();
            var changed = false;
            var run = RunOf(correction, (number, _, message) =>
            {
                earlier.Add(message);
                if (number != which)
                {
                    return message;
                }

                changed = !message.SequenceEqual(earlier[number - distance]);
                return [.. earlier[number - distance]];
            }).Run();
            changed.ShouldBeTrue();
            Lost(run, $"{kind} replaced by the {distance}. before it", aliceMayHaveKey: which == kinds.Count - 1);
        }
    }

    /// <summary>Bits that differ after error correction are found, whichever they are: their frame is disclosed, and the rest gives the same key.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(777)]
    [InlineData(-1)]
    public void A_bit_that_was_not_corrected_costs_its_frame(int bit)
    {
        var spoiled = new BlockRun(LongLight.Value) { Reconciler = new SpoilingReconciler(bit) }.Run();
        spoiled.Lost.ShouldBeNull();
        spoiled.DisclosedFrames.ShouldBe(1);
        spoiled.BobKey.ShouldBe(spoiled.AliceKey);
        spoiled.Verified!.Ledger.DisclosedBits.ShouldBeGreaterThan(10_000);

        // Error counts are those of the truth, whatever the correction left behind.
        var sound = new BlockRun(LongLight.Value).Run();
        sound.DisclosedFrames.ShouldBe(0);
        spoiled.Verified.KeyErrors.ShouldBe(sound.Verified!.KeyErrors);
        spoiled.AliceKey!.Length.ShouldBeLessThan(sound.AliceKey!.Length);
    }

    /// <summary>Of a block of two frames, one is too much.</summary>
    [Fact]
    public void A_block_of_few_frames_is_lost_with_one_of_them()
    {
        var run = new BlockRun(Light.Value) { Reconciler = new SpoilingReconciler(5) }.Run();
        Lost(run, "bit 5", aliceMayHaveKey: false);
    }

    [Fact]
    public void A_forged_verdict_gives_nobody_key()
    {
        var run = new BlockRun(Light.Value)
        {
            Reconciler = new SpoilingReconciler(5),
            OnTheWay = (_, from, message) =>
            {
                // A verdict of one cluster: made into one that all is the same, without an error.
                return from == LinkEnd.Bob && message is [0, 1, 0, 0, 0, 0, 0, 0, 0] ? [1, .. new byte[24]] : message;
            },
        }.Run();
        Lost(run, "forged verdict", aliceMayHaveKey: false);
    }

    /// <summary>Alice states more than Bob's own bound allows: he refuses.</summary>
    [Fact]
    public void A_length_beyond_the_own_bound_is_refused()
    {
        var kinds = new BlockRun(Light.Value).Run().Messages;
        var run = new BlockRun(Light.Value)
        {
            OnTheWay = (number, _, message) => number == kinds.IndexOf("length") ? BitConverter.GetBytes(BitConverter.ToInt64(message) + 24) : message,
        }.Run();
        Lost(run, "longer", aliceMayHaveKey: false);
        run.Lost!.Message.ShouldContain("own bound");
    }

    [Fact]
    public void Too_many_errors_give_no_key()
    {
        var light = SiftingRun.OfLight(2, Blocks.Parameters(frames: 1, frameSlots: 1 << 18, security: new(1e-4)), .12);
        var run = new BlockRun(light).Run();
        Lost(run, "errors", aliceMayHaveKey: false);
        run.Lost!.Message.ShouldContain("gives no secret key");
    }

    private static void Lost(BlockRun run, string what, bool aliceMayHaveKey)
    {
        run.Lost.ShouldNotBeNull(what);
        run.BobKey.ShouldBeNull(what);
        (run.AliceKey is null || aliceMayHaveKey).ShouldBeTrue(what);
    }

    /// <summary>Cascade that leaves one bit wrong at Bob's end; -1 stands for the last.</summary>
    private sealed class SpoilingReconciler(int bit) : IReconciler
    {
        public string Name => "spoiling";

        public IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions, ISecretRandomness? randomness = null)
        {
            var reconciliation = new CascadeReconciler().Begin(block, end, conditions, randomness);
            return end == LinkEnd.Alice ? reconciliation : new Spoiled(reconciliation, bit < 0 ? block.KeyBitCount - 1 : bit);
        }

        private sealed class Spoiled(IReconciliation inner, int bit) : IReconciliation
        {
            public string Method => inner.Method;

            public bool StartsFirst => inner.StartsFirst;

            public int Rounds => inner.Rounds;

            public int RetriedFrames => inner.RetriedFrames;

            public int DisclosedFrames => inner.DisclosedFrames;

            public CorrectedBlock Result { get => field ??= Spoil(); private set; }

            public bool Step(ReadOnlySpan<byte> received, System.Buffers.IBufferWriter<byte> toSend) => inner.Step(received, toSend);

            public void Dispose() => inner.Dispose();

            private CorrectedBlock Spoil()
            {
                var result = inner.Result;
                result.PeekBits().Words[bit >> 6] ^= 1UL << bit;
                result.AddCorrections([1], 1, bit);
                return result;
            }
        }
    }
}
