using System.Buffers;
using System.Security.Cryptography;

namespace Qkd.Link.Recording;

/// <summary>The content of an entry on its way to the file, in rented memory that is erased before it is given back.</summary>
internal sealed class EntryBuffer : IBufferWriter<byte>, IDisposable
{
    private byte[] _bytes = [];

    /// <summary>Bytes written.</summary>
    public int Count { get; private set; }

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Count);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _bytes.Length - Count);
        Count += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(Count);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(Count);
    }

    public void Dispose()
    {
        Release(_bytes, Count);
        (_bytes, Count) = ([], 0);
    }

    private static void Release(byte[] bytes, int used)
    {
        if (bytes.Length > 0)
        {
            CryptographicOperations.ZeroMemory(bytes.AsSpan(0, used));
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private void Reserve(int size)
    {
        if (_bytes.Length - Count >= Math.Max(1, size))
        {
            return;
        }

        var needed = checked(Count + Math.Max(size, 256));
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Math.Max(needed, 2L * _bytes.Length), Array.MaxLength));
        Written.CopyTo(larger);
        Release(_bytes, Count);
        _bytes = larger;
    }
}
