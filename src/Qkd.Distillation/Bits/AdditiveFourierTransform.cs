using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// The additive Fourier transform of 2^m elements of GF(2^64), in place: values on v_(32+m) + W_m of a polynomial in the basis X_i
/// (Lin, Chung and Han, FOCS 2014; on that coset, where the values of a polynomial over GF(2) say all of it, W.-D. Li, M.-S. Chen,
/// P.-C. Kuo, C.-M. Cheng and B.-Y. Yang, ISSAC 2018). The order of the values is the transform's own.
/// </summary>
/// <typeparam name="TField">The field.</typeparam>
internal static class AdditiveFourierTransform<TField>
    where TField : struct, IBinaryField64
{
    // The last four layers are taken in 16 elements; below 2^InCache, 32 KiB, the layers follow each other over the whole block.
    private const int Last = 4;
    private const int InCache = 12;

    private static Vector256<ulong> Pattern1 => Vector256.Create(0, CantorBasis.Vector(1), CantorBasis.Vector(2), CantorBasis.Vector(1) ^ CantorBasis.Vector(2));

    private static Vector256<ulong> Pattern0 => Vector256.Create(0, CantorBasis.Vector(2), CantorBasis.Vector(3), CantorBasis.Vector(2) ^ CantorBasis.Vector(3));

    /// <summary>From coefficients to values.</summary>
    public static void Forward(Span<ulong> elements, int logarithm)
    {
        Check(elements, logarithm);
        Forward(ref MemoryMarshal.GetReference(elements), logarithm, logarithm, 0);
    }

    /// <summary>From values to coefficients.</summary>
    public static void Backward(Span<ulong> elements, int logarithm)
    {
        Check(elements, logarithm);
        Backward(ref MemoryMarshal.GetReference(elements), logarithm, logarithm, 0);
    }

    private static void Check(Span<ulong> elements, int logarithm)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(logarithm, Last);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(logarithm, CantorBasis.LargestTransform);
        ArgumentOutOfRangeException.ThrowIfNotEqual(elements.Length, 1 << logarithm);
    }

    /// <summary>s_k on block b of 2^(k+1): v_(32+m-k) and the sum of the v_(j+1) over the bits j of b.</summary>
    private static ulong Factor(int m, int layer, int block) => CantorBasis.Vector(32 + m - layer) ^ CantorBasis.Sum((uint)block);

    /// <summary>Block <paramref name="block"/> of 2^<paramref name="size"/>, depth first.</summary>
    private static void Forward(ref ulong data, int m, int size, int block)
    {
        if (size <= InCache)
        {
            ForwardInCache(ref data, m, size, block);
            return;
        }

        if ((size - Last) % 2 != 0)
        {
            ForwardTwo(ref data, (nuint)1 << (size - 1), Factor(m, size - 1, block));
            Forward(ref data, m, size - 1, 2 * block);
            Forward(ref Unsafe.Add(ref data, 1 << (size - 1)), m, size - 1, (2 * block) + 1);
            return;
        }

        ForwardFour(ref data, (nuint)1 << (size - 2), Factor(m, size - 1, block), Factor(m, size - 2, 2 * block));
        for (var i = 0; i < 4; i++)
        {
            Forward(ref Unsafe.Add(ref data, i << (size - 2)), m, size - 2, (4 * block) + i);
        }
    }

    private static void Backward(ref ulong data, int m, int size, int block)
    {
        if (size <= InCache)
        {
            BackwardInCache(ref data, m, size, block);
            return;
        }

        if ((size - Last) % 2 != 0)
        {
            Backward(ref data, m, size - 1, 2 * block);
            Backward(ref Unsafe.Add(ref data, 1 << (size - 1)), m, size - 1, (2 * block) + 1);
            BackwardTwo(ref data, (nuint)1 << (size - 1), Factor(m, size - 1, block));
            return;
        }

        for (var i = 0; i < 4; i++)
        {
            Backward(ref Unsafe.Add(ref data, i << (size - 2)), m, size - 2, (4 * block) + i);
        }

        BackwardFour(ref data, (nuint)1 << (size - 2), Factor(m, size - 1, block), Factor(m, size - 2, 2 * block));
    }

    private static void ForwardInCache(ref ulong data, int m, int size, int block)
    {
        var layer = size;
        if ((size - Last) % 2 != 0)
        {
            layer--;
            ForwardTwo(ref data, (nuint)1 << layer, Factor(m, layer, block));
        }

        for (; layer > Last; layer -= 2)
        {
            var blocks = 1 << (size - layer);
            for (var i = 0; i < blocks; i++)
            {
                var b = (block << (size - layer)) + i;
                ForwardFour(ref Unsafe.Add(ref data, i << layer), (nuint)1 << (layer - 2), Factor(m, layer - 1, b), Factor(m, layer - 2, 2 * b));
            }
        }

        ForwardLast(ref data, m, block << (size - Last), 1 << (size - Last));
    }

    private static void BackwardInCache(ref ulong data, int m, int size, int block)
    {
        BackwardLast(ref data, m, block << (size - Last), 1 << (size - Last));
        var layer = Last + 2;
        for (; layer <= size; layer += 2)
        {
            var blocks = 1 << (size - layer);
            for (var i = 0; i < blocks; i++)
            {
                var b = (block << (size - layer)) + i;
                BackwardFour(ref Unsafe.Add(ref data, i << layer), (nuint)1 << (layer - 2), Factor(m, layer - 1, b), Factor(m, layer - 2, 2 * b));
            }
        }

        if ((size - Last) % 2 != 0)
        {
            BackwardTwo(ref data, (nuint)1 << (size - 1), Factor(m, size - 1, block));
        }
    }

    private static void ForwardTwo(ref ulong data, nuint half, ulong factor)
    {
        var w = Vector256.Create(factor);
        ref var upper = ref Unsafe.Add(ref data, half);
        for (nuint i = 0; i < half; i += 4)
        {
            var a = Vector256.LoadUnsafe(ref data, i);
            var b = Vector256.LoadUnsafe(ref upper, i);
            a ^= TField.Multiply(b, w);
            a.StoreUnsafe(ref data, i);
            (a ^ b).StoreUnsafe(ref upper, i);
        }
    }

    private static void BackwardTwo(ref ulong data, nuint half, ulong factor)
    {
        var w = Vector256.Create(factor);
        ref var upper = ref Unsafe.Add(ref data, half);
        for (nuint i = 0; i < half; i += 4)
        {
            var a = Vector256.LoadUnsafe(ref data, i);
            var b = Vector256.LoadUnsafe(ref upper, i) ^ a;
            (a ^ TField.Multiply(b, w)).StoreUnsafe(ref data, i);
            b.StoreUnsafe(ref upper, i);
        }
    }

    private static void ForwardFour(ref ulong data, nuint quarter, ulong upperFactor, ulong lowerFactor)
    {
        var u = Vector256.Create(upperFactor);
        var v = Vector256.Create(lowerFactor);
        var w = v ^ Vector256.Create(CantorBasis.Vector(1));
        ref var data1 = ref Unsafe.Add(ref data, quarter);
        ref var data2 = ref Unsafe.Add(ref data1, quarter);
        ref var data3 = ref Unsafe.Add(ref data2, quarter);
        for (nuint i = 0; i < quarter; i += 4)
        {
            var a = Vector256.LoadUnsafe(ref data, i);
            var b = Vector256.LoadUnsafe(ref data1, i);
            var c = Vector256.LoadUnsafe(ref data2, i);
            var d = Vector256.LoadUnsafe(ref data3, i);
            a ^= TField.Multiply(c, u);
            b ^= TField.Multiply(d, u);
            c ^= a;
            d ^= b;
            a ^= TField.Multiply(b, v);
            c ^= TField.Multiply(d, w);
            a.StoreUnsafe(ref data, i);
            (a ^ b).StoreUnsafe(ref data1, i);
            c.StoreUnsafe(ref data2, i);
            (c ^ d).StoreUnsafe(ref data3, i);
        }
    }

    private static void BackwardFour(ref ulong data, nuint quarter, ulong upperFactor, ulong lowerFactor)
    {
        var u = Vector256.Create(upperFactor);
        var v = Vector256.Create(lowerFactor);
        var w = v ^ Vector256.Create(CantorBasis.Vector(1));
        ref var data1 = ref Unsafe.Add(ref data, quarter);
        ref var data2 = ref Unsafe.Add(ref data1, quarter);
        ref var data3 = ref Unsafe.Add(ref data2, quarter);
        for (nuint i = 0; i < quarter; i += 4)
        {
            var a = Vector256.LoadUnsafe(ref data, i);
            var b = Vector256.LoadUnsafe(ref data1, i) ^ a;
            var c = Vector256.LoadUnsafe(ref data2, i);
            var d = Vector256.LoadUnsafe(ref data3, i) ^ c;
            a ^= TField.Multiply(b, v);
            c ^= TField.Multiply(d, w) ^ a;
            d ^= b;
            (a ^ TField.Multiply(c, u)).StoreUnsafe(ref data, i);
            (b ^ TField.Multiply(d, u)).StoreUnsafe(ref data1, i);
            c.StoreUnsafe(ref data2, i);
            d.StoreUnsafe(ref data3, i);
        }
    }

    /// <summary>
    /// Layers 3 to 0 of blocks of 16: two between vectors, two more after the 4 x 4 elements are transposed. They stay transposed.
    /// </summary>
    private static void ForwardLast(ref ulong data, int m, int block, int count)
    {
        var one = Vector256.Create(CantorBasis.Vector(1));
        var base3 = Vector256.Create(CantorBasis.Vector(29 + m));
        var base2 = Vector256.Create(CantorBasis.Vector(30 + m));
        var base1 = Vector256.Create(CantorBasis.Vector(31 + m)) ^ Pattern1;
        var base0 = Vector256.Create(CantorBasis.Vector(32 + m)) ^ Pattern0;
        for (var i = 0; i < count; i++)
        {
            var sums = CantorBasis.FourSums(block + i);
            var w3 = Lane(sums, 0) ^ base3;
            var w2 = Lane(sums, 1) ^ base2;
            var a = Vector256.LoadUnsafe(ref data);
            var b = Vector256.LoadUnsafe(ref data, 4);
            var c = Vector256.LoadUnsafe(ref data, 8);
            var d = Vector256.LoadUnsafe(ref data, 12);
            a ^= TField.Multiply(c, w3);
            b ^= TField.Multiply(d, w3);
            c ^= a;
            d ^= b;
            a ^= TField.Multiply(b, w2);
            c ^= TField.Multiply(d, w2 ^ one);
            b ^= a;
            d ^= c;

            Transpose(ref a, ref b, ref c, ref d);
            var w1 = Lane(sums, 2) ^ base1;
            var w0 = Lane(sums, 3) ^ base0;
            a ^= TField.Multiply(c, w1);
            b ^= TField.Multiply(d, w1);
            c ^= a;
            d ^= b;
            a ^= TField.Multiply(b, w0);
            c ^= TField.Multiply(d, w0 ^ one);
            a.StoreUnsafe(ref data);
            (a ^ b).StoreUnsafe(ref data, 4);
            c.StoreUnsafe(ref data, 8);
            (c ^ d).StoreUnsafe(ref data, 12);
            data = ref Unsafe.Add(ref data, 16);
        }
    }

    private static void BackwardLast(ref ulong data, int m, int block, int count)
    {
        var one = Vector256.Create(CantorBasis.Vector(1));
        var base3 = Vector256.Create(CantorBasis.Vector(29 + m));
        var base2 = Vector256.Create(CantorBasis.Vector(30 + m));
        var base1 = Vector256.Create(CantorBasis.Vector(31 + m)) ^ Pattern1;
        var base0 = Vector256.Create(CantorBasis.Vector(32 + m)) ^ Pattern0;
        for (var i = 0; i < count; i++)
        {
            var sums = CantorBasis.FourSums(block + i);
            var w1 = Lane(sums, 2) ^ base1;
            var w0 = Lane(sums, 3) ^ base0;
            var a = Vector256.LoadUnsafe(ref data);
            var b = Vector256.LoadUnsafe(ref data, 4) ^ a;
            var c = Vector256.LoadUnsafe(ref data, 8);
            var d = Vector256.LoadUnsafe(ref data, 12) ^ c;
            a ^= TField.Multiply(b, w0);
            c ^= TField.Multiply(d, w0 ^ one) ^ a;
            d ^= b;
            a ^= TField.Multiply(c, w1);
            b ^= TField.Multiply(d, w1);

            Transpose(ref a, ref b, ref c, ref d);
            var w3 = Lane(sums, 0) ^ base3;
            var w2 = Lane(sums, 1) ^ base2;
            b ^= a;
            d ^= c;
            a ^= TField.Multiply(b, w2);
            c ^= TField.Multiply(d, w2 ^ one) ^ a;
            d ^= b;
            (a ^ TField.Multiply(c, w3)).StoreUnsafe(ref data);
            (b ^ TField.Multiply(d, w3)).StoreUnsafe(ref data, 4);
            c.StoreUnsafe(ref data, 8);
            d.StoreUnsafe(ref data, 12);
            data = ref Unsafe.Add(ref data, 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Lane(Vector256<ulong> sums, int lane) => lane switch
    {
        0 => Vector256.Shuffle(sums, Vector256.Create(0UL)),
        1 => Vector256.Shuffle(sums, Vector256.Create(1UL)),
        2 => Vector256.Shuffle(sums, Vector256.Create(2UL)),
        _ => Vector256.Shuffle(sums, Vector256.Create(3UL)),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(ref Vector256<ulong> a, ref Vector256<ulong> b, ref Vector256<ulong> c, ref Vector256<ulong> d)
    {
        if (Avx2.IsSupported)
        {
            var (ab0, ab1) = (Avx2.UnpackLow(a, b), Avx2.UnpackHigh(a, b));
            var (cd0, cd1) = (Avx2.UnpackLow(c, d), Avx2.UnpackHigh(c, d));
            a = Avx2.Permute2x128(ab0, cd0, 0x20);
            b = Avx2.Permute2x128(ab1, cd1, 0x20);
            c = Avx2.Permute2x128(ab0, cd0, 0x31);
            d = Avx2.Permute2x128(ab1, cd1, 0x31);
            return;
        }

        var (e, f, g, h) = (a, b, c, d);
        a = Vector256.Create(e[0], f[0], g[0], h[0]);
        b = Vector256.Create(e[1], f[1], g[1], h[1]);
        c = Vector256.Create(e[2], f[2], g[2], h[2]);
        d = Vector256.Create(e[3], f[3], g[3], h[3]);
    }
}
