namespace Qkd.Distillation;

/// <summary>
/// The fixed orders in which the passes take the bits of a frame. Public, and the same at both ends for ever: they only spread the errors.
/// The first pass takes the bits as they come.
/// </summary>
/// <remarks>
/// The frames of all but the shortest blocks have 2^16 places. Their bits are woven twice (<see cref="CascadeWeave"/>): once in a way that
/// all passes share, and then once in a way of each pass. After one weave alone two words that fall into one matrix would still run side by
/// side, so that the errors of two neighbouring blocks of the first pass could hide behind each other in the second: with blocks of eight bits that
/// leaks 2 % more. After both, a pass leaks what it does in an order drawn at random from all.
/// </remarks>
internal sealed class CascadeOrder
{
    private static readonly Lazy<CascadeOrder>[] Known =
        [.. Enumerable.Range(0, CascadePlan.LargestExponent + 1).Select(exponent => new Lazy<CascadeOrder>(() => new CascadeOrder(exponent)))];

    private readonly CascadeWeave? _shared;
    private readonly CascadeWeave[] _weaves = [];
    private readonly ushort[][] _bitAt = [];
    private readonly ushort[][] _placeOf = [];

    private CascadeOrder(int exponent)
    {
        if (exponent == CascadeWeave.Exponent)
        {
            _shared = new(new(exponent, 0));
            _weaves = [.. Enumerable.Range(0, CascadePlan.Passes).Select(pass => pass == 0 ? _shared : new CascadeWeave(new(exponent, pass)))];
            return;
        }

        _bitAt = [.. Enumerable.Range(0, CascadePlan.Passes).Select(pass => new PublicShuffler(exponent, pass).Shuffle(1 << exponent))];
        _placeOf = [.. _bitAt.Select(order =>
        {
            var places = new ushort[order.Length];
            for (var place = 0; place < order.Length; place++)
            {
                places[order[place]] = (ushort)place;
            }

            return places;
        })];
    }

    /// <summary>The orders for frames of 2^m places, m from 6 to 16.</summary>
    public static CascadeOrder Of(int exponent) => Known[exponent].Value;

    /// <summary>The step from a bit to its place that all passes share.</summary>
    public int Spread(int bit) => _shared is null ? bit : _shared.PlaceOf(bit);

    /// <summary>At which place of a pass a bit stands, from <see cref="Spread"/> of the bit; passes from 1.</summary>
    public int PlaceOf(int pass, int spread) => _shared is null ? _placeOf[pass][spread] : _weaves[pass].PlaceOf(spread);

    /// <summary>Which bit stands at a place of a pass; passes from 1.</summary>
    public int BitAt(int pass, int place) => _shared is null ? _bitAt[pass][place] : _shared.BitAt(_weaves[pass].BitAt(place));

    /// <summary>Puts all bits into the places of a pass; passes from 1.</summary>
    public void Rearrange(int pass, ReadOnlySpan<ulong> bits, Span<ulong> places)
    {
        if (_shared is not null)
        {
            Span<ulong> spread = stackalloc ulong[CascadeWeave.Words];
            _shared.Rearrange(bits, spread);
            _weaves[pass].Rearrange(spread, places);
            BitString.Erase(spread);
            return;
        }

        var bitAt = _bitAt[pass];
        places.Clear();
        for (var place = 0; place < bitAt.Length; place++)
        {
            var bit = bitAt[place];
            places[place >> 6] |= (bits[bit >> 6] >> bit & 1) << place;
        }
    }
}

/// <summary>Repeatable numbers for the orders: SplitMix64 (S. Vigna, public domain), whose constants these are.</summary>
internal sealed class PublicShuffler(int exponent, int pass)
{
    private ulong _state = ((ulong)exponent << 32) | (uint)pass;

    /// <summary>A number from 0 to below a limit.</summary>
    public int Below(int limit)
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        z ^= z >> 31;
        return (int)(((z >> 32) * (ulong)limit) >> 32);
    }

    /// <summary>The numbers from 0 to below a count, by Fisher and Yates.</summary>
    public ushort[] Shuffle(int count)
    {
        var numbers = new ushort[count];
        for (var i = 0; i < count; i++)
        {
            numbers[i] = (ushort)i;
        }

        for (var i = count - 1; i > 0; i--)
        {
            var other = Below(i + 1);
            (numbers[i], numbers[other]) = (numbers[other], numbers[i]);
        }

        return numbers;
    }
}
