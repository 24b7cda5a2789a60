using System.Buffers;
using System.Runtime.InteropServices;
using Qkd.Devices;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>
/// Symbols and detections of a block, drawn anew: intensities and probabilities of the emulated bench, a line that delivers one photon in five, a 50:50 receiver.
/// </summary>
internal sealed class SyntheticLight
{
    private const double Transmission = 0.2;
    private const double DarkCounts = 1e-6;
    private static readonly double[] Means = [0.45, 0.15, 0.001];

    private readonly List<(ulong[] Symbols, int[] Slots, byte[] Outcomes)> _frames = [];

    /// <summary>Draws a block.</summary>
    /// <param name="frames">Frames of 2^20 slots, each some 59 000 detections.</param>
    /// <param name="errorRate">Of matched bits.</param>
    public SyntheticLight(int frames, double errorRate)
    {
        Parameters = new()
        {
            BlockId = 1,
            FirstFrame = 0,
            FrameCount = frames,
            FrameSlots = 1 << 20,
            PilotSlots = 4096,
            Intensities = [new(Means[0], Means[0], Means[0], 0.5), new(Means[1], Means[1], Means[1], 0.3), new(Means[2], Means[2], Means[2], 0.2)],
            Security = new(),
            Grade = KeyGrade.Laboratory,
        };
        var random = new Random();
        for (var frame = 0; frame < frames; frame++)
        {
            _frames.Add(Draw(random, errorRate));
        }
    }

    public BlockParameters Parameters { get; }

    public int Detections => _frames.Sum(frame => frame.Slots.Length);

    /// <summary>Bob's part in one frame's first message.</summary>
    public void Announce(BobSifter bob, int frame, IBufferWriter<byte> announcement) => bob.Announce(frame, _frames[frame].Slots, _frames[frame].Outcomes, announcement);

    /// <summary>Alice's part in its answer.</summary>
    public void Match(AliceSifter alice, int frame, ReadOnlySpan<byte> announcement, IBufferWriter<byte> answer) => alice.Match(announcement, _frames[frame].Symbols, answer);

    /// <summary>Both ends' sifted blocks, from new sifters.</summary>
    public (SiftedBlock Alice, SiftedBlock Bob) Sift()
    {
        using var alice = new AliceSifter(Parameters);
        using var bob = new BobSifter(Parameters);
        var (announcement, answer) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        for (var frame = 0; frame < _frames.Count; frame++)
        {
            announcement.ResetWrittenCount();
            answer.ResetWrittenCount();
            Announce(bob, frame, announcement);
            Match(alice, frame, announcement.WrittenSpan, answer);
            bob.ReceiveMatches(answer.WrittenSpan);
        }

        return Complete(alice, bob);
    }

    /// <summary>Exchanges the test bits.</summary>
    public static (SiftedBlock Alice, SiftedBlock Bob) Complete(AliceSifter alice, BobSifter bob)
    {
        var (fromAlice, fromBob) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        alice.WriteTestBits(fromAlice);
        bob.WriteTestBits(fromBob);
        return (alice.Complete(fromBob.WrittenSpan), bob.Complete(fromAlice.WrittenSpan));
    }

    private (ulong[] Symbols, int[] Slots, byte[] Outcomes) Draw(Random random, double errorRate)
    {
        var symbols = new ulong[PackedSymbols.WordCount(Parameters.FrameSlots)];
        random.NextBytes(MemoryMarshal.AsBytes(symbols.AsSpan()));
        Span<double> clicks = [.. Means.Select(mean => 1 - Math.Exp(-Transmission * mean) + DarkCounts)];
        var (slots, outcomes) = (new List<int>(), new List<byte>());
        for (var slot = 0; slot < Parameters.FrameSlots; slot++)
        {
            // One draw for intensity (0.5, 0.3, 0.2), basis (4 in 5 in the key basis) and bit.
            var drawn = random.Next(100);
            var intensity = drawn % 10 < 5 ? 0 : drawn % 10 < 8 ? 1 : 2;
            var basis = drawn / 10 % 10 < 8 ? Basis.Z : Basis.X;
            var symbol = new Symbol(basis, PackedSymbols.Read(symbols, slot).Bit, intensity);
            PackedSymbols.Write(symbols, slot, symbol);
            if (random.NextDouble() >= clicks[intensity])
            {
                continue;
            }

            var measured = random.Next(2);
            var bit = measured == (int)basis ? symbol.Bit ^ (random.NextDouble() < errorRate ? 1 : 0) : random.Next(2);
            slots.Add(slot);
            outcomes.Add((byte)(bit | (measured == (int)Basis.X ? BobSifter.OutcomeBasis : 0)));
        }

        return (symbols, [.. slots], [.. outcomes]);
    }
}
