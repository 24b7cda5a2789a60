namespace Qkd.Distillation;

/// <summary>A block of a pass that is being halved: its first place, log2 of its size, and that of the block it began with.</summary>
/// <param name="Packed">All in one.</param>
internal readonly record struct CascadeBlock(uint Packed)
{
    private const int HalfShift = 16;
    private const int SearchedShift = 24;

    public CascadeBlock(int place, int size)
        : this((uint)place | (uint)(size - 1) << HalfShift | (uint)size << SearchedShift)
    {
    }

    /// <summary>The first place.</summary>
    public uint Place => Packed & 0xFFFF;

    /// <summary>i where the block has halves of 2^i places.</summary>
    public int Half => (int)(Packed >> HalfShift) & 0x1F;

    /// <summary>log2 of the size of the block that the search began with.</summary>
    public int Searched => (int)(Packed >> SearchedShift);

    /// <summary>One of the halves, of at least two places: 0 the first, 1 the second.</summary>
    public CascadeBlock Halve(uint second) => new(Packed + (second << Half) - (1u << HalfShift));
}

/// <summary>The searches of all frames, room for one of each block of a frame, and beside each the bits or parities within its block.</summary>
internal sealed class CascadeSearches(int frames, int each) : IDisposable
{
    private readonly CascadeBlock[] _blocks = new CascadeBlock[checked(frames * each)];
    private readonly ulong[] _windows = GC.AllocateArray<ulong>(checked(frames * each), pinned: true);

    /// <summary>The blocks of a frame.</summary>
    public Span<CascadeBlock> Blocks(int frame) => _blocks.AsSpan(frame * each, each);

    /// <summary>What is within them.</summary>
    public Span<ulong> Windows(int frame) => _windows.AsSpan(frame * each, each);

    /// <summary>Sets a search of a frame.</summary>
    public void Set(int frame, int index, CascadeBlock block, ulong window)
    {
        _blocks[(frame * each) + index] = block;
        _windows[(frame * each) + index] = window;
    }

    /// <summary>Erases the bits.</summary>
    public void Dispose() => BitString.Erase(_windows);
}
