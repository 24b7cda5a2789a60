using System.Buffers;

namespace Qkd.Distillation;

/// <summary>
/// Bob's side of sifting: announces slots and bases of a frame's detections before he learns anything about it, then takes Alice's
/// answer. Several frames may be announced before the first is answered. His bit values in the key basis are never written anywhere.
/// </summary>
public sealed class BobSifter : IDisposable
{
    /// <summary>In an outcome byte: the bit value.</summary>
    public const byte OutcomeBit = 1;

    /// <summary>In an outcome byte: set for the test basis X.</summary>
    public const byte OutcomeBasis = 2;

    /// <summary>In an outcome byte: more than one detector of the basis clicked and the bit value was drawn at random.</summary>
    public const byte OutcomeMultiClick = 4;

    private readonly SiftingState _state;
    private readonly Queue<AnnouncedFrame> _announced = new();
    private readonly Stack<ulong[]> _spare = new();
    private readonly ulong[] _answer = new ulong[3];
    private int _framesAnnounced;

    /// <summary>Begins a block.</summary>
    /// <exception cref="DistillationException">The parameters are out of range.</exception>
    public BobSifter(BlockParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        parameters.Validate();
        _state = new(parameters);
    }

    /// <summary>Announces the next frame of the block, in order. Detections in the pilot are left out.</summary>
    /// <param name="frame">The frame's number.</param>
    /// <param name="slotsInFrame">Slots of its detections, strictly ascending.</param>
    /// <param name="outcomes">One byte a detection: <see cref="OutcomeBit"/>, <see cref="OutcomeBasis"/>, <see cref="OutcomeMultiClick"/>.</param>
    /// <param name="announcement">Receives message 1.</param>
    /// <exception cref="ArgumentException">Not the frame that is due, or detections that are out of order, out of the frame or without an outcome.</exception>
    public void Announce(long frame, ReadOnlySpan<int> slotsInFrame, ReadOnlySpan<byte> outcomes, IBufferWriter<byte> announcement)
    {
        ArgumentNullException.ThrowIfNull(announcement);
        var parameters = _state.Parameters;
        if (frame != parameters.FirstFrame + _framesAnnounced || _framesAnnounced == parameters.FrameCount)
        {
            throw new ArgumentException($"Frame {frame} is not the one due, {_framesAnnounced} of block {parameters.BlockId}.", nameof(frame));
        }

        if (slotsInFrame.Length != outcomes.Length)
        {
            throw new ArgumentException("Each detection has one outcome.", nameof(outcomes));
        }

        var pilot = slotsInFrame.BinarySearch(parameters.PilotSlots);
        pilot = pilot < 0 ? ~pilot : pilot;
        slotsInFrame = slotsInFrame[pilot..];
        outcomes = outcomes[pilot..];
        var count = slotsInFrame.Length;
        var words = BitString.WordCount(count);
        var planes = Planes(2 * words);
        var multiClicks = Pack(outcomes, planes.AsSpan(0, words), planes.AsSpan(words, words));

        announcement.WriteInt64(frame);
        announcement.WriteUInt32((uint)count);
        announcement.WriteWords(planes.AsSpan(words, words));
        WriteGaps(slotsInFrame, parameters, announcement);
        _announced.Enqueue(new(frame, count, multiClicks, planes));
        _framesAnnounced++;
    }

    /// <summary>Takes Alice's answer, message 2, to the oldest frame that is not yet answered.</summary>
    /// <exception cref="DistillationException">The message is malformed, about another frame, or answers nothing.</exception>
    public void ReceiveMatches(ReadOnlySpan<byte> answer)
    {
        if (!_announced.TryDequeue(out var announced))
        {
            throw new DistillationException("The peer answered a frame that was not announced.");
        }

        try
        {
            Absorb(announced, answer);
        }
        finally
        {
            BitString.Erase(announced.Planes);
            _spare.Push(announced.Planes);
        }
    }

    /// <summary>Writes Bob's test-basis bits, message 3, once every frame is answered.</summary>
    public void WriteTestBits(IBufferWriter<byte> message) => _state.WriteTestBits(message);

    /// <summary>Takes Alice's test-basis bits and ends sifting.</summary>
    /// <exception cref="DistillationException">The message is malformed.</exception>
    public SiftedBlock Complete(ReadOnlySpan<byte> peerTestBits) => _state.Complete(peerTestBits);

    /// <summary>Erases what was gathered.</summary>
    public void Dispose()
    {
        _state.Dispose();
        while (_announced.TryDequeue(out var announced))
        {
            BitString.Erase(announced.Planes);
        }
    }

    private void Absorb(AnnouncedFrame announced, ReadOnlySpan<byte> answer)
    {
        var reader = new MessageReader(answer, "answer to a frame");
        SiftingMessages.ExpectFrame(ref reader, announced.Frame);
        var (count, words) = (announced.Count, BitString.WordCount(announced.Count));
        if (reader.ReadUInt32() != (uint)count || reader.Left != 3 * 8 * words)
        {
            throw reader.Malformed($"{count} detections were announced");
        }

        var matched = reader.Take(8 * words);
        var low = reader.Take(8 * words);
        var high = reader.Take(8 * words);
        for (var i = 0; i < words; i++)
        {
            var here = Math.Min(64, count - (i * 64));
            new MessageReader(matched.Slice(8 * i, 8), "answer to a frame").ReadBits(here, _answer);
            new MessageReader(low.Slice(8 * i, 8), "answer to a frame").ReadBits(here, _answer.AsSpan(1));
            new MessageReader(high.Slice(8 * i, 8), "answer to a frame").ReadBits(here, _answer.AsSpan(2));
            if ((_answer[1] & _answer[2]) != 0)
            {
                throw reader.Malformed($"it names a fourth intensity");
            }

            _state.Absorb(announced.Planes[i], announced.Planes[words + i], _answer[0], _answer[1], _answer[2]);
        }

        _state.EndFrame(count, announced.MultiClicks);
    }

    private static int Pack(ReadOnlySpan<byte> outcomes, Span<ulong> bits, Span<ulong> bases)
    {
        var multiClicks = 0;
        for (var word = 0; word < bits.Length; word++)
        {
            var chunk = outcomes.Slice(word * 64, Math.Min(64, outcomes.Length - (word * 64)));
            ulong b = 0, a = 0;
            for (var i = 0; i < chunk.Length; i++)
            {
                ulong outcome = chunk[i];
                b |= (outcome & 1) << i;
                a |= (outcome >> 1 & 1) << i;
                multiClicks += (int)(outcome >> 2 & 1);
            }

            (bits[word], bases[word]) = (b, a);
        }

        return multiClicks;
    }

    private static void WriteGaps(ReadOnlySpan<int> slots, BlockParameters parameters, IBufferWriter<byte> announcement)
    {
        var last = parameters.PilotSlots - 1;
        var buffer = announcement.GetSpan(Math.Max(1, slots.Length * SiftingMessages.MaximumGapBytes));
        var length = 0;
        foreach (var slot in slots)
        {
            var gap = slot - last - 1;
            if (gap < 0 || slot >= parameters.FrameSlots)
            {
                throw new ArgumentException($"Slot {slot} is out of order or beyond the frame.", nameof(slots));
            }

            if (gap < 0x80)
            {
                buffer[length++] = (byte)gap;
            }
            else
            {
                length += SiftingMessages.WriteGap(buffer[length..], (uint)gap);
            }

            last = slot;
        }

        announcement.Advance(length);
    }

    private ulong[] Planes(int words)
    {
        if (_spare.TryPop(out var planes) && planes.Length >= words)
        {
            return planes;
        }

        return GC.AllocateArray<ulong>(words + (words / 8), pinned: true);
    }

    private sealed record AnnouncedFrame(long Frame, int Count, int MultiClicks, ulong[] Planes)
    {
        public override string ToString() => $"frame {Frame}";
    }
}
