using System.Runtime.Intrinsics;
using CsCheck;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Sifting;

/// <summary>Every fast path of sifting against its plain twin, on honest and on hostile data.</summary>
public sealed class SiftingPathsTests
{
    private const int FrameSlots = BlockParameters.MaximumFrameSlots;

    /// <summary>Whether the plain path is asked for.</summary>
    private static readonly bool[] Ways = [false, true];

    /// <summary>Gaps of one byte, around the limits of a byte more, of any length, in runs of each kind.</summary>
    private static readonly Gen<int[]> Gaps = Gen.OneOf(
            Gen.Int[0, 127].Array[0, 70],
            Gen.Int[0, 20].Array[0, 40],
            Gen.OneOfConst(0, 1, 126, 127, 128, 129, 16_383, 16_384).Array[0, 20],
            Gen.Int[100, 20_000].Array[0, 20],
            Gen.Int[0, 1 << 21].Array[0, 2])
        .Array[0, 5].Select(runs => runs.SelectMany(run => run).ToArray());

    private static readonly Gen<byte> Hostile = Gen.OneOf(
        Gen.Byte, Gen.Byte[0, 127], Gen.Byte[0, 127], Gen.OneOfConst<byte>(0, 0x7F, 0x80, 0x81, 0xFF));

    [Fact]
    public void Gaps_are_written_and_read_the_same_on_every_path() => Gen.Select(Gaps, Gen.Int[0, 500], Gen.Int[1, 100]).Sample(
        (gaps, pilot, atOnce) =>
        {
            var slots = Slots(gaps, pilot);
            var (fast, plain) = (new byte[4 * slots.Length], new byte[4 * slots.Length]);
            var length = GapWriter.Write(slots, pilot, FrameSlots, plain, usePlain: true);
            GapWriter.Write(slots, pilot, FrameSlots, fast).ShouldBe(length);
            fast[..length].ShouldBe(plain[..length]);
            foreach (var usePlain in Ways)
            {
                var (read, refusal) = Read(plain[..length], slots.Length, pilot, FrameSlots, atOnce, usePlain);
                refusal.ShouldBeNull();
                read.ShouldBe(slots);
            }
        },
        iter: 3_000);

    [Fact]
    public void Gaps_are_written_as_documented()
    {
        // Gaps of 0, 127, 128, 16383 and 2^21 - 1 behind a pilot of 10 slots: seven bits a byte, low bits first.
        int[] slots = [10, 138, 267, 16_651, 2_113_803];
        byte[] expected = [0, 0x7F, 0x80, 0x01, 0xFF, 0x7F, 0xFF, 0xFF, 0x7F];
        var written = new byte[4 * slots.Length];
        foreach (var usePlain in Ways)
        {
            var length = GapWriter.Write(slots, 10, FrameSlots, written, usePlain);
            written[..length].ShouldBe(expected);
        }
    }

    /// <summary>Whatever a peer sends: the same slots, or the same refusal.</summary>
    [Fact]
    public void Hostile_gaps_are_taken_or_refused_alike() =>
        Gen.Select(Hostile.Array[0, 150], Gen.Int[0, 150], Gen.OneOfConst(640, 6_400, 1 << 20, FrameSlots), Gen.Int[1, 100]).Sample(
            (bytes, count, frameSlots, atOnce) =>
            {
                var (fast, fastRefusal) = Read(bytes, count, 100, frameSlots, atOnce, usePlain: false);
                var (plain, plainRefusal) = Read(bytes, count, 100, frameSlots, atOnce, usePlain: true);
                fastRefusal.ShouldBe(plainRefusal);
                fast.ShouldBe(plain);
            },
            iter: 20_000);

    /// <summary>One byte of an honest message changed to any value, at a place where both fast ways are in use.</summary>
    [Fact]
    public void Any_byte_among_honest_gaps_is_taken_or_refused_alike()
    {
        int[] slots = Slots([.. Enumerable.Range(0, 24), 300, 20_000, 5, 400, 3_000_000, 0, 128, .. Enumerable.Range(0, 20)], 100);
        var bytes = new byte[4 * slots.Length];
        var length = GapWriter.Write(slots, 100, FrameSlots, bytes);
        var refusals = new HashSet<string?>();
        for (var at = 0; at < length; at++)
        {
            for (var value = 0; value < 256; value++)
            {
                byte[] changed = [.. bytes[..at], (byte)value, .. bytes[(at + 1)..length]];
                var fast = Read(changed, slots.Length, 100, 3_100_000, 64, usePlain: false);
                var plain = Read(changed, slots.Length, 100, 3_100_000, 64, usePlain: true);
                fast.Refusal.ShouldBe(plain.Refusal, $"byte {at} = {value}");
                fast.Slots.ShouldBe(plain.Slots);
                refusals.Add(plain.Refusal?.Split(": ")[1]);
            }
        }

        refusals.Count.ShouldBeGreaterThanOrEqualTo(5);
    }

    [Fact]
    public void Slots_out_of_order_or_beyond_the_frame_are_refused_on_every_path() =>
        Gen.Select(Gaps.Where(gaps => gaps.Length > 1), Gen.Int[0, int.MaxValue], Gen.Int[0, 4]).Sample(
            (gaps, where, how) =>
            {
                var slots = Slots(gaps, 50);
                var frameSlots = slots[^1] + 1;
                var i = where % slots.Length;
                slots[i] = how switch
                {
                    0 => i > 0 ? slots[i - 1] : 49,
                    1 => i > 0 ? slots[i - 1] - 1 : 0,
                    2 => -1 - where,
                    3 => frameSlots,
                    _ => int.MaxValue,
                };
                var destination = new byte[4 * slots.Length];
                var fast = Should.Throw<ArgumentException>(() => GapWriter.Write(slots, 50, frameSlots, destination));
                var plain = Should.Throw<ArgumentException>(() => GapWriter.Write(slots, 50, frameSlots, destination, usePlain: true));
                fast.ParamName.ShouldBe(plain.ParamName);
            },
            iter: 3_000);

    [Fact]
    public void Symbols_are_looked_up_the_same_on_every_path() =>
        Gen.Select(Gen.ULong.Array[40], Gen.Int[0, (64 * 10) - 1].HashSet[0, 64]).Sample((symbols, unordered) =>
        {
            int[] slots = [.. unordered.Order()];
            var expected = new ulong[4];
            for (var i = 0; i < slots.Length; i++)
            {
                var symbol = PackedSymbols.Read(symbols, slots[i]);
                expected[0] |= (ulong)symbol.Bit << i;
                expected[1] |= (ulong)symbol.Basis << i;
                expected[2] |= (ulong)(symbol.Intensity & 1) << i;
                expected[3] |= (ulong)(symbol.Intensity >> 1) << i;
            }

            DetectionPlanes.LookUp(symbols, slots).ShouldBe(Vector256.Create(expected));
            DetectionPlanes.LookUp(symbols, slots, usePlain: true).ShouldBe(Vector256.Create(expected));
        });

    [Fact]
    public void A_full_word_of_detections_is_looked_up() => Gen.Select(Gen.ULong.Array[4 * 64], Gen.Int[0, 63].Array[64]).Sample((symbols, within) =>
    {
        int[] slots = [.. within.Select((slot, i) => (64 * i) + slot)];
        DetectionPlanes.LookUp(symbols, slots).ShouldBe(DetectionPlanes.LookUp(symbols, slots, usePlain: true));
    });

    [Fact]
    public void Nothing_is_looked_up_beyond_the_symbols()
    {
        Should.Throw<ArgumentException>(() => DetectionPlanes.LookUp(new ulong[8], [128]));
        Should.Throw<ArgumentException>(() => DetectionPlanes.LookUp(new ulong[8], [-1]));
        Should.Throw<ArgumentException>(() => DetectionPlanes.LookUp(new ulong[8], [.. Enumerable.Range(0, 65)]));
        DetectionPlanes.LookUp(new ulong[8], [127]).ShouldBe(Vector256<ulong>.Zero);
    }

    [Fact]
    public void Outcomes_are_packed_the_same_on_every_path() => Gen.Byte.Array[0, 300].Sample(outcomes =>
    {
        var words = (outcomes.Length + 63) / 64;
        var (bits, bases, plainBits, plainBases) = (new ulong[words], new ulong[words], new ulong[words], new ulong[words]);
        DetectionPlanes.Pack(outcomes, bits, bases).ShouldBe(outcomes.Count(outcome => (outcome & BobSifter.OutcomeMultiClick) != 0));
        DetectionPlanes.Pack(outcomes, plainBits, plainBases, usePlain: true).ShouldBe(outcomes.Count(outcome => (outcome & BobSifter.OutcomeMultiClick) != 0));
        bits.ShouldBe(plainBits);
        bases.ShouldBe(plainBases);
        for (var i = 0; i < outcomes.Length; i++)
        {
            (bits[i / 64] >> i & 1).ShouldBe((ulong)outcomes[i] & 1);
            (bases[i / 64] >> i & 1).ShouldBe((ulong)outcomes[i] >> 1 & 1);
        }
    });

    private static int[] Slots(int[] gaps, int pilot)
    {
        var slots = new List<int>();
        var slot = pilot - 1;
        foreach (var gap in gaps)
        {
            slot += gap + 1;
            if (slot >= FrameSlots)
            {
                break;
            }

            slots.Add(slot);
        }

        return [.. slots];
    }

    private static (List<int> Slots, string? Refusal) Read(byte[] bytes, int count, int pilot, int frameSlots, int atOnce, bool usePlain)
    {
        var all = new List<int>();
        try
        {
            var reader = new GapReader(new MessageReader(bytes, "gaps"), pilot, frameSlots, usePlain);
            while (all.Count < count)
            {
                var slots = new int[Math.Min(atOnce, count - all.Count)];
                reader.Read(slots);
                all.AddRange(slots);
            }

            reader.End();
            return (all, null);
        }
        catch (DistillationException e)
        {
            return (all, e.Message);
        }
    }
}
