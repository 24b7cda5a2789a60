namespace Qkd.Sim.Optics;

/// <summary>
/// Which slot a bench time belongs to at the detectors: the one whose nominal arrival is nearest. Knows the present stretch and the end
/// of the one before it, if the two follow on each other.
/// </summary>
internal readonly ref struct SlotLookup
{
    /// <summary>Number of the first slot of <see cref="Symbols"/>.</summary>
    public required long FirstSlot { get; init; }

    /// <summary>Nominal arrival of <see cref="FirstSlot"/>, in bench picoseconds.</summary>
    public required long FirstArrival { get; init; }

    /// <summary>Slot period in picoseconds.</summary>
    public required long Period { get; init; }

    /// <summary>Packed symbols of the present stretch; empty if there is none.</summary>
    public required ReadOnlySpan<ulong> Symbols { get; init; }

    /// <summary>Packed symbols of the slots right before <see cref="FirstSlot"/>; may be empty.</summary>
    public required ReadOnlySpan<ulong> Tail { get; init; }

    /// <summary>Finds the slot of a time and its symbol.</summary>
    public bool TryFind(long picoseconds, out long slot, out int symbol)
    {
        var index = (long)Math.Floor((double)(picoseconds - FirstArrival + (Period / 2)) / Period);
        slot = FirstSlot + index;
        var tail = Symbol.CountOf(Tail);
        symbol = index >= 0 && index < Symbol.CountOf(Symbols) ? Symbol.Read(Symbols, (int)index)
            : index < 0 && index >= -tail ? Symbol.Read(Tail, (int)(tail + index))
            : -1;
        return symbol >= 0;
    }
}

/// <summary>
/// Symbols as the transmitter's documentation packs them: groups of 64 slots, four words each. Bit <c>s mod 64</c> of word 0 is the bit
/// of slot <c>s</c>, of word 1 its basis (1 = X), of words 2 and 3 the low and the high bit of its intensity index.
/// </summary>
internal static class Symbol
{
    public const int GroupSlots = 64;
    public const int GroupWords = 4;

    /// <summary>Slots in so many words.</summary>
    public static int CountOf(ReadOnlySpan<ulong> packed) => packed.Length / GroupWords * GroupSlots;

    /// <summary>The symbol of a slot, counted from the first: bit + 2 basis + 4 intensity.</summary>
    public static int Read(ReadOnlySpan<ulong> packed, int slot)
    {
        var group = packed.Slice(slot >> 6 << 2, GroupWords);
        var shift = slot & 63;
        return (int)((group[0] >> shift & 1) | (group[1] >> shift & 1) << 1 | (group[2] >> shift & 1) << 2 | (group[3] >> shift & 1) << 3);
    }
}
