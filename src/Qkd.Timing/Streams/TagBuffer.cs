using System.Diagnostics.CodeAnalysis;

namespace Qkd.Timing;

/// <summary>
/// Events of a tag stream, a column each for their times, their channels and, in T3 streams, their delays after the sync pulse. Whoever reads
/// into a buffer overwrites what was in it: nothing is allocated per tag.
/// </summary>
public sealed class TagBuffer
{
    /// <summary>The channel of sync or reference pulses. Detectors have the channels 1 to 127, as on the instrument's front panel.</summary>
    public const byte SyncChannel = 0;

    /// <summary>Set in the channel of a marker; the low bits then say which marker inputs rose together.</summary>
    public const byte MarkerFlag = 0x80;

    /// <summary>Events that most readers fill at once: large enough that the call costs nothing, small enough for the cache.</summary>
    public const int DefaultCapacity = 1 << 15;

    private readonly long[] _times;
    private readonly byte[] _channels;
    private readonly uint[] _delays;
    private int _count;

    /// <summary>Creates an empty buffer.</summary>
    /// <param name="capacity">Events that it can hold, at least 64.</param>
    public TagBuffer(int capacity = DefaultCapacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 64);
        _times = new long[capacity];
        _channels = new byte[capacity];
        _delays = new uint[capacity];
    }

    /// <summary>Events that it can hold.</summary>
    public int Capacity => _times.Length;

    /// <summary>Events that it holds.</summary>
    public int Count
    {
        get => _count;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Capacity);
            _count = value;
        }
    }

    /// <summary>Times of the events in ticks of <see cref="TagStreamInfo.TickPicoseconds"/>; in T3 streams the number of the sync pulse.</summary>
    public ReadOnlySpan<long> Times => _times.AsSpan(0, _count);

    /// <summary>Channels of the events: <see cref="SyncChannel"/>, a detector's channel, or <see cref="MarkerFlag"/> with marker bits.</summary>
    public ReadOnlySpan<byte> Channels => _channels.AsSpan(0, _count);

    /// <summary>Delays after the sync pulse in ticks of <see cref="TagStreamInfo.DelayTickPicoseconds"/>. Means nothing in streams without delays.</summary>
    public ReadOnlySpan<uint> Delays => _delays.AsSpan(0, _count);

    /// <summary>The whole column, for whoever fills it.</summary>
    [SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "A column that decoders write with vector stores.")]
    public long[] AllTimes => _times;

    /// <inheritdoc cref="AllTimes"/>
    [SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "A column that decoders write with vector stores.")]
    public byte[] AllChannels => _channels;

    /// <inheritdoc cref="AllTimes"/>
    [SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "A column that decoders write with vector stores.")]
    public uint[] AllDelays => _delays;

    /// <summary>Appends one event.</summary>
    /// <exception cref="InvalidOperationException">The buffer is full.</exception>
    public void Add(long time, byte channel, uint delay = 0)
    {
        if (_count == Capacity)
        {
            throw new InvalidOperationException("The buffer is full.");
        }

        _times[_count] = time;
        _channels[_count] = channel;
        _delays[_count++] = delay;
    }

    /// <summary>Whether a channel is that of a marker.</summary>
    public static bool IsMarker(byte channel) => (channel & MarkerFlag) != 0;
}
