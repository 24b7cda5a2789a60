using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>
/// The symbol buffer of stream mode: a ring of packed symbols. The connection receives straight into the free part and then says how
/// many slots have become valid; the light takes from the other end. Positions count slots since the buffer was emptied.
/// </summary>
internal sealed class SymbolRing(int capacitySlots)
{
    private const int SlotsPerByte = 2;

    private readonly byte[] _bytes = new byte[capacitySlots / SlotsPerByte];

    public long Capacity => capacitySlots;

    /// <summary>Slots received.</summary>
    public long Received { get; private set; }

    /// <summary>Slots taken.</summary>
    public long Taken { get; private set; }

    public long Buffered => Received - Taken;

    /// <summary>The bytes that follow a position, up to the end of the ring's array. The caller owns them until it calls <see cref="Commit"/>.</summary>
    public Memory<byte> Region(long positionBytes) => _bytes.AsMemory((int)(positionBytes % _bytes.Length));

    /// <summary>The next slots are valid.</summary>
    public void Commit(long slots) => Received += slots;

    /// <summary>Copies out whole groups and frees them.</summary>
    public void Take(Span<ulong> packed)
    {
        Taken += packed.Length * sizeof(ulong) * SlotsPerByte;
        var start = (int)((Taken / SlotsPerByte - (packed.Length * sizeof(ulong))) % _bytes.Length);
        var target = MemoryMarshal.AsBytes(packed);
        var first = Math.Min(target.Length, _bytes.Length - start);
        _bytes.AsSpan(start, first).CopyTo(target);
        _bytes.AsSpan(0, target.Length - first).CopyTo(target[first..]);
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(packed, packed);
        }
    }

    /// <summary>Empties the buffer and counts from zero again.</summary>
    public void Reset() => (Received, Taken) = (0, 0);
}
