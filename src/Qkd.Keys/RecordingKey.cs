using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Qkd.Keys;

/// <summary>
/// The 256-bit key that recordings of sessions are sealed with: a file that only its owner may read, made where there is none. Who has it and a recording has the raw key of
/// that session. Erased on dispose.
/// </summary>
public sealed class RecordingKey : IDisposable
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 32;

    /// <summary>Name of the file in a node's folder, unless the configuration says otherwise.</summary>
    public const string FileName = "recording.key";

    private readonly byte[] _key;

    private RecordingKey(byte[] key) => _key = key;

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Bytes => _key;

    /// <summary>Reads the key, and makes it first if there is none.</summary>
    /// <param name="path">The file: base64 on one line, mode 0600 on Unix.</param>
    /// <exception cref="KeyStoreException">The file cannot be made or read, is open to others, or holds no key.</exception>
    public static RecordingKey OpenOrCreate(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Path.GetFullPath(path);
        if (!File.Exists(path))
        {
            var key = RandomNumberGenerator.GetBytes(Length);
            try
            {
                OwnerOnlyFile.EnsureFolder(Path.GetDirectoryName(path)!);
                OwnerOnlyFile.CreateWhole(path, Encoding.ASCII.GetBytes(Convert.ToBase64String(key) + "\n"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Another process of the same bench may have been first.
                if (!File.Exists(path))
                {
                    throw new KeyStoreException($"The key of recordings {path} cannot be made: {e.Message}", e);
                }
            }
            finally
            {
                CryptographicOperations.ZeroMemory(key);
            }
        }

        return Open(path);
    }

    /// <summary>Reads the key.</summary>
    /// <inheritdoc cref="OpenOrCreate"/>
    public static RecordingKey Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Path.GetFullPath(path);
        if (!File.Exists(path))
        {
            throw new KeyStoreException($"There is no key of recordings {path}.");
        }

        if (OwnerOnlyFile.IsOpenToOthers(path))
        {
            throw new KeyStoreException($"The key of recordings {path} can be read or written by others than its owner; set its mode to 0600.");
        }

        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            Span<byte> text = stackalloc byte[128];
            var read = stream.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            var key = GC.AllocateArray<byte>(Length, pinned: true);
            var trimmed = text[..read].TrimEnd(" \r\n"u8);
            Span<byte> decoded = stackalloc byte[96];
            var fits = Base64.IsValid(trimmed, out var length) && length == Length
                && Base64.DecodeFromUtf8(trimmed, decoded, out _, out _) == System.Buffers.OperationStatus.Done;
            decoded[..Length].CopyTo(key);
            CryptographicOperations.ZeroMemory(text);
            CryptographicOperations.ZeroMemory(decoded);
            return fits ? new(key) : throw new KeyStoreException($"The file {path} holds no key of recordings: {Length} bytes in base64 are expected.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyStoreException($"The key of recordings {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Makes a folder for recordings that only its owner may enter, if there is none.</summary>
    /// <exception cref="KeyStoreException">It cannot be made.</exception>
    public static void EnsureFolder(string path)
    {
        try
        {
            OwnerOnlyFile.EnsureFolder(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyStoreException($"The folder of recordings {path} cannot be made: {e.Message}", e);
        }
    }

    /// <summary>Makes a file for a recording, which must not exist yet and which only its owner may read.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be made there.</exception>
    public static Stream CreateFile(string path) => OwnerOnlyFile.CreateStream(path);

    /// <summary>Erases the key.</summary>
    public void Dispose() => CryptographicOperations.ZeroMemory(_key);
}
