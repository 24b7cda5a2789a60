using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Qkd.Keys.Storage;

/// <summary>
/// Seals blocks with AES-256-GCM: each under a data key of its own, that one under a key derived from the master key. The block's id and
/// length are authenticated with both, so that no row can stand in for another.
/// </summary>
internal sealed class BlockSeal : IDisposable
{
    public const int NonceLength = 12;
    public const int TagLength = 16;
    public const int WrappedKeyLength = NonceLength + MasterKey.Length + TagLength;

    private static readonly byte[] CheckText = "qkd key store"u8.ToArray();

    private readonly AesGcm _wrap;
    private readonly byte[] _checkKey;

    public BlockSeal(MasterKey masterKey, ReadOnlySpan<byte> storeId)
    {
        _checkKey = masterKey.Derive(storeId, "qkd key store, check v1");
        var wrapKey = masterKey.Derive(storeId, "qkd key store, data keys v1");
        _wrap = new(wrapKey, TagLength);
        CryptographicOperations.ZeroMemory(wrapKey);
    }

    /// <summary>A value by which the master key is recognised later.</summary>
    public byte[] Check() => HMACSHA256.HashData(_checkKey, CheckText);

    /// <summary>Whether <paramref name="check"/> was made with the same master key.</summary>
    public bool Matches(ReadOnlySpan<byte> check) => CryptographicOperations.FixedTimeEquals(check, Check());

    /// <summary>Seals a block under a fresh data key.</summary>
    /// <param name="blockId">The block.</param>
    /// <param name="plain">Its key bytes.</param>
    /// <param name="wrappedKey">Receives the wrapped data key, <see cref="WrappedKeyLength"/> bytes.</param>
    /// <returns>Nonce, sealed bytes, tag.</returns>
    public byte[] Seal(long blockId, ReadOnlySpan<byte> plain, Span<byte> wrappedKey)
    {
        Span<byte> associated = stackalloc byte[12];
        Associate(blockId, plain.Length, associated);
        Span<byte> dataKey = stackalloc byte[MasterKey.Length];
        try
        {
            RandomNumberGenerator.Fill(dataKey);
            var box = new byte[NonceLength + plain.Length + TagLength];
            using (var cipher = new AesGcm(dataKey, TagLength))
            {
                Encrypt(cipher, plain, box, associated);
            }

            Encrypt(_wrap, dataKey, wrappedKey, associated);
            return box;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(dataKey);
        }
    }

    /// <summary>Opens a block. The caller erases the result.</summary>
    /// <exception cref="KeyStoreDamagedException">Block or data key is not what was written.</exception>
    public byte[] Open(long blockId, ReadOnlySpan<byte> box, ReadOnlySpan<byte> wrappedKey)
    {
        var plain = new byte[Math.Max(0, box.Length - NonceLength - TagLength)];
        Span<byte> associated = stackalloc byte[12];
        Associate(blockId, plain.Length, associated);
        Span<byte> dataKey = stackalloc byte[MasterKey.Length];
        try
        {
            Decrypt(_wrap, wrappedKey, dataKey, associated);
            using var cipher = new AesGcm(dataKey, TagLength);
            Decrypt(cipher, box, plain, associated);
            return plain;
        }
        catch (CryptographicException e)
        {
            CryptographicOperations.ZeroMemory(plain);
            throw new KeyStoreDamagedException($"Block {blockId} cannot be opened: it or its data key was changed.", e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(dataKey);
        }
    }

    public void Dispose()
    {
        _wrap.Dispose();
        CryptographicOperations.ZeroMemory(_checkKey);
    }

    private static void Associate(long blockId, int length, Span<byte> associated)
    {
        BinaryPrimitives.WriteInt64LittleEndian(associated, blockId);
        BinaryPrimitives.WriteInt32LittleEndian(associated[8..], length);
    }

    private static void Encrypt(AesGcm cipher, ReadOnlySpan<byte> plain, Span<byte> box, ReadOnlySpan<byte> associated)
    {
        RandomNumberGenerator.Fill(box[..NonceLength]);
        cipher.Encrypt(box[..NonceLength], plain, box.Slice(NonceLength, plain.Length), box[^TagLength..], associated);
    }

    private static void Decrypt(AesGcm cipher, ReadOnlySpan<byte> box, Span<byte> plain, ReadOnlySpan<byte> associated)
    {
        if (box.Length != NonceLength + plain.Length + TagLength)
        {
            throw new CryptographicException("wrong length");
        }

        cipher.Decrypt(box[..NonceLength], box.Slice(NonceLength, plain.Length), box[^TagLength..], plain, associated);
    }
}
