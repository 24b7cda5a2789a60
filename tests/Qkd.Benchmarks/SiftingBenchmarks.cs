using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using Qkd.Devices;
using Qkd.Distillation;

namespace Qkd.Benchmarks;

/// <summary>Each end's work for a block, in time a detection. The slower end decides how fast a link can sift.</summary>
public class SiftingBenchmarks
{
    private const int Frames = 32;
    private const int DetectionsPerFrame = 1 << 13;

    private readonly int[][] _slots = new int[Frames][];
    private readonly byte[][] _outcomes = new byte[Frames][];
    private readonly ulong[][] _symbols = new ulong[Frames][];
    private readonly byte[][] _announcements = new byte[Frames][];
    private readonly byte[][] _answers = new byte[Frames][];
    private readonly ArrayBufferWriter<byte> _message = new();
    private BlockParameters _parameters = new()
    {
        BlockId = 0,
        FirstFrame = 0,
        FrameCount = Frames,
        FrameSlots = 64,
        PilotSlots = 0,
        Intensities = [new(.45, .45, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)],
        Security = new(),
        Grade = KeyGrade.Laboratory,
    };

    /// <summary>Slots a detection on average: 14 is 7 M clicks/s at 100 MHz.</summary>
    [Params(3, 14, 1_000)]
    public int Gap { get; set; }

    /// <summary>Draws symbols and detections anew, four in five in the key basis, and makes both ends' messages once.</summary>
    [GlobalSetup]
    public void Draw()
    {
        var random = new Random(RandomNumberGenerator.GetInt32(int.MaxValue));
        var frameSlots = 0;
        for (var frame = 0; frame < Frames; frame++)
        {
            var slot = -1;
            _slots[frame] = new int[DetectionsPerFrame];
            _outcomes[frame] = new byte[DetectionsPerFrame];
            for (var i = 0; i < DetectionsPerFrame; i++)
            {
                slot += 1 + (int)(Math.Log(1 - random.NextDouble()) / Math.Log(1 - (1.0 / Gap)));
                _slots[frame][i] = slot;
                _outcomes[frame][i] = (byte)(random.Next(2) | (random.Next(5) == 0 ? BobSifter.OutcomeBasis : 0));
            }

            frameSlots = Math.Max(frameSlots, (slot / 64 * 64) + 64);
        }

        _parameters = _parameters with { FrameSlots = frameSlots };
        using var alice = new AliceSifter(_parameters);
        using var bob = new BobSifter(_parameters);
        for (var frame = 0; frame < Frames; frame++)
        {
            _symbols[frame] = Symbols(random, frameSlots);
            bob.Announce(frame, _slots[frame], _outcomes[frame], _message);
            _announcements[frame] = Taken();
            alice.Match(_announcements[frame], _symbols[frame], _message);
            _answers[frame] = Taken();
        }
    }

    /// <summary>Alice's end: answers every announcement.</summary>
    [Benchmark(OperationsPerInvoke = Frames * DetectionsPerFrame)]
    public int Alice()
    {
        using var alice = new AliceSifter(_parameters);
        for (var frame = 0; frame < Frames; frame++)
        {
            _message.ResetWrittenCount();
            alice.Match(_announcements[frame], _symbols[frame], _message);
        }

        return _message.WrittenCount;
    }

    /// <summary>Bob's end: announces every frame and takes the answer.</summary>
    [Benchmark(OperationsPerInvoke = Frames * DetectionsPerFrame)]
    public int Bob()
    {
        using var bob = new BobSifter(_parameters);
        for (var frame = 0; frame < Frames; frame++)
        {
            _message.ResetWrittenCount();
            bob.Announce(frame, _slots[frame], _outcomes[frame], _message);
            bob.ReceiveMatches(_answers[frame]);
        }

        return _message.WrittenCount;
    }

    private static ulong[] Symbols(Random random, int slots)
    {
        var packed = new ulong[PackedSymbols.WordCount(slots)];
        random.NextBytes(MemoryMarshal.AsBytes(packed.AsSpan()));
        for (var group = 0; group < packed.Length; group += PackedSymbols.WordsPerGroup)
        {
            // Each slot in the test basis with a probability of 1/2 x 1/2 x 3/4, about one in five; no fourth intensity.
            packed[group + 1] &= (ulong)random.NextInt64() & ((ulong)random.NextInt64() | (ulong)random.NextInt64());
            packed[group + 3] &= ~packed[group + 2];
        }

        return packed;
    }

    private byte[] Taken()
    {
        var bytes = _message.WrittenSpan.ToArray();
        _message.ResetWrittenCount();
        return bytes;
    }
}
