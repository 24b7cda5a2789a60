namespace Qkd.Devices;

/// <summary>Preparation and measurement bases. The key basis is Z everywhere in this project, the test basis X.</summary>
public enum Basis
{
    /// <summary>Key basis: horizontal (bit 0) and vertical (bit 1).</summary>
    Z = 0,

    /// <summary>Test basis: diagonal (bit 0) and anti-diagonal (bit 1).</summary>
    X = 1,
}

/// <summary>One slot's preparation.</summary>
/// <param name="Basis">Basis.</param>
/// <param name="Bit">0 or 1.</param>
/// <param name="Intensity">Intensity index, 0 for the brightest (signal), up to 3.</param>
public readonly record struct Symbol(Basis Basis, int Bit, int Intensity);

/// <summary>
/// The layout in which symbols are sent to a modulator, kept and looked up: groups of 64 slots, each group four 64-bit words,
/// where bit <c>s mod 64</c> of word 0 is the slot's bit, of word 1 its basis (1 = X), of word 2 the low and of word 3 the high bit
/// of its intensity index. Half a byte a slot.
/// </summary>
public static class PackedSymbols
{
    /// <summary>Slots in a group.</summary>
    public const int SlotsPerGroup = 64;

    /// <summary>64-bit words in a group.</summary>
    public const int WordsPerGroup = 4;

    /// <summary>Words that hold <paramref name="slots"/> slots, a multiple of 64.</summary>
    public static int WordCount(int slots) => slots / SlotsPerGroup * WordsPerGroup;

    /// <summary>Reads the symbol of a slot, counted from the first in <paramref name="packed"/>.</summary>
    public static Symbol Read(ReadOnlySpan<ulong> packed, int slot)
    {
        var group = packed.Slice(slot / SlotsPerGroup * WordsPerGroup, WordsPerGroup);
        var shift = slot % SlotsPerGroup;
        return new(
            (Basis)(group[1] >> shift & 1),
            (int)(group[0] >> shift & 1),
            (int)((group[2] >> shift & 1) | (group[3] >> shift & 1) << 1));
    }

    /// <summary>Writes the symbol of a slot.</summary>
    public static void Write(Span<ulong> packed, int slot, Symbol symbol)
    {
        var group = packed.Slice(slot / SlotsPerGroup * WordsPerGroup, WordsPerGroup);
        var shift = slot % SlotsPerGroup;
        Put(ref group[0], shift, symbol.Bit);
        Put(ref group[1], shift, (int)symbol.Basis);
        Put(ref group[2], shift, symbol.Intensity & 1);
        Put(ref group[3], shift, symbol.Intensity >> 1);

        static void Put(ref ulong word, int shift, int bit) => word = word & ~(1UL << shift) | (ulong)bit << shift;
    }
}
