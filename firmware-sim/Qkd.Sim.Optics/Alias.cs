using System.Runtime.CompilerServices;

namespace Qkd.Sim.Optics;

/// <summary>
/// Walker's alias method in Vose's form (IEEE Trans. Softw. Eng. 17, 972, 1991): a choice among n outcomes of any weights with one
/// random number, one table entry and no loop.
/// </summary>
internal static class Alias
{
    /// <summary>1 if a is less than b, else 0: the borrow of their difference, since a branch on a random number is mispredicted half the time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int IsBelow(uint a, uint b) => (int)(((ulong)a - b) >> 63);

    /// <summary>Splits the weights into equal bins of at most two outcomes each.</summary>
    /// <param name="weights">Weights, 0 or more, sum 1; used as work space.</param>
    /// <param name="thresholds">Per bin: the bin's own outcome below this share of the bin, in units of 2^-32.</param>
    /// <param name="others">Per bin: the outcome above it.</param>
    public static void Build(Span<double> weights, Span<uint> thresholds, Span<int> others)
    {
        var count = weights.Length;
        Span<int> small = count <= 64 ? stackalloc int[count] : new int[count];
        Span<int> large = count <= 64 ? stackalloc int[count] : new int[count];
        var smallCount = 0;
        var largeCount = 0;
        for (var i = 0; i < count; i++)
        {
            weights[i] *= count;
            if (weights[i] < 1)
            {
                small[smallCount++] = i;
            }
            else
            {
                large[largeCount++] = i;
            }
        }

        while (smallCount > 0 && largeCount > 0)
        {
            var poor = small[--smallCount];
            var rich = large[largeCount - 1];
            thresholds[poor] = (uint)Math.Min(weights[poor] * 4294967296.0, uint.MaxValue);
            others[poor] = rich;
            weights[rich] -= 1 - weights[poor];
            if (weights[rich] < 1)
            {
                largeCount--;
                small[smallCount++] = rich;
            }
        }

        // What is left is full but for rounding.
        foreach (var bin in small[..smallCount])
        {
            thresholds[bin] = uint.MaxValue;
            others[bin] = bin;
        }

        foreach (var bin in large[..largeCount])
        {
            thresholds[bin] = uint.MaxValue;
            others[bin] = bin;
        }
    }
}

/// <summary>
/// Choices among up to eight outcomes, one row of eight packed entries a case: bits 0 to 31 the threshold, byte 4 the bin's own outcome,
/// byte 5 the other one. <see cref="Choose"/> spends 32 random bits, three on the bin.
/// </summary>
internal sealed class ChoiceTable(int rows)
{
    private const int Bins = 8;

    private readonly ulong[] _entries = new ulong[rows * Bins];

    /// <summary>All rows, eight entries each.</summary>
    public ReadOnlySpan<ulong> Entries => _entries;

    /// <summary>Sets a row's weights; the sum is 1, a missing weight 0.</summary>
    public void SetRow(int row, ReadOnlySpan<double> weights)
    {
        Span<double> work = stackalloc double[Bins];
        Span<uint> thresholds = stackalloc uint[Bins];
        Span<int> others = stackalloc int[Bins];
        work.Clear();
        weights.CopyTo(work);
        Alias.Build(work, thresholds, others);
        for (var bin = 0; bin < Bins; bin++)
        {
            _entries[(row * Bins) + bin] = thresholds[bin] | (ulong)bin << 32 | (ulong)others[bin] << 40;
        }
    }

    /// <summary>Chooses an outcome of a row by 32 random bits.</summary>
    public static int Choose(ReadOnlySpan<ulong> entries, int row, uint random)
    {
        var entry = entries[(row * Bins) + (int)(random >> 29)];
        return (int)(entry >> (40 - (8 * Alias.IsBelow(random << 3, (uint)entry)))) & 7;
    }
}

/// <summary>
/// A Gaussian rounded to whole picoseconds, out to 9 standard deviations: the exact probabilities of the integers in an alias table. One
/// draw spends 32 random bits. Probabilities are exact to 2^-32.
/// </summary>
internal sealed class JitterTable
{
    private readonly ulong[] _entries;

    /// <summary>Makes the table of one standard deviation in picoseconds, 0 for no jitter.</summary>
    public JitterTable(double sigma)
    {
        Reach = (int)Math.Ceiling(9 * sigma);
        var count = (2 * Reach) + 1;
        var weights = new double[count];
        if (sigma == 0)
        {
            weights[0] = 1;
        }
        else
        {
            // The upper half by differences of the tail, which keeps their relative precision; the lower half mirrors it.
            var sum = 0.0;
            for (var k = 0; k <= Reach; k++)
            {
                var weight = k == 0
                    ? 1 - (2 * Tail(0.5 / sigma))
                    : Tail((k - 0.5) / sigma) - Tail((k + 0.5) / sigma);
                weights[Reach + k] = weights[Reach - k] = weight;
                sum += k == 0 ? weight : 2 * weight;
            }

            for (var i = 0; i < count; i++)
            {
                weights[i] /= sum;
            }
        }

        var thresholds = new uint[count];
        var others = new int[count];
        Alias.Build(weights, thresholds, others);
        _entries = new ulong[count];
        for (var bin = 0; bin < count; bin++)
        {
            // The values are stored as they are, in 16 bits each: 9 x 2000 ps is less than 2^15.
            _entries[bin] = thresholds[bin] | (ulong)(ushort)(short)(bin - Reach) << 32 | (ulong)(ushort)(short)(others[bin] - Reach) << 48;
        }
    }

    /// <summary>Largest departure, in picoseconds.</summary>
    public int Reach { get; }

    /// <summary>The packed entries, for <see cref="Draw"/>.</summary>
    public ulong[] Entries => _entries;

    /// <summary>Draws a departure in picoseconds by 32 random bits.</summary>
    public static int Draw(ulong[] entries, uint random)
    {
        var product = (ulong)random * (uint)entries.Length;
        var entry = entries[(int)(product >> 32)];
        return (short)(entry >> (48 - (16 * Alias.IsBelow((uint)product, (uint)entry))));
    }

    /// <summary>Probability that a standard normal exceeds x >= 0.</summary>
    private static double Tail(double x)
    {
        // erfc by its continued fraction where x is large, by the series of the distribution where it is small; both to full precision.
        if (x < 3)
        {
            var term = x;
            var sum = x;
            for (var n = 1; Math.Abs(term) > 1e-18; n++)
            {
                term *= x * x / ((2 * n) + 1);
                sum += term;
            }

            return 0.5 - (sum * Density(x));
        }

        var fraction = x;
        for (var n = 60; n >= 1; n--)
        {
            fraction = x + (n / fraction);
        }

        return Density(x) / fraction;
    }

    private static double Density(double x) => Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
}
