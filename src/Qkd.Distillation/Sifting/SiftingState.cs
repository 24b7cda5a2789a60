using System.Buffers;
using System.Numerics;

namespace Qkd.Distillation;

/// <summary>
/// What both ends gather while sifting: the key-basis and test-basis bits of matched slots, with the intensity of each. Works on planes
/// of 64 detections a word; the two ends run the same code on the same public planes, so that their bits stay in step.
/// </summary>
internal sealed class SiftingState(BlockParameters parameters) : IDisposable
{
    private readonly BitAppender _keyBits = new();
    private readonly BitAppender _testBits = new();
    private readonly BitAppender[] _keyIntensity = [new(), new()];
    private readonly BitAppender[] _testIntensity = [new(), new()];
    private ulong[] _masks = [];
    private bool _testBitsWritten;
    private bool _complete;

    public BlockParameters Parameters { get; } = parameters;

    /// <summary>Frames whose matches are known.</summary>
    public int FramesMatched { get; private set; }

    public long Detections { get; private set; }

    public long MultiClicks { get; private set; }

    /// <summary>Takes a frame's detections, 64 a word, whose planes have been checked; bits beyond the count are zero in all of them.</summary>
    /// <param name="count">Detections.</param>
    /// <param name="multiClicks">How many of them were multi-clicks.</param>
    /// <param name="bits">This end's bit values.</param>
    /// <param name="bases">Bob's bases, 1 for the test basis.</param>
    /// <param name="matched">Where Alice's basis is the same.</param>
    /// <param name="intensityLow">Low bits of the intensity index.</param>
    /// <param name="intensityHigh">High bits of the intensity index.</param>
    public void Absorb(
        int count,
        long multiClicks,
        ReadOnlySpan<ulong> bits,
        ReadOnlySpan<ulong> bases,
        ReadOnlySpan<ulong> matched,
        ReadOnlySpan<ulong> intensityLow,
        ReadOnlySpan<ulong> intensityHigh)
    {
        var words = BitString.WordCount(count);
        if (_masks.Length < 2 * words)
        {
            _masks = new ulong[2 * words];
        }

        var key = _masks.AsSpan(0, words);
        var test = _masks.AsSpan(words, words);
        var (keyCount, testCount) = (0, 0);
        for (var i = 0; i < words; i++)
        {
            var (both, basis) = (matched[i], bases[i]);
            key[i] = both & ~basis;
            test[i] = both & basis;
            keyCount += BitOperations.PopCount(both & ~basis);
            testCount += BitOperations.PopCount(both & basis);
        }

        _keyBits.AppendSelected(bits, key, keyCount);
        _keyIntensity[0].AppendSelected(intensityLow, key, keyCount);
        _keyIntensity[1].AppendSelected(intensityHigh, key, keyCount);
        _testBits.AppendSelected(bits, test, testCount);
        _testIntensity[0].AppendSelected(intensityLow, test, testCount);
        _testIntensity[1].AppendSelected(intensityHigh, test, testCount);
        Detections += count;
        MultiClicks += multiClicks;
        FramesMatched++;
    }

    public void WriteTestBits(IBufferWriter<byte> message)
    {
        if (FramesMatched != Parameters.FrameCount || _complete)
        {
            throw new InvalidOperationException($"Test bits are due once all {Parameters.FrameCount} frames are matched; {FramesMatched} are.");
        }

        _testBitsWritten = true;
        message.WriteUInt32((uint)_testBits.Length);
        message.WriteWords(_testBits.Words);
    }

    public SiftedBlock Complete(ReadOnlySpan<byte> peerMessage)
    {
        // The own bits are on their way first: an end that waits to see the peer's could make its own fit.
        if (!_testBitsWritten || _complete)
        {
            throw new InvalidOperationException("A block is completed once, after its own test bits were written.");
        }

        var reader = new MessageReader(peerMessage, "test-basis message");
        var count = reader.ReadUInt32();
        if (count != (uint)_testBits.Length)
        {
            throw reader.Malformed($"it has {count} bits where {_testBits.Length} were matched");
        }

        var words = BitString.WordCount(_testBits.Length);
        var differences = new ulong[words];
        reader.ReadBits(_testBits.Length, differences);
        reader.End();
        for (var i = 0; i < words; i++)
        {
            differences[i] ^= _testBits.Words[i];
        }

        _complete = true;
        var testCounts = Count(_testIntensity, _testBits.Length, []);
        var testErrors = Count(_testIntensity, _testBits.Length, differences);
        var keyCounts = Count(_keyIntensity, _keyBits.Length, []);
        var block = new SiftedBlock(
            Parameters, _keyBits.Take(), new IntensityPlanes(_keyIntensity[0].Take(), _keyIntensity[1].Take()), keyCounts, testCounts, testErrors)
        {
            Detections = Detections,
            MultiClicks = MultiClicks,
        };
        Dispose();
        return block;
    }

    public void Dispose()
    {
        _complete = true;
        _keyBits.Dispose();
        _testBits.Dispose();
        foreach (var plane in _keyIntensity.Concat(_testIntensity))
        {
            plane.Dispose();
        }
    }

    private static long[] Count(BitAppender[] planes, int length, ReadOnlySpan<ulong> where) =>
        IntensityPlanes.Count(planes[0].Words, planes[1].Words, length, where);
}

/// <summary>The intensity index of each bit of a block, in two planes. Public knowledge, kept with the bits it belongs to.</summary>
internal sealed class IntensityPlanes(BitString low, BitString high) : IDisposable
{
    /// <summary>Counts the bits of each intensity where <paramref name="where"/> is set.</summary>
    public long[] Count(ReadOnlySpan<ulong> where) => Count(low.Words, high.Words, low.Length, where);

    /// <summary>Counts the bits of each intensity; an empty <paramref name="where"/> stands for all.</summary>
    public static long[] Count(ReadOnlySpan<ulong> low, ReadOnlySpan<ulong> high, int length, ReadOnlySpan<ulong> where)
    {
        var counts = new long[BlockParameters.IntensityCount];
        for (var i = 0; i < low.Length; i++)
        {
            var valid = i == low.Length - 1 && (length & 63) != 0 ? (1UL << length) - 1 : ulong.MaxValue;
            if (!where.IsEmpty)
            {
                valid &= where[i];
            }

            counts[0] += BitOperations.PopCount(valid & ~low[i] & ~high[i]);
            counts[1] += BitOperations.PopCount(valid & low[i] & ~high[i]);
            counts[2] += BitOperations.PopCount(valid & ~low[i] & high[i]);
        }

        return counts;
    }

    public void Dispose()
    {
        low.Dispose();
        high.Dispose();
    }
}
