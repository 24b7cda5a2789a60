using System.Buffers;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Drives one end of a verification over a block's channel: one round if nothing differs, a few more for each frame that does.</summary>
internal static class Verifying
{
    public static async ValueTask<VerifiedBlock> RunAsync(
        CorrectedBlock corrected, LinkEnd end, ISecretRandomness randomness, IBlockMessages channel, BlockTally tally, CancellationToken cancellationToken)
    {
        using var verification = corrected.BeginVerification(randomness);
        var (sending, receiving) = end == LinkEnd.Alice
            ? (MessageType.VerificationChallenge, MessageType.VerificationAnswer)
            : (MessageType.VerificationAnswer, MessageType.VerificationChallenge);
        var buffer = new ArrayBufferWriter<byte>();
        var received = end == LinkEnd.Alice ? default : await channel.ExpectAsync(receiving, cancellationToken);
        while (true)
        {
            buffer.ResetWrittenCount();
            var finished = verification.Step(received.Span, buffer);
            if (buffer.WrittenCount > 0)
            {
                await channel.SendAsync(sending, buffer.WrittenMemory, cancellationToken);
            }

            if (finished)
            {
                tally.Verified(verification.Result, verification.DisclosedFrames);
                return verification.Result;
            }

            received = await channel.ExpectAsync(receiving, cancellationToken);
        }
    }
}
