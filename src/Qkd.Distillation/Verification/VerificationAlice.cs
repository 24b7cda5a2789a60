using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>Alice's end of verification: tells tags, and what Bob finds different.</summary>
internal sealed class VerificationAlice(CorrectedBlock block, ISecretRandomness randomness) : VerificationEnd(block)
{
    private FrameHashes? _hashes;

    protected override bool Continue(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        using var told = new BitAppender();
        if (_hashes is null)
        {
            var hashKey = toSend.GetSpan(FrameHashes.KeyBytes)[..FrameHashes.KeyBytes];
            randomness.Fill(hashKey);
            _hashes = new(Plan, Bits, hashKey);
            toSend.Advance(FrameHashes.KeyBytes);
            Ranges.AddRange(Plan.Clusters);
            foreach (var cluster in Ranges)
            {
                Tell(cluster, told);
            }
        }
        else
        {
            var reader = new MessageReader(received, "verification answer");
            if (VerificationMessages.ReadVerdict(ref reader))
            {
                Finish(VerificationMessages.ReadErrors(ref reader, Block.Sifted.KeyCounts), LinkEnd.Alice);
                return true;
            }

            Explain(ref reader, told);
        }

        toSend.WriteWords(told.Words);
        return false;
    }

    private void Explain(ref MessageReader reader, BitAppender told)
    {
        var differs = new ulong[BitString.WordCount(Ranges.Count)];
        reader.ReadBits(Ranges.Count, differs);
        reader.End();
        Verdicts += Ranges.Count;
        var differing = Ranges.Where((_, i) => (differs[i >> 6] >> i & 1) != 0).ToArray();
        if (differing.Length == 0)
        {
            throw reader.Malformed("it finds nothing different, and does not end");
        }

        Ranges.Clear();
        foreach (var range in differing)
        {
            if (range.IsFrame)
            {
                Disclose(range.From);
                told.AppendRange(Bits.Words, Plan.FrameStarts[range.From], Plan.Length(range.From));
            }
            else
            {
                var (left, right) = range.Halves();
                Tell(left, told);
                Ranges.Add(left);
                Ranges.Add(right);
            }
        }
    }

    private void Tell(FrameRange range, BitAppender told)
    {
        Tags++;
        CheckLeak();
        var tag = _hashes!.Tag(range);
        told.Append(tag.Low, Math.Min(64, Plan.TagBits));
        if (Plan.TagBits > 64)
        {
            told.Append(tag.High, Plan.TagBits - 64);
        }
    }
}
