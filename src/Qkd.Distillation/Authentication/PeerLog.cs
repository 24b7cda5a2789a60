using System.Buffers;

namespace Qkd.Distillation;

/// <summary>In which order, and when by its clock, one end logged the messages of a block.</summary>
internal sealed class PeerLog
{
    // A varint of 64 bits and the direction.
    private const int MaximumEntryBytes = 10;

    private readonly TranscriptDirection[] _order;
    private readonly long[] _times;

    private PeerLog(TranscriptDirection[] order, long[] times) => (_order, _times) = (order, times);

    /// <summary>This end's own log.</summary>
    public static PeerLog Own(BlockTranscript transcript)
    {
        var times = new long[transcript.Count];
        Span<int> next = stackalloc int[2];
        next.Clear();
        for (var i = 0; i < times.Length; i++)
        {
            var direction = transcript.Order[i];
            times[i] = transcript.Messages(direction)[next[(int)direction]++].UnixMicroseconds;
        }

        return new([.. transcript.Order], times);
    }

    /// <summary>Reads what the peer states about his log of as many messages as this end's.</summary>
    public static PeerLog Read(ref MessageReader reader, BlockTranscript transcript)
    {
        var order = new TranscriptDirection[transcript.Count];
        var times = new long[transcript.Count];
        Span<int> counts = stackalloc int[2];
        counts.Clear();
        long time = 0;
        for (var i = 0; i < order.Length; i++)
        {
            var number = ReadNumber(ref reader);
            order[i] = (TranscriptDirection)(number & 1);
            counts[(int)order[i]]++;
            var zigzag = number >> 1;
            time = unchecked(time + ((long)(zigzag >> 1) ^ -(long)(zigzag & 1)));
            times[i] = time;
        }

        for (var direction = 0; direction < 2; direction++)
        {
            var own = transcript.Messages((TranscriptDirection)direction).Count;
            if (counts[direction] != own)
            {
                throw new TranscriptRejectedException($"The peer logged {counts[direction]} messages {(TranscriptDirection)direction} of block {transcript.BlockId}, this end {own}.");
            }
        }

        return new(order, times);
    }

    /// <summary>Writes order and times.</summary>
    public void Write(IBufferWriter<byte> message)
    {
        long time = 0;
        for (var i = 0; i < _order.Length; i++)
        {
            var change = unchecked(_times[i] - time);
            time = _times[i];
            var zigzag = (ulong)(change << 1) ^ (ulong)(change >> 63);
            WriteNumber(message, zigzag << 1 | (uint)_order[i]);
        }
    }

    /// <summary>Hashes the log: both ends hash the same bytes if they saw the same messages.</summary>
    public void AppendTo(ref PolynomialHash hash, BlockTranscript transcript)
    {
        Span<int> next = stackalloc int[2];
        next.Clear();
        for (var i = 0; i < _order.Length; i++)
        {
            var direction = _order[i];
            var sequence = ++next[(int)direction];
            var entry = transcript.Messages(direction)[sequence - 1];
            hash.AppendBlock(new((uint)direction | (ulong)(uint)sequence << 32, (ulong)entry.LastPeerSequence));
            hash.AppendBlock(new((ulong)_times[i], (ulong)entry.Bytes.Length));
            hash.Append(entry.Bytes.Span);
        }
    }

    /// <summary>What the logging end sent must name as last seen what it had received by then.</summary>
    public void CheckOrder(BlockTranscript transcript, LinkEnd end)
    {
        var sending = Sending(end);
        var (sent, received) = (0, 0);
        foreach (var direction in _order)
        {
            if (direction != sending)
            {
                received++;
            }
            else if (transcript.Messages(sending)[sent++].LastPeerSequence != received)
            {
                throw new TranscriptRejectedException($"In block {transcript.BlockId} message {sent} of {end} does not follow what {end} had received.");
            }
        }
    }

    /// <summary>No message is received before it was sent, as far as the two clocks agree.</summary>
    public void CheckTimes(BlockTranscript transcript, LinkEnd end, TimeSpan tolerance)
    {
        var allowed = tolerance.Ticks / TimeSpan.TicksPerMicrosecond;
        Span<int> next = stackalloc int[2];
        next.Clear();
        for (var i = 0; i < _order.Length; i++)
        {
            var direction = _order[i];
            var sequence = ++next[(int)direction];
            var own = transcript.Messages(direction)[sequence - 1].UnixMicroseconds;
            var (sent, received) = direction == Sending(end) ? (_times[i], own) : (own, _times[i]);
            if ((Int128)received - sent < -allowed)
            {
                throw new TranscriptRejectedException(
                    $"In block {transcript.BlockId} message {sequence} {direction} was received {(Int128)sent - received} us before it was sent: "
                    + "delivered by someone who guessed it, or the clocks of the two ends disagree.");
            }
        }
    }

    private static TranscriptDirection Sending(LinkEnd end) =>
        end == LinkEnd.Alice ? TranscriptDirection.AliceToBob : TranscriptDirection.BobToAlice;

    private static void WriteNumber(IBufferWriter<byte> message, ulong number)
    {
        var bytes = message.GetSpan(MaximumEntryBytes);
        var length = 0;
        for (; number >= 0x80; number >>= 7)
        {
            bytes[length++] = (byte)(number | 0x80);
        }

        bytes[length++] = (byte)number;
        message.Advance(length);
    }

    private static ulong ReadNumber(ref MessageReader reader)
    {
        ulong number = 0;
        for (var i = 0; i < MaximumEntryBytes; i++)
        {
            var next = reader.ReadByte();
            number |= (ulong)(next & 0x7F) << (7 * i);
            if (next < 0x80)
            {
                return number;
            }
        }

        throw reader.Malformed("a number does not end");
    }
}
