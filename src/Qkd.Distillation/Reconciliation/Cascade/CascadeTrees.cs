namespace Qkd.Distillation;

/// <summary>The parities of all frames at Alice's end: a tree for each of the first passes, and one of a pass over half frames for as long as it is searched.</summary>
internal sealed class CascadeTrees(CascadePlan plan) : IDisposable
{
    private readonly ulong[]?[] _passes = new ulong[CascadePlan.MainPasses][];
    private readonly ulong[]?[] _halves = new ulong[plan.Frames][];
    private readonly Stack<ulong[]> _free = [];
    private readonly int _words = plan.Levels.Words;

    /// <summary>The bits of a frame in their own order.</summary>
    public Span<ulong> Bits(int frame) => Of(frame, 0)[..plan.Levels.BitWords];

    /// <summary>The tree of a pass of a frame.</summary>
    public Span<ulong> Of(int frame, int pass) => pass < CascadePlan.MainPasses
        ? (_passes[pass] ??= Allocate(plan.Frames * (long)_words)).AsSpan(frame * _words, _words)
        : _halves[frame] ?? throw new InvalidOperationException("No pass over half frames is searched.");

    /// <summary>Makes the tree of a pass from the bits as they are now.</summary>
    public void Build(int frame, int pass)
    {
        if (pass >= CascadePlan.MainPasses)
        {
            _halves[frame] ??= _free.TryPop(out var free) ? free : Allocate(_words);
        }

        var tree = Of(frame, pass);
        if (pass > 0)
        {
            plan.Order.Rearrange(pass, Bits(frame), tree[..plan.Levels.BitWords]);
        }

        plan.Levels.Build(tree);
    }

    /// <summary>The tree of a pass over half frames is no longer searched.</summary>
    public void Release(int frame)
    {
        if (_halves[frame] is { } tree)
        {
            _free.Push(tree);
            _halves[frame] = null;
        }
    }

    /// <summary>Erases the bits.</summary>
    public void Dispose()
    {
        foreach (var tree in _passes.Concat(_halves).Concat(_free))
        {
            BitString.Erase(tree);
        }
    }

    private static ulong[] Allocate(long words) => GC.AllocateArray<ulong>(checked((int)words), pinned: true);
}
