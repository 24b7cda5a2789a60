using System.Buffers;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// Alice's end of a block, from the first announcement to the compressed bits: the same for a session and for its replay, which differ in what carries the messages and in
/// what becomes of the bits.
/// </summary>
internal static class AliceDistilling
{
    /// <summary>Steps 1 to 8.</summary>
    /// <returns>The compressed bits, and how many of them are for authentication.</returns>
    public static async ValueTask<(AmplifiedBlock Amplified, int AuthenticationBits)> RunAsync(
        BlockParameters parameters, IBlockMessages channel, IAliceBlockHost host, BlockTally tally, double qberLimit, CancellationToken stop)
    {
        var buffer = new ArrayBufferWriter<byte>(64 * 1024);

        // 1, 2: slots and bases of his detections; which match, and every intensity.
        using var sifter = new AliceSifter(parameters);
        for (var i = 0; i < parameters.FrameCount; i++)
        {
            var announcement = await channel.ExpectAsync(MessageType.Detections, stop);
            buffer.ResetWrittenCount();
            sifter.Match(announcement.Span, host.Tell(parameters.FirstFrame + i), buffer);
            host.Matched(parameters.FirstFrame + i);
            await channel.SendAsync(MessageType.Matches, buffer.WrittenMemory, stop);
        }

        host.MatchedAll();

        // 3: the test basis, openly.
        buffer.ResetWrittenCount();
        sifter.WriteTestBits(buffer);
        await channel.SendAsync(MessageType.TestBits, buffer.WrittenMemory, stop);
        using var sifted = sifter.Complete((await channel.ExpectAsync(MessageType.TestBits, stop)).Span);
        tally.Sifted(sifted);
        host.Sifted(sifted);
        tally.CheckErrorRate(qberLimit);

        // 4: reconciliation.
        using var corrected = await Reconciling.RunAsync(sifted, channel, host, tally, stop);

        // 5, 6: verification; his errors in the key basis.
        using var verified = await Verifying.RunAsync(corrected, LinkEnd.Alice, host.Randomness, channel, tally, stop);
        tally.CheckErrorRate(qberLimit);

        // 7: the length. Alice states it, Bob checks it.
        using var bounded = verified.AgreeLength();
        tally.Bounded(bounded);
        host.Bounded(verified, bounded.SecretLength);
        var feed = host.Feed(bounded.SecretLength);
        await channel.SendAsync(MessageType.SecretLength, new LengthStatement(bounded.SecretLength, feed).Write(), stop);
        await channel.ExpectAsync(MessageType.SecretLengthAccepted, stop);

        // 8: a fresh seed, only now.
        buffer.ResetWrittenCount();
        var amplified = bounded.CreateSeed(host.Randomness, buffer);
        try
        {
            await channel.SendAsync(MessageType.AmplificationSeed, buffer.WrittenMemory, stop);
            return (amplified, feed);
        }
        catch
        {
            amplified.Dispose();
            throw;
        }
    }
}
