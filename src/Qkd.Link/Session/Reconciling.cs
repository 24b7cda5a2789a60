using System.Buffers;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Drives one end of a reconciliation over a block's channel, one message a round.</summary>
internal static class Reconciling
{
    // Without a single test-basis error the estimate would be zero, and nothing could be found.
    private const double LeastExpectedErrorRate = 0.002;

    public static async ValueTask<CorrectedBlock> RunAsync(
        IReconciler reconciler, SiftedBlock sifted, LinkEnd end, BlockChannel channel, BlockTally tally, CancellationToken cancellationToken)
    {
        var expected = Math.Max(sifted.TestErrorRate, LeastExpectedErrorRate);
        var reconciliation = reconciler.Begin(sifted, end, expected);
        var buffer = new ArrayBufferWriter<byte>(64 * 1024);
        var finished = false;
        if (reconciliation.StartsFirst)
        {
            finished = reconciliation.Step([], buffer);
            await channel.SendAsync(MessageType.Reconciliation, buffer.WrittenMemory, cancellationToken);
        }

        while (!finished)
        {
            var received = await channel.ExpectAsync(MessageType.Reconciliation, cancellationToken);
            buffer.ResetWrittenCount();
            finished = reconciliation.Step(received.Span, buffer);
            if (buffer.WrittenCount > 0)
            {
                await channel.SendAsync(MessageType.Reconciliation, buffer.WrittenMemory, cancellationToken);
            }
        }

        tally.Reconciled(reconciliation.Result, reconciliation.Rounds);
        return reconciliation.Result;
    }
}
