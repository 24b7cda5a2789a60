using System.Buffers;
using System.Runtime.InteropServices;

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
        var multiClicks = DetectionPlanes.Pack(outcomes, planes.AsSpan(0, words), planes.AsSpan(words, words));

        announcement.WriteInt64(frame);
        announcement.WriteUInt32((uint)count);
        announcement.WriteWords(planes.AsSpan(words, words));
        var gaps = announcement.GetSpan(Math.Max(1, count * SiftingMessages.MaximumGapBytes));
        announcement.Advance(GapWriter.Write(slotsInFrame, parameters.PilotSlots, parameters.FrameSlots, gaps));
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

        var matched = Plane(ref reader, count);
        var low = Plane(ref reader, count);
        var high = Plane(ref reader, count);
        ulong both = 0;
        for (var i = 0; i < words; i++)
        {
            both |= low[i] & high[i];
        }

        if (both != 0)
        {
            throw reader.Malformed("it names a fourth intensity");
        }

        _state.Absorb(count, announced.MultiClicks, announced.Planes.AsSpan(0, words), announced.Planes.AsSpan(words, words), matched, low, high);
    }

    /// <summary>A plane of an answer, where it stands in the message.</summary>
    private static ReadOnlySpan<ulong> Plane(ref MessageReader reader, int count)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(reader.Take(8 * BitString.WordCount(count)));
        return (count & 63) == 0 || words[^1] >> count == 0 ? words : throw reader.Malformed("bits are set beyond its end");
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
