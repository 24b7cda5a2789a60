using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// One frame's bits at one end, in the order of every pass that needs them, and the parities of their blocks. A block is a node of a
/// binary tree over the 2^m places: node 1 is the whole frame, nodes 2i and 2i + 1 the halves of node i, and node 2^m + j the place j.
/// </summary>
internal sealed class CascadeFrame : IDisposable
{
    private readonly CascadePlan _plan;
    private readonly ulong[]?[] _orders = new ulong[CascadePlan.Passes][];

    public CascadeFrame(CascadePlan plan, int frame, ReadOnlySpan<ulong> block)
    {
        _plan = plan;
        Length = plan.Length(frame);
        var bits = GC.AllocateArray<ulong>((1 << plan.Exponent) / 64, pinned: true);
        if (Length > 0)
        {
            BitRange.Copy(block, plan.Start(frame), Length, bits);
        }

        _orders[0] = bits;
    }

    /// <summary>Bits of the frame.</summary>
    public int Length { get; }

    /// <summary>The bits in their own order.</summary>
    public ReadOnlySpan<ulong> Bits => _orders[0];

    /// <summary>Parity of a node in the order of a pass.</summary>
    public int Parity(int pass, int node)
    {
        var level = BitOperations.Log2((uint)node);
        var exponent = _plan.Exponent - level;
        if (_orders[pass] is null && level == 1)
        {
            // A half frame needs no shuffled copy, and few passes over halves ever need more.
            var first = ParityWhere(_plan.Shuffles.FirstHalf(pass));
            return node == 2 ? first : first ^ ParityOf(Bits);
        }

        var words = Order(pass);
        var start = (node - (1 << level)) << exponent;
        return exponent >= 6
            ? ParityOf(words.AsSpan(start >> 6, 1 << (exponent - 6)))
            : BitOperations.PopCount(words[start >> 6] >> start & (1UL << (1 << exponent)) - 1) & 1;
    }

    /// <summary>Turns a bit over, in every order that is kept.</summary>
    public void Flip(int bit)
    {
        _orders[0]![bit >> 6] ^= 1UL << bit;
        for (var pass = 1; pass < CascadePlan.Passes; pass++)
        {
            if (_orders[pass] is { } order)
            {
                var place = _plan.Shuffles.PlaceOf(pass)[bit];
                order[place >> 6] ^= 1UL << place;
            }
        }
    }

    /// <summary>Erases the bits.</summary>
    public void Dispose()
    {
        foreach (var order in _orders)
        {
            BitString.Erase(order);
        }
    }

    private ulong[] Order(int pass)
    {
        if (_orders[pass] is { } known)
        {
            return known;
        }

        var bits = Bits;
        var bitAt = _plan.Shuffles.BitAt(pass);
        var order = GC.AllocateArray<ulong>(bits.Length, pinned: true);
        for (var i = 0; i < order.Length; i++)
        {
            ulong word = 0;
            var places = bitAt.Slice(64 * i, 64);
            for (var j = 0; j < places.Length; j++)
            {
                var bit = places[j];
                word |= (bits[bit >> 6] >> bit & 1) << j;
            }

            order[i] = word;
        }

        return _orders[pass] = order;
    }

    private int ParityWhere(ReadOnlySpan<ulong> mask)
    {
        ulong sum = 0;
        var bits = Bits;
        for (var i = 0; i < bits.Length; i++)
        {
            sum ^= bits[i] & mask[i];
        }

        return BitOperations.PopCount(sum) & 1;
    }

    private static int ParityOf(ReadOnlySpan<ulong> words)
    {
        ulong sum = 0;
        foreach (var word in words)
        {
            sum ^= word;
        }

        return BitOperations.PopCount(sum) & 1;
    }
}
