using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// The product of seed and bits through additive Fourier transforms, exact. Both are cut into blocks; every block is transformed once,
/// at twice its size so that nothing wraps around; the products of blocks are summed as values, and one transform back gives each sum.
/// </summary>
/// <remarks>
/// A transform fits the second-level cache, and any length costs what its number of blocks costs: there is no step at powers of two.
/// Working memory: two bits for each bit of the seed and two for each bit multiplied, with what the last
/// block of each lacks, and one transform besides. It holds secrets: it is pinned, and erased at the end. Time and memory access depend on the lengths alone.
/// </remarks>
internal static class TransformedToeplitz
{
    // Rows of transforms a power of two apart would share the same few lines of the cache.
    private const int Padding = 8;

    /// <summary>Words of working memory.</summary>
    public static long WorkingWords(BlockPlan plan) =>
        ((long)plan.SeedBlocks + plan.BottomBlocks) * Stride(plan) + (1L << plan.TransformLogarithm);

    /// <summary>Adds T' x_bottom to a key that holds x_top.</summary>
    public static void AddProduct<TField>(ReadOnlySpan<ulong> bits, ReadOnlySpan<ulong> seed, Span<ulong> key, BlockPlan plan)
        where TField : struct, IBinaryField64
    {
        using var memory = new WorkingMemory(checked((int)WorkingWords(plan)));
        AddProduct<TField>(bits, seed, key, plan, memory.Words);
    }

    private static void AddProduct<TField>(ReadOnlySpan<ulong> bits, ReadOnlySpan<ulong> seed, Span<ulong> key, BlockPlan plan, Span<ulong> memory)
        where TField : struct, IBinaryField64
    {
        var vectors = Avx2.IsSupported && typeof(TField) != typeof(PlainField64);
        var (stride, size) = (Stride(plan), 1 << plan.TransformLogarithm);
        var seeds = memory[..(plan.SeedBlocks * stride)];
        var bottoms = memory.Slice(seeds.Length, plan.BottomBlocks * stride);
        var scratch = memory.Slice(seeds.Length + bottoms.Length, size);
        var block = scratch[..(size / 2)];
        for (var i = 0; i < plan.SeedBlocks; i++)
        {
            BitRange.Copy(seed, (long)i << plan.Logarithm, block);
            Forward<TField>(block, seeds.Slice(i * stride, size), plan, vectors);
        }

        // Zeros below the bits, so that they end with a block.
        var zeros = (int)(((long)plan.BottomBlocks << plan.Logarithm) - (plan.Bits - plan.Length));
        for (var i = 0; i < plan.BottomBlocks; i++)
        {
            BitRange.Copy(bits, ((long)i << plan.Logarithm) + plan.Length - zeros, block);
            if (i == 0)
            {
                block[..(zeros >> 6)].Clear();
                block[zeros >> 6] &= ulong.MaxValue << zeros;
            }

            Forward<TField>(block, bottoms.Slice(i * stride, size), plan, vectors);
        }

        SumProducts<TField>(seeds, bottoms, plan);
        for (var i = 0; i < plan.Outputs; i++)
        {
            var sum = seeds.Slice(i * stride, size);
            AdditiveFourierTransform<TField>.Backward(sum, plan.TransformLogarithm);
            FrobeniusCoordinates.ToRows(sum, scratch, vectors);
            CantorConversion.ToPowers(scratch, plan.Logarithm + 1);
            BitRange.Add(scratch, ((long)(i - 1) << plan.Logarithm) + 1, key);
        }
    }

    private static int Stride(BlockPlan plan) => (1 << plan.TransformLogarithm) + Padding;

    private static void Forward<TField>(Span<ulong> block, Span<ulong> values, BlockPlan plan, bool vectors)
        where TField : struct, IBinaryField64
    {
        CantorConversion.FromPowers(block, plan.Logarithm);
        FrobeniusCoordinates.ToElements(block, values, vectors);
        AdditiveFourierTransform<TField>.Forward(values, plan.TransformLogarithm);
    }

    /// <summary>Sum over j of seed block k - j times block j of the bits, for each k wanted, to the place of a seed block that no later k needs.</summary>
    private static void SumProducts<TField>(Span<ulong> seeds, Span<ulong> bottoms, BlockPlan plan)
        where TField : struct, IBinaryField64
    {
        var (outputs, seedBlocks, bottomBlocks) = (plan.Outputs, plan.SeedBlocks, plan.BottomBlocks);
        var stride = (nint)Stride(plan);
        var size = (nint)1 << plan.TransformLogarithm;
        for (nint place = 0; place < size; place += 8)
        {
            ref var seed = ref Unsafe.Add(ref MemoryMarshal.GetReference(seeds), place);
            ref var bottom = ref Unsafe.Add(ref MemoryMarshal.GetReference(bottoms), place);
            for (var output = 0; output < outputs; output++)
            {
                var k = plan.FirstOutput + output;
                var first = Math.Max(0, k - seedBlocks + 1);
                var (even0, odd0, even1, odd1) = (Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero);
                ref var s = ref Unsafe.Add(ref seed, (k - first) * stride);
                ref var b = ref Unsafe.Add(ref bottom, first * stride);
                for (var j = first; j < bottomBlocks; j++)
                {
                    var (even, odd) = TField.Products(Vector256.LoadUnsafe(ref s), Vector256.LoadUnsafe(ref b));
                    even0 ^= even;
                    odd0 ^= odd;
                    (even, odd) = TField.Products(Vector256.LoadUnsafe(ref s, 4), Vector256.LoadUnsafe(ref b, 4));
                    even1 ^= even;
                    odd1 ^= odd;
                    s = ref Unsafe.Subtract(ref s, stride);
                    b = ref Unsafe.Add(ref b, stride);
                }

                ref var sum = ref Unsafe.Add(ref seed, output * stride);
                TField.Reduce(even0, odd0).StoreUnsafe(ref sum);
                TField.Reduce(even1, odd1).StoreUnsafe(ref sum, 4);
            }
        }
    }
}
