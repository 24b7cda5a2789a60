using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>
/// Turns the bytes of a stream into times and reference indexes, and finds where the indexes (or, without them, the times) start
/// anew. Millions of records a second pass through here: with AVX2 four at a time, otherwise one by one, with the same result.
/// </summary>
internal static class TagConversion
{
    /// <summary>Bytes of a record with reference index: time and index, each 64 bits, little endian.</summary>
    public const int PairBytes = 16;

    /// <summary>Bytes of a record without.</summary>
    public const int TimeBytes = 8;

    /// <summary>Takes records of time and index apart.</summary>
    /// <param name="records">Whole records.</param>
    /// <param name="times">Room for all times.</param>
    /// <param name="indexes">Room for all indexes.</param>
    /// <param name="previous">The index before the first record; <see cref="long.MinValue"/> for none. Then the last one.</param>
    /// <param name="origin">What to add to positions noted as restarts.</param>
    /// <param name="restarts">Gets the position of every index lower than the one before it.</param>
    /// <returns>Whether every number is one that a signed 64-bit integer holds.</returns>
    public static bool SplitPairs(
        ReadOnlySpan<byte> records, Span<long> times, Span<long> indexes, ref long previous, int origin, List<int> restarts)
    {
        var count = records.Length / PairBytes;
        times = times[..count];
        indexes = indexes[..count];
        return Avx2.IsSupported && count >= 8
            ? SplitPairsVectorised(records, times, indexes, ref previous, origin, restarts)
            : SplitPairsPlainly(records, times, indexes, ref previous, origin, restarts);
    }

    /// <summary>Copies records of a time alone.</summary>
    /// <inheritdoc cref="SplitPairs"/>
    public static bool CopyTimes(ReadOnlySpan<byte> records, Span<long> times, ref long previous, int origin, List<int> restarts)
    {
        var count = records.Length / TimeBytes;
        times = times[..count];
        MemoryMarshal.Cast<byte, long>(records)[..count].CopyTo(times);
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(times, times);
        }

        long all = 0;
        for (var i = 0; i < times.Length; i++)
        {
            var time = times[i];
            all |= time;
            if (time < previous)
            {
                restarts.Add(origin + i);
            }

            previous = time;
        }

        return all >= 0;
    }

    /// <summary>The plain way; the other is measured against it.</summary>
    /// <inheritdoc cref="SplitPairs"/>
    internal static bool SplitPairsPlainly(
        ReadOnlySpan<byte> records, Span<long> times, Span<long> indexes, ref long previous, int origin, List<int> restarts)
    {
        long all = 0;
        for (var i = 0; i < times.Length; i++)
        {
            var time = BinaryPrimitives.ReadInt64LittleEndian(records[(i * PairBytes)..]);
            var index = BinaryPrimitives.ReadInt64LittleEndian(records[((i * PairBytes) + TimeBytes)..]);
            (times[i], indexes[i]) = (time, index);
            all |= time | index;
            if (index < previous)
            {
                restarts.Add(origin + i);
            }

            previous = index;
        }

        return all >= 0;
    }

    /// <summary>Four records a step. Only where AVX2 is there, and for at least one record.</summary>
    /// <inheritdoc cref="SplitPairs"/>
    private static bool SplitPairsVectorised(
        ReadOnlySpan<byte> records, Span<long> times, Span<long> indexes, ref long previous, int origin, List<int> restarts)
    {
        // The comparison below looks one index back, so the first record is done by hand.
        var whole = SplitPairsPlainly(records[..PairBytes], times[..1], indexes[..1], ref previous, origin, restarts);
        ref var source = ref Unsafe.As<byte, long>(ref MemoryMarshal.GetReference(records));
        ref var time = ref MemoryMarshal.GetReference(times);
        ref var index = ref MemoryMarshal.GetReference(indexes);
        var all = Vector256<long>.Zero;
        var i = 1;
        for (; i <= times.Length - 4; i += 4)
        {
            // t0 i0 t1 i1 and t2 i2 t3 i3 give t0 t2 t1 t3 and i0 i2 i1 i3.
            var first = Vector256.LoadUnsafe(ref source, (nuint)(2 * i));
            var second = Vector256.LoadUnsafe(ref source, (nuint)((2 * i) + 4));
            var fourTimes = Avx2.Permute4x64(Avx2.UnpackLow(first, second), 0b11_01_10_00);
            var fourIndexes = Avx2.Permute4x64(Avx2.UnpackHigh(first, second), 0b11_01_10_00);
            fourTimes.StoreUnsafe(ref time, (nuint)i);
            fourIndexes.StoreUnsafe(ref index, (nuint)i);
            all |= fourTimes | fourIndexes;
            var before = Vector256.LoadUnsafe(ref index, (nuint)(i - 1));
            var lower = Vector256.GreaterThan(before, fourIndexes).ExtractMostSignificantBits();
            for (; lower != 0; lower &= lower - 1)
            {
                restarts.Add(origin + i + BitOperations.TrailingZeroCount(lower));
            }
        }

        previous = indexes[i - 1];
        whole &= SplitPairsPlainly(records[(i * PairBytes)..], times[i..], indexes[i..], ref previous, origin + i, restarts);
        return whole && all.ExtractMostSignificantBits() == 0;
    }
}
