using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>A stretch of stream bytes ready to be sent.</summary>
/// <param name="Bytes">Rented from the shared pool; null for an empty message.</param>
/// <param name="Length">How many of them count.</param>
/// <param name="Acquisition">Number of the sub-acquisition that it belongs to.</param>
internal readonly record struct StreamMessage(byte[]? Bytes, int Length, long Acquisition);

/// <summary>
/// Collects the words of one channel in pooled arrays of at most one message each, which are then sent as they are. Starts
/// with what the last sub-acquisition needed and doubles, so a quiet channel stays small.
/// </summary>
internal sealed class TagBuffer(int maxMessageBytes)
{
    private const int SmallestBytes = 4096;

    private readonly List<StreamMessage> _full = [];
    private byte[]? _bytes;
    private int _used;
    private int _capacity;
    private int _expected = SmallestBytes;

    /// <summary>Bytes collected since the last <see cref="Take"/>.</summary>
    public long Length { get; private set; }

    /// <summary>Room for at least two words. Words written there count once <see cref="Commit"/> is called.</summary>
    public Span<ulong> Free()
    {
        if (_used == _capacity)
        {
            Grow();
        }

        return MemoryMarshal.Cast<byte, ulong>(_bytes.AsSpan(_used, _capacity - _used));
    }

    /// <summary>Keeps the first words of <see cref="Free"/>.</summary>
    public void Commit(int words)
    {
        if (!BitConverter.IsLittleEndian)
        {
            var written = Free()[..words];
            BinaryPrimitives.ReverseEndianness(written, written);
        }

        _used += words * sizeof(ulong);
        Length += words * sizeof(ulong);
    }

    /// <summary>Hands over what was collected, as messages of one sub-acquisition, and starts anew.</summary>
    public void Take(long acquisition, List<StreamMessage> messages)
    {
        _expected = (int)Math.Clamp(Length + (Length / 8), Math.Min(SmallestBytes, maxMessageBytes), maxMessageBytes);
        Seal();
        foreach (var message in _full)
        {
            messages.Add(message with { Acquisition = acquisition });
        }

        _full.Clear();
        Length = 0;
    }

    /// <summary>Forgets what was collected.</summary>
    public void Clear()
    {
        Seal();
        foreach (var message in _full)
        {
            ArrayPool<byte>.Shared.Return(message.Bytes!);
        }

        _full.Clear();
        Length = 0;
    }

    private void Seal()
    {
        if (_bytes is null)
        {
            return;
        }

        if (_used > 0)
        {
            _full.Add(new StreamMessage(_bytes, _used, 0));
        }
        else
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }

        (_bytes, _used, _capacity) = (null, 0, 0);
    }

    private void Grow()
    {
        if (_bytes is not null && _capacity < maxMessageBytes)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Min(_capacity * 2, maxMessageBytes));
            _bytes.AsSpan(0, _used).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = larger;
        }
        else
        {
            Seal();
            _bytes = ArrayPool<byte>.Shared.Rent(Math.Min(_expected, maxMessageBytes));
        }

        // Whole records of two words, whatever the pool's array is long.
        _capacity = Math.Min(_bytes.Length, maxMessageBytes) & ~15;
    }
}
