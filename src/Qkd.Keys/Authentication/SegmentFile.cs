using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Qkd.Distillation;

namespace Qkd.Keys.Authentication;

/// <summary>A segment that does not read back as it was written.</summary>
internal sealed class SegmentDamagedException(string message) : AuthenticationKeyException(message);

/// <summary>
/// One piece of authentication key in a file: two independent strings of key, one for each direction of messages, each with a position before
/// which everything is used. A position is durable before a byte in front of it is handed out, and what is used is overwritten.
/// </summary>
/// <remarks>
/// Little-endian. <c>0 magic "QKDAUTH1"; 8 i64 id; 16 identity (16 bytes, same in both ends' files of a pre-shared key); 32 i32 bytes a direction;
/// 36 checksum of 0..35; 40 u8 confirmed; 64 four position slots of 16 bytes (two a direction, written in turn: i64 position, u32 checksum);
/// 128 checksums of the key in chunks of 256 bytes, both directions; then the key, Alice to Bob first.</c> A checksum is the first four bytes of
/// SHA-256; those of used chunks are overwritten too. Of two valid position slots the further counts.
/// </remarks>
internal sealed class SegmentFile : IDisposable
{
    private const int HeaderLength = 128;
    private const int ConfirmedAt = 40;
    private const int PositionsAt = 64;
    private const int SlotLength = 16;
    private const int ChunkLength = 256;
    private const int MaximumDirectionLength = 1 << 28;

    private static ReadOnlySpan<byte> Magic => "QKDAUTH1"u8;

    private readonly SafeFileHandle _file;
    private readonly byte[][] _keys;
    private readonly long[] _positions = new long[2];
    private readonly int[] _nextSlot = new int[2];

    private SegmentFile(string path, SafeFileHandle file, long id, byte[] identity, byte[][] keys) =>
        (Path, _file, Id, Identity, _keys) = (path, file, id, identity, keys);

    public string Path { get; }

    public long Id { get; }

    public byte[] Identity { get; }

    /// <summary>Whether the peer is known to hold this segment too.</summary>
    public bool Confirmed { get; private set; }

    /// <summary>Bytes a direction.</summary>
    public int Length => _keys[0].Length;

    /// <summary>Writes a new segment. The key is cut in two; an odd byte is left out.</summary>
    public static void Create(string path, long id, ReadOnlySpan<byte> identity, ReadOnlySpan<byte> key, bool confirmed)
    {
        var length = key.Length / 2;
        var chunks = Chunks(length);
        var content = new byte[HeaderLength + (2 * 4 * chunks) + (2 * length)];
        try
        {
            Magic.CopyTo(content);
            BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(8), id);
            identity.CopyTo(content.AsSpan(16, 16));
            BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(32), length);
            Checksum(content.AsSpan(0, 36), content.AsSpan(36, 4));
            content[ConfirmedAt] = confirmed ? (byte)1 : (byte)0;
            for (var direction = 0; direction < 2; direction++)
            {
                WritePosition(0, direction, content.AsSpan(PositionsAt + (2 * direction * SlotLength)));
                var part = key.Slice(direction * length, length);
                part.CopyTo(content.AsSpan(HeaderLength + (8 * chunks) + (direction * length)));
                for (var chunk = 0; chunk < chunks; chunk++)
                {
                    Checksum(Chunk(part, chunk), content.AsSpan(HeaderLength + (4 * ((direction * chunks) + chunk)), 4));
                }
            }

            OwnerOnlyFile.CreateWhole(path, content);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    /// <summary>Opens a segment and checks it.</summary>
    /// <exception cref="AuthenticationKeyException">Open to others or in use.</exception>
    /// <exception cref="SegmentDamagedException">Cut off, or not what was written.</exception>
    public static SegmentFile Open(string path)
    {
        if (OwnerOnlyFile.IsOpenToOthers(path))
        {
            throw new AuthenticationKeyException($"The authentication key {path} can be read or written by others than its owner; set its mode to 0600.");
        }

        SafeFileHandle? file = null;
        byte[]? content = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            content = new byte[RandomAccess.GetLength(file)];
            for (var read = 0; read < content.Length;)
            {
                var more = RandomAccess.Read(file, content.AsSpan(read), read);
                read += more > 0 ? more : throw new EndOfStreamException();
            }

            return Parse(path, file, content);
        }
        catch (Exception e)
        {
            file?.Dispose();
            throw e is IOException or UnauthorizedAccessException
                ? new AuthenticationKeyException($"The authentication key {path} cannot be opened: {e.Message}", e)
                : e;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    /// <summary>Overwrites and deletes a file that is no segment, or no whole one.</summary>
    public static void Erase(string path)
    {
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.None))
        {
            RandomAccess.Write(file, new byte[RandomAccess.GetLength(file)], 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Delete(path);
    }

    /// <summary>First unused byte of a direction, named by who sends.</summary>
    public long Position(LinkEnd sender) => _positions[(int)sender];

    public long Remaining(LinkEnd sender) => Length - _positions[(int)sender];

    /// <summary>Copies bytes without using them up.</summary>
    public byte[] Copy(LinkEnd sender, long offset, int bytes) => _keys[(int)sender].AsSpan((int)offset, bytes).ToArray();

    /// <summary>Uses up everything before <paramref name="offset"/> and the bytes from there on, which are returned. Durable before it returns.</summary>
    public byte[] Use(LinkEnd sender, long offset, int bytes)
    {
        var copy = Copy(sender, offset, bytes);
        try
        {
            Advance(sender, offset + bytes);
            return copy;
        }
        catch
        {
            CryptographicOperations.ZeroMemory(copy);
            throw;
        }
    }

    /// <summary>Uses up everything before <paramref name="position"/>; never goes back.</summary>
    public void Advance(LinkEnd sender, long position)
    {
        var direction = (int)sender;
        var from = _positions[direction];
        if (position <= from)
        {
            return;
        }

        Span<byte> slot = stackalloc byte[SlotLength];
        WritePosition(position, direction, slot);
        try
        {
            RandomAccess.Write(_file, slot, PositionsAt + (((2 * direction) + _nextSlot[direction]) * SlotLength));
            RandomAccess.FlushToDisk(_file);
            _nextSlot[direction] ^= 1;
            _positions[direction] = position;
            Erase(direction, (int)from, (int)position);
        }
        catch (IOException e)
        {
            throw new AuthenticationKeyException($"The position in the authentication key {Path} cannot be made durable: {e.Message}", e);
        }
    }

    /// <summary>Takes note, durably, that the peer holds this segment too.</summary>
    public void Confirm()
    {
        if (!Confirmed)
        {
            RandomAccess.Write(_file, [1], ConfirmedAt);
            RandomAccess.FlushToDisk(_file);
            Confirmed = true;
        }
    }

    /// <summary>Overwrites the key and deletes the file.</summary>
    public void Destroy()
    {
        for (var direction = 0; direction < 2; direction++)
        {
            Erase(direction, (int)_positions[direction], Length);
        }

        RandomAccess.FlushToDisk(_file);
        Dispose();
        File.Delete(Path);
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_keys[0]);
        CryptographicOperations.ZeroMemory(_keys[1]);
        _file.Dispose();
    }

    private static SegmentFile Parse(string path, SafeFileHandle file, byte[] content)
    {
        Span<byte> checksum = stackalloc byte[4];
        if (content.Length < HeaderLength || !content.AsSpan(0, 8).SequenceEqual(Magic))
        {
            throw new SegmentDamagedException($"{path} is not an authentication key.");
        }

        Checksum(content.AsSpan(0, 36), checksum);
        var length = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(32));
        var chunks = Chunks(length);
        if (!content.AsSpan(36, 4).SequenceEqual(checksum)
            || length is < 0 or > MaximumDirectionLength
            || content.Length != HeaderLength + (8L * chunks) + (2L * length))
        {
            throw Damaged(path);
        }

        var keyAt = HeaderLength + (8 * chunks);
        byte[][] keys = [content.AsSpan(keyAt, length).ToArray(), content.AsSpan(keyAt + length, length).ToArray()];
        var segment = new SegmentFile(path, file, BinaryPrimitives.ReadInt64LittleEndian(content.AsSpan(8)), content.AsSpan(16, 16).ToArray(), keys)
        {
            Confirmed = content[ConfirmedAt] == 1,
        };
        for (var direction = 0; direction < 2; direction++)
        {
            segment.ReadPosition(direction, content);

            // A position is durable before what it uses up is overwritten: a crash between the two is made good here.
            if (content.AsSpan(keyAt + (direction * length), (int)segment._positions[direction]).ContainsAnyExcept((byte)0))
            {
                segment.Erase(direction, 0, (int)segment._positions[direction]);
            }

            for (var chunk = 0; chunk < chunks; chunk++)
            {
                // A chunk that has been used in part cannot be checked any more.
                Checksum(Chunk(keys[direction], chunk), checksum);
                if (chunk * ChunkLength >= segment._positions[direction]
                    && !content.AsSpan(HeaderLength + (4 * ((direction * chunks) + chunk)), 4).SequenceEqual(checksum))
                {
                    throw Damaged(path);
                }
            }
        }

        return segment;
    }

    private static SegmentDamagedException Damaged(string path) =>
        new($"The authentication key {path} is damaged. Both ends need a new one: 'qkd init' makes it.");

    private static int Chunks(int length) => (length + ChunkLength - 1) / ChunkLength;

    private static ReadOnlySpan<byte> Chunk(ReadOnlySpan<byte> key, int chunk) =>
        key.Slice(chunk * ChunkLength, Math.Min(ChunkLength, key.Length - (chunk * ChunkLength)));

    private static void Checksum(ReadOnlySpan<byte> bytes, Span<byte> checksum)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        hash[..4].CopyTo(checksum);
        CryptographicOperations.ZeroMemory(hash);
    }

    private static void WritePosition(long position, int direction, Span<byte> slot)
    {
        BinaryPrimitives.WriteInt64LittleEndian(slot, position);
        Span<byte> covered = [.. slot[..8], (byte)direction];
        Checksum(covered, slot[8..12]);
        slot[12..SlotLength].Clear();
    }

    private void ReadPosition(int direction, ReadOnlySpan<byte> content)
    {
        var best = -1L;
        Span<byte> expected = stackalloc byte[SlotLength];
        for (var i = 0; i < 2; i++)
        {
            var slot = content.Slice(PositionsAt + (((2 * direction) + i) * SlotLength), SlotLength);
            var position = BinaryPrimitives.ReadInt64LittleEndian(slot);
            WritePosition(position, direction, expected);
            if (expected[..12].SequenceEqual(slot[..12]) && position > best && position <= Length)
            {
                best = position;
                _nextSlot[direction] = i ^ 1;
            }
        }

        _positions[direction] = best >= 0 ? best : throw Damaged(Path);
        CryptographicOperations.ZeroMemory(_keys[direction].AsSpan(0, (int)best));
    }

    private void Erase(int direction, int from, int to)
    {
        if (to <= from)
        {
            return;
        }

        var chunks = Chunks(Length);
        var zeros = new byte[Math.Max(to - from, 4)];
        CryptographicOperations.ZeroMemory(_keys[direction].AsSpan(from, to - from));
        RandomAccess.Write(_file, zeros.AsSpan(0, to - from), HeaderLength + (8L * chunks) + ((long)direction * Length) + from);
        for (var chunk = from / ChunkLength; chunk <= (to - 1) / ChunkLength; chunk++)
        {
            RandomAccess.Write(_file, zeros.AsSpan(0, 4), HeaderLength + (4L * ((direction * chunks) + chunk)));
        }
    }
}
