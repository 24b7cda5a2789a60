using System.Numerics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>Gathers the bits of a word that a mask selects.</summary>
internal static class BitExtraction
{
    /// <summary>The bits of <paramref name="value"/> where <paramref name="mask"/> is set, moved together at the low end.</summary>
    public static ulong Extract(ulong value, ulong mask) =>
        Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitExtract(value, mask) : ExtractPlain(value, mask);

    /// <summary>The same, bit by bit.</summary>
    public static ulong ExtractPlain(ulong value, ulong mask)
    {
        ulong result = 0;
        for (var position = 0; mask != 0; position++, mask &= mask - 1)
        {
            result |= (value >> BitOperations.TrailingZeroCount(mask) & 1) << position;
        }

        return result;
    }
}
