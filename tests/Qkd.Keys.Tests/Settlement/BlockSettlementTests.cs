using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Settlement;

public sealed class BlockSettlementTests
{
    /// <summary>The peer's last tag was blocked: one side holds a block that the other will never have.</summary>
    [Theory]
    [InlineData(LinkEnd.Alice)]
    [InlineData(LinkEnd.Bob)]
    public async Task A_block_that_only_one_side_holds_waits_and_is_void_after_the_time_for_it(LinkEnd holder)
    {
        using var pair = new Pair();
        var (one, other) = (pair.Side(holder), pair.Side(1 - holder));
        one.Accept(1, RandomNumberGenerator.GetBytes(64));
        await pair.SettleAsync();
        one.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
        other.Store.StateOf(1L).ShouldBeNull();

        pair.Time.Advance(one.Options.ConfirmationTimeout + TimeSpan.FromSeconds(1));
        await pair.SettleAsync();
        one.Store.StateOf(1L).ShouldBe(BlockState.Voided);
        other.Store.StateOf(1L).ShouldBe(BlockState.Voided);
        await Should.ThrowAsync<PoolExhaustedException>(async () => await one.DrawAsync());
    }

    [Fact]
    public async Task A_block_that_comes_late_on_one_side_is_settled_all_the_same()
    {
        using var pair = new Pair();
        var key = RandomNumberGenerator.GetBytes(64);
        pair.Alice.Accept(1, key);
        await pair.Alice.SettleAsync();
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
        pair.Bob.Accept(1, key);
        await pair.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
    }

    [Fact]
    public async Task After_a_new_connection_one_round_settles_everything_for_good()
    {
        using var pair = new Pair();
        pair.Make(1);
        pair.Alice.Accept(2, RandomNumberGenerator.GetBytes(64));
        pair.Bob.Accept(3, RandomNumberGenerator.GetBytes(64));
        pair.Make(4);
        await pair.Alice.ReconcileAsync();
        await pair.Bob.ReconcileAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        pair.StatesOf(2L).ShouldBe((BlockState.Voided, BlockState.Voided));
        pair.StatesOf(3L).ShouldBe((BlockState.Voided, BlockState.Voided));
        pair.StatesOf(4L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
    }

    [Fact]
    public async Task More_blocks_than_fit_into_one_question_are_settled_too()
    {
        using var pair = new Pair();
        for (var block = 1; block <= 1003; block++)
        {
            pair.Make(block, bytes: 64);
        }

        await pair.ReconcileAsync();
        for (var block = 1L; block <= 1003; block++)
        {
            pair.StatesOf(block).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        }

        pair.ToBob.Questions.ShouldAllBe(question => question.Length < 32_768);
    }

    /// <summary>More blocks than fit into one question are open from before, and the new session already makes the next.</summary>
    [Fact]
    public async Task Settling_what_the_last_connection_left_never_voids_a_block_of_the_new_one()
    {
        using var pair = new Pair();
        for (var block = 1; block <= 1003; block++)
        {
            pair.Make(block, bytes: 64);
        }

        var key = RandomNumberGenerator.GetBytes(64);
        pair.ToBob.Before = () =>
        {
            if (pair.Alice.Store.StateOf(1004L) is null)
            {
                pair.Alice.Accept(1004, key).Stored.ShouldBeTrue();
            }

            return Task.CompletedTask;
        };
        await pair.Alice.ReconcileAsync();
        pair.StatesOf(1003L).Alice.ShouldBe(BlockState.Deliverable);
        pair.StatesOf(1004L).ShouldBe((BlockState.Reserved, null));
        pair.Bob.Accept(1004, key).Stored.ShouldBeTrue();
        await pair.SettleAsync();
        pair.StatesOf(1004L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
    }

    [Fact]
    public async Task A_side_says_when_it_learns_that_both_hold_a_block()
    {
        using var pair = new Pair();
        var (alice, bob) = (0, 0);
        pair.Alice.Manager.BlockConfirmed += () => alice++;
        pair.Bob.Manager.BlockConfirmed += () => bob++;
        pair.Alice.Accept(1, RandomNumberGenerator.GetBytes(64));
        await pair.SettleAsync();
        (alice, bob).ShouldBe((0, 0));
        await pair.MakeSettledAsync(2);
        (alice, bob).ShouldBe((1, 1));
    }

    [Fact]
    public async Task Sides_that_disagree_about_the_length_void_the_block()
    {
        using var pair = new Pair();
        pair.Alice.Accept(1, RandomNumberGenerator.GetBytes(64));
        pair.Bob.Accept(1, RandomNumberGenerator.GetBytes(65));
        await pair.SettleAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Voided, BlockState.Voided));
    }

    [Theory]
    [InlineData(KeyGrade.Laboratory, KeyGrade.Attested)]
    [InlineData(KeyGrade.Attested, KeyGrade.Laboratory)]
    public async Task The_lower_of_both_grades_counts_on_both_sides(KeyGrade alice, KeyGrade bob)
    {
        using var pair = new Pair();
        var key = RandomNumberGenerator.GetBytes(Pair.BlockBytes);
        pair.Alice.Accept(1, key, grade: alice);
        pair.Bob.Accept(1, key, grade: bob);
        await pair.SettleAsync();
        foreach (var side in (Side[])[pair.Alice, pair.Bob])
        {
            side.Manager.GetStatus("a", "b").Provenances.ShouldBe([new KeyProvenance(KeyGrade.Laboratory, true)]);
            await Should.ThrowAsync<KeyRefusedException>(async () => await side.DrawAsync());
        }
    }

    /// <summary>
    /// Each of the messages by which two sides settle is lost, on the way there or back; either side is restarted between the first round and
    /// the next connection, or none.
    /// </summary>
    [Theory]
    [MemberData(nameof(LossesAndRestarts))]
    public async Task Whichever_message_is_lost_and_whoever_restarts_both_sides_come_to_the_same_end(int message, bool answer, string restart)
    {
        using var pair = new Pair();
        var asked = 0;
        bool Lost(bool back) => back == answer && asked++ == message;
        pair.ToBob.LoseQuestion = pair.ToAlice.LoseQuestion = _ => Lost(back: false);
        pair.ToBob.LoseAnswer = pair.ToAlice.LoseAnswer = _ => Lost(back: true);
        pair.Make(1);
        await TryAsync(pair.Alice.SettleAsync);
        await TryAsync(pair.Bob.SettleAsync);
        if (restart.Contains('A'))
        {
            pair.Alice.Restart();
        }

        if (restart.Contains('B'))
        {
            pair.Bob.Restart();
        }

        await TryAsync(pair.Alice.ReconcileAsync);
        await TryAsync(pair.Bob.ReconcileAsync);
        asked.ShouldBeGreaterThan(message, "the message that was to be lost was never sent");

        await pair.ReconcileAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Deliverable, BlockState.Deliverable));
        pair.Alice.Manager.Pool.BlocksConfirmed.ShouldBe(1);
        pair.Bob.Manager.Pool.BlocksConfirmed.ShouldBe(1);

        static async Task TryAsync(Func<Task> round)
        {
            try
            {
                await round();
            }
            catch (KeyPeerException)
            {
                // The channel is what the test made of it.
            }
        }
    }

    public static TheoryData<int, bool, string> LossesAndRestarts()
    {
        var data = new TheoryData<int, bool, string>();
        foreach (var message in (int[])[0, 1, 2, 3])
        {
            foreach (var answer in (bool[])[false, true])
            {
                foreach (var restart in (string[])["", "A", "B", "AB"])
                {
                    data.Add(message, answer, restart);
                }
            }
        }

        return data;
    }

    [Fact]
    public async Task A_question_that_arrives_twice_changes_nothing_the_second_time()
    {
        using var pair = new Pair();
        pair.ToBob.Twice = pair.ToAlice.Twice = true;
        await pair.MakeSettledAsync(1);
        var keys = await pair.Alice.DrawAsync(8);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(8);
        (await pair.Bob.FetchAsync([.. keys.Select(key => key.Id)])).Count.ShouldBe(8);
        await pair.Bob.DrawAsync(8);
        await pair.SettleAsync();
        pair.Alice.Manager.Pool.BlocksConfirmed.ShouldBe(1);
        pair.Bob.Manager.Pool.BlocksConfirmed.ShouldBe(1);
        pair.Bob.Manager.Pool.BlocksVoided.ShouldBe(0);
    }

    /// <summary>An old question that comes again after the block has ended must not wake it.</summary>
    [Fact]
    public async Task Old_questions_that_come_again_do_not_wake_what_has_ended()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        await pair.Bob.FetchAsync([key.Id]);
        await pair.Alice.DrawAsync(7);
        await pair.Bob.DrawAsync(8);
        await pair.SettleAsync();
        var before = (pair.StatesOf(1L), pair.StatesOf(key.Id), pair.Bob.Manager.Pool, pair.Alice.Manager.Pool);
        foreach (var question in pair.ToBob.Questions.ToArray())
        {
            await pair.Bob.Manager.HandleAsync(question, TestContext.Current.CancellationToken);
        }

        foreach (var question in pair.ToAlice.Questions.ToArray())
        {
            await pair.Alice.Manager.HandleAsync(question, TestContext.Current.CancellationToken);
        }

        (pair.StatesOf(1L), pair.StatesOf(key.Id), pair.Bob.Manager.Pool, pair.Alice.Manager.Pool).ShouldBe(before);
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id]));
    }

    /// <summary>One side lost its store and begins anew: what the other holds is void, and the ids go on above.</summary>
    [Fact]
    public async Task A_side_that_begins_with_an_empty_store_voids_what_the_other_still_holds()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.Bob.Dispose();
        Directory.Delete(pair.Bob.StoreFolder, recursive: true);
        pair.Bob.Restart();
        await pair.ReconcileAsync();
        pair.StatesOf(1L).ShouldBe((BlockState.Voided, BlockState.Voided));
        pair.Bob.Store.NextBlockId.ShouldBe(2);
        await pair.MakeSettledAsync(2);
    }

    [Fact]
    public async Task Drawing_from_a_block_that_the_peer_lost_moves_on_to_the_next()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.Bob.Dispose();
        Directory.Delete(pair.Bob.StoreFolder, recursive: true);
        pair.Bob.Restart();
        await pair.MakeSettledAsync(2);

        // Alice has not been told yet: block 1 is settled as far as she knows.
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Deliverable);
        var key = (await pair.Alice.DrawAsync()).Single();
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Voided);
    }
}
