using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>Writes the slots of a frame's detections as gaps.</summary>
internal static class GapWriter
{
    private const int GapsAtOnce = 16;

    /// <summary>Writes the gaps and returns their length in bytes.</summary>
    /// <param name="slots">Slots of the frame outside the pilot.</param>
    /// <param name="pilotSlots">Slots of the pilot.</param>
    /// <param name="frameSlots">Slots of the frame, pilot included.</param>
    /// <param name="destination">Room for <see cref="SiftingMessages.MaximumGapBytes"/> bytes a slot.</param>
    /// <param name="usePlain">Writes byte by byte on any CPU.</param>
    /// <exception cref="ArgumentException">The slots are not strictly ascending, or not in the frame.</exception>
    public static int Write(ReadOnlySpan<int> slots, int pilotSlots, int frameSlots, Span<byte> destination, bool usePlain = false)
    {
        var (vectors, words) = (Vector256.IsHardwareAccelerated && !usePlain, Bmi2.IsSupported && !usePlain);
        var (length, last) = (0, pilotSlots - 1);
        for (var i = 0; i < slots.Length;)
        {
            if (vectors && i > 0 && slots.Length - i >= GapsAtOnce && TryWriteShort(slots[(i - 1)..], destination[length..]))
            {
                i += GapsAtOnce;
                length += GapsAtOnce;
                last = slots[i - 1];
                if (last >= frameSlots)
                {
                    throw Refused(last);
                }

                continue;
            }

            for (var end = Math.Min(slots.Length, i + GapsAtOnce); i < end; i++)
            {
                var slot = slots[i];
                if (slot <= last || slot >= frameSlots)
                {
                    throw Refused(slot);
                }

                var gap = (uint)(slot - last - 1);
                length += words ? WriteWord(destination[length..], gap) : WritePlain(destination[length..], gap);
                last = slot;
            }
        }

        return length;
    }

    /// <summary>Sixteen gaps, if each is one byte; <paramref name="slots"/> begins with the slot before the first.</summary>
    private static bool TryWriteShort(ReadOnlySpan<int> slots, Span<byte> destination)
    {
        ref var before = ref MemoryMarshal.GetReference(slots[..(GapsAtOnce + 1)]);
        var first = Vector256.LoadUnsafe(ref before, 1) - Vector256.LoadUnsafe(ref before) - Vector256<int>.One;
        var second = Vector256.LoadUnsafe(ref before, 9) - Vector256.LoadUnsafe(ref before, 8) - Vector256<int>.One;
        if (((first | second) & Vector256.Create(~0x7F)) != Vector256<int>.Zero)
        {
            // Long, or negative.
            return false;
        }

        var narrow = Vector256.Narrow(first, second);
        Vector128.Narrow(narrow.GetLower(), narrow.GetUpper()).AsByte().CopyTo(destination);
        return true;
    }

    /// <summary>A gap of up to 28 bits, without a branch on its length. Writes four bytes, of which the first count.</summary>
    private static int WriteWord(Span<byte> destination, uint gap)
    {
        var spread = Bmi2.ParallelBitDeposit(gap, 0x7F7F_7F7F);
        var length = 4 - (BitOperations.LeadingZeroCount(spread | 1) >> 3);
        BinaryPrimitives.WriteUInt32LittleEndian(destination, spread | (0x8080_8080 & ((1U << (8 * (length - 1))) - 1)));
        return length;
    }

    private static int WritePlain(Span<byte> destination, uint gap)
    {
        var length = 0;
        for (; gap >= 0x80; gap >>= 7)
        {
            destination[length++] = (byte)(gap | 0x80);
        }

        destination[length++] = (byte)gap;
        return length;
    }

    private static ArgumentException Refused(int slot) => new($"Slot {slot} is out of order or beyond the frame.", nameof(slot));
}
