using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// Horner's rule for many blocks at once: a group of n blocks m1 .. mn takes a value v to (v + m1) H^n + m2 H^(n-1) + .. + mn H, as a
/// sum of products of 256 coefficients that is reduced once. Constant in time on every path.
/// </summary>
/// <remarks>
/// Four products of 64 coefficients a block, with the sums in registers. Karatsuba's three are up to a third faster where the products are the
/// limit, but need a second table of powers.
/// </remarks>
internal static class PolynomialFold
{
    /// <summary>Folds words into a value, a group for each length of <paramref name="powers"/>, the widest way this CPU has.</summary>
    /// <param name="value">The value before.</param>
    /// <param name="words">Blocks of two words, a multiple of the length of <paramref name="powers"/>.</param>
    /// <param name="powers">H^n first, H last, two words each.</param>
    public static Gf128 Fold(Gf128 value, ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers)
    {
        if (!Pclmulqdq.IsSupported)
        {
            return FoldWords(value, words, powers, usePlain: false);
        }

        if (powers.Length % 8 != 0)
        {
            // Only the end of a message, one group: the widest blocks first, up to three after them.
            var wide = powers.Length & ~7;
            var rest = powers[wide..];
            value = wide == 0 ? value : Fold(value, words[..wide], powers[^wide..]);
            return Fold128(value, words[wide..], rest);
        }

        return Pclmulqdq.V512.IsSupported ? Fold512(value, words, powers)
            : Pclmulqdq.V256.IsSupported ? Fold256(value, words, powers)
            : Fold128(value, words, powers);
    }

    /// <summary>
    /// Makes more powers of H, in front of those that are known, by doubling their number: the products of a doubling do not wait for one another.
    /// </summary>
    /// <param name="powers">Room for the powers, H last.</param>
    /// <param name="known">How many are known, at least one.</param>
    /// <param name="count">How many are needed, no more than there is room for.</param>
    public static void MakePowers(Span<ulong> powers, int known, int count)
    {
        while (known < count)
        {
            // H^(known + i) = H^known H^i, in the order in which they stand.
            var more = Math.Min(known, count - known);
            var highest = powers.Slice(powers.Length - (2 * known), 2);
            var from = powers[^(2 * more)..];
            var to = powers.Slice(powers.Length - (2 * (known + more)), 2 * more);
            if (Pclmulqdq.IsSupported)
            {
                var factor = Vector128.LoadUnsafe(ref highest[0]);
                for (nuint i = 0; i < (nuint)to.Length; i += 2)
                {
                    Gf128.Multiply(factor, Vector128.LoadUnsafe(ref from[0], i)).StoreUnsafe(ref to[0], i);
                }
            }
            else
            {
                for (var i = 0; i < to.Length; i += 2)
                {
                    var power = Gf128.MultiplyWords(new(highest[0], highest[1]), new(from[i], from[i + 1]));
                    (to[i], to[i + 1]) = (power.Low, power.High);
                }
            }

            known += more;
        }
    }

    /// <summary>Four blocks in each step: groups must have a multiple of four.</summary>
    internal static Gf128 Fold512(Gf128 value, ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers)
    {
        var (n, count) = Lengths(words, powers, 8);
        ref var m = ref MemoryMarshal.GetReference(words);
        ref var p = ref MemoryMarshal.GetReference(powers);
        var v = Vector128.Create(value.Low, value.High);
        for (nuint group = 0; group < count; group += n)
        {
            Vector512<ulong> low = default, middle = default, high = default;
            var before = v.ToVector256().ToVector512();
            for (nuint i = 0; i < n; i += 8)
            {
                var a = Vector512.LoadUnsafe(ref m, group + i) ^ before;
                var b = Vector512.LoadUnsafe(ref p, i);
                low ^= Pclmulqdq.V512.CarrylessMultiply(a, b, 0x00);
                middle ^= Pclmulqdq.V512.CarrylessMultiply(a, b, 0x01) ^ Pclmulqdq.V512.CarrylessMultiply(a, b, 0x10);
                high ^= Pclmulqdq.V512.CarrylessMultiply(a, b, 0x11);
                before = default;
            }

            v = Gf128.Reduce(
                Sum(low.GetLower() ^ low.GetUpper()), Sum(middle.GetLower() ^ middle.GetUpper()), Sum(high.GetLower() ^ high.GetUpper()));
        }

        return new(v.GetElement(0), v.GetElement(1));
    }

    /// <summary>Two blocks in each step: groups must have an even number.</summary>
    internal static Gf128 Fold256(Gf128 value, ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers)
    {
        var (n, count) = Lengths(words, powers, 4);
        ref var m = ref MemoryMarshal.GetReference(words);
        ref var p = ref MemoryMarshal.GetReference(powers);
        var v = Vector128.Create(value.Low, value.High);
        for (nuint group = 0; group < count; group += n)
        {
            Vector256<ulong> low = default, middle = default, high = default;
            var before = v.ToVector256();
            for (nuint i = 0; i < n; i += 4)
            {
                var a = Vector256.LoadUnsafe(ref m, group + i) ^ before;
                var b = Vector256.LoadUnsafe(ref p, i);
                low ^= Pclmulqdq.V256.CarrylessMultiply(a, b, 0x00);
                middle ^= Pclmulqdq.V256.CarrylessMultiply(a, b, 0x01) ^ Pclmulqdq.V256.CarrylessMultiply(a, b, 0x10);
                high ^= Pclmulqdq.V256.CarrylessMultiply(a, b, 0x11);
                before = default;
            }

            v = Gf128.Reduce(Sum(low), Sum(middle), Sum(high));
        }

        return new(v.GetElement(0), v.GetElement(1));
    }

    /// <summary>One block in each step.</summary>
    internal static Gf128 Fold128(Gf128 value, ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers)
    {
        var (n, count) = Lengths(words, powers, 2);
        ref var m = ref MemoryMarshal.GetReference(words);
        ref var p = ref MemoryMarshal.GetReference(powers);
        var v = Vector128.Create(value.Low, value.High);
        for (nuint group = 0; group < count; group += n)
        {
            Vector128<ulong> low = default, middle = default, high = default;
            var before = v;
            for (nuint i = 0; i < n; i += 2)
            {
                var a = Vector128.LoadUnsafe(ref m, group + i) ^ before;
                var b = Vector128.LoadUnsafe(ref p, i);
                low ^= Pclmulqdq.CarrylessMultiply(a, b, 0x00);
                middle ^= Pclmulqdq.CarrylessMultiply(a, b, 0x01) ^ Pclmulqdq.CarrylessMultiply(a, b, 0x10);
                high ^= Pclmulqdq.CarrylessMultiply(a, b, 0x11);
                before = default;
            }

            v = Gf128.Reduce(low, middle, high);
        }

        return new(v.GetElement(0), v.GetElement(1));
    }

    /// <summary>Words alone: products as <see cref="CarrylessProduct"/> makes them.</summary>
    internal static Gf128 FoldWords(Gf128 value, ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers, bool usePlain)
    {
        Lengths(words, powers, 2);
        for (; !words.IsEmpty; words = words[powers.Length..])
        {
            ulong w0 = 0, w1 = 0, w2 = 0, w3 = 0;
            for (var i = 0; i < powers.Length; i += 2)
            {
                var (a0, a1, b0, b1) = (words[i] ^ value.Low, words[i + 1] ^ value.High, powers[i], powers[i + 1]);
                var (l0, l1) = Product(a0, b0);
                var (h0, h1) = Product(a1, b1);
                var (m0, m1) = Product(a0 ^ a1, b0 ^ b1);
                w0 ^= l0;
                w1 ^= l1 ^ m0 ^ l0 ^ h0;
                w2 ^= h0 ^ m1 ^ l1 ^ h1;
                w3 ^= h1;
                value = default;
            }

            value = Gf128.Reduce(w0, w1, w2, w3);
        }

        return value;

        (ulong Low, ulong High) Product(ulong a, ulong b) => usePlain ? CarrylessProduct.MultiplyPlain(a, b) : CarrylessProduct.Multiply(a, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Sum(Vector256<ulong> a) => a.GetLower() ^ a.GetUpper();

    /// <summary>Checks the lengths once, since the loops do not.</summary>
    private static (nuint Group, nuint All) Lengths(ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> powers, int step)
    {
        if (powers.IsEmpty || powers.Length % step != 0 || words.Length % powers.Length != 0)
        {
            throw new ArgumentException($"{words.Length} words are no groups of {powers.Length}, or these not a multiple of {step}.", nameof(words));
        }

        return ((nuint)powers.Length, (nuint)words.Length);
    }
}
