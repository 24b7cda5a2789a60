using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using Qkd.Distillation.Tests.Bits;
using Shouldly;
using static Qkd.Distillation.Tests.Amplification.ToeplitzDefinition;

namespace Qkd.Distillation.Tests.Amplification;

/// <summary>The parts of the transforms, each against its definition.</summary>
public sealed class TransformTests
{
    private static readonly Gen<ulong> Word = Gen.OneOf(Gen.ULong, Gen.OneOfConst<ulong>(0, 1, ulong.MaxValue, 1UL << 63, 0xF000_0000_0000_0000));

    [Fact]
    public void The_field_is_that_of_its_modulus_on_every_path() => Gen.Select(Gen.Select(Word, Word, Word, Word), Gen.Select(Word, Word, Word, Word)).Sample(
        (x, y) =>
        {
            var a = Vector256.Create(x.Item1, x.Item2, x.Item3, x.Item4);
            var b = Vector256.Create(y.Item1, y.Item2, y.Item3, y.Item4);
            var expected = Vector256.Create(Product(a[0], b[0]), Product(a[1], b[1]), Product(a[2], b[2]), Product(a[3], b[3]));
            BinaryField64.Multiply(a[0], b[0]).ShouldBe(expected[0]);
            PlainField64.Multiply(a, b).ShouldBe(expected);
            if (NarrowField64.IsSupported)
            {
                NarrowField64.Multiply(a, b).ShouldBe(expected);
                var (even, odd) = NarrowField64.Products(a, b);
                NarrowField64.Reduce(even, odd).ShouldBe(expected);
            }

            if (WideField64.IsSupported)
            {
                WideField64.Multiply(a, b).ShouldBe(expected);
            }
        },
        iter: 2_000);

    [Fact]
    public void The_basis_is_Cantors()
    {
        CantorBasis.Vector(0).ShouldBe(1UL);
        for (var i = 1; i < 64; i++)
        {
            var v = CantorBasis.Vector(i);
            (Product(v, v) ^ v).ShouldBe(CantorBasis.Vector(i - 1));
        }

        var sums = CantorBasis.FourSums(0x1234);
        sums.ShouldBe(Vector256.Create(CantorBasis.Sum(0x1234), CantorBasis.Sum(0x2468), CantorBasis.Sum(0x48D0), CantorBasis.Sum(0x91A0)));
        CantorBasis.Sum(0x15).ShouldBe(CantorBasis.Vector(1) ^ CantorBasis.Vector(3) ^ CantorBasis.Vector(5));
    }

    /// <summary>Sums of the X_i, multiplied out from s_0 = x and s_(k+1) = s_k^2 + s_k.</summary>
    [Theory]
    [InlineData(CantorConversion.Smallest)]
    [InlineData(10)]
    [InlineData(11)]
    public void Conversion_multiplies_out_the_basis(int logarithm)
    {
        var coefficients = RandomBits(new(logarithm), 1 << logarithm);
        var s = new List<bool[]> { Enumerable.Range(0, 2).Select(static i => i == 1).ToArray() };
        for (var k = 1; k < logarithm; k++)
        {
            var next = new bool[(1 << k) + 1];
            for (var i = 0; i < s[^1].Length; i++)
            {
                next[2 * i] ^= s[^1][i];
                next[i] ^= s[^1][i];
            }

            s.Add(next);
        }

        // Horner over the bits of the index: P = P_0 + s_k P_1.
        bool[] Expanded(int from, int k)
        {
            if (k < 0)
            {
                return [At(coefficients, from) != 0];
            }

            var (low, high) = (Expanded(from, k - 1), Expanded(from + (1 << k), k - 1));
            var sum = new bool[2 << k];
            low.CopyTo(sum, 0);
            foreach (var i in Enumerable.Range(0, s[k].Length).Where(i => s[k][i]))
            {
                for (var j = 0; j < high.Length; j++)
                {
                    sum[i + j] ^= high[j];
                }
            }

            return sum;
        }

        var expected = Expanded(0, logarithm - 1);
        var words = coefficients.ToArray();
        CantorConversion.ToPowers(words, logarithm);
        Text(words, 1 << logarithm).ShouldBe(string.Concat(expected.Select(static b => b ? '1' : '0')));
        CantorConversion.FromPowers(words, logarithm);
        words.ShouldBe(coefficients);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(19)]
    [InlineData(23)]
    [InlineData(24)]
    public void Conversion_and_back_is_nothing(int logarithm)
    {
        var words = RandomBits(new(logarithm), 1 << logarithm);
        var before = words.ToArray();
        CantorConversion.FromPowers(words, logarithm);
        words.AsSpan().SequenceEqual(before).ShouldBeFalse();
        CantorConversion.ToPowers(words, logarithm);
        words.AsSpan().SequenceEqual(before).ShouldBeTrue();
    }

    [Fact]
    public void Coordinates_are_the_same_in_vectors_and_one_by_one()
    {
        var random = new Random(3);
        foreach (var columns in new[] { 256, 512, 2048 })
        {
            var rows = RandomBits(random, 64 * columns);
            rows.AsSpan(rows.Length / 2).Clear();
            ulong[] elements = new ulong[columns], back = new ulong[columns];
            FrobeniusCoordinates.ToElements(rows.AsSpan(0, rows.Length / 2), elements, vectors: false);
            FrobeniusCoordinates.ToRows(elements, back, vectors: false);
            back.ShouldBe(rows);
            if (Avx2.IsSupported)
            {
                var other = new ulong[columns];
                FrobeniusCoordinates.ToElements(rows.AsSpan(0, rows.Length / 2), other, vectors: true);
                other.ShouldBe(elements);
                random.NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(elements.AsSpan()));
                FrobeniusCoordinates.ToRows(elements, rows, vectors: false);
                FrobeniusCoordinates.ToRows(elements, back, vectors: true);
                back.ShouldBe(rows);
            }
        }
    }

    /// <summary>The values at all points of v_(32+m) + W_m, whatever their order.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(8)]
    public void The_transform_evaluates_a_polynomial(int logarithm)
    {
        var elements = RandomBits(new(logarithm), 64 << logarithm);
        var expected = Enumerable.Range(0, 1 << logarithm).Select(i => Value(elements, logarithm, i)).Order().ToArray();
        var values = elements.ToArray();
        AdditiveFourierTransform<PlainField64>.Forward(values, logarithm);
        values.Order().ShouldBe(expected);
        AdditiveFourierTransform<PlainField64>.Backward(values, logarithm);
        values.ShouldBe(elements);
    }

    [Theory]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(16)]
    public void Every_path_transforms_alike(int logarithm)
    {
        var elements = RandomBits(new(logarithm), 64 << logarithm);
        ulong[] plain = [.. elements], narrow = [.. elements], wide = [.. elements];
        AdditiveFourierTransform<PlainField64>.Forward(plain, logarithm);
        if (NarrowField64.IsSupported)
        {
            AdditiveFourierTransform<NarrowField64>.Forward(narrow, logarithm);
            narrow.AsSpan().SequenceEqual(plain).ShouldBeTrue();
            AdditiveFourierTransform<NarrowField64>.Backward(narrow, logarithm);
            narrow.AsSpan().SequenceEqual(elements).ShouldBeTrue();
        }

        if (WideField64.IsSupported)
        {
            AdditiveFourierTransform<WideField64>.Forward(wide, logarithm);
            wide.AsSpan().SequenceEqual(plain).ShouldBeTrue();
            AdditiveFourierTransform<WideField64>.Backward(wide, logarithm);
            wide.AsSpan().SequenceEqual(elements).ShouldBeTrue();
        }
    }

    [Fact]
    public void Ranges_of_bits_are_copied_and_added_from_anywhere() => Gen.Select(Gen.Int[1, 12], Gen.Int[1, 20], Gen.Int[-1_400, 1_400], Gen.Int).Sample(
        (sourceWords, targetWords, from, start) =>
        {
            var random = new Random(start);
            var source = RandomBits(random, 64 * sourceWords);
            var copied = RandomBits(random, 64 * targetWords);
            var added = copied.ToArray();
            var expected = new ulong[targetWords];
            for (var i = 0; i < 64 * targetWords; i++)
            {
                if (from + i >= 0 && from + i < 64 * sourceWords)
                {
                    expected[i >> 6] |= (ulong)At(source, from + i) << i;
                }
            }

            BitRange.Add(source, -from, added);
            added.ShouldBe(copied.Zip(expected, static (x, y) => x ^ y).ToArray());
            BitRange.Copy(source, from, copied);
            copied.ShouldBe(expected);
        },
        iter: 2_000);

    [Fact]
    public void Working_memory_is_gone_after_use()
    {
        var memory = new WorkingMemory(100);
        memory.Words.Length.ShouldBe(100);
        memory.Dispose();
        memory.Dispose();
        Should.Throw<ObjectDisposedException>(() => memory.Words.Length);
    }

    private static ulong Value(ulong[] coefficients, int m, int point)
    {
        var x = CantorBasis.Vector(32 + m);
        for (var bit = 0; bit < m; bit++)
        {
            x ^= (point >> bit & 1) != 0 ? CantorBasis.Vector(bit) : 0;
        }

        var s = new ulong[m];
        for (var k = 0; k < m; k++)
        {
            s[k] = k == 0 ? x : Product(s[k - 1], s[k - 1]) ^ s[k - 1];
        }

        ulong value = 0;
        for (var i = 0; i < coefficients.Length; i++)
        {
            var term = coefficients[i];
            for (var k = 0; k < m; k++)
            {
                term = (i >> k & 1) != 0 ? Product(term, s[k]) : term;
            }

            value ^= term;
        }

        return value;
    }

    /// <summary>In GF(2)[x] / (x^64 + x^4 + x^3 + x + 1), one coefficient at a time.</summary>
    private static ulong Product(ulong a, ulong b)
    {
        var (low, high) = BitFields.Multiply(a, b);
        for (var i = 63; i >= 0; i--)
        {
            if ((high >> i & 1) != 0)
            {
                low ^= 0x1BUL << i;
                high ^= i > 59 ? 0x1BUL >> (64 - i) : 0;
            }
        }

        return low;
    }
}
