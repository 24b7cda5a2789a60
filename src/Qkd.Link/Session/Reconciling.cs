using System.Buffers;
using System.Diagnostics;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>Drives one end of a reconciliation over a block's channel, one message a round.</summary>
internal static class Reconciling
{
    public static async ValueTask<CorrectedBlock> RunAsync(
        SiftedBlock sifted, IBlockMessages channel, IBlockHost host, BlockTally tally, CancellationToken cancellationToken)
    {
        using var reconciliation = host.BeginReconciliation(sifted);
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

        host.Reconciled(reconciliation, sifted, busy, shortest < TimeSpan.MaxValue ? shortest : null);
        tally.Reconciled(reconciliation);
        return reconciliation.Result;
    }
}
