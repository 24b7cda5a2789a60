using System.Buffers;
using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>
/// Rented words for secrets on the way: pinned as long as they are held, so that the collector leaves no copy behind, and zeroed before
/// they go back. What they contain at first is undefined.
/// </summary>
internal sealed class WorkingMemory : IDisposable
{
    private readonly int _length;
    private ulong[]? _words;
    private GCHandle _pin;

    public WorkingMemory(int length)
    {
        _words = ArrayPool<ulong>.Shared.Rent(length);
        _pin = GCHandle.Alloc(_words, GCHandleType.Pinned);
        _length = length;
    }

    /// <summary>The words, as many as were asked for.</summary>
    /// <exception cref="ObjectDisposedException">They have been given back.</exception>
    public Span<ulong> Words => (_words ?? throw new ObjectDisposedException(nameof(WorkingMemory))).AsSpan(0, _length);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _words, null) is { } words)
        {
            BitString.Erase(words.AsSpan(0, _length));
            _pin.Free();
            ArrayPool<ulong>.Shared.Return(words);
        }
    }
}
