using Qkd.Distillation;
using Qkd.Link.Recording;
using Qkd.Link.Replay;
using Qkd.Link.Tests.Session;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Link.Tests.Recording;

[Collection(RecordedSessions.Name)]
public sealed class SessionRecorderTests
{
    [Fact]
    public async Task A_full_disk_ends_the_recording_and_not_the_session()
    {
        var disk = new SmallDisk(1_000_000);
        var ended = await RunAsync(disk, new());
        ended.ShouldHaveSingleItem().ShouldContain("no room");

        // What fitted is readable.
        var (entries, fault) = Read(disk.ToArray());
        entries.Count.ShouldBeGreaterThan(10);
        fault.ShouldBeTrue();
    }

    [Fact]
    public async Task A_disk_that_does_not_keep_up_ends_the_recording_and_not_the_session()
    {
        using var disk = new StuckDisk();
        var ended = await RunAsync(disk, new() { WaitingBytes = 500_000 }, disk.Release);
        ended.ShouldHaveSingleItem().ShouldContain("cannot keep up");

        // What waited until then was written, and the end says why.
        var (entries, fault) = Read(disk.ToArray());
        fault.ShouldBeFalse();
        entries[^1].ShouldBeOfType<RecordingEndedEntry>().Reason.ShouldContain("cannot keep up");
    }

    [Fact]
    public async Task A_recording_ends_in_order_at_its_largest_length()
    {
        var file = new MemoryStream();
        var ended = await RunAsync(file, new() { FileBytes = 1_500_000 });
        ended.ShouldHaveSingleItem().ShouldContain("largest length");
        file.ToArray().Length.ShouldBeLessThan(1_500_500);
        var (entries, fault) = Read(file.ToArray());
        fault.ShouldBeFalse();
        entries[^1].ShouldBeOfType<RecordingEndedEntry>().Reason.ShouldContain("largest length");
        var (blocks, replay) = await RecordedLink.ReplayAsync(file.ToArray());
        replay.Fault.ShouldBeNull();
        blocks.ShouldAllBe(block => block.Outcome != ReplayOutcome.Different);
    }

    [Fact]
    public async Task Whoever_is_told_and_fails_over_it_ends_nothing_else()
    {
        var recorder = RecordedLink.Recorder(LinkEnd.Bob, new SmallDisk(100), static _ => throw new IOException("the log is full as well"));
        for (var i = 0; i < 100 && recorder.IsRecording; i++)
        {
            recorder.Add(new BlockDiscardedEntry(i, "a reason"));
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        recorder.IsRecording.ShouldBeFalse();
        recorder.Add(new BlockFeedEntry(1, 1));
        await recorder.DisposeAsync();
        await recorder.DisposeAsync();
    }

    [Fact]
    public async Task Entries_of_many_threads_are_all_there_each_thread_s_in_its_order()
    {
        var file = new MemoryStream();
        await using (var recorder = RecordedLink.Recorder(LinkEnd.Bob, file, static reason => throw new InvalidOperationException(reason)))
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
            {
                for (var i = 0; i < 500; i++)
                {
                    recorder.Add(new BlockFeedEntry(thread, i));
                }
            })));
        }

        var feeds = Read(file.ToArray()).Entries.OfType<BlockFeedEntry>().ToLookup(feed => feed.BlockId, feed => feed.AuthenticationBits);
        feeds.Count.ShouldBe(4);
        feeds.ShouldAllBe(thread => thread.SequenceEqual(Enumerable.Range(0, 500)));
    }

    /// <summary>A session whose Bob records to a stream that gives out: key must go on being made after it has.</summary>
    private static async Task<List<string>> RunAsync(Stream stream, SessionRecorderLimits limits, Action? afterwards = null)
    {
        var ended = new List<string>();
        var recorder = RecordedLink.Recorder(LinkEnd.Bob, stream, ended.Add, limits);
        await using var link = new TestLink { BobRecorder = recorder };
        await link.StartAsync();
        await link.UntilAsync(() => !recorder.IsRecording, "the end of the recording");
        var before = link.Bob.Keys.Count;
        await link.UntilAsync(() => link.Bob.Keys.Count > before, "key after it");
        await link.StopAsync();
        link.Bob.Alarms.ShouldBeEmpty();
        afterwards?.Invoke();
        await recorder.DisposeAsync();
        return ended;
    }

    private static (List<RecordingEntry> Entries, bool Fault) Read(byte[] file)
    {
        var entries = new List<RecordingEntry>();
        using var reader = new SessionRecordingReader(new MemoryStream(file), RecordedLink.Key);
        try
        {
            while (reader.Read() is { } entry)
            {
                entries.Add(entry);
            }

            return (entries, false);
        }
        catch (Qkd.Timing.Formats.TagFormatException)
        {
            return (entries, true);
        }
    }

    private sealed class SmallDisk(int capacity) : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            base.Write(buffer[..(int)Math.Min(buffer.Length, capacity - Length)]);
            if (Length == capacity)
            {
                throw new IOException("there is no room left");
            }
        }
    }

    private sealed class StuckDisk : MemoryStream
    {
        private readonly ManualResetEventSlim _free = new();
        private bool _begun;

        public void Release() => _free.Set();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            // The header still gets through.
            if (_begun)
            {
                _free.Wait();
            }

            _begun = true;
            base.Write(buffer);
        }
    }
}
