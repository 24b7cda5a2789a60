using Qkd.Distillation;
using Qkd.Keys.Settlement;
using Qkd.Keys.Storage;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Settlement;

public sealed class WireTests
{
    private static readonly Assignment SomeKey = new(Guid.NewGuid(), 1, 256, 32, "sae-alice", ["sae-bob", "sae-ß"], KeyPurpose.Application);

    /// <summary>The bytes as docs/keys.md has them.</summary>
    [Fact]
    public void A_claim_has_the_bytes_that_are_written_down()
    {
        var bytes = Wire.WriteClaims([new(0x0102030405060708, 0x11223344, new(KeyGrade.Attested, true), BlockState.Deliverable, Final: true, HalfClosed: false)]);
        Convert.ToHexString(bytes).ShouldBe("0101" + "0100" + "0807060504030201" + "44332211" + "03" + "03" + "01");
    }

    [Fact]
    public void An_assignment_comes_back_as_it_went()
    {
        var reader = new WireReader(Wire.WriteAssignments([SomeKey]));
        var back = Wire.ReadAssignments(ref reader).Single();
        back.SlaveSaeIds.ShouldBe(SomeKey.SlaveSaeIds);
        (back with { SlaveSaeIds = SomeKey.SlaveSaeIds }).ShouldBe(SomeKey);
        Convert.ToHexString(Wire.WriteAssignments([SomeKey])[4..20]).ShouldBe(SomeKey.KeyId.ToString("N"), StringCompareShould.IgnoreCase);
    }

    /// <summary>Cut at every byte, and with a byte too many, each kind of question is answered with an error and changes nothing.</summary>
    [Fact]
    public async Task Every_question_cut_anywhere_is_refused_and_changes_nothing()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var before = (pair.Bob.Manager.Pool, pair.Bob.Store.NextBlockId);
        byte[][] questions =
        [
            Wire.WriteClaims([new(9, 64, new(KeyGrade.Attested, true), BlockState.Reserved, Final: true, HalfClosed: false)]),
            Wire.WriteAssignments([SomeKey]),
            Wire.WriteIds(Wire.Cancel, [SomeKey.KeyId]),
        ];
        foreach (var question in questions)
        {
            for (var length = 0; length < question.Length; length++)
            {
                await ShouldBeRefusedAsync(pair.Bob, question.AsMemory(0, length));
            }

            await ShouldBeRefusedAsync(pair.Bob, (byte[])[.. question, 0]);
            await ShouldBeRefusedAsync(pair.Bob, (byte[])[2, .. question[1..]]);
            await ShouldBeRefusedAsync(pair.Bob, (byte[])[1, 77, .. question[2..]]);
        }

        (pair.Bob.Manager.Pool, pair.Bob.Store.NextBlockId).ShouldBe(before);
        pair.Bob.Store.StateOf(SomeKey.KeyId).ShouldBeNull();
    }

    [Fact]
    public async Task Claims_on_what_is_no_block_are_refused()
    {
        using var pair = new Pair();
        var good = Wire.WriteClaims([new(1, 64, new(KeyGrade.Attested, true), BlockState.Reserved, Final: true, HalfClosed: false)]);
        await ShouldBeRefusedAsync(pair.Bob, With(good, 15, 0x80));
        await ShouldBeRefusedAsync(pair.Bob, With(good, 16, 4));
        await ShouldBeRefusedAsync(pair.Bob, With(good, 17, 0));
        await ShouldBeRefusedAsync(pair.Bob, With(good, 17, 7));
        await ShouldBeRefusedAsync(pair.Bob, With(good, 18, 4));

        // Blocks are numbered from one; and no number may leave none above it.
        await ShouldBeRefusedAsync(pair.Bob, With(good, 4, 0));
        await ShouldBeRefusedAsync(pair.Bob, With(good, 11, 0x80));
        await ShouldBeRefusedAsync(pair.Bob, Wire.WriteClaims([new(long.MaxValue, 64, default, BlockState.Reserved, true, false)]));
        pair.Bob.Store.NextBlockId.ShouldBe(1);
    }

    [Fact]
    public async Task Random_bytes_never_do_more_than_be_refused()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var random = new Random(5);
        for (var i = 0; i < 2000; i++)
        {
            var message = new byte[random.Next(0, 100)];
            random.NextBytes(message);
            if (message.Length > 1)
            {
                message[0] = 1;
                message[1] = (byte)random.Next(0, 5);
            }

            await pair.Bob.Manager.HandleAsync(message, TestContext.Current.CancellationToken);
        }

        pair.Bob.Store.StateOf(1L).ShouldBe(BlockState.Deliverable);
    }

    /// <summary>An answer that is not one burns the keys of this question and nothing else.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("01")]
    [InlineData("0181")]
    [InlineData("01820900000000")]
    [InlineData("018201000000")]
    [InlineData("0182010000000000")]
    [InlineData("01FF0300616263")]
    [InlineData("01FFFFFF616263")]
    public async Task A_malformed_answer_is_the_peers_error(string answer)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Tamper = _ => Convert.FromHexString(answer);
        await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.DrawAsync());
        pair.ToBob.Tamper = static message => message;
        await pair.SettleAsync();
        (await pair.Alice.DrawAsync(7)).Count.ShouldBe(7);
    }

    [Fact]
    public async Task Answers_to_other_claims_than_were_made_are_refused()
    {
        using var pair = new Pair();
        pair.Make(1);
        foreach (var answer in (byte[][])
        [
            Wire.WriteVerdicts([]),
            Wire.WriteVerdicts([new(2, VerdictCode.Held, new(KeyGrade.Attested, true))]),
            Wire.WriteVerdicts([new(1, (VerdictCode)9, new(KeyGrade.Attested, true))]),
            Wire.WriteVerdicts([new(1, VerdictCode.Held, default), new(1, VerdictCode.Held, default)]),
        ])
        {
            pair.ToBob.Tamper = _ => answer;
            await Should.ThrowAsync<KeyPeerException>(pair.Alice.SettleAsync);
            pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
        }
    }

    /// <summary>Keys that lie elsewhere than in the peer's half, or on top of each other, are refused all together.</summary>
    [Fact]
    public async Task Assignments_outside_the_peers_half_or_over_each_other_are_refused()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);

        // In block 1 the second half, from byte 256, is Alice's.
        Assignment Key(int offset, int length) => SomeKey with { KeyId = Guid.NewGuid(), Offset = offset, Length = length };
        foreach (var wrong in (Assignment[][])
        [
            [Key(0, 32)], [Key(255, 32)], [Key(500, 32)], [Key(256, 0)], [Key(256, -1)], [Key(int.MaxValue, 32)], [Key(-32, 32)], [Key(256, int.MaxValue)],
            [Key(256, 32), Key(287, 32)], [Key(256, 32), Key(0, 32)],
        ])
        {
            pair.Bob.Store.Accept(wrong).Code.ShouldBe(AssignmentCode.Refused);
        }

        pair.Bob.Store.Accept([Key(256, 32) with { BlockId = 5 }]).BlocksNotHeld.ShouldBe([5L]);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(0);
        var first = Key(256, 32);
        pair.Bob.Store.Accept([first]).Code.ShouldBe(AssignmentCode.Accepted);
        pair.Bob.Store.Accept([Key(270, 32)]).Code.ShouldBe(AssignmentCode.Refused);
        pair.Bob.Store.Accept([first with { Offset = 300 }]).Code.ShouldBe(AssignmentCode.Refused);
        pair.Bob.Store.Accept([first]).Code.ShouldBe(AssignmentCode.Accepted);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(1);
    }

    private static byte[] With(byte[] message, int at, byte value)
    {
        var copy = message.ToArray();
        copy[at] = value;
        return copy;
    }

    private static async Task ShouldBeRefusedAsync(Side side, ReadOnlyMemory<byte> question)
    {
        var answer = await side.Manager.HandleAsync(question, TestContext.Current.CancellationToken);
        answer.Span[1].ShouldBe(Wire.Error, Convert.ToHexString(question.Span));
        Should.Throw<KeyPeerException>(() => WireReader.Answer(answer, Wire.Claims)).Message.ShouldContain("refuses");
    }
}
