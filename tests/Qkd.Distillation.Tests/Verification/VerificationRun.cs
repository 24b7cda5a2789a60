using System.Buffers;
using Qkd.Devices;
using Shouldly;

namespace Qkd.Distillation.Tests.Verification;

/// <summary>Two ends of one verification, their messages carried by hand.</summary>
internal sealed class VerificationRun(CorrectedBlock alice, CorrectedBlock bob, ISecretRandomness? randomness = null) : IDisposable
{
    public IVerification Alice { get; } = alice.BeginVerification(randomness ?? OperatingSystemRandomness.Instance);

    public IVerification Bob { get; } = bob.BeginVerification(OperatingSystemRandomness.Instance);

    /// <summary>Changes a message on its way; the number counts from 0, both directions together.</summary>
    public Func<int, byte[], byte[]> OnTheWay { get; set; } = static (_, message) => message;

    /// <summary>The messages as they were sent, Alice's at even places.</summary>
    public List<byte[]> Messages { get; } = [];

    /// <summary>Two corrected blocks whose bits differ in the places named, cut into frames.</summary>
    public static VerificationRun Random(
        Random random, int length, IEnumerable<int> wrong, int frames = 1, SecurityParameters? security = null, ISecretRandomness? randomness = null)
    {
        var bits = new ulong[BitString.WordCount(length)];
        for (var i = 0; i < length; i++)
        {
            bits[i >> 6] |= (ulong)random.Next(2) << i;
        }

        int[] starts = [.. Enumerable.Range(0, frames + 1).Select(frame => (int)((long)length * frame / frames))];
        var other = (ulong[])bits.Clone();
        foreach (var place in wrong)
        {
            other[place >> 6] ^= 1UL << place;
        }

        return new(Corrected(LinkEnd.Alice, bits, length, starts, security), Corrected(LinkEnd.Bob, other, length, starts, security), randomness);
    }

    public VerificationRun Run()
    {
        var buffer = new ArrayBufferWriter<byte>();
        byte[] message = [];
        var (aliceDone, bobDone) = (false, false);
        for (var turn = 0; !(aliceDone && bobDone); turn++)
        {
            buffer.ResetWrittenCount();
            if (turn % 2 == 0)
            {
                aliceDone = Alice.Step(message, buffer);
            }
            else
            {
                bobDone = Bob.Step(message, buffer);
            }

            Messages.Add(buffer.WrittenSpan.ToArray());
            message = OnTheWay(turn, buffer.WrittenSpan.ToArray());
            (turn < 100).ShouldBeTrue("the ends talk without end");
        }

        return this;
    }

    public void Dispose()
    {
        Alice.Dispose();
        Bob.Dispose();
    }

    /// <summary>Intensities in turn; of Bob's bits every seventh was corrected.</summary>
    private static CorrectedBlock Corrected(LinkEnd end, ulong[] bits, int length, int[] starts, SecurityParameters? security)
    {
        var key = new BitString(length);
        bits.CopyTo(key.Words);
        var (low, high, where) = (new BitString(length), new BitString(length), new BitString(length));
        for (var i = 0; i < length; i++)
        {
            low.Words[i >> 6] |= (i % 3 == 1 ? 1UL : 0) << i;
            high.Words[i >> 6] |= (i % 3 == 2 ? 1UL : 0) << i;
            where.Words[i >> 6] |= (i % 7 == 0 ? 1UL : 0) << i;
        }

        long[] counts = [(length + 2) / 3, (length + 1) / 3, length / 3];
        var planes = new IntensityPlanes(low, high);
        var sifted = new SiftedBlock(Blocks.Parameters(security: security), new BitString(length), planes, counts, [0, 0, 0], [0, 0, 0])
        {
            Detections = length,
            MultiClicks = 0,
        };
        return new(sifted, end, key, starts, new LeakageLedger { ReconciliationBits = length / 10 }, end == LinkEnd.Bob ? new(where, planes) : null);
    }
}
