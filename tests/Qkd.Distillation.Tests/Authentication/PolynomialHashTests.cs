using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using Qkd.Distillation.Tests.Bits;
using Shouldly;

namespace Qkd.Distillation.Tests.Authentication;

public sealed class PolynomialHashTests
{
    private static readonly Gen<UInt128> Key = Gen.Select(Gen.ULong, Gen.ULong, (high, low) => new UInt128(high, low));

    [Fact]
    public void Equals_the_sum_of_powers_at_every_length()
    {
        var random = new Random(1);
        for (var length = 0; length <= 600; length++)
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

    /// <summary>Eight blocks at a time, one at a time, and 128 bits wide: the same, from whatever value it goes on.</summary>
    [Fact]
    public void Equal_on_every_path() => Gen.Select(Key, Key, Gen.ULong.Array[16]).Sample((key, before, words) =>
    {
        PolynomialHash At() => Begun(key, before);
        var plain = At();
        plain.AppendBlocks(words, usePlain: true);
        var fast = At();
        fast.AppendBlocks(words, usePlain: false);
        fast.Value.ShouldBe(plain.Value);
        fast.Blocks.ShouldBe(plain.Blocks);
        if (Pclmulqdq.IsSupported)
        {
            At().Fold128(words).ShouldBe(plain.Value);
        }
    });

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

    private static PolynomialHash Begun(UInt128 key, UInt128 value)
    {
        var hash = new PolynomialHash(BitFields.Element(key));
        hash.AppendBlock(BitFields.Element(value));
        return hash;
    }

    private static byte[] Tag(byte[] pad, byte[] message)
    {
        var tag = new byte[MessageAuthentication.TagBytes];
        MessageAuthentication.Tag(pad, message, tag);
        return tag;
    }
}
