using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qkd.Distillation;

/// <summary>
/// Reads the gaps of an announcement as slots of the frame, strictly ascending and all within it. Whatever a peer sends, the fast path and
/// the plain one take and refuse the same.
/// </summary>
/// <param name="message">The announcement, with nothing but the gaps left.</param>
/// <param name="pilotSlots">Slots of the pilot, which the first gap follows.</param>
/// <param name="frameSlots">Slots of the frame, pilot included.</param>
/// <param name="usePlain">Reads byte by byte on any CPU.</param>
internal ref struct GapReader(MessageReader message, int pilotSlots, int frameSlots, bool usePlain = false)
{
    private const int GapsAtOnce = 8;
    private const int LongGapsAtOnce = 16;

    /// <summary>In each byte the bit that says that more follow.</summary>
    private const ulong MoreFollow = 0x8080_8080_8080_8080;

    private readonly bool _vectors = Avx2.IsSupported && !usePlain;
    private readonly bool _words = Bmi2.X64.IsSupported && !usePlain;
    private readonly MessageReader _message = message;
    private readonly ReadOnlySpan<byte> _gaps = message.Rest;
    private readonly int _frameSlots = frameSlots;
    private int _position;
    private int _slot = pilotSlots - 1;

    /// <summary>Reads the slots of the next detections.</summary>
    public void Read(scoped Span<int> slots)
    {
        while (!slots.IsEmpty)
        {
            // Where a long gap is, more will be near: the short way is tried again after a few.
            slots = slots[(_vectors ? ReadShort(slots) : 0)..];
            var few = slots[..Math.Min(slots.Length, LongGapsAtOnce)];
            var read = _words ? ReadPairs(few) : 0;
            ReadEach(read == few.Length ? [] : few[read..]);
            slots = slots[few.Length..];
        }
    }

    /// <summary>Refuses what follows the last gap.</summary>
    public readonly void End()
    {
        if (_position != _gaps.Length)
        {
            throw _message.Malformed($"{_gaps.Length - _position} bytes follow its last gap");
        }
    }

    /// <summary>As many times eight gaps of one byte each as follow: their sums up to each of them. Returns how many.</summary>
    private int ReadShort(scoped Span<int> slots)
    {
        var gaps = _gaps[_position..];
        var many = Math.Min(slots.Length, gaps.Length) & -GapsAtOnce;
        var slot = _slot;
        ref var from = ref MemoryMarshal.GetReference(gaps);
        ref var to = ref MemoryMarshal.GetReference(slots);
        nuint read = 0;
        for (; read < (nuint)many; read += GapsAtOnce)
        {
            var eight = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref from, read));
            if ((eight & MoreFollow) != 0)
            {
                break;
            }

            var sums = Vector128.WidenLower(Vector128.CreateScalar(eight).AsByte()) + Vector128<ushort>.One;
            sums += Sse2.ShiftLeftLogical128BitLane(sums, 2);
            sums += Sse2.ShiftLeftLogical128BitLane(sums, 4);
            sums += Sse2.ShiftLeftLogical128BitLane(sums, 8);
            (Avx2.ConvertToVector256Int32(sums) + Vector256.Create(slot)).StoreUnsafe(ref to, read);
            slot += sums.GetElement(7);
            if (slot >= _frameSlots)
            {
                throw Beyond();
            }
        }

        _slot = slot;
        _position += (int)read;
        return (int)read;
    }

    private void ReadEach(scoped Span<int> slots)
    {
        for (var i = 0; i < slots.Length; i++)
        {
            var position = _position;
            int gap = position < _gaps.Length ? _gaps[position] : throw _message.Malformed("its gaps break off");
            _position = position + 1;
            _slot += 1 + (gap < 0x80 ? gap : LongGap(gap & 0x7F));
            slots[i] = _slot < _frameSlots ? _slot : throw Beyond();
        }
    }

    /// <summary>
    /// Two gaps out of eight bytes, without a branch on how many of them they have; up to a pair in which something may be wrong, which is left to
    /// the plain way. Returns how many gaps were read.
    /// </summary>
    private int ReadPairs(scoped Span<int> slots)
    {
        var (position, slot, read) = (_position, _slot, 0);
        for (; read < slots.Length - 1 && BinaryPrimitives.TryReadUInt64LittleEndian(_gaps[position..], out var bytes); read += 2)
        {
            // All bits up to the end of the first gap, and of the second.
            var ends = ~bytes & MoreFollow;
            var endsAfter = ends & (ends - 1);
            var first = ends ^ (ends - 1);
            var both = endsAfter ^ (endsAfter - 1);
            var second = both & ~first;
            if (endsAfter == 0
                || first > uint.MaxValue
                || BitOperations.PopCount(second) > 32
                || (bytes & first & ~(first >> 8)) == 0
                || (bytes & both & ~(both >> 8)) == 0)
            {
                break;
            }

            position += (BitOperations.TrailingZeroCount(endsAfter) + 1) >> 3;
            slots[read] = slot + (int)Bmi2.X64.ParallelBitExtract(bytes, first & ~MoreFollow) + 1;
            slot = slots[read] + (int)Bmi2.X64.ParallelBitExtract(bytes, second & ~MoreFollow) + 1;
            slots[read + 1] = slot;
            if (slot >= _frameSlots)
            {
                throw Beyond();
            }
        }

        (_position, _slot) = (position, slot);
        return read;
    }

    /// <summary>The rest of a gap whose first byte says that more follow.</summary>
    private int LongGap(int gap)
    {
        for (var shift = 7; shift < 7 * SiftingMessages.MaximumGapBytes && _position < _gaps.Length; shift += 7)
        {
            int next = _gaps[_position++];
            gap |= (next & 0x7F) << shift;
            if (next < 0x80)
            {
                return next != 0 ? gap : throw _message.Malformed("a gap is not in its shortest form");
            }
        }

        throw _message.Malformed("a gap does not end");
    }

    private readonly DistillationException Beyond() => _message.Malformed("a detection lies beyond the frame");
}
