using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Qkd.Timing.Gating;

namespace Qkd.Timing;

/// <summary>
/// A byte for every slot of a stretch: bits 0 to 3 say which detectors (H, V, D, A) clicked within the gate, bit 4 that one clicked outside it.
/// It tells the bits, so it is pinned in memory and erased after use. Scattering the channels into it one after the other merges them without comparing times, and costs the same whatever their order.
/// </summary>
internal sealed class SlotMap
{
    /// <summary>A click outside the gate.</summary>
    public const byte OutsideGate = 16;

    private byte[] _slots = [];

    /// <summary>Number of the first slot.</summary>
    public long FirstSlot { get; private set; }

    /// <summary>Slots in the stretch.</summary>
    public int Count { get; private set; }

    /// <summary>One byte a slot.</summary>
    public ReadOnlySpan<byte> Slots => _slots.AsSpan(0, Count);

    /// <summary>Starts a new stretch without clicks; the one before must have been erased.</summary>
    public void Begin(long firstSlot, int count)
    {
        if (_slots.Length < count)
        {
            _slots = GC.AllocateArray<byte>(count, pinned: true);
        }

        (FirstSlot, Count) = (firstSlot, count);
    }

    /// <summary>Erases the stretch.</summary>
    public void Erase()
    {
        CryptographicOperations.ZeroMemory(_slots.AsSpan(0, Count));
        Count = 0;
    }

    /// <summary>Adds the clicks of one detector.</summary>
    /// <param name="times">Picoseconds since the marker.</param>
    /// <param name="markers">Number of the marker of each, counted so that marker 0 is slot 0 before the delay.</param>
    /// <param name="detector">The detector: its place among the four, its phase, its gate.</param>
    /// <param name="geometry">Where slots lie.</param>
    /// <param name="arrivals">Counts when clicks come within their slot.</param>
    /// <returns>Clicks outside the stretch.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public long Scatter(ReadOnlySpan<long> times, ReadOnlySpan<long> markers, in SlotDetector detector, in SlotGeometry geometry, ArrivalHistogram arrivals)
    {
        var slots = _slots.AsSpan(0, Count);
        var inverse = 1 / geometry.Period;
        var origin = (detector.Phase * inverse) - 0.5;
        var halfGate = detector.HalfGate * inverse;
        var bit = (byte)(1 << detector.Index);
        var bins = arrivals.Bins;
        var cells = arrivals.Cells.Slice(detector.Index * bins, bins);
        var start = (geometry.MarkerOfFirstIndex * geometry.Divisor) - geometry.DelaySlots - FirstSlot;
        long outside = 0;
        for (var i = 0; i < times.Length; i++)
        {
            // position: in slots, so that a click at its phase lies in the middle of [n, n + 1).
            var position = (times[i] * inverse) - origin;
            var whole = Math.Floor(position);
            var slot = start + (markers[i] * geometry.Divisor) + (long)whole;
            if ((ulong)slot >= (ulong)slots.Length)
            {
                outside++;
                continue;
            }

            var within = position - whole;
            cells[Math.Min((int)(within * bins), bins - 1)]++;
            slots[(int)slot] |= Math.Abs(within - 0.5) <= halfGate ? bit : OutsideGate;
        }

        return outside;
    }

    /// <summary>Adds clicks whose slots and marks are known.</summary>
    /// <returns>Clicks outside the stretch.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public long Mark(ReadOnlySpan<int> slots, ReadOnlySpan<byte> marks, long origin)
    {
        var map = _slots.AsSpan(0, Count);
        var start = origin - FirstSlot;
        long outside = 0;
        for (var i = 0; i < slots.Length; i++)
        {
            var slot = start + slots[i];
            if ((ulong)slot < (ulong)map.Length)
            {
                map[(int)slot] |= marks[i];
            }
            else
            {
                outside++;
            }
        }

        return outside;
    }

    /// <summary>Moves the numbering of the whole stretch.</summary>
    public void Renumber(long bySlots) => FirstSlot += bySlots;

    /// <summary>Index of the first slot from <paramref name="from"/> on that has a click; <see cref="Count"/> if there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Next(int from)
    {
        var slots = Slots;
        while (from + 32 <= Count)
        {
            var chunk = Vector256.Create(slots.Slice(from, 32));
            if (chunk != Vector256<byte>.Zero)
            {
                return from + BitOperations.TrailingZeroCount(~Vector256.Equals(chunk, Vector256<byte>.Zero).ExtractMostSignificantBits());
            }

            from += 32;
        }

        for (; from < Count; from++)
        {
            if (slots[from] != 0)
            {
                return from;
            }
        }

        return Count;
    }
}

/// <summary>Where slots lie in one acquisition.</summary>
/// <param name="Period">Length of a slot in picoseconds of the tagger's clock.</param>
/// <param name="Divisor">Slots between markers.</param>
/// <param name="MarkerOfFirstIndex">Number of the marker that has index 0 in the acquisition, were there one.</param>
/// <param name="DelaySlots">Delay of the light in whole slots.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SlotGeometry(double Period, int Divisor, long MarkerOfFirstIndex, long DelaySlots);

/// <summary>One detector as the map sees it.</summary>
/// <param name="Index">0 to 3: H, V, D, A.</param>
/// <param name="Phase">Its phase in picoseconds.</param>
/// <param name="HalfGate">Half the width of its gate in picoseconds.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SlotDetector(int Index, double Phase, double HalfGate);
