namespace Qkd.Distillation;

/// <summary>
/// The fixed orders in which the passes after the first take a frame's bits. Public, and the same at both ends for ever: they only spread
/// the errors.
/// </summary>
internal sealed class CascadeShuffles
{
    private static readonly Lazy<CascadeShuffles>[] Known =
        [.. Enumerable.Range(0, CascadePlan.LargestExponent + 1).Select(exponent => new Lazy<CascadeShuffles>(() => new CascadeShuffles(exponent)))];

    private readonly ushort[][] _bitAt = new ushort[CascadePlan.Passes][];
    private readonly ushort[][] _placeOf = new ushort[CascadePlan.Passes][];
    private readonly ulong[][] _firstHalf = new ulong[CascadePlan.Passes][];

    private CascadeShuffles(int exponent)
    {
        for (var pass = 1; pass < CascadePlan.Passes; pass++)
        {
            Shuffle(exponent, pass);
        }
    }

    /// <summary>The orders for frames of 2^m places, m from 6 to 16.</summary>
    public static CascadeShuffles Of(int exponent) => Known[exponent].Value;

    /// <summary>Which bit stands at each place in a pass; passes from 1.</summary>
    public ReadOnlySpan<ushort> BitAt(int pass) => _bitAt[pass];

    /// <summary>At which place each bit stands in a pass; passes from 1.</summary>
    public ReadOnlySpan<ushort> PlaceOf(int pass) => _placeOf[pass];

    /// <summary>The bits that stand in the first half of the places in a pass; passes from 1.</summary>
    public ReadOnlySpan<ulong> FirstHalf(int pass) => _firstHalf[pass];

    private void Shuffle(int exponent, int pass)
    {
        var places = 1 << exponent;
        var bitAt = new ushort[places];
        for (var i = 0; i < places; i++)
        {
            bitAt[i] = (ushort)i;
        }

        // Fisher and Yates, on SplitMix64 (S. Vigna, public domain), whose constants these are.
        var state = ((ulong)exponent << 32) | (uint)pass;
        for (var i = places - 1; i > 0; i--)
        {
            state += 0x9E37_79B9_7F4A_7C15;
            var z = state;
            z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
            z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
            z ^= z >> 31;
            var other = (int)(((z >> 32) * (ulong)(i + 1)) >> 32);
            (bitAt[i], bitAt[other]) = (bitAt[other], bitAt[i]);
        }

        var placeOf = new ushort[places];
        var firstHalf = new ulong[places / 64];
        for (var place = 0; place < places; place++)
        {
            var bit = bitAt[place];
            placeOf[bit] = (ushort)place;
            if (place < places / 2)
            {
                firstHalf[bit >> 6] |= 1UL << bit;
            }
        }

        (_bitAt[pass], _placeOf[pass], _firstHalf[pass]) = (bitAt, placeOf, firstHalf);
    }
}
