using System.Buffers;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Drives one end of a reconciliation over a block's channel, one message a round.</summary>
internal static class Reconciling
{
    public static async ValueTask<CorrectedBlock> RunAsync(
        IReconciler reconciler, SiftedBlock sifted, LinkEnd end, BlockChannel channel, BlockTally tally, CancellationToken cancellationToken)
    {
        using var reconciliation = reconciler.Begin(sifted, end, new(sifted.TestErrorRate));
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
