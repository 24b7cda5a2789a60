using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using Qkd.Distillation.Tests.Bits;
using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

public sealed class PolynomialHashTests
{
    private static readonly Gen<UInt128> Key = Gen.Select(Gen.ULong, Gen.ULong, (high, low) => new UInt128(high, low));

    /// <summary>Any word, and those at the edges.</summary>
    private static readonly Gen<ulong> Words = Gen.OneOf(Gen.ULong, Gen.OneOfConst<ulong>(0, 1, ulong.MaxValue, 1UL << 63, 0x5555_5555_5555_5555));

    [Fact]
    public void Equals_the_sum_of_powers_at_every_length()
    {
        var random = new Random(1);
        for (var length = 0; length <= 1_100; length += length < 600 ? 1 : 7)
        {
            var message = new byte[length];
            random.NextBytes(message);
            var key = new UInt128((ulong)random.NextInt64(), (ulong)random.NextInt64());
            var hash = new PolynomialHash(BitFields.Element(key));
            hash.Append(message);
            hash.AppendLength(length);
            BitFields.Number(hash.Value).ShouldBe(BitFields.Hash(key, message), $"{length} bytes");
            hash.Blocks.ShouldBe(((length + 15) / 16) + 1);
        }
    }

    /// <summary>Any length up to 5000 bytes in any pieces, read in between or not, against Horner's rule with plain products.</summary>
    [Fact]
    public void Equal_however_it_is_cut_into_pieces() =>
        Gen.Select(Key, Gen.Byte.Array[0, 5_000], Gen.Int[0, 700].Array[0, 30], Gen.Bool).Sample(
            (key, message, cuts, readBetween) =>
            {
                var hash = new PolynomialHash(BitFields.Element(key));
                var rest = message.AsSpan();
                foreach (var cut in cuts)
                {
                    // Pieces of whole blocks, so that none is filled up with zeros in the middle.
                    var piece = Math.Min(cut & ~15, rest.Length & ~15);
                    hash.Append(rest[..piece]);
                    rest = rest[piece..];
                    if (readBetween)
                    {
                        _ = hash.Value;
                    }
                }

                hash.Append(rest);
                hash.AppendLength(message.Length);
                hash.Value.ShouldBe(Horner(BitFields.Element(key), message));
                hash.Value.ShouldBe(hash.Value);
            },
            iter: 2_000);

    /// <summary>Four blocks at a time, two, one, words, and plain words: the same, from whatever value it goes on.</summary>
    [Fact]
    public void Equal_on_every_path() => Gen.Select(Key, Key, Gen.Int[1, 16], Gen.Int[0, 3]).SelectMany(
        (key, before, fours, groups) => Words.Array[8 * fours * groups].Select(words => (Key: key, Before: before, Fours: fours, Words: words))).Sample(
        of =>
        {
            var powers = new ulong[8 * of.Fours];
            (powers[^2], powers[^1]) = ((ulong)of.Key, (ulong)(of.Key >> 64));
            PolynomialFold.MakePowers(powers, 1, 4 * of.Fours);
            var value = BitFields.Element(of.Before);
            var expected = PolynomialFold.FoldWords(value, of.Words, powers.AsSpan(^2..), usePlain: true);
            PolynomialFold.Fold(value, of.Words, powers).ShouldBe(expected);
            PolynomialFold.FoldWords(value, of.Words, powers, usePlain: true).ShouldBe(expected);
            PolynomialFold.FoldWords(value, of.Words, powers, usePlain: false).ShouldBe(expected);
            if (Pclmulqdq.IsSupported)
            {
                PolynomialFold.Fold128(value, of.Words, powers).ShouldBe(expected);
            }

            if (Pclmulqdq.V256.IsSupported)
            {
                PolynomialFold.Fold256(value, of.Words, powers).ShouldBe(expected);
            }

            if (Pclmulqdq.V512.IsSupported)
            {
                PolynomialFold.Fold512(value, of.Words, powers).ShouldBe(expected);
            }
        },
        iter: 2_000);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 2)]
    [InlineData(1, 13)]
    [InlineData(3, 4)]
    [InlineData(5, 32)]
    [InlineData(16, 17)]
    public void Powers_are_made_from_those_that_are_known(int known, int count)
    {
        var key = new UInt128(0xF123456789ABCDEF, 0x8000000000000001);
        var powers = new ulong[2 * 32];
        var power = UInt128.One;
        for (var i = 1; i <= 32; i++)
        {
            power = BitFields.MultiplyInField(power, key);
            (powers[^(2 * i)], powers[^((2 * i) - 1)]) = ((ulong)power, (ulong)(power >> 64));
        }

        ulong[] made = [.. powers];
        made.AsSpan(..^(2 * known)).Clear();
        PolynomialFold.MakePowers(made, known, count);
        made[^(2 * count)..].ShouldBe(powers[^(2 * count)..]);
        made[..^(2 * count)].ShouldAllBe(word => word == 0);
    }

    [Fact]
    public void Groups_of_another_length_are_refused()
    {
        Should.Throw<ArgumentException>(() => PolynomialFold.Fold(default, new ulong[12], new ulong[8]));
        Should.Throw<ArgumentException>(() => PolynomialFold.Fold(default, new ulong[2], []));
        Should.Throw<ArgumentException>(() => PolynomialFold.FoldWords(default, new ulong[3], new ulong[3], usePlain: true));
    }

    /// <summary>Any range of bits is hashed as a copy of it made bit by bit.</summary>
    [Fact]
    public void Bits_in_the_middle_of_words_are_hashed_as_their_copy() => Gen.Select(Key, Words.Array[0, 160]).SelectMany(
        (key, words) => Gen.Int[0, 64 * words.Length].SelectMany(start => Gen.Int[0, (64 * words.Length) - start].Select(count => (Key: key, Words: words, Start: start, Count: count)))).Sample(
        of =>
        {
            var copy = new ulong[BitString.WordCount(of.Count)];
            for (var i = 0; i < of.Count; i++)
            {
                copy[i >> 6] |= (of.Words[(of.Start + i) >> 6] >> (of.Start + i) & 1) << i;
            }

            var expected = new PolynomialHash(BitFields.Element(of.Key));
            expected.AppendWords(copy);
            var hash = new PolynomialHash(BitFields.Element(of.Key));
            hash.AppendBits(of.Words, of.Start, of.Count);
            hash.Value.ShouldBe(expected.Value);
            hash.Blocks.ShouldBe(expected.Blocks);
        },
        iter: 5_000);

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(0, 129)]
    [InlineData(129, 0)]
    [InlineData(64, 65)]
    [InlineData(int.MaxValue, int.MaxValue)]
    public void Bits_beyond_the_words_are_refused(int start, int count)
    {
        var hash = new PolynomialHash(default);
        Should.Throw<ArgumentOutOfRangeException>(() => hash.AppendBits(new ulong[2], start, count));
    }

    [Fact]
    public void An_erased_hash_holds_neither_key_nor_message()
    {
        var hash = new PolynomialHash(new(3, 5));
        hash.AppendWords(new ulong[100]);
        hash.AppendBlock(new(1, 1));
        hash.Erase();
        MemoryMarshal.AsBytes(new Span<PolynomialHash>(ref hash)).ToArray().ShouldAllBe(b => b == 0);
    }

    [Fact]
    public void Words_are_hashed_as_their_bytes() => Gen.Select(Key, Gen.ULong.Array[0, 70]).Sample((key, words) =>
    {
        var a = new PolynomialHash(BitFields.Element(key));
        a.AppendWords(words);
        var b = new PolynomialHash(BitFields.Element(key));
        b.Append(MemoryMarshal.AsBytes(words.AsSpan()));
        a.Value.ShouldBe(b.Value);
    });

    [Fact]
    public void Tags_are_the_hash_under_a_pad() => Gen.Select(Gen.Byte.Array[32], Gen.Byte.Array[0, 400]).Sample((pad, message) =>
    {
        var tag = Tag(pad, message);
        BitFields.Number(tag).ShouldBe(BitFields.Hash(BitFields.Number(pad), message) ^ BitFields.Number(pad.AsSpan(16)));
        MessageAuthentication.Verify(pad, message, tag).ShouldBeTrue();
    });

    [Fact]
    public void Any_bit_turned_over_is_seen() =>
        Gen.Select(Gen.Byte.Array[32], Gen.Byte.Array[1, 300], Gen.Int[0, int.MaxValue]).Sample((pad, message, where) =>
        {
            var tag = Tag(pad, message);
            foreach (var spoiled in new[] { message, tag, pad })
            {
                var bit = where % (8 * spoiled.Length);
                spoiled[bit / 8] ^= (byte)(1 << (bit % 8));
                MessageAuthentication.Verify(pad, message, tag).ShouldBeFalse();
                spoiled[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        });

    [Fact]
    public void Zeros_added_or_taken_away_are_seen() =>
        Gen.Select(Gen.Byte.Array[32], Gen.Byte.Array[0, 100], Gen.Int[1, 40]).Sample((pad, message, zeros) =>
        {
            byte[] longer = [.. message, .. new byte[zeros]];
            byte[] shifted = [.. new byte[zeros], .. message];
            Tag(pad, longer).ShouldNotBe(Tag(pad, message));
            Tag(pad, shifted).ShouldNotBe(Tag(pad, message));
        });

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(17)]
    public void A_tag_of_another_length_never_fits(int length) =>
        MessageAuthentication.Verify(new byte[32], [], new byte[length]).ShouldBeFalse();

    [Fact]
    public void A_pad_of_another_length_is_refused()
    {
        Should.Throw<ArgumentException>(() => Tag(new byte[31], []));
        Should.Throw<ArgumentException>(() => Tag(new byte[33], []));
        Should.Throw<ArgumentException>(() => MessageAuthentication.Tag(new byte[32], [], new byte[15]));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(16, 2)]
    [InlineData(17, 3)]
    [InlineData(1L << 30, (1L << 26) + 1)]
    public void A_forger_has_one_chance_in_2_to_the_128_a_block(long bytes, double blocks) =>
        MessageAuthentication.ForgeryProbability(bytes).ShouldBe(blocks * Math.Pow(2, -128));

    private static Gf128 Horner(Gf128 key, ReadOnlySpan<byte> message)
    {
        var words = new ulong[2 * (((message.Length + 15) / 16) + 1)];
        message.CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
        words[^2] = (ulong)message.Length;
        return PolynomialFold.FoldWords(default, words, [key.Low, key.High], usePlain: true);
    }

    private static byte[] Tag(byte[] pad, byte[] message)
    {
        var tag = new byte[MessageAuthentication.TagBytes];
        MessageAuthentication.Tag(pad, message, tag);
        return tag;
    }
}
