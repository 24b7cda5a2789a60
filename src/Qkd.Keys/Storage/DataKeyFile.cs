using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Qkd.Keys.Storage;

/// <summary>
/// The wrapped data keys of all live blocks, one fixed slot each, in a file of its own. A database keeps old rows in its log and its free
/// pages, so a data key must never be in it: here it is overwritten in place, and made durable, when its block has come to its end.
/// What a file system or a disk copies aside on its own is out of reach (see docs/keys.md).
/// </summary>
/// <remarks>Slot: <c>u32 marker; i64 block; wrapped data key (60 bytes)</c>, little-endian; all zero if free.</remarks>
internal sealed class DataKeyFile : IDisposable
{
    public const int SlotLength = 4 + 8 + BlockSeal.WrappedKeyLength;

    private const uint Marker = 0x59454B44; // "DKEY"

    private readonly SafeFileHandle _file;
    private readonly string _path;
    private readonly SortedSet<int> _free = [];
    private readonly Dictionary<int, long> _occupied = [];
    private int _slots;

    public DataKeyFile(string path)
    {
        _path = path;
        OwnerOnlyFile.Ensure(path);
        if (OwnerOnlyFile.IsOpenToOthers(path))
        {
            throw new KeyStoreException($"The file of data keys {path} can be read or written by others than its owner; set its mode to 0600.");
        }

        _file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        var content = new byte[RandomAccess.GetLength(_file)];
        ReadExactly(content, 0);

        // A file that ends within a slot was cut off while it grew; nothing in the database refers to that slot.
        _slots = content.Length / SlotLength;
        for (var slot = 0; slot < _slots; slot++)
        {
            var bytes = content.AsSpan(slot * SlotLength, SlotLength);
            if (!bytes.ContainsAnyExcept((byte)0))
            {
                _free.Add(slot);
            }
            else
            {
                _occupied[slot] = BinaryPrimitives.ReadInt64LittleEndian(bytes[4..]);
            }
        }
    }

    /// <summary>Slots in use, and the blocks they belong to.</summary>
    public IReadOnlyDictionary<int, long> Occupied => _occupied;

    /// <summary>Writes a block's wrapped data key and makes it durable.</summary>
    public int Write(long blockId, ReadOnlySpan<byte> wrapped)
    {
        var slot = _free.Count > 0 ? _free.Min : _slots;
        Span<byte> bytes = stackalloc byte[SlotLength];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Marker);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[4..], blockId);
        wrapped.CopyTo(bytes[12..]);
        RandomAccess.Write(_file, bytes, (long)slot * SlotLength);
        RandomAccess.FlushToDisk(_file);
        _free.Remove(slot);
        _occupied[slot] = blockId;
        _slots = Math.Max(_slots, slot + 1);
        return slot;
    }

    /// <summary>Reads a block's wrapped data key.</summary>
    public void Read(int slot, long blockId, Span<byte> wrapped)
    {
        Span<byte> bytes = stackalloc byte[SlotLength];
        if (slot < 0
            || slot >= _slots
            || RandomAccess.Read(_file, bytes, (long)slot * SlotLength) != SlotLength
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Marker
            || BinaryPrimitives.ReadInt64LittleEndian(bytes[4..]) != blockId)
        {
            throw new KeyStoreDamagedException($"{_path} holds no data key of block {blockId} in slot {slot}.");
        }

        bytes[12..].CopyTo(wrapped);
    }

    /// <summary>Overwrites slots and makes that durable.</summary>
    public void Destroy(IEnumerable<int> slots)
    {
        Span<byte> zeros = stackalloc byte[SlotLength];
        zeros.Clear();
        var any = false;
        foreach (var slot in slots)
        {
            RandomAccess.Write(_file, zeros, (long)slot * SlotLength);
            _occupied.Remove(slot);
            _free.Add(slot);
            any = true;
        }

        if (any)
        {
            RandomAccess.FlushToDisk(_file);
        }
    }

    public void Dispose() => _file.Dispose();

    private void ReadExactly(Span<byte> destination, long offset)
    {
        while (!destination.IsEmpty)
        {
            var read = RandomAccess.Read(_file, destination, offset);
            if (read == 0)
            {
                throw new KeyStoreDamagedException($"{_path} ended while it was read.");
            }

            destination = destination[read..];
            offset += read;
        }
    }
}
