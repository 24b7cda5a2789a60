using System.Buffers;
using Qkd.Devices;
using Qkd.Distillation.Tests.Authentication;
using Qkd.Distillation.Tests.Verification;
using Shouldly;

namespace Qkd.Distillation.Tests.Stages;

/// <summary>Each stage is used once, by the end whose turn it is.</summary>
public sealed class StagesTests
{
    private const int Bits = 400_000;
    private readonly ArrayBufferWriter<byte> _buffer = new();

    [Fact]
    public void A_stage_is_used_once()
    {
        using var alice = Corrected(LinkEnd.Alice);
        var verified = Verified(alice);
        Should.Throw<ObjectDisposedException>(() => alice.BeginVerification(OperatingSystemRandomness.Instance));

        var bounded = verified.AgreeLength();
        Should.Throw<ObjectDisposedException>(verified.AgreeLength);

        var amplified = bounded.CreateSeed(OperatingSystemRandomness.Instance, _buffer);
        Should.Throw<ObjectDisposedException>(() => bounded.CreateSeed(OperatingSystemRandomness.Instance, _buffer));

        var transcript = TwoLogs.Usual(1).Close().Alice;
        using var key = amplified.Release(transcript);
        Should.Throw<ObjectDisposedException>(() => amplified.Release(transcript));
        key.LengthBits.ShouldBe(amplified.LengthBits);
    }

    [Fact]
    public void Each_step_has_its_end()
    {
        using var alice = Corrected(LinkEnd.Alice);
        using var bob = Corrected(LinkEnd.Bob);
        using var aliceVerified = Verified(alice);
        using var bobVerified = Verified(bob);
        Should.Throw<InvalidOperationException>(() => aliceVerified.AgreeLength(8));
        Should.Throw<InvalidOperationException>(bobVerified.AgreeLength);
        using var aliceBounded = aliceVerified.AgreeLength();
        using var bobBounded = bobVerified.AgreeLength(8);
        Should.Throw<InvalidOperationException>(() => aliceBounded.Amplify([]));
        Should.Throw<InvalidOperationException>(() => bobBounded.CreateSeed(OperatingSystemRandomness.Instance, _buffer));
    }

    [Theory]
    [InlineData(-8)]
    [InlineData(12)]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    public void Bob_refuses_a_length_that_is_none(long stated)
    {
        using var bob = Verified(Corrected(LinkEnd.Bob));
        Should.Throw<DistillationException>(() => bob.AgreeLength(stated));
        Should.Throw<ObjectDisposedException>(() => bob.AgreeLength(8));
    }

    [Fact]
    public void Bob_accepts_up_to_his_own_bound_and_no_bit_more()
    {
        using var bob = Verified(Corrected(LinkEnd.Bob));
        var most = bob.Bound().LongestAcceptable / 8 * 8;
        most.ShouldBeGreaterThan(0);
        Should.Throw<DistillationException>(() => Verified(Corrected(LinkEnd.Bob)).AgreeLength(most + 8)).Message.ShouldContain("own bound");
        bob.AgreeLength(most).SecretLength.ShouldBe(most);
    }

    [Fact]
    public void A_block_without_key_is_not_amplified()
    {
        using var bounded = Verified(Corrected(LinkEnd.Bob)).AgreeLength(0);
        Should.Throw<DistillationException>(() => bounded.Amplify([])).Message.ShouldContain("no secret key");
    }

    [Fact]
    public void A_seed_of_another_size_is_refused()
    {
        using var alice = Verified(Corrected(LinkEnd.Alice)).AgreeLength();
        alice.CreateSeed(OperatingSystemRandomness.Instance, _buffer).Dispose();
        var seed = _buffer.WrittenSpan.ToArray();
        foreach (var wrong in new[] { seed[..^1], [.. seed, 0], [], [(byte)(seed[0] ^ 1), .. seed[1..]], [.. seed[..^1], (byte)(seed[^1] | 0x80)] })
        {
            using var bob = Verified(Corrected(LinkEnd.Bob)).AgreeLength(8);
            Should.Throw<DistillationException>(() => bob.Amplify(wrong)).Message.ShouldContain("malformed");
        }
    }

    [Fact]
    public void Key_is_released_by_the_peers_tag_over_this_block_alone()
    {
        var logs = TwoLogs.Usual(1).Close();
        var other = TwoLogs.Usual(2).Close();
        foreach (var wrong in new[] { logs.Bob, other.Alice, new(1, LinkEnd.Bob, false, true, 0), new AuthenticatedTranscript(1, LinkEnd.Bob, true, false, 0) })
        {
            var amplified = Verified(Corrected(LinkEnd.Alice)).AgreeLength().CreateSeed(OperatingSystemRandomness.Instance, _buffer);
            Should.Throw<DistillationException>(() => amplified.Release(wrong));
            Should.Throw<ObjectDisposedException>(() => amplified.Release(logs.Alice));
        }
    }

    [Fact]
    public void A_key_is_divided_without_losing_a_bit()
    {
        using var key = Key();
        var whole = new byte[key.LengthBytes];
        key.CopyTo(whole);
        var (authentication, remainder) = key.Divide(264);
        Should.Throw<ObjectDisposedException>(() => key.CopyTo(whole));
        byte[] head = new byte[authentication.LengthBytes], rest = new byte[remainder.LengthBytes];
        authentication.CopyTo(head);
        remainder.CopyTo(rest);
        head.Length.ShouldBe(33);
        head.Concat(rest).ShouldBe(whole);
        (authentication.BlockId, remainder.BlockId, remainder.Grade, remainder.Epsilon).ShouldBe((1, 1, key.Grade, key.Epsilon));
    }

    [Theory]
    [InlineData(-8)]
    [InlineData(7)]
    [InlineData(int.MaxValue - 7)]
    public void A_key_is_not_divided_into_what_it_has_not(int bits)
    {
        using var key = Key();
        Should.Throw<ArgumentOutOfRangeException>(() => key.Divide(bits));
        key.CopyTo(new byte[key.LengthBytes]);
    }

    private static SecretKey Key()
    {
        var amplified = Verified(Corrected(LinkEnd.Alice)).AgreeLength()
            .CreateSeed(OperatingSystemRandomness.Instance, new ArrayBufferWriter<byte>());
        return amplified.Release(TwoLogs.Usual(1).Close().Alice);
    }

    /// <summary>Verifies one end's block against the same at the other end.</summary>
    private static VerifiedBlock Verified(CorrectedBlock block)
    {
        using var run = block.PeekEnd() == LinkEnd.Alice ? new VerificationRun(block, Corrected(LinkEnd.Bob)) : new VerificationRun(Corrected(LinkEnd.Alice), block);
        run.Run();
        return block.PeekEnd() == LinkEnd.Alice ? run.Alice.Result : run.Bob.Result;
    }

    private static CorrectedBlock Corrected(LinkEnd end)
    {
        var random = new Random(3);
        var key = new BitString(Bits);
        for (var i = 0; i < key.Words.Length; i++)
        {
            key.Words[i] = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        }

        var planes = new IntensityPlanes(new BitString(Bits), new BitString(Bits));
        var sifted = new SiftedBlock(Blocks.Parameters(), key, planes, [330_000, 69_600, 400], [85_000, 17_000, 100], [850, 170, 10])
        {
            Detections = 3 * Bits,
            MultiClicks = 0,
        };
        return new(sifted, end, sifted.TakeBits().Key, [0, Bits], new LeakageLedger { ReconciliationBits = 33_000 }, end == LinkEnd.Bob ? new Corrections(new BitString(Bits), planes) : null);
    }
}
