using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using Shouldly;

namespace Qkd.Distillation.Tests.Bits;

public sealed class BitArithmeticTests
{
    private const int Trials = 20_000;

    /// <summary>Any word, and those at the edges.</summary>
    private static readonly Gen<ulong> Word = Gen.OneOf(
        Gen.ULong, Gen.OneOfConst<ulong>(0, 1, ulong.MaxValue, 1UL << 63, 0x5555_5555_5555_5555, 0x1111_1111_1111_1111), Gen.Int[0, 63].Select(i => 1UL << i));

    [Fact]
    public void Carryless_products_are_those_of_polynomials_on_every_path() => Gen.Select(Word, Word).Sample(
        (a, b) =>
        {
            var expected = BitFields.Multiply(a, b);
            CarrylessProduct.MultiplyPlain(a, b).ShouldBe(expected);
            CarrylessProduct.Multiply(a, b).ShouldBe(expected);
        },
        iter: Trials);

    [Fact]
    public void Extraction_is_the_same_on_every_path() => Gen.Select(Word, Word).Sample(
        (value, mask) =>
        {
            ulong expected = 0;
            var next = 0;
            for (var i = 0; i < 64; i++)
            {
                if ((mask >> i & 1) != 0)
                {
                    expected |= (value >> i & 1) << next++;
                }
            }

            BitExtraction.ExtractPlain(value, mask).ShouldBe(expected);
            BitExtraction.Extract(value, mask).ShouldBe(expected);
        },
        iter: Trials);

    [Fact]
    public void Products_in_the_field_are_those_by_doubling() => Gen.Select(Word, Word, Word, Word).Sample(
        (a, b, c, d) =>
        {
            Gf128 x = new(a, b), y = new(c, d);
            var expected = BitFields.MultiplyInField(BitFields.Number(x), BitFields.Number(y));
            BitFields.Number(Gf128.Multiply(x, y)).ShouldBe(expected);
            BitFields.Number(Gf128.MultiplyWords(x, y)).ShouldBe(expected);
        },
        iter: Trials);

    [Fact]
    public void Any_256_coefficients_are_reduced_the_same_on_every_path() => Gen.Select(Word, Word, Word, Word).Sample(
        (w0, w1, w2, w3) =>
        {
            // The upper half times x^128.
            var expected = BitFields.MultiplyInField(new(w3, w2), 0x87) ^ new UInt128(w1, w0);
            BitFields.Number(Gf128.Reduce(w0, w1, w2, w3)).ShouldBe(expected);
            if (Pclmulqdq.IsSupported)
            {
                var reduced = Gf128.Reduce(Vector128.Create(w0, 0), Vector128.Create(w1, w2), Vector128.Create(0, w3));
                BitFields.Number(new Gf128(reduced[0], reduced[1])).ShouldBe(expected);
            }
        },
        iter: Trials);

    /// <summary>Whole words from any place on, before the first and after the last bit too.</summary>
    [Fact]
    public void A_range_of_words_begins_anywhere() => Gen.Select(Word.Array[0, 40], Gen.Int[-300, 3000], Gen.Int[0, 40]).Sample((words, from, length) =>
    {
        var copied = new ulong[length];
        BitRange.Copy(words, from, copied);
        var added = new ulong[length];
        BitRange.Add(words, -from, added);
        for (var bit = 0; bit < 64 * length; bit++)
        {
            Bit(copied, bit).ShouldBe(Bit(words, from + bit));
            Bit(added, bit).ShouldBe(Bit(words, from + bit));
        }
    });

    [Fact]
    public void A_run_of_bits_is_added_from_any_place_to_any_other() =>
        Gen.Select(Word.Array[3, 20], Word.Array[3, 20], Gen.Int[0, 63], Gen.Int[0, 63], Gen.Int[0, 128]).Sample((source, target, fromBit, toBit, count) =>
        {
            var before = (ulong[])target.Clone();
            BitRange.Add(source, fromBit, target, toBit, count);
            for (var bit = 0; bit < 64 * target.Length; bit++)
            {
                var inside = bit >= toBit && bit < toBit + count;
                Bit(target, bit).ShouldBe(Bit(before, bit) ^ (inside ? Bit(source, fromBit + bit - toBit) : 0));
            }
        });

    private static ulong Bit(ulong[] words, int bit) => bit >= 0 && bit >> 6 < words.Length ? words[bit >> 6] >> bit & 1 : 0;

    [Fact]
    public void The_modulus_is_that_of_the_field()
    {
        // x^127 x = x^128 = x^7 + x^2 + x + 1, and x^(2^128) = x.
        var x = new Gf128(2, 0);
        Gf128.Multiply(new(0, 1UL << 63), x).ShouldBe(new Gf128(0x87, 0));
        var power = x;
        for (var i = 0; i < 128; i++)
        {
            power = Gf128.Multiply(power, power);
        }

        power.ShouldBe(x);
    }

    [Fact]
    public void Appended_bits_stand_one_after_the_other() => Gen.Select(Gen.ULong, Gen.Int[0, 64]).List[0, 300].Sample(pieces =>
    {
        using var appender = new BitAppender();
        var expected = new List<int>();
        foreach (var (bits, count) in pieces)
        {
            var masked = count == 64 ? bits : bits & ((1UL << count) - 1);
            appender.Append(masked, count);
            expected.AddRange(Enumerable.Range(0, count).Select(i => (int)(masked >> i & 1)));
        }

        appender.Length.ShouldBe(expected.Count);
        using var taken = appender.Take();
        Enumerable.Range(0, taken.Length).Select(i => taken[i]).ShouldBe(expected);
        taken.CountOnes().ShouldBe(expected.Sum());
        (taken.Words.Length == 0 || (taken.Length & 63) == 0 || taken.Words[^1] >> taken.Length == 0).ShouldBeTrue();
    });

    [Fact]
    public void Selected_bits_are_appended_as_one_by_one() => Gen.Select(Gen.Int[0, 64], Gen.Select(Word, Word).List[0, 100].List[0, 4]).Sample((before, frames) =>
    {
        using var appender = new BitAppender();
        using var expected = new BitAppender();
        appender.Append(ulong.MaxValue >> 1 >> (63 - before), before);
        expected.Append(ulong.MaxValue >> 1 >> (63 - before), before);
        foreach (var frame in frames)
        {
            ulong[] values = [.. frame.Select(pair => pair.Item1)];
            ulong[] masks = [.. frame.Select(pair => pair.Item2)];
            appender.AppendSelected(values, masks, masks.Sum(BitOperations.PopCount));
            for (var i = 0; i < values.Length; i++)
            {
                expected.Append(BitExtraction.ExtractPlain(values[i], masks[i]), BitOperations.PopCount(masks[i]));
            }

            appender.Length.ShouldBe(expected.Length);
            appender.Words.SequenceEqual(expected.Words).ShouldBeTrue();
        }
    });

    [Fact]
    public void Selected_bits_outgrow_the_first_memory()
    {
        using var appender = new BitAppender();
        var masks = Enumerable.Repeat(ulong.MaxValue, 5_000).ToArray();
        ulong[] values = [.. Enumerable.Range(0, 5_000).Select(i => (ulong)i * 0x9E37_79B9_7F4A_7C15)];
        appender.Append(1, 1);
        appender.AppendSelected(values, masks, 64 * 5_000);
        appender.Append(0, 63);
        var shifted = new ulong[5_000];
        BitRange.Copy(appender.Words, 1, shifted);
        shifted.ShouldBe(values);
        Should.Throw<ArgumentException>(() => appender.AppendSelected([1], [3], 1));
    }

    [Fact]
    public void An_appender_grows_beyond_its_first_memory()
    {
        using var appender = new BitAppender();
        for (var i = 0; i < 5_000; i++)
        {
            appender.Append((ulong)i & 0x7F, 37);
        }

        using var taken = appender.Take();
        taken.Length.ShouldBe(5_000 * 37);
        for (var i = 0; i < 5_000; i++)
        {
            Enumerable.Range(0, 37).Sum(j => (long)taken[(37 * i) + j] << j).ShouldBe(i & 0x7F);
        }
    }

    [Fact]
    public void Erased_bits_cannot_be_read()
    {
        var bits = new BitString(100);
        var words = bits.Words;
        words[0] = ulong.MaxValue;
        bits.Dispose();
        words[0].ShouldBe(0UL);
        Should.Throw<ObjectDisposedException>(() => bits[0]);
        bits.Dispose();
    }
}
