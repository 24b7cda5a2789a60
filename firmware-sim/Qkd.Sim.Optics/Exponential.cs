using System.Runtime.CompilerServices;

namespace Qkd.Sim.Optics;

/// <summary>
/// Exponential numbers of mean 1, by the ziggurat of Marsaglia and Tsang ("The ziggurat method for generating random variables",
/// J. Stat. Softw. 5 (8), 2000) with 256 layers: exact, and in 98.9 % of the draws one word, one product and one comparison.
/// </summary>
internal static class Exponential
{
    private const double TailStart = 7.69711747013104972;
    private const double LayerArea = 3.949659822581572e-3;
    private const double Mantissa = 1UL << 53;

    private static readonly ulong[] Inside = new ulong[256];
    private static readonly double[] Width = new double[256];
    private static readonly double[] Density = new double[256];

    static Exponential()
    {
        var right = TailStart;
        var bottomWidth = LayerArea / Math.Exp(-right);
        Inside[0] = (ulong)(right / bottomWidth * Mantissa);
        Inside[1] = 0;
        Width[0] = bottomWidth / Mantissa;
        Width[255] = right / Mantissa;
        Density[0] = 1;
        Density[255] = Math.Exp(-right);
        for (var layer = 254; layer >= 1; layer--)
        {
            var wider = right;
            right = -Math.Log((LayerArea / right) + Math.Exp(-right));
            Inside[layer + 1] = (ulong)(right / wider * Mantissa);
            Width[layer] = right / Mantissa;
            Density[layer] = Math.Exp(-right);
        }
    }

    /// <summary>The next number; takes one word of the stream, rarely more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Next(ref CounterRandom random)
    {
        var word = random.Next();
        var layer = (byte)word;
        var mantissa = word >> 11;
        return mantissa < Inside[layer] ? (long)mantissa * Width[layer] : Outside(ref random, layer, mantissa);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static double Outside(ref CounterRandom random, int layer, ulong mantissa)
    {
        if (layer == 0)
        {
            return TailStart + Next(ref random);   // the tail of an exponential is the exponential again
        }

        var x = mantissa * Width[layer];
        var height = Density[layer] + (random.NextUnit() * (Density[layer - 1] - Density[layer]));
        return height < Math.Exp(-x) ? x : Next(ref random);
    }
}
