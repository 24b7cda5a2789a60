using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Qkd.Keys;

/// <summary>
/// The 256-bit key that wraps everything in a key store. It comes from a file that only its owner may read, or from an environment
/// variable; it never reaches the database. Erased on dispose.
/// </summary>
public sealed class MasterKey : IDisposable
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 32;

    private readonly byte[] _key;
    private bool _disposed;

    private MasterKey(byte[] key, string origin) => (_key, Origin) = (key, origin);

    /// <summary>Where the key came from, for messages.</summary>
    public string Origin { get; }

    /// <summary>Reads a master key from a file: base64 on one line, mode 0600 on Unix.</summary>
    /// <exception cref="MasterKeyException">No such file, open to others, or not 256 bits in base64.</exception>
    public static MasterKey FromFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Path.GetFullPath(path);
        if (!File.Exists(path))
        {
            throw new MasterKeyException($"There is no master key file {path}; 'qkd init' makes one.");
        }

        if (OwnerOnlyFile.IsOpenToOthers(path))
        {
            throw new MasterKeyException($"The master key file {path} can be read or written by others than its owner; set its mode to 0600.");
        }

        byte[] text;
        try
        {
            text = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MasterKeyException($"The master key file {path} cannot be read: {e.Message}", e);
        }

        return Decode(text, $"file {path}");
    }

    /// <summary>Reads a master key from an environment variable: base64.</summary>
    /// <exception cref="MasterKeyException">Not set, or not 256 bits in base64.</exception>
    public static MasterKey FromEnvironment(string variable)
    {
        ArgumentException.ThrowIfNullOrEmpty(variable);
        var text = Environment.GetEnvironmentVariable(variable);
        return string.IsNullOrWhiteSpace(text)
            ? throw new MasterKeyException($"The environment variable {variable} holds no master key.")
            : Decode(Encoding.ASCII.GetBytes(text), $"environment variable {variable}");
    }

    /// <summary>Makes a new master key file, readable by its owner alone.</summary>
    /// <exception cref="IOException">The file exists; it is not overwritten, for the key that it holds would be lost.</exception>
    public static void CreateFile(string path)
    {
        Span<byte> key = stackalloc byte[Length];
        RandomNumberGenerator.Fill(key);
        Span<byte> text = stackalloc byte[Base64.GetMaxEncodedToUtf8Length(Length) + 1];
        Base64.EncodeToUtf8(key, text, out _, out var written);
        text[written] = (byte)'\n';
        try
        {
            OwnerOnlyFile.Create(path, text[..(written + 1)]);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>Derives a key for one use of one store: HKDF-SHA256 (RFC 5869).</summary>
    internal byte[] Derive(ReadOnlySpan<byte> salt, string purpose)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var derived = new byte[Length];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _key, derived, salt, Encoding.ASCII.GetBytes(purpose));
        return derived;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_key);
    }

    /// <inheritdoc/>
    public override string ToString() => $"master key from {Origin}";

    private static MasterKey Decode(byte[] text, string origin)
    {
        var key = new byte[Length];
        Span<byte> room = stackalloc byte[Length + 3];
        try
        {
            var trimmed = text.AsSpan().Trim(" \t\r\n"u8);
            if (Base64.DecodeFromUtf8(trimmed, room, out _, out var written) != System.Buffers.OperationStatus.Done || written != Length)
            {
                throw new MasterKeyException($"The master key from {origin} is not {8 * Length} bits in base64.");
            }

            room[..Length].CopyTo(key);
            return new(key, origin);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(room);
            CryptographicOperations.ZeroMemory(text);
        }
    }
}
