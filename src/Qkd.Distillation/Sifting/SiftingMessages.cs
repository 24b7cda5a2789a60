namespace Qkd.Distillation;

/// <summary>
/// The two messages of a frame. Little-endian; bit planes are packed into 64-bit words, bits beyond the count zero.
/// <list type="bullet">
/// <item>Announcement (Bob): <c>i64 frame; u32 count; count basis bits (1 = X); count gaps</c>. A gap is the number of slots between a
/// detection and the one before it, or the end of the pilot; 7 bits a byte, low bits first, the top bit says that more follow.</item>
/// <item>Answer (Alice): <c>i64 frame; u32 count; count match bits; count low and count high bits of the intensity index</c>.</item>
/// </list>
/// </summary>
/// <remarks>
/// Bob says nothing of multi-clicks. That a detection was one is no part of the random bit that the proof puts in its place, and what is said
/// about them would have to be counted as leaked.
/// </remarks>
internal static class SiftingMessages
{
    /// <summary>Most bytes of a gap: 28 bits, more than any frame has slots.</summary>
    public const int MaximumGapBytes = 4;

    /// <summary>Reads and checks the fixed part of an announcement; returns the number of detections.</summary>
    public static int ReadAnnouncementHeader(ref MessageReader reader, BlockParameters parameters, long frame)
    {
        ExpectFrame(ref reader, frame);
        var count = reader.ReadUInt32();
        if (count > (uint)(parameters.FrameSlots - parameters.PilotSlots))
        {
            throw reader.Malformed($"{count} detections in {parameters.FrameSlots - parameters.PilotSlots} slots");
        }

        var gaps = reader.Left - (BitString.WordCount((int)count) * 8);
        return gaps >= count && gaps <= count * (long)MaximumGapBytes
            ? (int)count
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
}
