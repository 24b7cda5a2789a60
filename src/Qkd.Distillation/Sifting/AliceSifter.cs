using System.Buffers;
using System.Runtime.InteropServices;
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
        if (_planes.Length < 5 * words)
        {
            _planes = GC.AllocateArray<ulong>(5 * words, pinned: true);
        }

        var bits = _planes.AsSpan(0, words);
        var bases = _planes.AsSpan(words, words);
        var matched = _planes.AsSpan(2 * words, words);
        var low = _planes.AsSpan(3 * words, words);
        var high = _planes.AsSpan(4 * words, words);
        reader.ReadBits(count, bases);
        LookUp(ref reader, count, frameSymbols, bits, matched, low, high);
        for (var i = 0; i < words; i++)
        {
            // Alice's basis was put into the match plane: equal bases match.
            var valid = i == words - 1 && (count & 63) != 0 ? (1UL << count) - 1 : ulong.MaxValue;
            matched[i] = ~(matched[i] ^ bases[i]) & valid;
        }

        answer.WriteInt64(frame);
        answer.WriteUInt32((uint)count);
        answer.WriteWords(_planes.AsSpan(2 * words, 3 * words));
        for (var i = 0; i < words; i++)
        {
            _state.Absorb(bits[i], bases[i], matched[i], low[i], high[i]);
        }

        bits.Clear();
        _state.EndFrame(count, multiClicks: 0);
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

    private void LookUp(
        ref MessageReader reader, int count, ReadOnlySpan<ulong> symbols, Span<ulong> bits, Span<ulong> bases, Span<ulong> low, Span<ulong> high)
    {
        var gaps = reader.Take(reader.Left);
        var groups = MemoryMarshal.Cast<ulong, SymbolGroup>(symbols);
        var slot = _state.Parameters.PilotSlots - 1;
        var position = 0;
        for (var word = 0; word < bits.Length; word++)
        {
            ulong b = 0, a = 0, l = 0, h = 0;
            var here = Math.Min(64, count - (word * 64));
            for (var i = 0; i < here; i++)
            {
                if ((uint)position >= (uint)gaps.Length)
                {
                    throw reader.Malformed("its gaps break off");
                }

                int gap = gaps[position];
                if (gap < 0x80)
                {
                    position++;
                }
                else
                {
                    gap = SiftingMessages.ReadLongGap(gaps, ref position, ref reader);
                }

                slot += gap + 1;
                if ((uint)(slot >> 6) >= (uint)groups.Length)
                {
                    throw reader.Malformed("a detection lies beyond the frame");
                }

                ref readonly var group = ref groups[slot >> 6];
                b |= (group.Bits >> slot & 1) << i;
                a |= (group.Bases >> slot & 1) << i;
                l |= (group.IntensityLow >> slot & 1) << i;
                h |= (group.IntensityHigh >> slot & 1) << i;
            }

            (bits[word], bases[word], low[word], high[word]) = (b, a, l, h);
        }

        if (position != gaps.Length)
        {
            throw reader.Malformed($"{gaps.Length - position} bytes follow its last gap");
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct SymbolGroup
    {
        public readonly ulong Bits;
        public readonly ulong Bases;
        public readonly ulong IntensityLow;
        public readonly ulong IntensityHigh;
    }
}
