namespace Qkd.Distillation;

/// <summary>
/// How a product of seed and bits is cut into blocks of 2^<see cref="Logarithm"/> bits. The bits stand with zeros below them, so that
/// they end with a block; then the wanted coefficients begin with the last coefficient of a block and need the products of the blocks
/// <see cref="FirstOutput"/> and following.
/// </summary>
internal readonly record struct BlockPlan(int Logarithm, int Bits, int Length)
{
    /// <summary>Bits of a block.</summary>
    public int BlockBits => 1 << Logarithm;

    /// <summary>Binary logarithm of the elements of a transform. A product of two blocks has 64 bits for each of them.</summary>
    public int TransformLogarithm => Logarithm - 5;

    /// <summary>Blocks of the bits that are multiplied.</summary>
    public int BottomBlocks => Blocks(Bits - Length);

    /// <summary>Blocks of the seed.</summary>
    public int SeedBlocks => Blocks(Bits - 1);

    /// <summary>Block that begins with the products' coefficient just before the wanted ones.</summary>
    public int FirstOutput => BottomBlocks - 1;

    /// <summary>Products of blocks whose sums are needed.</summary>
    public int Outputs => Math.Min((int)((((long)BottomBlocks << Logarithm) - 2 + Length) >> Logarithm) - FirstOutput + 1, SeedBlocks + BottomBlocks - 1 - FirstOutput);

    private int Blocks(int bits) => (int)(((long)bits + BlockBits - 1) >> Logarithm);
}
