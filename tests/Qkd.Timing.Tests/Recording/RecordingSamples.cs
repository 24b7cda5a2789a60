using System.Security.Cryptography;
using Qkd.Devices;
using Qkd.Timing.Formats;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Timing.Tests.Recording;

/// <summary>Small recordings, and what is read back of them.</summary>
internal static class RecordingSamples
{
    public static readonly byte[] Key = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    public static TagReceiverSettings Settings { get; } = new()
    {
        FrameSlots = 64_000,
        PilotSlots = 2048,
        MarkerDivisor = 1000,
        SlotPeriodPicoseconds = 10_000,
        Detectors =
        [
            new(1, Basis.Z, 0, 0), new(2, Basis.Z, 1, 12.5) { GateWidthPicoseconds = 700 }, new(3, Basis.X, 0, -3), new(4, Basis.X, 1, 0),
        ],
    };

    /// <summary>One entry of each kind.</summary>
    public static IReadOnlyList<RecordingEntry> OneOfEach { get; } =
    [
        new SessionEntry("Bob", "Bob of the tests", "qkd 0", new DateTimeOffset(2026, 11, 26, 20, 19, 0, TimeSpan.Zero), "{}"),
        new ConfigurationEntry("""{"Text":"naïve ✓"}"""),
        new DeviceSnapshotEntry("{}"),
        new ReceptionEntry(128_000, TagTimeBase.Referenced, Settings),
        new ReceiverDrawEntry(RandomNumberGenerator.GetBytes(1024)),
        new TagsEntry(Batch(0, [new(1, new long[] { 5, 9_999_000, 3 }, new long[] { 1, 1, 4 }), new(3, new long[] { 7 }, new long[] { 2 })])),
        new BlockOpenedEntry(7, """{"BlockId":7}"""),
        new PreparedFrameEntry(7, 3, new ulong[] { 1, ulong.MaxValue, 0 }),
        new BlockDrawEntry(7, new byte[] { 1, 2, 3 }),
        new BlockConditionsEntry(7, "ldpc", true, double.NaN, TimeSpan.FromTicks(123), 1e6, 0.25),
        new BlockReceivedEntry(7, 17, new byte[] { 9, 8 }),
        new BlockSentEntry(7, 18, 12, new byte[32]),
        new BlockFeedEntry(7, 512),
        new BlockAcceptedEntry(7, 4096, Enumerable.Repeat((byte)5, 32).ToArray()),
        new BlockDiscardedEntry(8, "because"),
        new RecordingEndedEntry("the session ended"),
    ];

    public static TagBatch Batch(long acquisition, IReadOnlyList<TagRun> runs, TagTimeBase timeBase = TagTimeBase.Referenced, long start = 0, params TagLoss[] losses) => new()
    {
        TimeBase = timeBase,
        Acquisition = acquisition,
        AcquisitionStartPicoseconds = start,
        Runs = runs,
        LossesBefore = losses,
        EndsAcquisition = true,
        ReceivedAt = DateTimeOffset.UnixEpoch,
    };

    public static byte[] Write(IEnumerable<RecordingEntry> entries, bool complete = true, bool flushEach = false)
    {
        var stream = new MemoryStream();
        using var writer = new SessionRecordingWriter(stream, Key);
        foreach (var entry in entries)
        {
            writer.Write(entry);
            if (flushEach)
            {
                writer.Flush();
            }
        }

        if (complete)
        {
            writer.Complete();
        }

        writer.Length.ShouldBe(stream.Length);
        return stream.ToArray();
    }

    /// <summary>Reads to the end or to a fault.</summary>
    public static (List<RecordingEntry> Entries, TagFormatException? Fault) Read(byte[] file, byte[]? key = null)
    {
        var entries = new List<RecordingEntry>();
        try
        {
            using var reader = new SessionRecordingReader(new MemoryStream(file), key ?? Key);
            while (reader.Read() is { } entry)
            {
                entries.Add(entry);
            }

            return (entries, null);
        }
        catch (TagFormatException e)
        {
            return (entries, e);
        }
    }

    /// <summary>The content of an entry as it stands in a file: equal if and only if the entries are.</summary>
    public static string Content(RecordingEntry entry)
    {
        var content = new System.Buffers.ArrayBufferWriter<byte>();
        entry.WriteTo(content);
        return $"{entry.Kind} {Convert.ToHexString(content.WrittenSpan)}";
    }
}
