using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Distillation;

/// <summary>Moves packed bits to another place in their words.</summary>
internal static class BitShift
{
    /// <summary>
    /// Word i of the destination becomes bits 64 i + shift to 64 i + shift + 63 of the source, which must have one word more than the destination.
    /// </summary>
    /// <param name="source">The bits.</param>
    /// <param name="shift">1 to 63.</param>
    /// <param name="destination">Filled whole; no part of the source.</param>
    public static void Down(ReadOnlySpan<ulong> source, int shift, Span<ulong> destination)
    {
        if (shift is < 1 or > 63 || source.Length <= destination.Length)
        {
            throw new ArgumentException($"A shift of {shift} by {destination.Length} words out of {source.Length}.", nameof(source));
        }

        var i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref var from = ref MemoryMarshal.GetReference(source);
            ref var to = ref MemoryMarshal.GetReference(destination);
            for (; i <= destination.Length - Vector256<ulong>.Count; i += Vector256<ulong>.Count)
            {
                var low = Vector256.LoadUnsafe(ref from, (nuint)i) >>> shift;
                var high = Vector256.LoadUnsafe(ref Unsafe.Add(ref from, 1), (nuint)i) << (64 - shift);
                (low | high).StoreUnsafe(ref to, (nuint)i);
            }
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = source[i] >> shift | source[i + 1] << (64 - shift);
        }
    }
}
