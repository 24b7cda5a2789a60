using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>What became of a block that was distilled with both ends in one process.</summary>
public sealed record LocalReport
{
    /// <summary>Method of error correction.</summary>
    public required string Method { get; init; }

    /// <summary>Key-basis bits of the block.</summary>
    public required int KeyBits { get; init; }

    /// <summary>Errors in them, as corrected, of all intensities.</summary>
    public required long Errors { get; init; }

    /// <summary>Every bit that was said in the open.</summary>
    public required LeakageLedger Ledger { get; init; }

    /// <summary>Rounds of error correction.</summary>
    public required int Rounds { get; init; }

    /// <summary>Frames of error correction.</summary>
    public required int Frames { get; init; }

    /// <summary>Frames of error correction for which more had to be told than at first.</summary>
    public required int RetriedFrames { get; init; }

    /// <summary>Frames that could not be corrected, or not rightly, and were disclosed whole.</summary>
    public required int DisclosedFrames { get; init; }

    /// <summary>Bytes that went from Alice to Bob and back, tags included.</summary>
    public required long Bytes { get; init; }

    /// <summary>The bound on the length; null if the run ended with verification.</summary>
    public KeyBound? Bound { get; init; }
}

/// <summary>
/// Both ends of a block's way from sifted bits to key, their messages carried from hand to hand: for bits that were measured elsewhere, for figures, and for tests. The
/// ends do the same as two nodes do, authentication included; the pads come from <paramref name="randomness"/>, since there is nobody in between.
/// </summary>
/// <param name="reconciler">Corrects errors.</param>
/// <param name="randomness">Hash keys, seeds and pads.</param>
public sealed class LocalDistillation(IReconciler reconciler, ISecretRandomness randomness)
{
    private const long FirstMicrosecond = 1_600_000_000_000_000;

    /// <summary>From sifted bits to the same key at both ends. The blocks are used up.</summary>
    /// <param name="alice">Alice's end of the block.</param>
    /// <param name="bob">Bob's end of it.</param>
    /// <param name="conditions">What to expect.</param>
    /// <param name="keys">The two ends' key; null if the block gives none: <see cref="KeyBound.Reason"/> says why.</param>
    /// <exception cref="DistillationException">The block is lost.</exception>
    public LocalReport Distill(SiftedBlock alice, SiftedBlock bob, ReconciliationConditions conditions, out (SecretKey Alice, SecretKey Bob)? keys)
    {
        ArgumentNullException.ThrowIfNull(alice);
        var logs = new Logs(alice.BlockId);
        var report = Verify(alice, bob, conditions, logs, out var verified);
        using var aliceVerified = verified.Alice;
        using var bobVerified = verified.Bob;
        keys = null;
        using var aliceBounded = aliceVerified.AgreeLength();
        if (aliceBounded.SecretLength == 0)
        {
            return report with { Bound = aliceBounded.Bound };
        }

        using var bobBounded = bobVerified.AgreeLength(aliceBounded.SecretLength);
        logs.Carry(LinkEnd.Alice, BitConverter.GetBytes(aliceBounded.SecretLength));
        var seed = new ArrayBufferWriter<byte>((alice.KeyBitCount / 8) + 64);
        using var aliceAmplified = aliceBounded.CreateSeed(randomness, seed);
        using var bobAmplified = bobBounded.Amplify(logs.Carry(LinkEnd.Alice, seed.WrittenSpan));

        Span<byte> pads = stackalloc byte[2 * BlockAuthentication.PadBytes];
        randomness.Fill(pads);
        var bobPad = pads[..BlockAuthentication.PadBytes];
        var alicePad = pads[BlockAuthentication.PadBytes..];
        var bobTag = BlockAuthentication.CreateTag(logs.Bob, LinkEnd.Bob, bobPad, accept: true);
        var aliceKey = aliceAmplified.Release(BlockAuthentication.Verify(logs.Alice, LinkEnd.Bob, bobPad, bobTag, TimeSpan.Zero));
        var aliceTag = BlockAuthentication.CreateTag(logs.Alice, LinkEnd.Alice, alicePad, accept: true);
        keys = (aliceKey, bobAmplified.Release(BlockAuthentication.Verify(logs.Bob, LinkEnd.Alice, alicePad, aliceTag, TimeSpan.Zero)));
        return report with { Bound = aliceBounded.Bound, Bytes = logs.Alice.Bytes + bobTag.Length + aliceTag.Length };
    }

    /// <summary>Error correction and verification alone: for their figures. The blocks are used up.</summary>
    /// <exception cref="DistillationException">The block is lost.</exception>
    public LocalReport Reconcile(SiftedBlock alice, SiftedBlock bob, ReconciliationConditions conditions)
    {
        ArgumentNullException.ThrowIfNull(alice);
        var report = Verify(alice, bob, conditions, new Logs(alice.BlockId), out var verified);
        verified.Alice.Dispose();
        verified.Bob.Dispose();
        return report;
    }

    private LocalReport Verify(
        SiftedBlock alice, SiftedBlock bob, ReconciliationConditions conditions, Logs logs, out (VerifiedBlock Alice, VerifiedBlock Bob) verified)
    {
        ArgumentNullException.ThrowIfNull(bob);
        using var aliceReconciliation = reconciler.Begin(alice, LinkEnd.Alice, conditions);
        using var bobReconciliation = reconciler.Begin(bob, LinkEnd.Bob, conditions);
        Talk(aliceReconciliation.Step, bobReconciliation.Step, logs);
        using var aliceCorrected = aliceReconciliation.Result;
        using var bobCorrected = bobReconciliation.Result;
        using var aliceVerification = aliceCorrected.BeginVerification(randomness);
        using var bobVerification = bobCorrected.BeginVerification(randomness);
        Talk(aliceVerification.Step, bobVerification.Step, logs);
        verified = (aliceVerification.Result, bobVerification.Result);
        return new()
        {
            Method = bobReconciliation.Method,
            KeyBits = alice.KeyBitCount,
            Errors = verified.Alice.KeyErrors.Sum(),
            Ledger = verified.Alice.Ledger,
            Rounds = aliceReconciliation.Rounds,
            Frames = aliceCorrected.FrameStarts.Count - 1,
            RetriedFrames = aliceReconciliation.RetriedFrames,
            DisclosedFrames = aliceReconciliation.DisclosedFrames + bobVerification.DisclosedFrames,
            Bytes = logs.Alice.Bytes,
        };
    }

    /// <summary>Two ends speak in turn, Alice first, until both have finished.</summary>
    private static void Talk(Turn alice, Turn bob, Logs logs)
    {
        var (fromAlice, fromBob) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        ReadOnlySpan<byte> message = [];
        for (var (aliceDone, bobDone) = (false, false); !(aliceDone && bobDone);)
        {
            fromAlice.ResetWrittenCount();
            aliceDone = alice(message, fromAlice);
            if (fromAlice.WrittenCount == 0)
            {
                // Alice had nothing to add: Bob has ended too.
                break;
            }

            message = logs.Carry(LinkEnd.Alice, fromAlice.WrittenSpan);
            if (!bobDone)
            {
                fromBob.ResetWrittenCount();
                bobDone = bob(message, fromBob);
                message = fromBob.WrittenCount == 0 ? [] : logs.Carry(LinkEnd.Bob, fromBob.WrittenSpan);
            }
        }
    }

    private delegate bool Turn(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend);

    /// <summary>The two ends' logs of the block; every message takes a microsecond.</summary>
    private sealed class Logs(long blockId)
    {
        private readonly int[] _sent = new int[2];
        private long _time = FirstMicrosecond;

        public BlockTranscript Alice { get; } = new(blockId);

        public BlockTranscript Bob { get; } = new(blockId);

        /// <summary>Logs a message at both ends and returns it as it arrived.</summary>
        public ReadOnlySpan<byte> Carry(LinkEnd from, ReadOnlySpan<byte> message)
        {
            var (direction, sending, receiving) = from == LinkEnd.Alice
                ? (TranscriptDirection.AliceToBob, Alice, Bob)
                : (TranscriptDirection.BobToAlice, Bob, Alice);
            var seen = _sent[1 - (int)direction];
            var sequence = ++_sent[(int)direction];
            sending.Record(direction, sequence, seen, message, _time++);
            receiving.Record(direction, sequence, seen, message, _time++);
            return message;
        }
    }
}
