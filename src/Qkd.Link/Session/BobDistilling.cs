using System.Buffers;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// Bob's end of a block, from its opening to the compressed bits: the same for a session and for its replay, which differ in what carries the messages and in what becomes of
/// the bits.
/// </summary>
internal static class BobDistilling
{
    /// <summary>Announcements that may be unanswered before sifting waits.</summary>
    private const int AnnouncementsInFlight = 8;

    /// <summary>Steps 1 to 8.</summary>
    /// <returns>The compressed bits, and how many of them are for authentication.</returns>
    public static async ValueTask<(AmplifiedBlock Amplified, int AuthenticationBits)> RunAsync(
        BlockParameters parameters, IBlockMessages channel, IBobBlockHost host, BlockTally tally, double qberLimit, CancellationToken stop)
    {
        var buffer = new ArrayBufferWriter<byte>(128 * 1024);
        await channel.ExpectAsync(MessageType.BlockOpen, stop);

        // 1, 2: each frame is announced before anything is learnt about it; some are on their way at once.
        using var sifter = new BobSifter(parameters);
        var answered = 0;
        for (var announced = 0; answered < parameters.FrameCount;)
        {
            if (announced < parameters.FrameCount && announced - answered < AnnouncementsInFlight)
            {
                using var frame = await host.NextFrameAsync(stop);
                tally.Gated(frame.Gate);
                if (frame.Frame != parameters.FirstFrame + announced)
                {
                    throw new LinkException($"Frame {parameters.FirstFrame + announced} was not received; {frame.Frame} came.");
                }

                buffer.ResetWrittenCount();
                sifter.Announce(frame.Frame, frame.Slots.Span, frame.Outcomes.Span, buffer);
                await channel.SendAsync(MessageType.Detections, buffer.WrittenMemory, stop);
                announced++;
                if (!channel.HasArrived)
                {
                    continue;
                }
            }

            sifter.ReceiveMatches((await channel.ExpectAsync(MessageType.Matches, stop)).Span);
            answered++;
        }

        // 3: the test basis, openly.
        buffer.ResetWrittenCount();
        sifter.WriteTestBits(buffer);
        await channel.SendAsync(MessageType.TestBits, buffer.WrittenMemory, stop);
        using var sifted = sifter.Complete((await channel.ExpectAsync(MessageType.TestBits, stop)).Span);
        tally.Sifted(sifted);
        host.Sifted(sifted);
        tally.CheckErrorRate(qberLimit);

        // 4: reconciliation: Bob corrects.
        using var corrected = await Reconciling.RunAsync(sifted, channel, host, tally, stop);

        // 5, 6: verification, with his errors in the key basis.
        using var verified = await Verifying.RunAsync(corrected, LinkEnd.Bob, host.Randomness, channel, tally, stop);
        tally.CheckErrorRate(qberLimit);

        // 7: he refuses a length above his own bound.
        var stated = LengthStatement.Read((await channel.ExpectAsync(MessageType.SecretLength, stop)).Span);
        using var bounded = verified.AgreeLength(stated.SecretBits);
        tally.Bounded(bounded);
        host.Bounded(verified, bounded.SecretLength);
        await channel.SendAsync(MessageType.SecretLengthAccepted, ReadOnlyMemory<byte>.Empty, stop);

        // 8
        return (bounded.Amplify((await channel.ExpectAsync(MessageType.AmplificationSeed, stop)).Span), stated.AuthenticationBits);
    }
}
