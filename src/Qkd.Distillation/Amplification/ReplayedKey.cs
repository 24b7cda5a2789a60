using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// What a recorded block comes to when it is distilled once more. It is no key: no peer has agreed to it, and the real one may long be in use. So it can be held
/// against the real one and nothing else; its bits never leave it, and no <see cref="SecretKey"/> can be made of it.
/// </summary>
public sealed class ReplayedKey : IDisposable
{
    private readonly Custody<BitString> _key;

    internal ReplayedKey(long blockId, BitString key)
    {
        BlockId = blockId;
        LengthBits = key.Length;
        _key = new(nameof(ReplayedKey), key);
    }

    /// <summary>The block that was recorded.</summary>
    public long BlockId { get; }

    /// <summary>Length in bits, a multiple of 8.</summary>
    public int LengthBits { get; }

    /// <summary>Whether a key with this SHA-256 is the same, bit for bit.</summary>
    /// <param name="sha256">32 bytes.</param>
    /// <exception cref="ObjectDisposedException">It was erased.</exception>
    public bool HasDigest(ReadOnlySpan<byte> sha256)
    {
        Span<byte> own = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(MemoryMarshal.AsBytes<ulong>(_key.Peek().Words)[..(LengthBits / 8)], own);
        return CryptographicOperations.FixedTimeEquals(own, sha256);
    }

    /// <summary>Whether these bytes are the same, bit for bit. In constant time.</summary>
    /// <param name="key">The bytes of a key.</param>
    /// <exception cref="ObjectDisposedException">It was erased.</exception>
    public bool IsSameAs(ReadOnlySpan<byte> key) =>
        CryptographicOperations.FixedTimeEquals(MemoryMarshal.AsBytes<ulong>(_key.Peek().Words)[..(LengthBits / 8)], key);

    /// <summary>Erases it.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"replay of block {BlockId}: {LengthBits} bits";
}
