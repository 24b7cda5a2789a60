using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>Turns what stands detection by detection into planes of one bit each, 64 detections a word.</summary>
internal static class DetectionPlanes
{
    /// <summary>Detections in a word.</summary>
    public const int PerWord = 64;

    /// <summary>The four planes of a frame's symbols at the slots of up to 64 detections: bit, basis, low and high bit of the intensity.</summary>
    /// <param name="symbols">The frame in the layout of <see cref="PackedSymbols"/>.</param>
    /// <param name="slots">Slots of the frame, ascending.</param>
    /// <param name="usePlain">Looks each bit up by itself on any CPU.</param>
    public static Vector256<ulong> LookUp(ReadOnlySpan<ulong> symbols, ReadOnlySpan<int> slots, bool usePlain = false)
    {
        if (slots.Length > PerWord || (!slots.IsEmpty && (slots[0] < 0 || slots[^1] >= symbols.Length / PackedSymbols.WordsPerGroup * PackedSymbols.SlotsPerGroup)))
        {
            throw new ArgumentException("Slots are beyond the frame, or more than 64.", nameof(slots));
        }

        if (usePlain || !Vector256.IsHardwareAccelerated)
        {
            return LookUpPlain(symbols, slots);
        }

        // A group's four words are one vector: the slot's bits are shifted to the top and gathered there, the first detection furthest down.
        ref var groups = ref MemoryMarshal.GetReference(symbols);
        var top = Vector256.Create(1UL << 63);
        var planes = Vector256<ulong>.Zero;
        if (slots.Length == PerWord)
        {
            // Two sums, so that neither waits for the other.
            var upper = Vector256<ulong>.Zero;
            ref var slot = ref MemoryMarshal.GetReference(slots);
            for (var i = 0; i < PerWord / 2; i++)
            {
                planes = planes >>> 1 | (Group(ref groups, Unsafe.Add(ref slot, i)) & top);
                upper = upper >>> 1 | (Group(ref groups, Unsafe.Add(ref slot, i + (PerWord / 2))) & top);
            }

            return planes >>> (PerWord / 2) | upper;
        }

        foreach (var slot in slots)
        {
            planes = planes >>> 1 | (Group(ref groups, slot) & top);
        }

        return slots.IsEmpty ? planes : planes >>> (PerWord - slots.Length);

        static Vector256<ulong> Group(ref ulong groups, int slot) =>
            Vector256.LoadUnsafe(ref groups, (nuint)((uint)slot / PackedSymbols.SlotsPerGroup * PackedSymbols.WordsPerGroup)) << ~slot;
    }

    /// <summary>Bit values and bases of outcome bytes. Returns how many were multi-clicks.</summary>
    /// <param name="outcomes">As <see cref="BobSifter.Announce"/> takes them.</param>
    /// <param name="bits">Receives the bit values.</param>
    /// <param name="bases">Receives the bases.</param>
    /// <param name="usePlain">Takes each byte by itself on any CPU.</param>
    public static int Pack(ReadOnlySpan<byte> outcomes, Span<ulong> bits, Span<ulong> bases, bool usePlain = false)
    {
        var (multiClicks, word) = (0, 0);
        if (Vector256.IsHardwareAccelerated && !usePlain)
        {
            for (; outcomes.Length >= PerWord; outcomes = outcomes[PerWord..])
            {
                var low = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(outcomes)).AsUInt64();
                var high = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(outcomes), PerWord / 2).AsUInt64();
                bits[word] = Top(low << 7, high << 7);
                bases[word++] = Top(low << 6, high << 6);
                multiClicks += BitOperations.PopCount(Top(low << 5, high << 5));
            }
        }

        for (; !outcomes.IsEmpty; word++)
        {
            var here = Math.Min(PerWord, outcomes.Length);
            ulong b = 0, a = 0;
            for (var i = 0; i < here; i++)
            {
                ulong outcome = outcomes[i];
                b |= (outcome & 1) << i;
                a |= (outcome >> 1 & 1) << i;
                multiClicks += (int)(outcome >> 2 & 1);
            }

            (bits[word], bases[word]) = (b, a);
            outcomes = outcomes[here..];
        }

        return multiClicks;

        static ulong Top(Vector256<ulong> low, Vector256<ulong> high) =>
            low.AsByte().ExtractMostSignificantBits() | (ulong)high.AsByte().ExtractMostSignificantBits() << (PerWord / 2);
    }

    private static Vector256<ulong> LookUpPlain(ReadOnlySpan<ulong> symbols, ReadOnlySpan<int> slots)
    {
        ulong bits = 0, bases = 0, low = 0, high = 0;
        for (var i = 0; i < slots.Length; i++)
        {
            var slot = slots[i];
            var group = symbols.Slice(slot / PackedSymbols.SlotsPerGroup * PackedSymbols.WordsPerGroup, PackedSymbols.WordsPerGroup);
            bits |= (group[0] >> slot & 1) << i;
            bases |= (group[1] >> slot & 1) << i;
            low |= (group[2] >> slot & 1) << i;
            high |= (group[3] >> slot & 1) << i;
        }

        return Vector256.Create(bits, bases, low, high);
    }
}
