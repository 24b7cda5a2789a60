using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Qkd.Timing.Formats;

/// <summary>
/// Decodes PicoQuant's 32-bit records. Between calls it keeps how much the counter of time has wrapped.
/// </summary>
/// <remarks>
/// <code>
///                        31        28/25           16/10            0
/// PicoHarp 300   T2      [channel 4   ][time 28                     ]     channel 15: time &amp; 15 = 0 overflow, else markers
///                T3      [channel 4   ][delay 12    ][sync count 16 ]     channel 15: delay = 0 overflow, else markers
/// all others     T2  [s 1][channel 6  ][time 25                     ]     s: channel 63 overflow, 1 to 15 markers, 0 sync
///                T3  [s 1][channel 6  ][delay 15    ][sync count 10 ]     s: channel 63 overflow, 1 to 15 markers
/// </code>
/// Eight records at a time go through vectors; a group with a special one among them, record by record.
/// </remarks>
public sealed class PicoQuantDecoder
{
    /// <summary>Ticks beyond which no measurement goes: two weeks of picoseconds.</summary>
    private const long LatestTime = 1L << 60;

    private readonly PicoQuantLayout _layout;
    private readonly uint _specialFrom;
    private readonly int _timeBits;
    private readonly int _channelShift;
    private readonly uint _timeMask;
    private readonly uint _delayMask;
    private readonly int _channelOffset;

    /// <summary>Creates a decoder at the start of a measurement.</summary>
    public PicoQuantDecoder(PicoQuantLayout layout)
    {
        ArgumentNullException.ThrowIfNull(layout);
        _layout = layout;
        _specialFrom = layout.SpecialFrom;
        _timeBits = layout.TimeBits;
        _channelShift = layout.TimeBits + layout.DelayBits;
        _timeMask = (1U << layout.TimeBits) - 1;
        _delayMask = (1U << layout.DelayBits) - 1;

        // Records count inputs from 0; the routed channels of a PicoHarp in T3 count from 1.
        _channelOffset = layout is { IsPicoHarp: true, IsT3: true } ? 0 : 1;
    }

    /// <summary>Ticks, or syncs, that the wraps of the counter have added up to.</summary>
    public long Base { get; private set; }

    /// <summary>Overflow records so far.</summary>
    public long Overflows { get; private set; }

    /// <summary>Decodes records until all are used or the buffer is full.</summary>
    /// <param name="records">Records.</param>
    /// <param name="buffer">Receives the events after those it has.</param>
    /// <param name="problem">What is wrong with the record after those used; null if nothing is.</param>
    /// <returns>Records used.</returns>
    public int Decode(ReadOnlySpan<uint> records, TagBuffer buffer, out string? problem) => Decode(records, buffer, out problem, Vector256.IsHardwareAccelerated);

    /// <summary>The plain twin of <see cref="Decode(ReadOnlySpan{uint}, TagBuffer, out string?)"/>: record by record.</summary>
    internal int DecodePlainly(ReadOnlySpan<uint> records, TagBuffer buffer, out string? problem) => Decode(records, buffer, out problem, vectors: false);

    /// <summary>A decoder that goes on from here apart from this one.</summary>
    internal PicoQuantDecoder Fork() => (PicoQuantDecoder)MemberwiseClone();

    private int Decode(ReadOnlySpan<uint> records, TagBuffer buffer, out string? problem, bool vectors)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        problem = null;
        var (times, channels, delays, at) = (buffer.AllTimes, buffer.AllChannels, buffer.AllDelays, buffer.Count);
        var used = 0;
        while (used < records.Length && at < times.Length)
        {
            if (vectors)
            {
                used += DecodeGroups(records[used..], times, channels, delays, ref at);
            }

            // What is left: the end, or a group with special records.
            var end = Math.Min(records.Length, used + (vectors ? 8 : int.MaxValue - used));
            for (; used < end && at < times.Length; used++)
            {
                var record = records[used];
                if (record < _specialFrom)
                {
                    times[at] = Base + (record & _timeMask);
                    delays[at] = record >> _timeBits & _delayMask;
                    channels[at] = Channel(record);
                    at++;
                }
                else if (!Special(record, times, channels, delays, ref at, out problem))
                {
                    buffer.Count = at;
                    return used;
                }
            }
        }

        buffer.Count = at;
        return used;
    }

    /// <summary>Groups of eight records without special ones among them.</summary>
    private int DecodeGroups(ReadOnlySpan<uint> records, long[] times, byte[] channels, uint[] delays, ref int at)
    {
        ref var record = ref MemoryMarshal.GetReference(records);
        ref var time = ref MemoryMarshal.GetArrayDataReference(times);
        ref var channel = ref MemoryMarshal.GetArrayDataReference(channels);
        ref var delay = ref MemoryMarshal.GetArrayDataReference(delays);
        var (special, mask, delayMask) = (Vector256.Create(_specialFrom), Vector256.Create(_timeMask), Vector256.Create(_delayMask));
        var (wrapped, first) = (Vector256.Create((ulong)Base), Vector256.Create((uint)_channelOffset));
        var (hasDelays, hasRoutes) = (_layout.IsT3, _channelOffset == 0);
        var groups = Math.Min(records.Length, times.Length - at) / 8;
        var done = 0;
        for (; done < groups; done++)
        {
            var group = Vector256.LoadUnsafe(ref record, (nuint)(8 * done));
            if (Vector256.GreaterThanOrEqualAny(group, special))
            {
                break;
            }

            var (low, high) = Vector256.Widen(group & mask);
            (low + wrapped).AsInt64().StoreUnsafe(ref time, (nuint)at);
            (high + wrapped).AsInt64().StoreUnsafe(ref time, (nuint)at + 4);
            if (hasDelays)
            {
                ((group >>> _timeBits) & delayMask).StoreUnsafe(ref delay, (nuint)at);
            }

            var number = (group >>> _channelShift) + first;
            StoreBytes(hasRoutes ? RouteZeroLast(number) : number, ref channel, at);
            at += 8;
        }

        return 8 * done;
    }

    private static Vector256<uint> RouteZeroLast(Vector256<uint> channels) =>
        Vector256.ConditionalSelect(Vector256.Equals(channels, Vector256<uint>.Zero), Vector256.Create(15U), channels);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreBytes(Vector256<uint> values, ref byte destination, int at)
    {
        var words = Vector128.Narrow(values.GetLower(), values.GetUpper());
        var bytes = Vector128.Narrow(words, words).AsUInt64().ToScalar();
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref destination, at), bytes);
    }

    private byte Channel(uint record)
    {
        var channel = (int)(record >> _channelShift) + _channelOffset;

        // A PicoHarp's router counts from 1 to 4; channel 0, which it does not write, must not look like the sync.
        return (byte)(channel == 0 ? 15 : channel);
    }

    /// <summary>A special record: an overflow changes <see cref="Base"/>, the others are events.</summary>
    private bool Special(uint record, long[] times, byte[] channels, uint[] delays, ref int at, out string? problem)
    {
        problem = null;
        var time = record & _timeMask;
        uint channel;
        if (_layout.IsPicoHarp)
        {
            var markers = _layout.IsT3 ? record >> _timeBits & _delayMask : time & 15;
            if (markers == 0)
            {
                return Wrap(1, out problem);
            }

            if (markers > 15)
            {
                problem = $"record {record:X8} has markers {markers}, and there are four of them";
                return false;
            }

            channel = TagBuffer.MarkerFlag | markers;
        }
        else
        {
            channel = record >> _channelShift & 63;
            switch (channel)
            {
                case 63:
                    return Wrap(_layout.CountsOverflows ? Math.Max(1, time) : 1, out problem);
                case 0 when !_layout.IsT3:
                    break;
                case >= 1 and <= 15:
                    channel |= TagBuffer.MarkerFlag;
                    break;
                default:
                    problem = $"record {record:X8} is special with channel {channel}, which means nothing";
                    return false;
            }
        }

        (times[at], channels[at], delays[at]) = (Base + time, (byte)channel, 0);
        at++;
        return true;
    }

    private bool Wrap(uint count, out string? problem)
    {
        problem = null;
        if (Base > LatestTime)
        {
            problem = "overflows add up to more time than any measurement lasts";
            return false;
        }

        Base += count * _layout.Wrap;
        Overflows++;
        return true;
    }
}
