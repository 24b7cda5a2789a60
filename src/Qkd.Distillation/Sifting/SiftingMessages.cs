namespace Qkd.Distillation;

/// <summary>
/// The two messages of a frame. Little-endian; bit planes are packed into 64-bit words, bits beyond the count zero.
/// <list type="bullet">
/// <item>Announcement (Bob): <c>i64 frame; u32 count; u32 multi-clicks; count basis bits (1 = X); count gaps</c>. A gap is the number of
/// slots between a detection and the one before it, or the end of the pilot; 7 bits a byte, low bits first, the top bit says that more follow.</item>
/// <item>Answer (Alice): <c>i64 frame; u32 count; count match bits; count low and count high bits of the intensity index</c>.</item>
/// </list>
/// </summary>
internal static class SiftingMessages
{
    /// <summary>Bytes before the planes of an announcement.</summary>
    public const int AnnouncementHeader = 16;

    /// <summary>Most bytes of a gap: 28 bits, more than any frame has slots.</summary>
    public const int MaximumGapBytes = 4;

    /// <summary>Reads and checks the fixed part of an announcement.</summary>
    public static (int Count, int MultiClicks) ReadAnnouncementHeader(ref MessageReader reader, BlockParameters parameters, long frame)
    {
        ExpectFrame(ref reader, frame);
        var count = reader.ReadUInt32();
        var multiClicks = reader.ReadUInt32();
        if (count > (uint)(parameters.FrameSlots - parameters.PilotSlots) || multiClicks > count)
        {
            throw reader.Malformed($"{count} detections, {multiClicks} of them multiple, in {parameters.FrameSlots - parameters.PilotSlots} slots");
        }

        var gaps = reader.Left - (BitString.WordCount((int)count) * 8);
        return gaps >= count && gaps <= count * (long)MaximumGapBytes
            ? ((int)count, (int)multiClicks)
            : throw reader.Malformed($"{reader.Left} bytes cannot hold {count} detections");
    }

    /// <summary>Reads and checks the frame number of a message.</summary>
    public static void ExpectFrame(ref MessageReader reader, long frame)
    {
        var stated = reader.ReadInt64();
        if (stated != frame)
        {
            throw reader.Malformed($"it is about frame {stated} where {frame} is due");
        }
    }

    /// <summary>Writes a gap of up to 28 bits and returns its length in bytes.</summary>
    public static int WriteGap(Span<byte> destination, uint gap)
    {
        var length = 0;
        while (gap >= 0x80)
        {
            destination[length++] = (byte)(gap | 0x80);
            gap >>= 7;
        }

        destination[length++] = (byte)gap;
        return length;
    }

    /// <summary>Reads the rest of a gap whose first byte says that more follow.</summary>
    public static int ReadLongGap(ReadOnlySpan<byte> gaps, ref int position, ref MessageReader reader)
    {
        var gap = gaps[position++] & 0x7F;
        for (var shift = 7; shift < 7 * MaximumGapBytes; shift += 7)
        {
            if (position == gaps.Length)
            {
                break;
            }

            var next = gaps[position++];
            gap |= (next & 0x7F) << shift;
            if (next < 0x80)
            {
                return next != 0 ? gap : throw reader.Malformed("a gap is not in its shortest form");
            }
        }

        throw reader.Malformed("a gap does not end");
    }
}
