using System.Buffers;
using System.Diagnostics;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Drives one end of a reconciliation over a block's channel, one message a round.</summary>
internal static class Reconciling
{
    public static async ValueTask<CorrectedBlock> RunAsync(
        IReconciler reconciler, SiftedBlock sifted, LinkEnd end, BlockChannel channel, LinkPace pace, BlockTally tally, CancellationToken cancellationToken)
    {
        using var reconciliation = reconciler.Begin(sifted, end, pace.Conditions(sifted));
        var buffer = new ArrayBufferWriter<byte>(64 * 1024);
        var (busy, shortest) = (TimeSpan.Zero, TimeSpan.MaxValue);
        var received = ReadOnlyMemory<byte>.Empty;
        var sentAt = 0L;
        for (var first = true; ; first = false)
        {
            if (!first || !reconciliation.StartsFirst)
            {
                received = await channel.ExpectAsync(MessageType.Reconciliation, cancellationToken);
                if (sentAt != 0)
                {
                    shortest = TimeSpan.FromTicks(Math.Min(shortest.Ticks, Stopwatch.GetElapsedTime(sentAt).Ticks));
                }
            }

            buffer.ResetWrittenCount();
            var began = Stopwatch.GetTimestamp();
            var finished = reconciliation.Step(received.Span, buffer);
            busy += Stopwatch.GetElapsedTime(began);
            if (buffer.WrittenCount > 0)
            {
                sentAt = Stopwatch.GetTimestamp();
                await channel.SendAsync(MessageType.Reconciliation, buffer.WrittenMemory, cancellationToken);
            }

            if (finished)
            {
                break;
            }
        }

        if (shortest < TimeSpan.MaxValue)
        {
            // The peer's work for the shortest answer is in it: an upper bound, and a close one where there are many rounds.
            pace.Answered(shortest);
        }

        (reconciler as AdaptiveReconciler)?.Learn(reconciliation.Method, sifted.TestErrorRate, sifted.KeyBitCount, busy);
        tally.Reconciled(reconciliation);
        return reconciliation.Result;
    }
}
