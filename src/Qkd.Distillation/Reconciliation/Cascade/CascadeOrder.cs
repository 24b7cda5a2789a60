using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>
/// The fixed order in which a pass after the first takes the bits of a frame. Public, and the same at both ends for ever: it only spreads
/// the errors.
/// </summary>
internal abstract class CascadeOrder
{
    private static readonly Lazy<CascadeOrder[]>[] Known =
        [.. Enumerable.Range(0, CascadePlan.LargestExponent + 1).Select(exponent => new Lazy<CascadeOrder[]>(() => Make(exponent)))];

    /// <summary>The orders of all passes for frames of 2^m places, m from 6 to 16. That of the first pass is never asked for.</summary>
    public static CascadeOrder[] All(int exponent) => Known[exponent].Value;

    /// <summary>Which bit stands at a place.</summary>
    public abstract int BitAt(int place);

    /// <summary>At which place a bit stands.</summary>
    public abstract int PlaceOf(int bit);

    /// <summary>Puts all bits into their places.</summary>
    public abstract void Rearrange(ReadOnlySpan<ulong> bits, Span<ulong> places);

    private static CascadeOrder[] Make(int exponent) =>
        [.. Enumerable.Range(0, CascadePlan.Passes).Select(pass => exponent == CascadePlan.LargestExponent
            ? (CascadeOrder)new WovenOrder(new(new(exponent, 0)), new(new(exponent, pass + 100)))
            : new ShuffledOrder(exponent, new(exponent, pass)))];

    /// <summary>SplitMix64 (S. Vigna, public domain), whose constants these are.</summary>
    protected sealed class Shuffler(int exponent, int pass)
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

        /// <summary>The numbers from 0 to below a count in random order, by Fisher and Yates.</summary>
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

    /// <summary>Any order at all, bit by bit: for the one frame of a short block.</summary>
    private sealed class ShuffledOrder : CascadeOrder
    {
        private readonly ushort[] _bitAt;
        private readonly ushort[] _placeOf;

        public ShuffledOrder(int exponent, Shuffler shuffler)
        {
            _bitAt = shuffler.Shuffle(1 << exponent);
            _placeOf = new ushort[_bitAt.Length];
            for (var place = 0; place < _bitAt.Length; place++)
            {
                _placeOf[_bitAt[place]] = (ushort)place;
            }
        }

        public override int BitAt(int place) => _bitAt[place];

        public override int PlaceOf(int bit) => _placeOf[bit];

        public override void Rearrange(ReadOnlySpan<ulong> bits, Span<ulong> places)
        {
            for (var i = 0; i < bits.Length; i++)
            {
                ulong word = 0;
                var from = _bitAt.AsSpan(64 * i, 64);
                for (var j = 0; j < from.Length; j++)
                {
                    var bit = from[j];
                    word |= (bits[bit >> 6] >> bit & 1) << j;
                }

                places[i] = word;
            }
        }
    }

    /// <summary>
    /// An order that moves 64 bits at a time. The 1024 words of a full frame are dealt at random into 16 matrices of 64 words, each turned
    /// by a random number of bits; the matrices are transposed, so that a word now has one bit of each of 64 words; and their rows are laid
    /// out at random, each run of 16 words taking one row of every matrix.
    /// </summary>
    /// <remarks>
    /// No two bits of one word meet again within 1024 places, which an order at random would let one pair in 64 do; otherwise it spreads
    /// pairs as evenly as such an order does.
    /// </remarks>
    private sealed class WovenOrder(Weave first, Weave second) : CascadeOrder
    {
        public override int BitAt(int place) => first.BitAt(second.BitAt(place));
        public override int PlaceOf(int bit) => second.PlaceOf(first.PlaceOf(bit));
        public override void Rearrange(ReadOnlySpan<ulong> bits, Span<ulong> places)
        {
            Span<ulong> between = stackalloc ulong[1024];
            first.Rearrange(bits, between);
            second.Rearrange(between, places);
            BitString.Erase(between);
        }
    }

    private sealed class Weave
    {
        private const int Size = 64;
        private const int Matrices = 16;
        private const int Lanes = 4;
        private readonly ushort[] _wordAt;
        private readonly byte[] _turnAt = new byte[Matrices * Size];
        private readonly ushort[] _columnOf = new ushort[Matrices * Size];
        private readonly ushort[] _rowAt = new ushort[Matrices * Size];
        private readonly ushort[] _placedAt = new ushort[Matrices * Size];

        public Weave(Shuffler shuffler)
        {
            // Columns, counted through all matrices: which word each is, and by how much it is turned.
            _wordAt = shuffler.Shuffle(Matrices * Size);
            for (var column = 0; column < _wordAt.Length; column++)
            {
                _turnAt[column] = (byte)shuffler.Below(Size);
                _columnOf[_wordAt[column]] = (ushort)column;
            }

            // Rows, counted likewise: to which word of the result each goes.
            var rows = Enumerable.Range(0, Matrices).Select(_ => shuffler.Shuffle(Size)).ToArray();
            for (var run = 0; run < Size; run++)
            {
                var within = shuffler.Shuffle(Matrices);
                for (var matrix = 0; matrix < Matrices; matrix++)
                {
                    var row = (Size * matrix) + rows[matrix][run];
                    var word = (Matrices * run) + within[matrix];
                    _placedAt[row] = (ushort)word;
                    _rowAt[word] = (ushort)row;
                }
            }
        }

        public int BitAt(int place)
        {
            var row = _rowAt[place >> 6];
            var column = (row & ~(Size - 1)) | (place & (Size - 1));
            return (_wordAt[column] << 6) | ((row + _turnAt[column]) & (Size - 1));
        }

        public int PlaceOf(int bit)
        {
            var column = _columnOf[bit >> 6];
            var row = (column & ~(Size - 1)) | ((bit - _turnAt[column]) & (Size - 1));
            return (_placedAt[row] << 6) | (column & (Size - 1));
        }

        public void Rearrange(ReadOnlySpan<ulong> bits, Span<ulong> places)
        {
            // Four matrices side by side, a vector holding the same column of each.
            Span<ulong> matrices = stackalloc ulong[Lanes * Size];
            for (var first = 0; first < Matrices * Size; first += Lanes * Size)
            {
                var columns = _wordAt.AsSpan(first, Lanes * Size);
                var turns = _turnAt.AsSpan(first, Lanes * Size);
                for (var i = 0; i < columns.Length; i++)
                {
                    matrices[Interleaved(i)] = ulong.RotateRight(bits[columns[i]], turns[i]);
                }

                Transpose(MemoryMarshal.Cast<ulong, Vector256<ulong>>(matrices));
                var rows = _placedAt.AsSpan(first, Lanes * Size);
                for (var i = 0; i < rows.Length; i++)
                {
                    places[rows[i]] = matrices[Interleaved(i)];
                }
            }

            BitString.Erase(matrices);
        }

        private static int Interleaved(int i) => ((i & (Size - 1)) * Lanes) + (i / Size);

        /// <summary>Exchanges rows and columns by halves, quarters and so on (H. S. Warren, "Hacker's Delight", section 7-3).</summary>
        private static void Transpose(Span<Vector256<ulong>> matrices)
        {
            var mask = Vector256.Create(0x0000_0000_FFFF_FFFFUL);
            for (var distance = Size / 2; distance > 0; distance /= 2, mask ^= mask << distance)
            {
                for (var block = 0; block < Size; block += 2 * distance)
                {
                    var upper = matrices.Slice(block, distance);
                    var lower = matrices.Slice(block + distance, distance);
                    for (var i = 0; i < upper.Length; i++)
                    {
                        var swapped = ((upper[i] >> distance) ^ lower[i]) & mask;
                        lower[i] ^= swapped;
                        upper[i] ^= swapped << distance;
                    }
                }
            }
        }
    }
}

/// <summary>For each pass over half frames, the bits that stand in the first half of its places.</summary>
internal sealed class CascadeHalves
{
    private static readonly Lazy<CascadeHalves>[] Known =
        [.. Enumerable.Range(0, CascadePlan.LargestExponent + 1).Select(exponent => new Lazy<CascadeHalves>(() => new CascadeHalves(exponent)))];

    private readonly ulong[] _masks;
    private readonly int _words;

    private CascadeHalves(int exponent)
    {
        _words = (1 << exponent) / 64;
        _masks = new ulong[(CascadePlan.Passes - CascadePlan.MainPasses) * _words];
        for (var pass = CascadePlan.MainPasses; pass < CascadePlan.Passes; pass++)
        {
            var mask = _masks.AsSpan((pass - CascadePlan.MainPasses) * _words, _words);
            var order = CascadeOrder.All(exponent)[pass];
            for (var place = 0; place < 1 << (exponent - 1); place++)
            {
                var bit = order.BitAt(place);
                mask[bit >> 6] |= 1UL << bit;
            }
        }
    }

    /// <summary>Those of frames of 2^m places.</summary>
    public static CascadeHalves Of(int exponent) => Known[exponent].Value;

    /// <summary>Parities of the first halves of a frame, one bit a pass.</summary>
    public uint Parities(ReadOnlySpan<ulong> bits)
    {
        uint parities = 0;
        for (var row = 0; row < _masks.Length / _words; row++)
        {
            var mask = _masks.AsSpan(row * _words, _words);
            ulong sum = 0;
            var i = 0;
            if (Vector256.IsHardwareAccelerated && bits.Length >= Vector256<ulong>.Count)
            {
                var sums = Vector256<ulong>.Zero;
                for (; i + Vector256<ulong>.Count <= mask.Length; i += Vector256<ulong>.Count)
                {
                    sums ^= Vector256.Create(bits[i..]) & Vector256.Create((ReadOnlySpan<ulong>)mask[i..]);
                }

                sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
            }

            for (; i < mask.Length; i++)
            {
                sum ^= bits[i] & mask[i];
            }

            parities |= (uint)(ulong.PopCount(sum) & 1) << row;
        }

        return parities;
    }

    /// <summary>In which passes a bit stands in the first half, one bit a pass.</summary>
    public uint Of(int _, int bit)
    {
        uint halves = 0;
        for (var row = 0; row < _masks.Length / _words; row++)
        {
            halves |= (uint)(_masks[(row * _words) + (bit >> 6)] >> bit & 1) << row;
        }

        return halves;
    }
}
