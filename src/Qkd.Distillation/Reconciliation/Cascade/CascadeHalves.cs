using System.Numerics;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>For each pass over half frames, the bits that stand in the first half of its places.</summary>
internal sealed class CascadeHalves
{
    private static readonly Lazy<CascadeHalves>[] Known =
        [.. Enumerable.Range(0, CascadePlan.LargestExponent + 1).Select(exponent => new Lazy<CascadeHalves>(() => new CascadeHalves(exponent)))];

    private readonly ulong[][] _masks;

    private CascadeHalves(int exponent) => _masks = [.. Enumerable.Range(CascadePlan.MainPasses, CascadePlan.HalfPasses).Select(pass =>
    {
        var mask = new ulong[(1 << exponent) / 64];
        for (var place = 0; place < 1 << (exponent - 1); place++)
        {
            var bit = CascadeOrder.Of(exponent).BitAt(pass, place);
            mask[bit >> 6] |= 1UL << bit;
        }

        return mask;
    })];

    /// <summary>Those of frames of 2^m places, m from 6 to 16.</summary>
    public static CascadeHalves Of(int exponent) => Known[exponent].Value;

    /// <summary>Parities of the first halves of a frame, one bit a pass.</summary>
    public uint Parities(ReadOnlySpan<ulong> bits)
    {
        uint parities = 0;
        for (var pass = 0; pass < _masks.Length; pass++)
        {
            parities |= Parity(bits, _masks[pass]) << pass;
        }

        return parities;
    }

    /// <summary>In which passes a bit stands in the first half, one bit a pass.</summary>
    public uint With(int bit)
    {
        uint halves = 0;
        for (var pass = 0; pass < _masks.Length; pass++)
        {
            halves |= (uint)(_masks[pass][bit >> 6] >> bit & 1) << pass;
        }

        return halves;
    }

    private static uint Parity(ReadOnlySpan<ulong> bits, ReadOnlySpan<ulong> mask)
    {
        ulong sum = 0;
        var sums = Vector256<ulong>.Zero;
        var i = 0;
        for (; i + Vector256<ulong>.Count <= mask.Length; i += Vector256<ulong>.Count)
        {
            sums ^= Vector256.Create(bits[i..]) & Vector256.Create(mask[i..]);
        }

        for (; i < mask.Length; i++)
        {
            sum ^= bits[i] & mask[i];
        }

        return (uint)BitOperations.PopCount(sum ^ sums[0] ^ sums[1] ^ sums[2] ^ sums[3]) & 1;
    }
}
