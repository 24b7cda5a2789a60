using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Settlement;

/// <summary>A key on its way from one side's half to both sides' applications, with every message lost and every side restarted.</summary>
public sealed class KeySettlementTests
{
    [Fact]
    public async Task A_lost_question_is_asked_again_and_the_key_delivered_once()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Restart();
        pair.ToBob.LoseQuestion = number => number == 0;
        var key = (await pair.Alice.DrawAsync()).Single();
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
    }

    [Fact]
    public async Task A_lost_answer_is_asked_for_again_and_the_key_delivered_once()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Restart();
        pair.ToBob.LoseAnswer = number => number == 0;
        var key = (await pair.Alice.DrawAsync()).Single();
        (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(0);
    }

    /// <summary>All answers are lost: the master's side does not know whether the slave's accepted, so nobody gets the key.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("A")]
    [InlineData("B")]
    [InlineData("AB")]
    public async Task Without_an_answer_the_key_is_burnt_on_both_sides(string restart)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Restart();
        pair.ToBob.LoseAnswer = _ => true;
        await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.DrawAsync());
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(1);
        var lost = LastAssigned(pair);
        pair.StatesOf(lost).ShouldBe((KeyState.Cancelling, KeyState.Deliverable));
        RestartSome(pair, restart);

        pair.ToBob.LoseAnswer = _ => false;
        await pair.ReconcileAsync();
        pair.StatesOf(lost).ShouldBe((KeyState.Voided, KeyState.Voided));
        await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([lost]));

        // The bits are never used again: seven keys are left of eight.
        (await pair.Alice.DrawAsync(7)).Count.ShouldBe(7);
        await Should.ThrowAsync<PoolExhaustedException>(async () => await pair.Alice.DrawAsync());
    }

    /// <summary>The question is delayed and arrives only after the key was given up: a tombstone keeps it out.</summary>
    [Fact]
    public async Task A_question_that_arrives_after_its_key_was_given_up_is_refused()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        pair.ToBob.Questions.Clear();
        pair.ToBob.LoseAnswer = _ => true;
        await Should.ThrowAsync<KeyPeerException>(async () => await pair.Alice.DrawAsync());
        var delayed = pair.ToBob.Questions.First();
        var lost = LastAssigned(pair);
        pair.ToBob.LoseAnswer = _ => false;

        // Bob begins without the key, as if the question had not come yet.
        await pair.Alice.SettleAsync();
        pair.StatesOf(lost).ShouldBe((KeyState.Voided, KeyState.Voided));
        var verdict = Keys.Settlement.Wire.ReadVerdict(await pair.Bob.Manager.HandleAsync(delayed, TestContext.Current.CancellationToken));
        verdict.Code.ShouldBe(Keys.Settlement.AssignmentCode.Refused);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(0);
    }

    [Fact]
    public async Task A_question_that_never_arrived_leaves_a_tombstone_when_its_key_is_given_up()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var delayed = Array.Empty<byte>();
        pair.ToBob.Restart();
        pair.ToBob.LoseQuestion = _ => true;
        var reserved = pair.Alice.Store.Reserve(1, 32, "sae-alice", ["sae-bob"], attestedOnly: false, Storage.KeyPurpose.Application);
        delayed = Keys.Settlement.Wire.WriteAssignments(reserved);
        pair.Alice.Store.GiveUp(reserved);
        pair.ToBob.LoseQuestion = _ => false;
        await pair.Alice.SettleAsync();
        pair.StatesOf(reserved[0].KeyId).ShouldBe((KeyState.Voided, KeyState.Voided));
        var verdict = Keys.Settlement.Wire.ReadVerdict(await pair.Bob.Manager.HandleAsync(delayed, TestContext.Current.CancellationToken));
        verdict.Code.ShouldBe(Keys.Settlement.AssignmentCode.Refused);
    }

    /// <summary>The steps of a key at the master's side, and the process killed after each: reserve, be accepted, deliver.</summary>
    [Theory]
    [InlineData("reserved")]
    [InlineData("accepted")]
    [InlineData("delivered")]
    public async Task A_crash_of_the_master_after_each_step_never_lets_the_key_out_twice(string step)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var reserved = pair.Alice.Store.Reserve(1, 32, "sae-alice", ["sae-bob"], attestedOnly: false, Storage.KeyPurpose.Application);
        if (step != "reserved")
        {
            pair.Bob.Store.Accept(reserved).Code.ShouldBe(Keys.Settlement.AssignmentCode.Accepted);
        }

        if (step == "delivered")
        {
            pair.Alice.Store.Deliver(reserved);
        }

        pair.Alice.Restart();
        Should.Throw<KeyRequestException>(() => pair.Alice.Store.Deliver(reserved));
        await pair.ReconcileAsync();
        pair.StatesOf(reserved[0].KeyId).ShouldBe(step == "delivered" ? (KeyState.Delivered, KeyState.Deliverable) : (KeyState.Voided, KeyState.Voided));

        // What is drawn afterwards is other key.
        var next = await pair.Alice.DrawAsync(7);
        next.ShouldAllBe(key => key.Id != reserved[0].KeyId);
        (await pair.Bob.FetchAsync([.. next.Select(key => key.Id)])).Select(key => Convert.ToHexString(key.Bytes))
            .ShouldBe(next.Select(key => Convert.ToHexString(key.Bytes)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_crash_of_the_slave_before_or_after_the_fetch_keeps_the_key_or_has_delivered_it(bool fetched)
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        if (fetched)
        {
            await pair.Bob.FetchAsync([key.Id]);
        }

        pair.Bob.Restart();
        if (fetched)
        {
            await Should.ThrowAsync<KeyRequestException>(async () => await pair.Bob.FetchAsync([key.Id]));
        }
        else
        {
            (await pair.Bob.FetchAsync([key.Id])).Single().Bytes.ShouldBe(key.Bytes);
        }
    }

    /// <summary>The process is killed while the store is open, with everything in the write-ahead log.</summary>
    [Fact]
    public async Task What_was_answered_is_there_after_a_kill_at_that_instant()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var key = (await pair.Alice.DrawAsync()).Single();
        await pair.Bob.FetchAsync([key.Id]);
        foreach (var side in (Side[])[pair.Alice, pair.Bob])
        {
            var copy = pair.Files[$"killed-{side.End}"];
            TempFolder.CopyAsTheyAre(side.Folder, copy);
            using var master = MasterKey.FromFile(Path.Combine(copy, "master.key"));
            using var store = KeyStore.Open(Path.Combine(copy, "store"), side.End, master, side.Options);
            store.StateOf(1L).ShouldBe(BlockState.Deliverable);
            store.StateOf(key.Id).ShouldBe(KeyState.Delivered);
        }
    }

    /// <summary>The data key is written before the database knows of the block, and overwritten after the database has let it go.</summary>
    [Fact]
    public void A_crash_between_the_two_files_of_a_store_leaves_no_data_key_without_its_block()
    {
        using var pair = new Pair();
        pair.Make(1);
        pair.Alice.Dispose();
        var database = Path.Combine(pair.Alice.StoreFolder, KeyStore.DatabaseName);
        var slots = Path.Combine(pair.Alice.StoreFolder, KeyStore.DataKeysName);
        var before = File.ReadAllBytes(database);
        pair.Alice.Restart();
        pair.Alice.Accept(2, new byte[64]);
        pair.Alice.Dispose();
        File.WriteAllBytes(database, before);
        pair.Alice.Restart();
        pair.Alice.Store.StateOf(2L).ShouldBeNull();
        pair.Alice.Store.StateOf(1L).ShouldBe(BlockState.Reserved);
        pair.Alice.Dispose();
        File.ReadAllBytes(slots).AsSpan(Storage.DataKeyFile.SlotLength).ContainsAnyExcept((byte)0).ShouldBeFalse();
        File.ReadAllBytes(slots).AsSpan(0, Storage.DataKeyFile.SlotLength).ContainsAnyExcept((byte)0).ShouldBeTrue();

        // A slot that was cut off while the file grew is written over.
        File.WriteAllBytes(slots, [.. File.ReadAllBytes(slots)[..Storage.DataKeyFile.SlotLength], 1, 2, 3]);
        pair.Alice.Restart();
        pair.Alice.Accept(2, new byte[64]).Stored.ShouldBeTrue();
        pair.Alice.Restart();
        pair.Alice.Store.StateOf(2L).ShouldBe(BlockState.Reserved);
    }

    [Fact]
    public async Task A_peer_that_does_not_answer_in_time_is_a_clear_error_and_burns_the_key()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var never = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var times = 0;
        pair.ToBob.Before = () =>
        {
            if (Interlocked.Increment(ref times) == 2)
            {
                asked.SetResult();
            }

            return never.Task;
        };
        var draw = pair.Alice.DrawAsync().AsTask();

        // Asked twice, each time for the time that one exchange may take.
        while (!asked.Task.IsCompleted)
        {
            pair.Time.Advance(TimeSpan.FromSeconds(6));
            await Task.WhenAny(asked.Task, Task.Delay(10, TestContext.Current.CancellationToken));
        }

        pair.Time.Advance(TimeSpan.FromSeconds(6));
        (await Should.ThrowAsync<KeyPeerException>(async () => await draw.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken)))
            .Message.ShouldContain("did not answer within 5 s");
        never.SetResult();
    }

    [Fact]
    public async Task A_caller_who_goes_away_leaves_no_key_behind()
    {
        using var pair = new Pair();
        await pair.MakeSettledAsync(1);
        using var gone = new CancellationTokenSource();
        pair.ToBob.Before = () =>
        {
            gone.Cancel();
            return Task.CompletedTask;
        };
        await Should.ThrowAsync<OperationCanceledException>(async () => await pair.Alice.Manager.GetKeysAsync(
            new KeyRequest { MasterSaeId = "sae-alice", SlaveSaeId = "sae-bob" }, gone.Token));
        pair.ToBob.Before = static () => Task.CompletedTask;
        await pair.SettleAsync();
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(0);
        (await pair.Alice.DrawAsync(7)).Count.ShouldBe(7);
    }

    private static Guid LastAssigned(Pair pair)
    {
        var message = pair.ToBob.Questions.Last(question => question[1] == Keys.Settlement.Wire.Assign);
        var reader = new Keys.Settlement.WireReader(message);
        return Keys.Settlement.Wire.ReadAssignments(ref reader)[^1].KeyId;
    }

    private static void RestartSome(Pair pair, string which)
    {
        if (which.Contains('A'))
        {
            pair.Alice.Restart();
        }

        if (which.Contains('B'))
        {
            pair.Bob.Restart();
        }
    }
}
