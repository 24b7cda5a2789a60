using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Keys;

public sealed class NodeKeysTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private readonly TemporaryFolder _folder = new();
    private readonly AuditLog _audit;
    private readonly NodeMonitor _monitor;
    private readonly BenchLayout _layout;
    private NodeKeys _alice = null!;
    private NodeKeys _bob = null!;

    public NodeKeysTests()
    {
        _audit = new AuditLog("", _time);
        _monitor = new NodeMonitor("Bob", 1000, _time, _audit, NullLogger.Instance);
        _layout = new BenchLayout(_folder.Path);
    }

    public ValueTask InitializeAsync()
    {
        BenchAuthority.Initialise(_layout, new() { PreSharedBits = AuthenticationPool.MinimumPreSharedBits });
        _alice = Open(LinkEnd.Alice, emulated: true);
        _bob = Open(LinkEnd.Bob, emulated: false);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _alice.DisposeAsync();
        await _bob.DisposeAsync();
        _audit.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Two_empty_stores_prove_nothing() => NodeKeys.HoldSameKeys(_alice, _bob).ShouldBeNull();

    [Fact]
    public void Blocks_of_one_side_alone_prove_nothing_even_where_the_other_has_them_under_way()
    {
        Dictionary<long, string> none = [], one = new() { [7] = "AB" };
        Same(one, none, BlockState.Reserved).ShouldBeNull();
        Same(none, one, BlockState.Reserved).ShouldBeNull();
        Same(one, none, null).ShouldBe(false);
        Same(none, one, BlockState.Confirmed).ShouldBe(false);
    }

    [Fact]
    public void Blocks_that_both_hold_must_be_the_same_in_every_bit()
    {
        Dictionary<long, string> one = new() { [7] = "AB" }, two = new() { [7] = "AB", [8] = "CD" }, other = new() { [7] = "AC" };
        Same(one, one, null).ShouldBe(true);
        Same(one, two, BlockState.Reserved).ShouldBe(true);
        Same(two, one, BlockState.Reserved).ShouldBe(true);
        Same(one, two, null).ShouldBe(false);
        Same(one, other, BlockState.Reserved).ShouldBe(false);
    }

    private static bool? Same(Dictionary<long, string> left, Dictionary<long, string> right, BlockState? state) =>
        NodeKeys.Same(left, right, _ => state, _ => state);

    [Fact]
    public void Figures_of_a_new_bench_are_zero_but_for_the_pre_shared_key()
    {
        var figures = _bob.Figures();
        figures.Level.ShouldBe("EMPTY");
        figures.DeliverableBits.ShouldBe(0);
        figures.PendingBits.ShouldBe(0);
        figures.KeysDelivered.ShouldBe(0);
        figures.AuthenticationBits.ShouldBe(AuthenticationPool.MinimumPreSharedBits);
    }

    [Fact]
    public void Key_of_an_emulated_bench_is_said_to_be_one()
    {
        _alice.Figures().Origin.ShouldContain("Emulated bench");
        _bob.Figures().Origin.ShouldBeEmpty();
    }

    [Fact]
    public void Pads_come_out_of_the_authentication_key_and_each_only_once()
    {
        using (_alice.Attach(Session()))
        using (_bob.Attach(Session()))
        {
            _alice.Authentication.Agree(_bob.Authentication.DescribePositions());
            _bob.Authentication.Agree(_alice.Authentication.DescribePositions());
            var sent = _alice.Authentication.Reserve(64);
            var taken = _bob.Authentication.Take(sent.Segment, sent.Offset, 64);
            taken.Bytes.ToArray().ShouldBe(sent.Bytes.ToArray());
            _bob.Authentication.UseUp(taken);
            Should.Throw<LinkAuthenticationException>(() => _bob.Authentication.Take(sent.Segment, sent.Offset, 64));
        }
    }

    [Fact]
    public void When_the_authentication_key_is_used_up_the_link_ends_with_an_alarm()
    {
        Should.Throw<LinkException>(() => _bob.Authentication.Reserve(AuthenticationPool.MinimumPreSharedBits));
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Kind.ShouldBe(AlarmKind.AuthenticationKey);
    }

    [Fact]
    public void An_authentication_key_that_runs_low_is_one_alarm_and_not_one_a_tag()
    {
        _bob.Authentication.Reserve(AuthenticationPool.MinimumPreSharedBits / 16 * 3 / 4);
        _monitor.Snapshot().Alarms.ShouldBeEmpty();
        _bob.AuthenticationIsLow.ShouldBeFalse();
        for (var i = 0; i < 10; i++)
        {
            _bob.Authentication.Reserve(32);
            _time.Advance(60);
        }

        _bob.AuthenticationIsLow.ShouldBeTrue();
        var alarm = _monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        alarm.Kind.ShouldBe(AlarmKind.AuthenticationKey);
        alarm.Detail.ShouldContain("runs low");
    }

    /// <summary>The link makes no key at present: what the stores hold keeps it authenticated, at both ends in step.</summary>
    [Fact]
    public async Task An_authentication_key_that_runs_low_is_fed_from_the_stores()
    {
        var (alice, bob) = Sessions();
        using var toBob = _alice.Attach(alice);
        using var toAlice = _bob.Attach(bob);
        var bytes = new byte[8192];
        Random.Shared.NextBytes(bytes);
        foreach (var keys in (NodeKeys[])[_alice, _bob])
        {
            await keys.AcceptAsync(Make.Secret(1, bytes), 0, new BlockReport { BlockId = 1, FirstFrame = 0, FrameCount = 1 }, TestContext.Current.CancellationToken);
        }

        await _alice.SettleAsync(TestContext.Current.CancellationToken);
        await _bob.SettleAsync(TestContext.Current.CancellationToken);
        foreach (var (from, to) in ((NodeKeys, NodeKeys)[])[(_alice, _bob), (_bob, _alice)])
        {
            var sent = from.Authentication.Reserve((AuthenticationPool.MinimumPreSharedBits / 16 * 3 / 4) + 32);
            using var pad = to.Authentication.Take(sent.Segment, sent.Offset, sent.Bytes.Length);
            to.Authentication.UseUp(pad);
        }

        _alice.AuthenticationIsLow.ShouldBeTrue();
        await UntilAsync(() => !_alice.AuthenticationIsLow && !_bob.AuthenticationIsLow);

        // The fed key is the same at both ends.
        var fed = _alice.Authentication.Reserve(32);
        fed.Segment.ShouldBeLessThan(0);
        using var taken = _bob.Authentication.Take(fed.Segment, fed.Offset, 32);
        taken.Bytes.ShouldBe(fed.Bytes);
    }

    [Fact]
    public async Task Requests_about_anything_but_the_stores_are_refused() =>
        await Should.ThrowAsync<LinkProtocolException>(async () =>
            await _alice.HandleAsync(LinkTopic.StartKeying, ReadOnlyMemory<byte>.Empty, TestContext.Current.CancellationToken));

    [Fact]
    public async Task Without_a_session_the_peer_cannot_be_asked()
    {
        IKeyPeer peer = _alice;
        await Should.ThrowAsync<KeyPeerException>(async () => await peer.ExchangeAsync(ReadOnlyMemory<byte>.Empty, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Closed_twice_it_stays_closed_and_can_be_opened_again()
    {
        await _alice.DisposeAsync();
        await _alice.DisposeAsync();
        _alice = Open(LinkEnd.Alice, emulated: true);
        _alice.NextBlockId().ShouldBe(1);
    }

    [Fact]
    public async Task A_missing_master_key_is_named()
    {
        await _alice.DisposeAsync();
        File.Delete(_layout.Alice.MasterKeyFile);
        Should.Throw<KeyStoreException>(() => Open(LinkEnd.Alice, emulated: true)).Message.ShouldContain(_layout.Alice.MasterKeyFile);
    }

    [Fact]
    public async Task What_cannot_be_opened_locks_nothing()
    {
        await _alice.DisposeAsync();
        Directory.Delete(_layout.Alice.StoreFolder, recursive: true);
        await File.WriteAllTextAsync(_layout.Alice.StoreFolder, "in the way", TestContext.Current.CancellationToken);
        Should.Throw<KeyStoreException>(() => Open(LinkEnd.Alice, emulated: true));
        File.Delete(_layout.Alice.StoreFolder);
        _alice = Open(LinkEnd.Alice, emulated: true);
    }

    /// <summary>Turns the clock minute by minute until something that happens beside it has happened.</summary>
    private async Task UntilAsync(Func<bool> condition)
    {
        for (var minute = 0; !condition(); minute++)
        {
            minute.ShouldBeLessThan(500);
            _time.Advance(60);
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Two sessions after their handshake, without tags between them.</summary>
    private (IPeerRequests Alice, IPeerRequests Bob) Sessions()
    {
        var (alice, bob) = (Substitute.For<IPeerRequests>(), Substitute.For<IPeerRequests>());
        alice.Ready.Returns(Task.CompletedTask);
        bob.Ready.Returns(Task.CompletedTask);
        alice.RequestAsync(default, default, default).ReturnsForAnyArgs(
            call => _bob.HandleAsync(call.Arg<LinkTopic>(), call.Arg<ReadOnlyMemory<byte>>(), call.Arg<CancellationToken>()));
        bob.RequestAsync(default, default, default).ReturnsForAnyArgs(
            call => _alice.HandleAsync(call.Arg<LinkTopic>(), call.Arg<ReadOnlyMemory<byte>>(), call.Arg<CancellationToken>()));
        return (alice, bob);
    }

    /// <summary>A session that never gets through its handshake.</summary>
    private static IPeerRequests Session()
    {
        var session = Substitute.For<IPeerRequests>();
        session.Ready.Returns(new TaskCompletionSource().Task);
        return session;
    }

    private NodeKeys Open(LinkEnd end, bool emulated) =>
        NodeKeys.Open(_layout.Node(end), end, new KeysOptions { KmeId = $"kme-{end}", PeerKmeId = "kme-other" }, emulated, _monitor, _time, NullLoggerFactory.Instance);
}
