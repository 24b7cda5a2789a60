using System.Buffers;
using System.Runtime.InteropServices;
using Qkd.Devices;
using Qkd.Distillation.Tests.Authentication;
using Qkd.Distillation.Tests.Verification;
using Shouldly;

namespace Qkd.Distillation.Tests.Amplification;

public sealed class LongestStageTests
{
    private const int Times = 335;
    private const int Bits = 400_000 * Times;

    /// <summary>134 million bits at both ends, from verification to key.</summary>
    [Fact]
    [Trait("Speed", "Slow")]
    public void A_block_of_the_longest_kind_gives_both_ends_the_same_key()
    {
        var seed = new ArrayBufferWriter<byte>();
        using var verification = new VerificationRun(Corrected(LinkEnd.Alice), Corrected(LinkEnd.Bob)).Run();
        using var bobVerified = verification.Bob.Result;
        using var aliceVerified = verification.Alice.Result;
        using var aliceBounded = aliceVerified.AgreeLength();
        using var bobBounded = bobVerified.AgreeLength(aliceBounded.SecretLength);
        aliceBounded.SecretLength.ShouldBeGreaterThan(Bits / 5);

        using var aliceAmplified = aliceBounded.CreateSeed(OperatingSystemRandomness.Instance, seed);
        using var bobAmplified = bobBounded.Amplify(seed.WrittenSpan);
        var transcripts = TwoLogs.Usual(1).Close();
        using var aliceKey = aliceAmplified.Release(transcripts.Alice);
        using var bobKey = bobAmplified.Release(transcripts.Bob);
        aliceKey.LengthBits.ShouldBe((int)aliceBounded.SecretLength);
        byte[] one = new byte[aliceKey.LengthBytes], other = new byte[bobKey.LengthBytes];
        aliceKey.CopyTo(one);
        bobKey.CopyTo(other);
        one.AsSpan().SequenceEqual(other).ShouldBeTrue();

        // Half of the bits of a key are ones: five sigma of sqrt(l) / 2.
        var ones = one.Sum(static b => (long)System.Numerics.BitOperations.PopCount(b));
        Math.Abs(ones - (aliceKey.LengthBits / 2.0)).ShouldBeLessThan(2.5 * Math.Sqrt(aliceKey.LengthBits));
    }

    private static CorrectedBlock Corrected(LinkEnd end)
    {
        var key = new BitString(Bits);
        new Random(3).NextBytes(MemoryMarshal.AsBytes(key.Words));
        var planes = new IntensityPlanes(new BitString(Bits), new BitString(Bits));
        var sifted = new SiftedBlock(
            Blocks.Parameters(), key, planes, Scaled(330_000, 69_600, 400), Scaled(85_000, 17_000, 100), Scaled(850, 170, 10))
        {
            Detections = 3L * Bits,
            MultiClicks = 0,
        };
        return new(sifted, end, sifted.TakeBits().Key, [0, Bits], new LeakageLedger { ReconciliationBits = 33_000 * Times }, end == LinkEnd.Bob ? new Corrections(new BitString(Bits), planes) : null);
    }

    private static long[] Scaled(params ReadOnlySpan<long> counts) => [counts[0] * Times, counts[1] * Times, counts[2] * Times];
}
