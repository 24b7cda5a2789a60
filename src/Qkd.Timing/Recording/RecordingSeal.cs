using System.Buffers.Binary;
using System.Security.Cryptography;
using Qkd.Timing.Formats;

namespace Qkd.Timing.Recording;

/// <summary>
/// The cipher of one recording: AES-256 in Galois/Counter Mode, a nonce for each chunk, under a key that only this file has. A chunk's number, its length and
/// whether it is the last are authenticated with it, so that nothing can be cut off, put in another order or taken from another file unseen.
/// </summary>
/// <remarks>
/// Key and first nonce come from the recording key, the file's random salt and its whole header by HKDF with SHA-256 (RFC 5869). The nonce of a chunk is the
/// first one with the chunk's number added by exclusive or, as in RFC 8446, section 5.3. Galois/Counter Mode: NIST SP 800-38D.
/// </remarks>
internal sealed class RecordingSeal : IDisposable
{
    /// <summary>Length of the recording key in bytes.</summary>
    public const int KeyBytes = 32;

    /// <summary>Length of the header in bytes: <c>magic (8); u16 version; u16 zero; u32 largest chunk; key id (16); salt (32)</c>.</summary>
    public const int HeaderBytes = 64;

    /// <summary>Length of a chunk's beginning in bytes: its length, and in the highest bit whether it is the last.</summary>
    public const int WordBytes = 4;

    /// <summary>Length of a chunk's tag in bytes.</summary>
    public const int TagBytes = 16;

    /// <summary>Most bytes of content in a chunk.</summary>
    public const int LargestChunk = 1 << 16;

    /// <summary>Set in a chunk's first word if it is the last.</summary>
    public const uint FinalFlag = 1u << 31;

    private const int NonceBytes = 12;
    private const int KeyIdAt = 16;
    private const int SaltAt = 32;
    private const int KeyIdBytes = 16;
    private const ushort Version = 1;

    /// <summary>How a recording begins. With line ends in it: a transfer that takes the file for text shows in the first bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "QKDREC\r\n"u8;

    private readonly AesGcm _cipher;
    private readonly byte[] _firstNonce = new byte[NonceBytes];

    private RecordingSeal(ReadOnlySpan<byte> key, ReadOnlySpan<byte> header)
    {
        var info = "qkd session recording"u8;
        Span<byte> bound = stackalloc byte[info.Length + HeaderBytes];
        info.CopyTo(bound);
        header.CopyTo(bound[info.Length..]);
        Span<byte> derived = stackalloc byte[KeyBytes + NonceBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, key, derived, header[SaltAt..], bound);
        _cipher = new AesGcm(derived[..KeyBytes], TagBytes);
        derived[KeyBytes..].CopyTo(_firstNonce);
        CryptographicOperations.ZeroMemory(derived);
    }

    /// <summary>A seal for a new file, whose header it makes.</summary>
    /// <exception cref="ArgumentException">The key has not 32 bytes.</exception>
    public static RecordingSeal Create(ReadOnlySpan<byte> key, Span<byte> header)
    {
        CheckKey(key);
        header.Clear();
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], LargestChunk);
        WriteKeyId(key, header.Slice(KeyIdAt, KeyIdBytes));
        RandomNumberGenerator.Fill(header[SaltAt..]);
        return new(key, header);
    }

    /// <summary>The seal of an existing file.</summary>
    /// <exception cref="ArgumentException">The key has not 32 bytes.</exception>
    /// <exception cref="TagFormatException">The header is not one of a recording, or of one under another key.</exception>
    public static RecordingSeal Open(ReadOnlySpan<byte> key, ReadOnlySpan<byte> header)
    {
        CheckKey(key);
        if (!header.StartsWith(Magic))
        {
            throw new TagFormatException(0, "this is not the recording of a session");
        }

        var version = BinaryPrimitives.ReadUInt16LittleEndian(header[8..]);
        if (version != Version)
        {
            throw new TagFormatException(8, $"the recording has version {version}; version {Version} can be read");
        }

        if (BinaryPrimitives.ReadUInt16LittleEndian(header[10..]) != 0 || BinaryPrimitives.ReadUInt32LittleEndian(header[12..]) != LargestChunk)
        {
            throw new TagFormatException(10, "the recording's header makes no sense");
        }

        Span<byte> id = stackalloc byte[KeyIdBytes];
        WriteKeyId(key, id);
        var named = header.Slice(KeyIdAt, KeyIdBytes);
        return named.SequenceEqual(id)
            ? new(key, header)
            : throw new TagFormatException(
                KeyIdAt, $"the recording was sealed with another key: it names {Convert.ToHexStringLower(named[..4])}…, the key given is {Convert.ToHexStringLower(id[..4])}…");
    }

    /// <summary>Seals a chunk.</summary>
    public void Seal(ulong number, uint word, ReadOnlySpan<byte> content, Span<byte> sealedContent, Span<byte> tag)
    {
        Span<byte> nonce = stackalloc byte[NonceBytes];
        Span<byte> bound = stackalloc byte[sizeof(ulong) + WordBytes];
        Prepare(number, word, nonce, bound);
        _cipher.Encrypt(nonce, content, sealedContent, tag, bound);
    }

    /// <summary>Opens a chunk; false if it is not what was sealed.</summary>
    public bool TryOpen(ulong number, uint word, ReadOnlySpan<byte> sealedContent, ReadOnlySpan<byte> tag, Span<byte> content)
    {
        Span<byte> nonce = stackalloc byte[NonceBytes];
        Span<byte> bound = stackalloc byte[sizeof(ulong) + WordBytes];
        Prepare(number, word, nonce, bound);
        try
        {
            _cipher.Decrypt(nonce, sealedContent, tag, content, bound);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    public void Dispose() => _cipher.Dispose();

    private static void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length != KeyBytes)
        {
            throw new ArgumentException($"A recording key has {KeyBytes} bytes, not {key.Length}.", nameof(key));
        }
    }

    /// <summary>Tells keys apart without telling anything of them.</summary>
    private static void WriteKeyId(ReadOnlySpan<byte> key, Span<byte> id) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, key, id, [], "qkd session recording key id"u8);

    private void Prepare(ulong number, uint word, Span<byte> nonce, Span<byte> bound)
    {
        _firstNonce.CopyTo(nonce);
        var place = nonce[(NonceBytes - sizeof(ulong))..];
        BinaryPrimitives.WriteUInt64BigEndian(place, BinaryPrimitives.ReadUInt64BigEndian(place) ^ number);
        BinaryPrimitives.WriteUInt64LittleEndian(bound, number);
        BinaryPrimitives.WriteUInt32LittleEndian(bound[sizeof(ulong)..], word);
    }
}
