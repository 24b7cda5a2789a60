using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// The six upper layers of a transform of bits at once. A polynomial of 2^(m+6) bits in the basis X_i stands as 64 rows of 2^m bits; on
/// v_(32+m) + W_m the upper factors of X_i are constants, the products of v_(32-j) over the bits j of the row, and those are a basis of
/// GF(2^64) over GF(2): each column is one element in that basis.
/// </summary>
/// <remarks>
/// A product of two halves has only its lower 32 rows before the transform and all of them after it. Tables of nibbles are looked up by
/// a shuffle inside a register, so no memory address depends on the bits.
/// </remarks>
internal static class FrobeniusCoordinates
{
    /// <summary>Binary logarithm of the smallest number of columns.</summary>
    public const int Smallest = 8;

    private static readonly ulong[] Basis = MakeBasis();
    private static readonly ulong[] Dual = Invert(Basis);
    private static readonly Vector256<byte>[] BasisTables = MakeTables(Basis, 8);
    private static readonly Vector256<byte>[] DualTables = MakeTables(Dual, 16);

    /// <summary>Rows of bits, 32 of them one after the other, to elements.</summary>
    public static void ToElements(ReadOnlySpan<ulong> rows, Span<ulong> elements, bool vectors)
    {
        var row = elements.Length / 64;
        ArgumentOutOfRangeException.ThrowIfNotEqual(rows.Length, 32 * row);
        ref var target = ref MemoryMarshal.GetReference(elements);
        ref var source = ref MemoryMarshal.GetReference(rows);
        if (vectors)
        {
            Span<Vector256<byte>> groups = stackalloc Vector256<byte>[32];
            for (nuint column = 0; column < (nuint)elements.Length; column += 256)
            {
                ToElements(ref Unsafe.Add(ref source, column / 64), (nuint)row, ref MemoryMarshal.GetReference(groups), ref Unsafe.Add(ref target, column));
            }

            groups.Clear();
            return;
        }

        for (var i = 0; i < elements.Length; i++)
        {
            ulong element = 0;
            for (var r = 0; r < 32; r++)
            {
                element ^= Basis[r] & (0 - (rows[(r * row) + (i >> 6)] >> i & 1));
            }

            elements[i] = element;
        }
    }

    /// <summary>Elements back to 64 rows of bits.</summary>
    public static void ToRows(ReadOnlySpan<ulong> elements, Span<ulong> rows, bool vectors)
    {
        var row = elements.Length / 64;
        ArgumentOutOfRangeException.ThrowIfNotEqual(rows.Length, 64 * row);
        ref var target = ref MemoryMarshal.GetReference(rows);
        ref var source = ref MemoryMarshal.GetReference(elements);
        if (vectors)
        {
            Span<uint> gathered = stackalloc uint[512];
            for (nuint column = 0; column < (nuint)elements.Length; column += 256)
            {
                for (nuint part = 0; part < 8; part++)
                {
                    ToRows(ref Unsafe.Add(ref source, column + (32 * part)), ref Unsafe.Add(ref MemoryMarshal.GetReference(gathered), part));
                }

                for (nuint r = 0; r < 64; r++)
                {
                    Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(gathered), 8 * r).AsUInt64().StoreUnsafe(ref target, (r * (nuint)row) + (column / 64));
                }
            }

            gathered.Clear();
            return;
        }

        Span<ulong> square = stackalloc ulong[64];
        for (var word = 0; word < row; word++)
        {
            square.Clear();
            for (var i = 0; i < 64; i++)
            {
                var element = elements[(64 * word) + i];
                ulong bits = 0;
                for (var k = 0; k < 64; k++)
                {
                    bits ^= Dual[k] & (0 - (element >> k & 1));
                }

                for (var r = 0; r < 64; r++)
                {
                    square[r] |= (bits >> r & 1) << i;
                }
            }

            for (var r = 0; r < 64; r++)
            {
                rows[(r * row) + word] = square[r];
            }
        }

        square.Clear();
    }

    /// <summary>256 columns. The two halves of a vector hold columns 128 apart.</summary>
    private static void ToElements(ref ulong source, nuint row, ref Vector256<byte> groups, ref ulong target)
    {
        for (nuint g = 0; g < 4; g++)
        {
            ref var first = ref Unsafe.Add(ref source, 8 * g * row);
            var x0 = Vector256.LoadUnsafe(ref first).AsByte();
            var x1 = Vector256.LoadUnsafe(ref first, row).AsByte();
            var x2 = Vector256.LoadUnsafe(ref first, 2 * row).AsByte();
            var x3 = Vector256.LoadUnsafe(ref first, 3 * row).AsByte();
            var x4 = Vector256.LoadUnsafe(ref first, 4 * row).AsByte();
            var x5 = Vector256.LoadUnsafe(ref first, 5 * row).AsByte();
            var x6 = Vector256.LoadUnsafe(ref first, 6 * row).AsByte();
            var x7 = Vector256.LoadUnsafe(ref first, 7 * row).AsByte();
            Interleave(ref x0, ref x1, ref x2, ref x3, ref x4, ref x5, ref x6, ref x7);
            ref var group = ref Unsafe.Add(ref groups, 8 * g);
            group = Transpose(x0);
            Unsafe.Add(ref group, 1) = Transpose(x1);
            Unsafe.Add(ref group, 2) = Transpose(x2);
            Unsafe.Add(ref group, 3) = Transpose(x3);
            Unsafe.Add(ref group, 4) = Transpose(x4);
            Unsafe.Add(ref group, 5) = Transpose(x5);
            Unsafe.Add(ref group, 6) = Transpose(x6);
            Unsafe.Add(ref group, 7) = Transpose(x7);
        }

        var nibble = Vector256.Create((byte)15);
        ref var tables = ref MemoryMarshal.GetArrayDataReference(BasisTables);
        for (nuint q = 0; q < 8; q++)
        {
            var x0 = Vector256<byte>.Zero;
            Vector256<byte> x1 = x0, x2 = x0, x3 = x0, x4 = x0, x5 = x0, x6 = x0, x7 = x0;
            for (nuint g = 0; g < 4; g++)
            {
                var bits = Unsafe.Add(ref groups, (8 * g) + q);
                var low = bits & nibble;
                var high = (bits.AsUInt16() >> 4).AsByte() & nibble;
                ref var table = ref Unsafe.Add(ref tables, 16 * g);
                x0 ^= Avx2.Shuffle(table, low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 8), high);
                x1 ^= Avx2.Shuffle(Unsafe.Add(ref table, 1), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 9), high);
                x2 ^= Avx2.Shuffle(Unsafe.Add(ref table, 2), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 10), high);
                x3 ^= Avx2.Shuffle(Unsafe.Add(ref table, 3), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 11), high);
                x4 ^= Avx2.Shuffle(Unsafe.Add(ref table, 4), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 12), high);
                x5 ^= Avx2.Shuffle(Unsafe.Add(ref table, 5), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 13), high);
                x6 ^= Avx2.Shuffle(Unsafe.Add(ref table, 6), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 14), high);
                x7 ^= Avx2.Shuffle(Unsafe.Add(ref table, 7), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 15), high);
            }

            Interleave(ref x0, ref x1, ref x2, ref x3, ref x4, ref x5, ref x6, ref x7);
            ref var lower = ref Unsafe.Add(ref target, 16 * q);
            Store(x0, ref lower, 0);
            Store(x1, ref lower, 2);
            Store(x2, ref lower, 4);
            Store(x3, ref lower, 6);
            Store(x4, ref lower, 8);
            Store(x5, ref lower, 10);
            Store(x6, ref lower, 12);
            Store(x7, ref lower, 14);
        }
    }

    /// <summary>32 columns to 32 bits of each row; a row's words are eight apart.</summary>
    private static void ToRows(ref ulong source, ref uint gathered)
    {
        var x0 = Load(ref source, 0);
        var x1 = Load(ref source, 2);
        var x2 = Load(ref source, 4);
        var x3 = Load(ref source, 6);
        var x4 = Load(ref source, 8);
        var x5 = Load(ref source, 10);
        var x6 = Load(ref source, 12);
        var x7 = Load(ref source, 14);
        Interleave(ref x0, ref x1, ref x2, ref x3, ref x4, ref x5, ref x6, ref x7);
        (x0, x4) = (Avx2.UnpackLow(x0, x4), Avx2.UnpackHigh(x0, x4));
        (x1, x5) = (Avx2.UnpackLow(x1, x5), Avx2.UnpackHigh(x1, x5));
        (x2, x6) = (Avx2.UnpackLow(x2, x6), Avx2.UnpackHigh(x2, x6));
        (x3, x7) = (Avx2.UnpackLow(x3, x7), Avx2.UnpackHigh(x3, x7));

        // Byte b = (b2 b1 b0) of all elements has come to place (b0 b2 b1).
        Span<Vector256<byte>> bytes = [x0, x4, x1, x5, x2, x6, x3, x7];
        var nibble = Vector256.Create((byte)15);
        ref var tables = ref MemoryMarshal.GetArrayDataReference(DualTables);
        for (nuint b = 0; b < 8; b += 2)
        {
            var sum0 = Vector256<byte>.Zero;
            var sum1 = sum0;
            for (nuint k = 0; k < 8; k++)
            {
                var bits = bytes[(int)k];
                var low = bits & nibble;
                var high = (bits.AsUInt16() >> 4).AsByte() & nibble;
                ref var table = ref Unsafe.Add(ref tables, (16 * k) + b);
                sum0 ^= Avx2.Shuffle(table, low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 8), high);
                sum1 ^= Avx2.Shuffle(Unsafe.Add(ref table, 1), low) ^ Avx2.Shuffle(Unsafe.Add(ref table, 9), high);
            }

            Scatter(sum0.AsUInt64(), ref Unsafe.Add(ref gathered, 64 * b));
            Scatter(sum1.AsUInt64(), ref Unsafe.Add(ref gathered, 64 * (b + 1)));
        }

        bytes.Clear();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scatter(Vector256<ulong> bytes, ref uint gathered)
    {
        gathered = (bytes << 7).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 8) = (bytes << 6).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 16) = (bytes << 5).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 24) = (bytes << 4).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 32) = (bytes << 3).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 40) = (bytes << 2).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 48) = (bytes << 1).AsByte().ExtractMostSignificantBits();
        Unsafe.Add(ref gathered, 56) = bytes.AsByte().ExtractMostSignificantBits();
    }

    /// <summary>Eight vectors of byte planes to whole words, or eight rows to squares of 8 x 8 bits, within each half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave(
        ref Vector256<byte> x0, ref Vector256<byte> x1, ref Vector256<byte> x2, ref Vector256<byte> x3,
        ref Vector256<byte> x4, ref Vector256<byte> x5, ref Vector256<byte> x6, ref Vector256<byte> x7)
    {
        var (a0, a4) = (Avx2.UnpackLow(x0, x4), Avx2.UnpackHigh(x0, x4));
        var (a1, a5) = (Avx2.UnpackLow(x1, x5), Avx2.UnpackHigh(x1, x5));
        var (a2, a6) = (Avx2.UnpackLow(x2, x6), Avx2.UnpackHigh(x2, x6));
        var (a3, a7) = (Avx2.UnpackLow(x3, x7), Avx2.UnpackHigh(x3, x7));
        var (b0, b2) = (Avx2.UnpackLow(a0, a2), Avx2.UnpackHigh(a0, a2));
        var (b1, b3) = (Avx2.UnpackLow(a1, a3), Avx2.UnpackHigh(a1, a3));
        var (b4, b6) = (Avx2.UnpackLow(a4, a6), Avx2.UnpackHigh(a4, a6));
        var (b5, b7) = (Avx2.UnpackLow(a5, a7), Avx2.UnpackHigh(a5, a7));
        (x0, x1) = (Avx2.UnpackLow(b0, b1), Avx2.UnpackHigh(b0, b1));
        (x2, x3) = (Avx2.UnpackLow(b2, b3), Avx2.UnpackHigh(b2, b3));
        (x4, x5) = (Avx2.UnpackLow(b4, b5), Avx2.UnpackHigh(b4, b5));
        (x6, x7) = (Avx2.UnpackLow(b6, b7), Avx2.UnpackHigh(b6, b7));
    }

    /// <summary>Each word as a square of 8 x 8 bits (H. S. Warren, Hacker's Delight, 7-3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Transpose(Vector256<byte> bytes)
    {
        var x = bytes.AsUInt64();
        var t = (x ^ x >> 7) & Vector256.Create(0x00AA_00AA_00AA_00AAUL);
        x ^= t ^ t << 7;
        t = (x ^ x >> 14) & Vector256.Create(0x0000_CCCC_0000_CCCCUL);
        x ^= t ^ t << 14;
        t = (x ^ x >> 28) & Vector256.Create(0x0000_0000_F0F0_F0F0UL);
        x ^= t ^ t << 28;
        return x.AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<byte> elements, ref ulong lower, nuint at)
    {
        elements.AsUInt64().GetLower().StoreUnsafe(ref lower, at);
        elements.AsUInt64().GetUpper().StoreUnsafe(ref lower, at + 128);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Load(ref ulong source, nuint at) =>
        Vector256.Create(Vector128.LoadUnsafe(ref source, at), Vector128.LoadUnsafe(ref source, at + 16)).AsByte();

    private static ulong[] MakeBasis()
    {
        var basis = new ulong[64];
        for (var row = 0; row < 64; row++)
        {
            basis[row] = 1;
            for (var j = 0; j < 6; j++)
            {
                if ((row >> j & 1) != 0)
                {
                    basis[row] = BinaryField64.Multiply(basis[row], CantorBasis.Vector(32 - j));
                }
            }
        }

        return basis;
    }

    /// <summary>The inverse of a matrix given by its columns.</summary>
    private static ulong[] Invert(ulong[] columns)
    {
        var left = columns.ToArray();
        var right = Enumerable.Range(0, 64).Select(i => 1UL << i).ToArray();
        for (var bit = 0; bit < 64; bit++)
        {
            var pivot = Enumerable.Range(bit, 64 - bit).First(i => (left[i] >> bit & 1) != 0);
            (left[bit], left[pivot]) = (left[pivot], left[bit]);
            (right[bit], right[pivot]) = (right[pivot], right[bit]);
            for (var i = 0; i < 64; i++)
            {
                if (i != bit && (left[i] >> bit & 1) != 0)
                {
                    left[i] ^= left[bit];
                    right[i] ^= right[bit];
                }
            }
        }

        return right;
    }

    /// <summary>For each nibble of the argument, eight tables: byte b of the sum of the columns that the nibble selects.</summary>
    private static Vector256<byte>[] MakeTables(ulong[] columns, int nibbles)
    {
        var tables = new Vector256<byte>[8 * nibbles];
        Span<byte> table = stackalloc byte[16];
        for (var i = 0; i < tables.Length; i++)
        {
            for (var value = 0; value < 16; value++)
            {
                ulong sum = 0;
                for (var bit = 0; bit < 4; bit++)
                {
                    sum ^= columns[(4 * (i >> 3)) + bit] & (0 - (ulong)(value >> bit & 1));
                }

                table[value] = (byte)(sum >> (8 * (i & 7)));
            }

            var half = Vector128.Create<byte>(table);
            tables[i] = Vector256.Create(half, half);
        }

        return tables;
    }
}
