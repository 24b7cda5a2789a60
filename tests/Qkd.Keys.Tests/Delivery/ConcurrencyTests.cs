using System.Collections.Concurrent;
using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Delivery;

public sealed class ConcurrencyTests
{
    /// <summary>Sixteen masters draw on both sides at once until nothing is left; every byte of every block goes out exactly once.</summary>
    [Fact]
    public async Task Many_masters_at_once_on_both_sides_share_every_byte_exactly_once()
    {
        using var pair = new Pair();
        var made = new HashSet<string>();
        for (var block = 1; block <= 20; block++)
        {
            var bytes = await pair.MakeSettledAsync(block);
            made.UnionWith(bytes.Chunk(32).Select(Convert.ToHexString));
        }

        var drawn = new ConcurrentBag<(LinkEnd End, DeliveredKey Key)>();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(
            async () =>
            {
                var end = (LinkEnd)(worker % 2);
                while (true)
                {
                    try
                    {
                        foreach (var key in await pair.Side(end).DrawAsync(1 + (worker % 3)))
                        {
                            drawn.Add((end, key));
                        }
                    }
                    catch (PoolExhaustedException)
                    {
                        return;
                    }
                }
            },
            TestContext.Current.CancellationToken))).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        foreach (var end in (LinkEnd[])[LinkEnd.Alice, LinkEnd.Bob])
        {
            // The last one or two keys may be too few for a worker who wants three.
            while (pair.Side(end).Manager.GetStatus("a", "b").StoredKeyCount > 0)
            {
                drawn.Add((end, (await pair.Side(end).DrawAsync()).Single()));
            }
        }

        drawn.Select(d => d.Key.Id).Distinct().Count().ShouldBe(320);
        drawn.Select(d => Convert.ToHexString(d.Key.Bytes)).ToHashSet().SetEquals(made).ShouldBeTrue();

        // Every key is fetched by four at once: one gets it.
        var fetched = new ConcurrentBag<(Guid Id, string Bytes)>();
        await Parallel.ForEachAsync(
            drawn.SelectMany(d => Enumerable.Repeat(d, 4)),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = TestContext.Current.CancellationToken },
            async (d, _) =>
            {
                try
                {
                    var key = (await pair.Side(1 - d.End).FetchAsync([d.Key.Id])).Single();
                    fetched.Add((key.Id, Convert.ToHexString(key.Bytes)));
                }
                catch (KeyRequestException)
                {
                    // Another of the four has it.
                }
            });
        fetched.ToHashSet().SetEquals(drawn.Select(d => (d.Key.Id, Convert.ToHexString(d.Key.Bytes)))).ShouldBeTrue();
        fetched.Count.ShouldBe(320);
        await pair.SettleAsync();
        pair.Alice.Manager.Pool.HeldBits.ShouldBe(0);
        pair.Bob.Manager.Pool.HeldBits.ShouldBe(0);
    }

    /// <summary>Blocks come, are settled, drawn from and fetched while every fifth message is lost on the way there or back.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Over_a_channel_that_loses_messages_the_two_sides_never_hold_different_key_under_one_id(int seed)
    {
        using var pair = new Pair();
        var random = new Random(seed);
        var gate = new Lock();
        bool Lost(int number)
        {
            lock (gate)
            {
                return random.Next(5) == 0;
            }
        }

        pair.ToBob.LoseQuestion = pair.ToBob.LoseAnswer = pair.ToAlice.LoseQuestion = pair.ToAlice.LoseAnswer = Lost;
        var drawn = new ConcurrentDictionary<Guid, (LinkEnd End, string Bytes)>();
        var seen = new ConcurrentBag<string>();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(
            async () =>
            {
                var end = (LinkEnd)(worker % 2);
                for (var i = 0; i < 40; i++)
                {
                    try
                    {
                        if (worker == 0)
                        {
                            pair.Make(i + 1, bytes: 256);
                        }

                        await pair.Side(end).SettleAsync();
                        foreach (var key in await pair.Side(end).DrawAsync())
                        {
                            drawn.TryAdd(key.Id, (end, Convert.ToHexString(key.Bytes))).ShouldBeTrue();
                            seen.Add(Convert.ToHexString(key.Bytes));
                        }
                    }
                    catch (Exception e) when (e is KeyPeerException or PoolExhaustedException)
                    {
                        // The channel is what the test made of it.
                    }
                }
            },
            TestContext.Current.CancellationToken))).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);

        // With the channel mended every key that a master has is there for its slave, and none besides.
        pair.ToBob.LoseQuestion = pair.ToBob.LoseAnswer = pair.ToAlice.LoseQuestion = pair.ToAlice.LoseAnswer = static _ => false;
        await pair.ReconcileAsync();
        drawn.ShouldNotBeEmpty();
        seen.Distinct().Count().ShouldBe(seen.Count);
        foreach (var (id, (end, bytes)) in drawn)
        {
            Convert.ToHexString((await pair.Side(1 - end).FetchAsync([id])).Single().Bytes).ShouldBe(bytes);
        }

        pair.Alice.Manager.Pool.KeysWaiting.ShouldBe(0);
        pair.Bob.Manager.Pool.KeysWaiting.ShouldBe(0);
        var fresh = RandomNumberGenerator.GetBytes(32);
        pair.Alice.Store.Digests(fresh).ShouldBe(pair.Bob.Store.Digests(fresh));
    }
}
