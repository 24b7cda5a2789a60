using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Recording;
using Qkd.Link.Replay;
using Qkd.Link.Tests.Session;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Link.Tests.Recording;

/// <summary>A session in this process that was recorded at both ends.</summary>
internal sealed record RecordedLink(
    byte[] Alice, byte[] Bob, IReadOnlyDictionary<long, byte[]> AliceKeys, IReadOnlyDictionary<long, byte[]> BobKeys)
{
    public static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(i => (byte)(7 * i))];

    /// <summary>Runs a link until both ends have so many keys.</summary>
    public static async Task<RecordedLink> RunAsync(Func<IReconciler> reconciler, int blocks = 2, TagTimeBase timeBase = TagTimeBase.Referenced, bool interrupted = false)
    {
        var (aliceFile, bobFile) = (new MemoryStream(), new MemoryStream());
        var ended = new List<string>();
        await using var alice = Recorder(LinkEnd.Alice, aliceFile, ended.Add);
        await using var bob = Recorder(LinkEnd.Bob, bobFile, ended.Add);
        await using var link = new TestLink(timeBase: timeBase) { AliceRecorder = alice, BobRecorder = bob, Reconciler = reconciler };

        // Double clicks for the receiver to draw bits for, at the cost of half as many errors.
        (link.Light.ErrorRate, link.Light.DoubleClicks) = (0.004, 0.01);
        await link.StartAsync();
        await link.UntilAsync(() => link.Alice.Keys.Count >= blocks && link.Bob.Keys.Count >= blocks, $"{blocks} blocks of key");
        if (interrupted)
        {
            link.Keeper.IsAligned = false;
            await link.UntilAsync(() => link.Bob.Discarded.Any(d => d.Reason.Contains("turned it away", StringComparison.Ordinal)), "a block given up");
            link.Keeper.IsAligned = true;
            var before = link.Bob.Keys.Count;
            await link.UntilAsync(() => link.Bob.Keys.Count > before + 1, "key after it");
        }

        await link.StopAsync();
        await alice.DisposeAsync();
        await bob.DisposeAsync();
        ended.ShouldBeEmpty();
        return new(aliceFile.ToArray(), bobFile.ToArray(), link.Alice.Keys, link.Bob.Keys);
    }

    public static SessionRecorder Recorder(LinkEnd end, Stream stream, Action<string> ended, SessionRecorderLimits? limits = null) =>
        new(stream, Key, SessionRecorder.Describe(end, $"{end} of the tests", TestLink.UsualAgreement, DateTimeOffset.UnixEpoch), limits ?? new(), ended);

    /// <summary>Replays a recording; the blocks' keys are for the caller to look at.</summary>
    public static async Task<(List<ReplayedBlock> Blocks, SessionReplay Replay)> ReplayAsync(byte[] file)
    {
        var replay = new SessionReplay(new SessionRecordingReader(new MemoryStream(file), Key));
        var blocks = new List<ReplayedBlock>();
        await foreach (var block in replay.BlocksAsync(TestContext.Current.CancellationToken))
        {
            blocks.Add(block);
        }

        return (blocks, replay);
    }

    /// <summary>The same recording with some of its entries changed, sealed anew.</summary>
    public static byte[] Rewrite(byte[] file, Func<RecordingEntry, RecordingEntry?> change)
    {
        using var reader = new SessionRecordingReader(new MemoryStream(file), Key);
        var stream = new MemoryStream();
        using var writer = new SessionRecordingWriter(stream, Key);
        while (reader.Read() is { } entry)
        {
            if (change(entry) is { } changed)
            {
                writer.Write(changed);
            }
        }

        writer.Complete();
        return stream.ToArray();
    }
}
