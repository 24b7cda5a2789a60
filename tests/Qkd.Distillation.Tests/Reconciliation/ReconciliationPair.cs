using System.Buffers;
using Shouldly;

namespace Qkd.Distillation.Tests.Reconciliation;

/// <summary>Two ends of one reconciliation, their messages carried by hand.</summary>
internal sealed class ReconciliationPair : IDisposable
{
    private readonly IReconciliation _alice;
    private readonly IReconciliation _bob;

    private ReconciliationPair(ulong[] aliceBits, ulong[] bobBits, int length, double expectedErrorRate, SecurityParameters security, IReconciler reconciler)
    {
        AliceBits = aliceBits;
        BobBits = bobBits;
        Length = length;
        _alice = reconciler.Begin(Block(aliceBits, length, security), LinkEnd.Alice, new(expectedErrorRate));
        _bob = reconciler.Begin(Block(bobBits, length, security), LinkEnd.Bob, new(expectedErrorRate));
    }

    public ulong[] AliceBits { get; }

    public ulong[] BobBits { get; }

    public int Length { get; }

    /// <summary>Changes a message on its way; the number counts from 0, both directions together.</summary>
    public Func<int, byte[], byte[]> OnTheWay { get; set; } = static (_, message) => message;

    public IReconciliation AliceEnd => _alice;

    public IReconciliation BobEnd => _bob;

    public CorrectedBlock Alice => _alice.Result;

    public CorrectedBlock Bob => _bob.Result;

    public int Rounds => _alice.Rounds;

    public int Errors
    {
        get
        {
            var errors = 0;
            for (var i = 0; i < AliceBits.Length; i++)
            {
                errors += System.Numerics.BitOperations.PopCount(AliceBits[i] ^ BobBits[i]);
            }

            return errors;
        }
    }

    public static ReconciliationPair Random(int seed, int length, double errorRate, double? expected = null, SecurityParameters? security = null, IReconciler? reconciler = null)
    {
        var random = new Random(seed);
        var alice = new ulong[BitString.WordCount(length)];
        var bob = new ulong[alice.Length];
        for (var i = 0; i < length; i++)
        {
            var bit = (ulong)random.Next(2) << i;
            alice[i >> 6] |= bit;
            bob[i >> 6] |= random.NextDouble() < errorRate ? bit ^ 1UL << i : bit;
        }

        return new(alice, bob, length, expected ?? errorRate, security ?? new(), reconciler ?? new CascadeReconciler());
    }

    /// <summary>Two ends with these bits.</summary>
    public static ReconciliationPair Of(ulong[] alice, ulong[] bob, int length, double expected, SecurityParameters? security = null) =>
        new(alice, bob, length, expected, security ?? new(), new CascadeReconciler());

    /// <summary>Lets the ends talk until both have finished.</summary>
    public void Run()
    {
        var buffer = new ArrayBufferWriter<byte>();
        byte[] message = [];
        var (aliceDone, bobDone) = (false, false);
        for (var turn = 0; !(aliceDone && bobDone); turn++)
        {
            buffer.ResetWrittenCount();
            if (turn % 2 == 0)
            {
                aliceDone = _alice.Step(message, buffer);
            }
            else
            {
                bobDone = _bob.Step(message, buffer);
            }

            message = OnTheWay(turn, buffer.WrittenSpan.ToArray());
            (turn < 100_000).ShouldBeTrue("the ends talk without end");
        }
    }

    public ulong[] AliceResult() => [.. Alice.PeekBits().Words];

    public ulong[] BobResult() => [.. Bob.PeekBits().Words];

    public void Dispose()
    {
        _alice.Dispose();
        _bob.Dispose();
    }

    /// <summary>A sifted block of these bits, intensities in turn.</summary>
    private static SiftedBlock Block(ulong[] bits, int length, SecurityParameters security)
    {
        var key = new BitString(length);
        var (low, high) = (new BitString(length), new BitString(length));
        bits.CopyTo(key.Words);
        for (var i = 0; i < length; i++)
        {
            low.Words[i >> 6] |= (i % 3 == 1 ? 1UL : 0) << i;
            high.Words[i >> 6] |= (i % 3 == 2 ? 1UL : 0) << i;
        }

        var parameters = new BlockParameters
        {
            BlockId = 1,
            FirstFrame = 0,
            FrameCount = 1,
            FrameSlots = 1_000_000,
            PilotSlots = 4096,
            Intensities = [new(.45, .45, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)],
            Security = security,
            Grade = KeyGrade.Laboratory,
        };
        long[] counts = [(length + 2) / 3, (length + 1) / 3, length / 3];
        return new(parameters, key, new IntensityPlanes(low, high), counts, [0, 0, 0], [0, 0, 0]) { Detections = length, MultiClicks = 0 };
    }
}
