namespace Qkd.Distillation;

/// <summary>Chooses the path and the block size that are expected to be fastest. The choice never changes a result.</summary>
internal static class BlockChoice
{
    /// <summary>Binary logarithm of the smallest block.</summary>
    public const int Smallest = FrobeniusCoordinates.Smallest + 5;

    /// <summary>Binary logarithm of the largest block, whose transform is of 2 MiB.</summary>
    public const int Largest = 23;

    /// <summary>The best that this processor offers.</summary>
    public static HashPath Path { get; } = WideField64.IsSupported ? HashPath.Wide : NarrowField64.IsSupported ? HashPath.Narrow : HashPath.Plain;

    /// <summary>Binary logarithm of the block, or 0 for word by word.</summary>
    public static int Best(int bits, int length, HashPath path)
    {
        var rates = Rates.Of(path);
        var best = 0;
        var least = (double)length * (bits - length) / 4096 * rates.Word;
        for (var logarithm = Smallest; logarithm <= Largest; logarithm++)
        {
            var cost = Cost(new(logarithm, bits, length), rates);
            if (cost < least)
            {
                (best, least) = (logarithm, cost);
            }
        }

        return best;
    }

    private static double Cost(BlockPlan plan, Rates rates)
    {
        var size = (double)(1 << plan.TransformLogarithm);
        var transforms = plan.SeedBlocks + plan.BottomBlocks + plan.Outputs;
        return rates.Start + (transforms * size * ((plan.TransformLogarithm * rates.Layer) + rates.Element))
            + ((double)plan.Outputs * plan.BottomBlocks * size * rates.Product);
    }

    /// <summary>
    /// Measured nanoseconds, of which only the ratios matter: for memory and the like, once; for an element in one layer of a transform;
    /// for the rest of its way; for a product of values; and for a product of two words where transforms are not used. With l = n / 3 they
    /// are used from 30,000 bits on with 256-bit multiplication, 15,000 with 128-bit, 35,000 with neither.
    /// </summary>
    private readonly record struct Rates(double Start, double Layer, double Element, double Product, double Word)
    {
        public static Rates Of(HashPath path) => path switch
        {
            HashPath.Wide => new(6_000, 0.5, 1.7, 0.25, 0.38),
            HashPath.Narrow => new(6_000, 0.7, 2.0, 0.4, 1.5),
            _ => new(6_000, 20, 150, 30, 14),
        };
    }
}
