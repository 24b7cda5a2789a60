using System.Buffers.Binary;
using Qkd.Timing.Formats;
using Qkd.Timing.Recording;
using Qkd.Timing.Tests.Recording;
using Shouldly;

namespace Qkd.Timing.Tests.Formats;

/// <summary>Files damaged in every way: they end in events, in a fault with its place, and in nothing else; never in much memory or much time.</summary>
public sealed class FormatFuzzTests
{
    /// <summary>What a seal adds: a header, the length of the one chunk, and its tag.</summary>
    private const int SealBytes = RecordingSeal.HeaderBytes + RecordingSeal.WordBytes + RecordingSeal.TagBytes;

    /// <summary>Beyond what the file's own size explains: buffers of fixed size.</summary>
    private const long FixedAllocation = 2 << 20;

    private static readonly byte[] Key = RecordingSamples.Key;

    private static readonly (string Name, Func<byte[], TagReader> Open, byte[] File)[] Seeds =
    [
        .. MakeSeeds().Select(seed => (seed.Name, (Func<byte[], TagReader>)(file => TagFiles.OpenReader(new MemoryStream(file), seed.Format, 1e7, Key)), seed.File)),

        // What is sealed cannot be altered unseen; so it is altered before it is sealed as well, as somebody with the key could.
        ("session, its entries", file => TagFiles.OpenReader(new MemoryStream(Seal(file)), TagFormat.Session, null, Key), Entries()),
    ];

    [Fact]
    public void Damaged_files_end_in_a_fault_or_in_events() => Fuzz(8_000, 1);

    [Fact]
    [Trait("Speed", "Slow")]
    public void A_million_damaged_files_end_in_a_fault_or_in_events()
    {
        var (faults, events) = Fuzz(1_200_000, 2);
        TestContext.Current.TestOutputHelper?.WriteLine($"1200000 mutations of {Seeds.Length} files: {faults} ended in a fault, {events} events");
    }

    private static (long Faults, long Events) Fuzz(int mutations, int seed)
    {
        var random = new Random(seed);
        long faults = 0, total = 0;
        var buffer = new TagBuffer(256);
        for (var i = 0; i < mutations; i++)
        {
            var (name, open, seedFile) = Seeds[i % Seeds.Length];
            var file = Mutate(seedFile, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var events = 0L;
            try
            {
                using var reader = open(file);
                while (reader.Read(buffer))
                {
                    events += buffer.Count;
                    CheckBuffer(buffer, name, i);
                }
            }
            catch (TagFormatException e)
            {
                faults++;
                e.ByteOffset.ShouldBeInRange(0, file.Length + SealBytes, $"{name}, mutation {i}");
            }
            catch (Exception e)
            {
                Assert.Fail($"{name}, mutation {i} of seed {seed}: {e}");
            }

            total += events;
            (events <= file.Length).ShouldBeTrue($"{name}, mutation {i}: {events} events of {file.Length} bytes");
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            (allocated <= FixedAllocation + (64L * file.Length)).ShouldBeTrue($"{name}, mutation {i}: {allocated} bytes allocated for {file.Length}");
        }

        return (faults, total);
    }

    private static void CheckBuffer(TagBuffer buffer, string name, int mutation)
    {
        var last = long.MinValue;
        foreach (var time in buffer.Times)
        {
            (time >= last && time >= 0).ShouldBeTrue($"{name}, mutation {mutation}: {time} after {last}");
            last = time;
        }
    }

    private static byte[] Mutate(byte[] seed, Random random)
    {
        var file = seed.ToList();
        for (var times = random.Next(1, 5); times > 0 && file.Count > 0; times--)
        {
            var at = random.Next(file.Count);
            switch (random.Next(8))
            {
                case 0:
                    file[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    file[at] = (byte)random.Next(256);
                    break;
                case 2:
                    file.RemoveRange(at, file.Count - at);
                    break;
                case 3:
                    file.RemoveRange(at, Math.Min(random.Next(1, 64), file.Count - at));
                    break;
                case 4:
                    file.InsertRange(at, file.GetRange(at, Math.Min(random.Next(1, 64), file.Count - at)));
                    break;
                case 5:
                    Overwrite(file, at, random);
                    break;
                case 6:
                    file.InsertRange(at, Enumerable.Range(0, random.Next(1, 16)).Select(_ => (byte)random.Next(256)));
                    break;
                default:
                    var from = random.Next(file.Count);
                    var length = Math.Min(random.Next(1, 48), Math.Min(file.Count - at, file.Count - from));
                    for (var i = 0; i < length; i++)
                    {
                        file[at + i] = file[from + i];
                    }

                    break;
            }
        }

        return [.. file];
    }

    private static void Overwrite(List<byte> file, int at, Random random)
    {
        long[] extremes = [0, -1, 1, long.MaxValue, long.MinValue, int.MaxValue, int.MinValue, 0x7FF0_0000_0000_0000, 1L << 40, 0xFFFF, 1L << 61];
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, extremes[random.Next(extremes.Length)]);
        var width = random.Next(2) == 0 ? 4 : 8;

        // Mostly where a number would stand.
        at = random.Next(3) == 0 ? at : at / 4 * 4;
        for (var i = 0; i < width && at + i < file.Count; i++)
        {
            file[at + i] = bytes[i];
        }
    }

    private static IEnumerable<(string Name, TagFormat? Format, byte[] File)> MakeSeeds()
    {
        foreach (var layout in PicoQuantLayout.All)
        {
            yield return ($"PTU, {layout.Name}", null, TagSamples.Ptu(layout, TagSamples.Records(layout, 120, (int)layout.Type & 0xFF)));
        }

        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        var delayed = source with { TickPicoseconds = 1e7, HasDelays = true, DelayTickPicoseconds = 1 };
        var events = Enumerable.Range(0, 120).Select(i => (i * 2_000_000L * (1 + (i % 3)), (byte)(1 + (i % 4)), (uint)0)).OrderBy(e => e.Item1).ToArray();
        var referenced = events.Select((e, i) => ((long)i, (byte)1, (uint)(i * 37))).ToArray();
        foreach (var format in new[] { TagFormat.Ht2, TagFormat.S15A1, TagFormat.S15A1X, TagFormat.Tdc1, TagFormat.Idq, TagFormat.QuTag })
        {
            yield return (format.Name(), format, TagSamples.Write(events, format, new TagWriteOptions { Source = source }, out _));
        }

        foreach (var format in new[] { TagFormat.Ht3, TagFormat.IdqReferenced })
        {
            yield return (format.Name(), format, TagSamples.Write(referenced, format, new TagWriteOptions { Source = delayed }, out _));
        }

        yield return ("session, sealed", TagFormat.Session, Seal(Entries()));
    }

    /// <summary>Entries as they stand in a recording before they are sealed.</summary>
    private static byte[] Entries()
    {
        using var stream = new MemoryStream();
        var tags = new TagsEntry(RecordingSamples.Batch(1, [new(1, new long[] { 5, 700, 9 }, new long[] { 1, 3, 4 }), new(4, new long[] { 5, 2 }, new long[] { 1, 2 })]));
        foreach (var entry in RecordingSamples.OneOfEach.Append(tags))
        {
            var content = new System.Buffers.ArrayBufferWriter<byte>();
            entry.WriteTo(content);
            stream.WriteByte((byte)entry.Kind);
            stream.Write(BitConverter.GetBytes(content.WrittenCount));
            stream.Write(content.WrittenSpan);
        }

        return stream.ToArray();
    }

    private static byte[] Seal(byte[] content)
    {
        var file = new byte[SealBytes + content.Length];
        using var seal = RecordingSeal.Create(Key, file.AsSpan(0, RecordingSeal.HeaderBytes));
        var chunk = file.AsSpan(RecordingSeal.HeaderBytes);
        var word = (uint)content.Length | RecordingSeal.FinalFlag;
        BinaryPrimitives.WriteUInt32LittleEndian(chunk, word);
        chunk = chunk[RecordingSeal.WordBytes..];
        seal.Seal(0, word, content, chunk[..content.Length], chunk[content.Length..]);
        return file;
    }
}
