using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation.Tests.Sifting;

/// <summary>Random symbols and detections of a block, and both ends' messages about them.</summary>
internal sealed class SiftingRun
{
    private readonly Random _random;

    /// <summary>Every symbol and every detection equally likely.</summary>
    public SiftingRun(int seed, BlockParameters parameters, double detectionRate)
        : this(seed, parameters, random => new((Basis)random.Next(2), random.Next(2), random.Next(3)), _ => detectionRate, .05)
    {
    }

    private SiftingRun(int seed, BlockParameters parameters, Func<Random, Symbol> draw, Func<Symbol, double> detectionRate, double errorRate)
    {
        _random = new(seed);
        Parameters = parameters;
        for (var frame = 0; frame < parameters.FrameCount; frame++)
        {
            var packed = new ulong[PackedSymbols.WordCount(parameters.FrameSlots)];
            var slots = new List<int>();
            var outcomes = new List<byte>();
            for (var slot = 0; slot < parameters.FrameSlots; slot++)
            {
                var symbol = draw(_random);
                PackedSymbols.Write(packed, slot, symbol);
                if (_random.NextDouble() < detectionRate(symbol))
                {
                    slots.Add(slot);
                    outcomes.Add(Outcome(symbol, errorRate));
                }
            }

            Symbols.Add(packed);
            Slots.Add([.. slots]);
            Outcomes.Add([.. outcomes]);
        }
    }

    public BlockParameters Parameters { get; }

    public List<ulong[]> Symbols { get; } = [];

    public List<int[]> Slots { get; } = [];

    public List<byte[]> Outcomes { get; } = [];

    /// <summary>Pulses of the block's intensities, four in five in the key basis, over a line that loses one photon in ten.</summary>
    public static SiftingRun OfLight(int seed, BlockParameters parameters, double errorRate)
    {
        var clicks = parameters.Intensities.Select(intensity => 1 - Math.Exp(-.9 * intensity.Mean) + 1e-4).ToArray();
        return new(
            seed,
            parameters,
            random =>
            {
                var u = random.NextDouble();
                return new(random.Next(5) == 0 ? Basis.X : Basis.Z, random.Next(2), u < .5 ? 0 : u < .8 ? 1 : 2);
            },
            symbol => clicks[symbol.Intensity],
            errorRate);
    }

    /// <summary>Announces a frame, by its number from 0.</summary>
    public byte[] Announce(BobSifter bob, int frame) =>
        Written(message => bob.Announce(Parameters.FirstFrame + frame, Slots[frame], Outcomes[frame], message));

    public byte[] Answer(AliceSifter alice, int frame, byte[] announcement) => Written(message => alice.Match(announcement, Symbols[frame], message));

    /// <summary>Runs all frames; Bob announces <paramref name="ahead"/> frames before the first answer is read.</summary>
    public void Match(AliceSifter alice, BobSifter bob, int ahead = 1)
    {
        var answers = new Queue<byte[]>();
        for (var frame = 0; frame < Parameters.FrameCount; frame++)
        {
            answers.Enqueue(Answer(alice, frame, Announce(bob, frame)));
            if (answers.Count >= ahead)
            {
                bob.ReceiveMatches(answers.Dequeue());
            }
        }

        while (answers.TryDequeue(out var answer))
        {
            bob.ReceiveMatches(answer);
        }
    }

    /// <summary>Both ends' sifted blocks.</summary>
    public (SiftedBlock Alice, SiftedBlock Bob) Sift(int ahead = 1)
    {
        using var alice = new AliceSifter(Parameters);
        using var bob = new BobSifter(Parameters);
        Match(alice, bob, ahead);
        var (fromAlice, fromBob) = (Written(alice.WriteTestBits), Written(bob.WriteTestBits));
        return (alice.Complete(fromBob), bob.Complete(fromAlice));
    }

    public static byte[] Written(Action<IBufferWriter<byte>> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        write(buffer);
        return buffer.WrittenSpan.ToArray();
    }

    private byte Outcome(Symbol symbol, double errorRate)
    {
        var basis = _random.Next(2);
        var bit = basis == (int)symbol.Basis ? symbol.Bit ^ (_random.NextDouble() < errorRate ? 1 : 0) : _random.Next(2);
        return (byte)(bit | basis << 1 | (_random.Next(20) == 0 ? BobSifter.OutcomeMultiClick : 0));
    }
}
