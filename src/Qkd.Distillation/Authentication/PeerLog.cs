using System.Buffers;

namespace Qkd.Distillation;

/// <summary>In which order, and when by its clock, one end logged the messages of a block.</summary>
internal sealed class PeerLog
{
    // A varint of 64 bits and the direction.
    private const int MaximumEntryBytes = 10;
    private const int EntriesAtOnce = 256;

    private readonly TranscriptDirection[] _order;
    private readonly long[] _times;

    private PeerLog(TranscriptDirection[] order, long[] times) => (_order, _times) = (order, times);

    /// <summary>This end's own log.</summary>
    public static PeerLog Own(BlockTranscript transcript)
    {
        var order = transcript.Order.ToArray();
        var times = new long[order.Length];
        var messages = new Sequences(transcript);
        for (var i = 0; i < times.Length; i++)
        {
            times[i] = messages.Next(order[i], out _).UnixMicroseconds;
        }

        return new(order, times);
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
            var own = transcript.Messages((TranscriptDirection)direction).Length;
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
        for (var i = 0; i < _order.Length;)
        {
            var bytes = message.GetSpan(EntriesAtOnce * MaximumEntryBytes);
            var length = 0;
            for (var end = Math.Min(_order.Length, i + EntriesAtOnce); i < end; i++)
            {
                var change = unchecked(_times[i] - time);
                time = _times[i];
                var zigzag = (ulong)(change << 1) ^ (ulong)(change >> 63);
                length += WriteNumber(bytes[length..], zigzag << 1 | (uint)_order[i]);
            }

            message.Advance(length);
        }
    }

    /// <summary>Hashes the log: both ends hash the same bytes if they saw the same messages.</summary>
    public void AppendTo(ref PolynomialHash hash, BlockTranscript transcript)
    {
        var messages = new Sequences(transcript);
        for (var i = 0; i < _order.Length; i++)
        {
            var direction = _order[i];
            ref readonly var entry = ref messages.Next(direction, out var sequence);
            hash.AppendBlock(new((uint)direction | (ulong)(uint)sequence << 32, (ulong)entry.LastPeerSequence));
            hash.AppendBlock(new((ulong)_times[i], (ulong)entry.Length));
            hash.Append(entry.Bytes);
        }
    }

    /// <summary>What the logging end sent must name as last seen what it had received by then.</summary>
    public void CheckOrder(BlockTranscript transcript, LinkEnd end)
    {
        var sending = Sending(end);
        var sent = transcript.Messages(sending);
        var (next, received) = (0, 0);
        foreach (var direction in _order)
        {
            if (direction != sending)
            {
                received++;
            }
            else if (sent[next++].LastPeerSequence != received)
            {
                throw new TranscriptRejectedException($"In block {transcript.BlockId} message {next} of {end} does not follow what {end} had received.");
            }
        }
    }

    /// <summary>No message is received before it was sent, as far as the two clocks agree.</summary>
    public void CheckTimes(BlockTranscript transcript, LinkEnd end, TimeSpan tolerance)
    {
        var allowed = tolerance.Ticks / TimeSpan.TicksPerMicrosecond;
        var messages = new Sequences(transcript);
        for (var i = 0; i < _order.Length; i++)
        {
            var direction = _order[i];
            var own = messages.Next(direction, out var sequence).UnixMicroseconds;
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

    private static int WriteNumber(Span<byte> bytes, ulong number)
    {
        var length = 0;
        for (; number >= 0x80; number >>= 7)
        {
            bytes[length++] = (byte)(number | 0x80);
        }

        bytes[length++] = (byte)number;
        return length;
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

    /// <summary>The messages of a transcript, each direction by its own numbers.</summary>
    private ref struct Sequences(BlockTranscript transcript)
    {
        private readonly ReadOnlySpan<BlockTranscript.Entry> _toBob = transcript.Messages(TranscriptDirection.AliceToBob);
        private readonly ReadOnlySpan<BlockTranscript.Entry> _toAlice = transcript.Messages(TranscriptDirection.BobToAlice);
        private int _nextToBob;
        private int _nextToAlice;

        /// <summary>The next message of a direction and its number, from 1.</summary>
        public ref readonly BlockTranscript.Entry Next(TranscriptDirection direction, out int sequence)
        {
            if (direction == TranscriptDirection.AliceToBob)
            {
                sequence = ++_nextToBob;
                return ref _toBob[sequence - 1];
            }

            sequence = ++_nextToAlice;
            return ref _toAlice[sequence - 1];
        }
    }
}
