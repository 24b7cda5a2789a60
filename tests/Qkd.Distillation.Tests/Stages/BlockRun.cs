using System.Buffers;
using Qkd.Devices;
using Qkd.Distillation.Tests.Authentication;
using Qkd.Distillation.Tests.Sifting;

namespace Qkd.Distillation.Tests.Stages;

/// <summary>A whole block at both ends, from detections to key, its messages carried by hand past whoever wants to change them.</summary>
internal sealed class BlockRun(SiftingRun light)
{
    private readonly TwoLogs _logs = new(light.Parameters.BlockId);
    private long _time = 1_700_000_000_000_000;

    /// <summary>Changes a message on its way; they are numbered from 0, both directions and the two tags included.</summary>
    public Func<int, LinkEnd, byte[], byte[]> OnTheWay { get; init; } = static (_, _, message) => message;

    public IReconciler Reconciler { get; init; } = new CascadeReconciler();

    /// <summary>What the ends expect, as a share of the error rate that the test bits show.</summary>
    public double ExpectedShare { get; init; } = 1;

    /// <summary>Frames of the correction of which more had to be told than at first.</summary>
    public int RetriedFrames { get; private set; }

    /// <summary>What the messages were about, in their order.</summary>
    public List<string> Messages { get; } = [];

    public byte[]? AliceKey { get; private set; }

    public byte[]? BobKey { get; private set; }

    public VerifiedBlock? Verified { get; private set; }

    public double Epsilon { get; private set; }

    public int DisclosedFrames { get; private set; }

    /// <summary>Why there is no key; null if both ends have it.</summary>
    public DistillationException? Lost { get; private set; }

    public BlockRun Run()
    {
        try
        {
            Distil();
        }
        catch (DistillationException exception)
        {
            Lost = exception;
        }

        return this;
    }

    private void Distil()
    {
        using var aliceSifter = new AliceSifter(light.Parameters);
        using var bobSifter = new BobSifter(light.Parameters);
        for (var frame = 0; frame < light.Parameters.FrameCount; frame++)
        {
            var announced = Carry(LinkEnd.Bob, "announcement", light.Announce(bobSifter, frame));
            bobSifter.ReceiveMatches(Carry(LinkEnd.Alice, "matches", light.Answer(aliceSifter, frame, announced)));
        }

        var (aliceTest, bobTest) = (SiftingRun.Written(aliceSifter.WriteTestBits), SiftingRun.Written(bobSifter.WriteTestBits));
        using var aliceSifted = aliceSifter.Complete(Carry(LinkEnd.Bob, "test bits", bobTest));
        using var bobSifted = bobSifter.Complete(Carry(LinkEnd.Alice, "test bits", aliceTest));

        using var aliceReconciliation = Reconciler.Begin(aliceSifted, LinkEnd.Alice, new(ExpectedShare * aliceSifted.TestErrorRate));
        using var bobReconciliation = Reconciler.Begin(bobSifted, LinkEnd.Bob, new(ExpectedShare * bobSifted.TestErrorRate));
        Talk(aliceReconciliation.Step, bobReconciliation.Step, "parities", "questions");
        RetriedFrames = bobReconciliation.RetriedFrames;
        using var aliceCorrected = aliceReconciliation.Result;
        using var bobCorrected = bobReconciliation.Result;

        using var aliceVerification = aliceCorrected.BeginVerification(OperatingSystemRandomness.Instance);
        using var bobVerification = bobCorrected.BeginVerification(OperatingSystemRandomness.Instance);
        Talk(aliceVerification.Step, bobVerification.Step, "tags", "verdicts");
        DisclosedFrames = bobVerification.DisclosedFrames;
        using var aliceVerified = aliceVerification.Result;
        using var bobVerified = bobVerification.Result;
        Verified = aliceVerified;
        using var aliceBounded = aliceVerified.AgreeLength();
        var stated = Carry(LinkEnd.Alice, "length", BitConverter.GetBytes(aliceBounded.SecretLength));
        using var bobBounded = bobVerified.AgreeLength(stated.Length == 8 ? BitConverter.ToInt64(stated) : -1);

        var buffer = new ArrayBufferWriter<byte>();
        using var aliceAmplified = aliceBounded.CreateSeed(OperatingSystemRandomness.Instance, buffer);
        using var bobAmplified = bobBounded.Amplify(Carry(LinkEnd.Alice, "seed", buffer.WrittenSpan.ToArray()));
        Authenticate(aliceAmplified, bobAmplified);
    }

    /// <summary>Lets two ends talk in turn, Alice first, until both have finished.</summary>
    private void Talk(Turn alice, Turn bob, string fromAlice, string fromBob)
    {
        var buffer = new ArrayBufferWriter<byte>();
        byte[] message = [];
        var (aliceDone, bobDone) = (false, false);
        for (var turn = 0; !(aliceDone && bobDone); turn++)
        {
            buffer.ResetWrittenCount();
            if (turn > 20_000 || (turn % 2 == 0 ? aliceDone : bobDone))
            {
                throw new DistillationException("A message came after the end, or the ends talk without one.");
            }

            if (turn % 2 == 0)
            {
                aliceDone = alice(message, buffer);
                if (aliceDone && bobDone && buffer.WrittenCount == 0)
                {
                    return;
                }

                message = Carry(LinkEnd.Alice, fromAlice, buffer.WrittenSpan.ToArray());
            }
            else
            {
                bobDone = bob(message, buffer);
                message = Carry(LinkEnd.Bob, fromBob, buffer.WrittenSpan.ToArray());
            }
        }
    }

    private void Authenticate(AmplifiedBlock alice, AmplifiedBlock bob)
    {
        var fromBob = BlockAuthentication.CreateTag(_logs.Bob, LinkEnd.Bob, TwoLogs.BobPad, accept: true);
        var atAlice = BlockAuthentication.Verify(_logs.Alice, LinkEnd.Bob, TwoLogs.BobPad, Change(LinkEnd.Bob, "tag", fromBob), TwoLogs.Tolerance);
        using var aliceKey = alice.Release(atAlice);
        AliceKey = Bytes(aliceKey);
        Epsilon = aliceKey.Epsilon;

        var fromAlice = BlockAuthentication.CreateTag(_logs.Alice, LinkEnd.Alice, TwoLogs.AlicePad, accept: true);
        var atBob = BlockAuthentication.Verify(_logs.Bob, LinkEnd.Alice, TwoLogs.AlicePad, Change(LinkEnd.Alice, "tag", fromAlice), TwoLogs.Tolerance);
        using var bobKey = bob.Release(atBob);
        BobKey = Bytes(bobKey);
    }

    /// <summary>Logs a message at both ends, as each saw it.</summary>
    private byte[] Carry(LinkEnd from, string about, byte[] message)
    {
        var sent = _logs.Send(from, message, _time += 500);
        var received = Change(from, about, [.. message]);
        _logs.Deliver(sent with { Bytes = received }, _time += 500);
        return received;
    }

    private byte[] Change(LinkEnd from, string about, byte[] message)
    {
        Messages.Add(about);
        return OnTheWay(Messages.Count - 1, from, message);
    }

    private delegate bool Turn(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend);

    private static byte[] Bytes(SecretKey key)
    {
        var bytes = new byte[key.LengthBytes];
        key.CopyTo(bytes);
        return bytes;
    }
}
