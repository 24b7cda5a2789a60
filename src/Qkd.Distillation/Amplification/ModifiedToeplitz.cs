namespace Qkd.Distillation;

/// <summary>
/// Privacy amplification by a modified Toeplitz matrix (I | T'): key = x_top ⊕ T' x_bottom, x_top the first l of the n bits, x_bottom the
/// other m = n - l, and T'[i, j] = seed[i - j + m - 1] for i below l and j below m, so that the seed has n - 1 bits. As polynomials over
/// GF(2), T' x_bottom are the coefficients m - 1 to n - 2 of seed · x_bottom.
/// </summary>
/// <remarks>
/// Exact, word by word for short blocks and by additive Fourier transforms for long ones. Time and memory access depend on the lengths
/// alone. Any number of threads may hash at once; each has its own working memory, at most about (2 n + 2 m) / 8 bytes for long blocks,
/// pinned, and erased before the call returns.
/// </remarks>
public static class ModifiedToeplitz
{
    /// <summary>64-bit words that hold so many bits.</summary>
    /// <param name="bits">At least 0.</param>
    public static int WordCount(int bits) => BitString.WordCount(bits);

    /// <summary>Hashes bits that are packed into words from the least significant bit upwards.</summary>
    /// <param name="bits">The words of the bits; those beyond <paramref name="bitCount"/> are zero.</param>
    /// <param name="bitCount">How many, n.</param>
    /// <param name="seed">At least n - 1 bits, uniformly random and independent of the bits.</param>
    /// <param name="key">Receives the words of the hash; bits beyond <paramref name="length"/> become zero. Must not overlap with the others.</param>
    /// <param name="length">Length of the hash in bits, l: from 0 to n.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative count, or a length above n.</exception>
    /// <exception cref="ArgumentException">A span has not the words that its bits need, or bits are set beyond the end.</exception>
    public static void Hash(ReadOnlySpan<ulong> bits, int bitCount, ReadOnlySpan<ulong> seed, Span<ulong> key, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bitCount);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, bitCount);
        if (bits.Length != WordCount(bitCount) || ((bitCount & 63) != 0 && bits[^1] >> bitCount != 0))
        {
            throw new ArgumentException($"{bitCount} bits are {WordCount(bitCount)} words, with nothing set beyond their end.", nameof(bits));
        }

        if (seed.Length < WordCount(Math.Max(0, bitCount - 1)))
        {
            throw new ArgumentException($"{bitCount} bits need a seed of one bit less.", nameof(seed));
        }

        if (key.Length != WordCount(length))
        {
            throw new ArgumentException($"{length} bits are {WordCount(length)} words.", nameof(key));
        }

        Hash(bits, bitCount, seed, key, length, BlockChoice.Path, BlockChoice.Best(bitCount, length, BlockChoice.Path));
    }

    /// <summary>Hashes <paramref name="bits"/> to <paramref name="length"/> bits, at most as many as there are.</summary>
    internal static BitString Hash(BitString bits, ReadOnlySpan<ulong> seed, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, bits.Length);
        var key = new BitString(length);
        Hash(bits.Words, bits.Length, seed, key.Words, length);
        return key;
    }

    /// <summary>The same on a path, and in blocks of 2^<paramref name="blockLogarithm"/> bits, that the caller chooses; 0 for word by word.</summary>
    internal static void Hash(ReadOnlySpan<ulong> bits, int bitCount, ReadOnlySpan<ulong> seed, Span<ulong> key, int length, HashPath path, int blockLogarithm)
    {
        if (length == 0)
        {
            return;
        }

        bits[..key.Length].CopyTo(key);
        if (length < bitCount)
        {
            seed = seed[..WordCount(bitCount - 1)];
            var plan = new BlockPlan(blockLogarithm, bitCount, length);
            switch (path)
            {
                case var _ when blockLogarithm == 0:
                    WordwiseToeplitz.AddProduct(bits, bitCount, seed, key, length, path == HashPath.Wide);
                    break;
                case HashPath.Wide:
                    TransformedToeplitz.AddProduct<WideField64>(bits, seed, key, plan);
                    break;
                case HashPath.Narrow:
                    TransformedToeplitz.AddProduct<NarrowField64>(bits, seed, key, plan);
                    break;
                default:
                    TransformedToeplitz.AddProduct<PlainField64>(bits, seed, key, plan);
                    break;
            }
        }

        if ((length & 63) != 0)
        {
            key[^1] &= (1UL << length) - 1;
        }
    }
}
