using System.Buffers;

namespace Qkd.Distillation;

/// <summary>Bob's end of verification: compares, and takes over the frames that differ.</summary>
internal sealed class VerificationBob(CorrectedBlock block) : VerificationEnd(block)
{
    private readonly List<FrameRange> _differing = [];
    private readonly List<Gf128> _tags = [];
    private FrameHashes? _hashes;

    protected override bool Continue(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
    {
        if (_hashes is null)
        {
            Begin(received);
        }
        else
        {
            Compare(received);
        }

        CheckLeak();
        if (_differing.Count > 0)
        {
            WriteVerdicts(toSend);
            return false;
        }

        var errors = Block.KeyErrors;
        VerificationMessages.WriteErrors(errors, toSend);
        Finish(errors, LinkEnd.Bob);
        return true;
    }

    private void Begin(ReadOnlySpan<byte> received)
    {
        var reader = new MessageReader(received, "verification challenge");
        _hashes = new(Plan, Bits, reader.Take(FrameHashes.KeyBytes));
        Ranges.AddRange(Plan.Clusters);
        var count = Ranges.Count * Plan.TagBits;
        var words = new ulong[BitString.WordCount(count)];
        reader.ReadBits(count, words);
        reader.End();
        var cursor = new BitCursor(words);
        foreach (var cluster in Ranges)
        {
            Judge(cluster, ReadTag(ref cursor));
        }
    }

    private void Compare(ReadOnlySpan<byte> received)
    {
        // Of each range that differs, in their order: the tag of its left half, or the frame itself.
        var (differing, tags) = (_differing.ToArray(), _tags.ToArray());
        var count = differing.Sum(range => range.IsFrame ? Plan.Length(range.From) : Plan.TagBits);
        using var told = new BitString(count);
        var reader = new MessageReader(received, "verification explanation");
        reader.ReadBits(count, told.Words);
        reader.End();
        _differing.Clear();
        _tags.Clear();
        Ranges.Clear();
        var cursor = new BitCursor(told.Words);
        for (var i = 0; i < differing.Length; i++)
        {
            if (differing[i].IsFrame)
            {
                TakeOver(differing[i].From, ref cursor);
                continue;
            }

            var (left, right) = differing[i].Halves();
            var leftTag = ReadTag(ref cursor);
            Ranges.Add(left);
            Ranges.Add(right);
            Judge(left, leftTag);
            Judge(right, tags[i] ^ leftTag);
        }
    }

    private void Judge(FrameRange range, Gf128 tag)
    {
        // The verdict is public; comparing takes the same time whatever it is.
        var difference = _hashes!.Tag(range) ^ tag;
        if ((difference.Low | difference.High) != 0)
        {
            _differing.Add(range);
            _tags.Add(tag);
        }
    }

    private void TakeOver(int frame, ref BitCursor told)
    {
        Disclose(frame);
        var length = Plan.Length(frame);
        using var change = new BitString(length);
        using var own = new BitString(length);
        told.Read(length, change.Words);
        BitRange.Copy(Bits.Words, Plan.FrameStarts[frame], length, own.Words);
        for (var i = 0; i < own.Words.Length; i++)
        {
            change.Words[i] ^= own.Words[i];
        }

        BitRange.Add(change.Words, Plan.FrameStarts[frame], Bits.Words);
        Block.AddCorrections(change.Words, length, Plan.FrameStarts[frame]);
    }

    private void WriteVerdicts(IBufferWriter<byte> toSend)
    {
        using var verdicts = new BitAppender();
        var next = 0;
        foreach (var range in Ranges)
        {
            var differs = next < _differing.Count && _differing[next] == range;
            next += differs ? 1 : 0;
            verdicts.Append(differs ? 1UL : 0, 1);
        }

        Verdicts += Ranges.Count;
        VerificationMessages.WriteVerdicts(verdicts.Words, toSend);
    }

    private Gf128 ReadTag(ref BitCursor cursor)
    {
        Tags++;
        var low = cursor.Read(Math.Min(64, Plan.TagBits));
        return new(low, Plan.TagBits > 64 ? cursor.Read(Plan.TagBits - 64) : 0);
    }
}
