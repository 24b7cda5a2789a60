namespace Qkd.Distillation.Tests.Authentication;

/// <summary>The logs of both ends of a block, and messages that are on their way between them.</summary>
internal sealed class TwoLogs(long blockId = 7)
{
    public static readonly byte[] BobPad = Pad(1);
    public static readonly byte[] AlicePad = Pad(2);
    public static readonly TimeSpan Tolerance = TimeSpan.FromMilliseconds(1);

    public BlockTranscript Alice { get; } = new(blockId);

    public BlockTranscript Bob { get; } = new(blockId);

    public BlockTranscript Of(LinkEnd end) => end == LinkEnd.Alice ? Alice : Bob;

    /// <summary>Logs a message at its sender's end.</summary>
    public Message Send(LinkEnd from, byte[] bytes, long time)
    {
        var direction = Direction(from);
        var log = Of(from);
        var message = new Message(direction, log.Messages(direction).Length + 1, log.Messages(1 - direction).Length, bytes);
        Record(log, message, time);
        return message;
    }

    /// <summary>Logs a message at its receiver's end.</summary>
    public void Deliver(Message message, long time) =>
        Record(message.Direction == TranscriptDirection.AliceToBob ? Bob : Alice, message, time);

    public void Say(LinkEnd from, byte[] bytes, long sent, long received) => Deliver(Send(from, bytes, sent), received);

    /// <summary>Bob's tag, checked by Alice; then hers, checked by Bob.</summary>
    public (AuthenticatedTranscript Alice, AuthenticatedTranscript Bob) Close(Func<byte[], byte[]>? bobTag = null, Func<byte[], byte[]>? aliceTag = null)
    {
        var fromBob = BlockAuthentication.CreateTag(Bob, LinkEnd.Bob, BobPad, accept: true);
        var atAlice = BlockAuthentication.Verify(Alice, LinkEnd.Bob, BobPad, bobTag?.Invoke(fromBob) ?? fromBob, Tolerance);
        var fromAlice = BlockAuthentication.CreateTag(Alice, LinkEnd.Alice, AlicePad, accept: true);
        var atBob = BlockAuthentication.Verify(Bob, LinkEnd.Alice, AlicePad, aliceTag?.Invoke(fromAlice) ?? fromAlice, Tolerance);
        return (atAlice, atBob);
    }

    /// <summary>A short conversation whose messages take 2 ms.</summary>
    public static TwoLogs Usual(long blockId = 7)
    {
        var logs = new TwoLogs(blockId);
        logs.Say(LinkEnd.Bob, [1, 2, 3], 1_000_000, 1_002_000);
        logs.Say(LinkEnd.Alice, [4, 5, 6, 7], 1_003_000, 1_005_000);
        logs.Say(LinkEnd.Alice, [], 1_003_500, 1_005_500);
        logs.Say(LinkEnd.Bob, new byte[100_000], 1_010_000, 1_012_000);
        logs.Say(LinkEnd.Alice, [8], 1_020_000, 1_022_000);
        return logs;
    }

    public static TranscriptDirection Direction(LinkEnd from) =>
        from == LinkEnd.Alice ? TranscriptDirection.AliceToBob : TranscriptDirection.BobToAlice;

    private static void Record(BlockTranscript log, Message message, long time) =>
        log.Record(message.Direction, message.Sequence, message.LastPeerSequence, message.Bytes, time);

    private static byte[] Pad(int seed)
    {
        var pad = new byte[BlockAuthentication.PadBytes];
        new Random(seed).NextBytes(pad);
        return pad;
    }

    internal sealed record Message(TranscriptDirection Direction, long Sequence, long LastPeerSequence, byte[] Bytes);
}
