using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// Alice's side of sifting: answers each announced frame with which detections match and with every intensity, then exchanges the
/// test-basis bits. Her key-basis bits are never written anywhere.
/// </summary>
public sealed class AliceSifter : IDisposable
{
    private readonly SiftingState _state;
    private ulong[] _planes = [];

    /// <summary>Begins a block.</summary>
    /// <exception cref="DistillationException">The parameters are out of range.</exception>
    public AliceSifter(BlockParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        parameters.Validate();
        _state = new(parameters);
    }

    /// <summary>Matches the next frame of the block, in order.</summary>
    /// <param name="announcement">Bob's message 1 about the frame.</param>
    /// <param name="frameSymbols">What was prepared in the frame, pilot included, in the layout of <see cref="PackedSymbols"/>.</param>
    /// <param name="answer">Receives message 2.</param>
    /// <exception cref="DistillationException">The announcement is malformed or about another frame.</exception>
    public void Match(ReadOnlySpan<byte> announcement, ReadOnlySpan<ulong> frameSymbols, IBufferWriter<byte> answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        var parameters = _state.Parameters;
        if (_state.FramesMatched == parameters.FrameCount)
        {
            throw new DistillationException($"The peer announced a frame after the {parameters.FrameCount} of block {parameters.BlockId}.");
        }

        if (frameSymbols.Length != PackedSymbols.WordCount(parameters.FrameSlots))
        {
            throw new ArgumentException($"A frame of {parameters.FrameSlots} slots has {PackedSymbols.WordCount(parameters.FrameSlots)} words, not {frameSymbols.Length}.", nameof(frameSymbols));
        }

        var frame = parameters.FirstFrame + _state.FramesMatched;
        var reader = new MessageReader(announcement, "announcement of detections");
        var count = SiftingMessages.ReadAnnouncementHeader(ref reader, parameters, frame);
        var words = BitString.WordCount(count);
        Reserve(5 * words);
        var bits = _planes.AsSpan(0, words);
        var bases = _planes.AsSpan(words, words);
        var matched = _planes.AsSpan(2 * words, words);
        var low = _planes.AsSpan(3 * words, words);
        var high = _planes.AsSpan(4 * words, words);
        try
        {
            reader.ReadBits(count, bases);
            var gaps = new GapReader(reader, parameters.PilotSlots, parameters.FrameSlots);
            Span<int> slots = stackalloc int[DetectionPlanes.PerWord];
            for (var i = 0; i < words; i++)
            {
                var here = slots[..Math.Min(DetectionPlanes.PerWord, count - (DetectionPlanes.PerWord * i))];
                gaps.Read(here);
                var prepared = DetectionPlanes.LookUp(frameSymbols, here);
                bits[i] = prepared[0];
                low[i] = prepared[2];
                high[i] = prepared[3];

                // Equal bases match.
                matched[i] = ~(prepared[1] ^ bases[i]) & (ulong.MaxValue >> (DetectionPlanes.PerWord - here.Length));
            }

            gaps.End();
            answer.WriteInt64(frame);
            answer.WriteUInt32((uint)count);
            answer.WriteWords(_planes.AsSpan(2 * words, 3 * words));
            _state.Absorb(count, multiClicks: 0, bits, bases, matched, low, high);
        }
        finally
        {
            BitString.Erase(bits);
        }
    }

    /// <summary>Writes Alice's test-basis bits, message 3, once every frame is matched.</summary>
    public void WriteTestBits(IBufferWriter<byte> message) => _state.WriteTestBits(message);

    /// <summary>Takes Bob's test-basis bits and ends sifting.</summary>
    /// <exception cref="DistillationException">The message is malformed.</exception>
    public SiftedBlock Complete(ReadOnlySpan<byte> peerTestBits) => _state.Complete(peerTestBits);

    /// <summary>Erases what was gathered.</summary>
    public void Dispose()
    {
        _state.Dispose();
        BitString.Erase(_planes);
    }

    private void Reserve(int words)
    {
        // What it held has been erased: bits after every frame.
        if (_planes.Length < words)
        {
            _planes = GC.AllocateArray<ulong>(words + (words / 8), pinned: true);
        }
    }
}
