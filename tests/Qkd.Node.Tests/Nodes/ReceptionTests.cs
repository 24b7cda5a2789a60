using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Link.Session;
using Qkd.Link.Wire;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Nodes;

/// <summary>Alice's door: strangers cost nothing and keep nobody waiting.</summary>
public sealed class ReceptionTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ManualTime _time = new();
    private readonly TemporaryFolder _folder = new();
    private readonly NodeMonitor _monitor;
    private readonly BenchLayout _layout;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<IDisposable> _open = [];
    private readonly List<Task> _sessions = [];
    private readonly CancellationTokenSource _ending = new();
    private NodeKeys _alice = null!;
    private NodeKeys _bob = null!;
    private Reception _reception = null!;

    public ReceptionTests()
    {
        _monitor = Make.Monitor(_time);
        _layout = new BenchLayout(_folder.Path);
    }

    private static CancellationToken Ending => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        BenchAuthority.Initialise(_layout, new() { PreSharedBits = AuthenticationPool.MinimumPreSharedBits });
        _alice = Open(LinkEnd.Alice);
        _bob = Open(LinkEnd.Bob);
        _listener.Start(4);
        Open(_alice.Authentication);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _reception.DisposeAsync();
        foreach (var socket in _open)
        {
            socket.Dispose();
        }

        await Task.WhenAll(_sessions).WaitAsync(Patience, CancellationToken.None);
        _listener.Dispose();
        await _alice.DisposeAsync();
        await _bob.DisposeAsync();
        _ending.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task The_true_peer_is_let_in_past_any_number_of_strangers_who_say_nothing()
    {
        for (var i = 0; i < Reception.MostWaiting + 10; i++)
        {
            await KnockAsync();
        }

        Greet();
        await using var caller = await NextAsync();
        _monitor.Snapshot().Alarms.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_caller_who_is_gone_before_he_is_welcome_does_not_close_the_door()
    {
        for (var i = 0; i < 20; i++)
        {
            var socket = await KnockAsync();
            socket.LingerState = new LingerOption(true, 0);
            socket.Dispose();
        }

        Greet();
        await using var caller = await NextAsync();
    }

    [Fact]
    public async Task A_stranger_who_says_nothing_is_shown_out_after_five_seconds()
    {
        var socket = await KnockAsync();
        var welcome = new byte[LinkMessage.HeaderLength];
        (await socket.ReceiveAsync(welcome, Ending)).ShouldBe(welcome.Length);
        welcome[4].ShouldBe((byte)MessageType.Welcome);
        var end = socket.ReceiveAsync(welcome, Ending).AsTask();
        _time.Advance(4);
        await Task.Delay(50, Ending);
        end.IsCompleted.ShouldBeFalse();
        _time.Advance(2);
        (await end.WaitAsync(Patience, Ending)).ShouldBe(0);
    }

    /// <summary>A greeting as it should be, but for its tag; with a place far ahead in the key, where a careless receiver would go.</summary>
    [Fact]
    public async Task A_forged_greeting_is_an_alarm_and_changes_nothing()
    {
        var before = _alice.Authentication.DescribePositions();
        var payload = new byte[300];
        BitConverter.TryWriteBytes(payload.AsSpan(^24), 3200L);
        for (var i = 0; i < 3; i++)
        {
            var socket = await KnockAsync();
            await socket.SendAsync(new LinkMessage(MessageType.Hello, 0, 1, 0, 0, payload).ToBytes(), Ending);
            await ShouldBeClosedAsync(socket);
        }

        _alice.Authentication.DescribePositions().ShouldBe(before);
        _alice.Authentication.Take(0, 3200, 32).Dispose();
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Kind.ShouldBe(AlarmKind.ClassicalChannel);
        Greet();
        await using var caller = await NextAsync();
    }

    [Fact]
    public async Task What_a_stranger_says_is_not_read_beyond_the_length_of_a_greeting()
    {
        var socket = await KnockAsync();
        var header = new LinkMessage(MessageType.Hello, 0, 1, 0, 0, ReadOnlyMemory<byte>.Empty).ToBytes();
        BitConverter.TryWriteBytes(header, 1 << 20);
        await socket.SendAsync(header, Ending);
        await ShouldBeClosedAsync(socket);
    }

    /// <summary>Light and keying are for a session whose handshake is done.</summary>
    [Fact]
    public async Task A_request_about_light_before_the_handshake_is_refused()
    {
        var socket = await KnockAsync();
        await socket.SendAsync(new LinkMessage(MessageType.Control, 0, 1, 0, 0, new byte[] { 1, 0, 0, 0, 1 }).ToBytes(), Ending);
        await ShouldBeClosedAsync(socket);
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Detail.ShouldContain("Hello message was due");
    }

    /// <summary>Recorded and sent again, also while the first is still being looked at.</summary>
    [Fact]
    public async Task The_same_greeting_lets_in_only_once()
    {
        // On many connections at once, as somebody in the middle would send it, and with a key that takes its time.
        await _reception.DisposeAsync();
        Open(new SlowKey(_alice.Authentication));
        var greeting = await RecordGreetingAsync();
        var sockets = new List<Socket>();
        for (var i = 0; i < 8; i++)
        {
            sockets.Add(await KnockAsync());
        }

        await Task.WhenAll(sockets.Select(socket => socket.SendAsync(greeting, Ending).AsTask()));
        await using var caller = await NextAsync();
        await Task.WhenAll(sockets.Where(socket => socket.LocalEndPoint!.ToString() != caller.Connection.Peer).Select(ShouldBeClosedAsync));
        _reception.ComingAsync(Ending).IsCompleted.ShouldBeFalse();
        _monitor.Snapshot().Alarms.ShouldHaveSingleItem().Kind.ShouldBe(AlarmKind.ClassicalChannel);
    }

    [Fact]
    public async Task Of_the_true_peer_the_connection_that_came_last_counts()
    {
        Greet();
        await _reception.ComingAsync(Ending).WaitAsync(Patience, Ending);
        Greet();
        await Until(() => _alice.Authentication.DescribePositions().AsSpan(^8).SequenceEqual(BitConverter.GetBytes(64L)));
        await Task.Delay(100, Ending);
        await using var caller = await NextAsync();
        _reception.ComingAsync(Ending).IsCompleted.ShouldBeFalse();
    }

    private async Task<LinkCaller> NextAsync() => await _reception.NextAsync(Ending).AsTask().WaitAsync(Patience, Ending);

    private async Task<Socket> KnockAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_listener.LocalEndpoint, Ending);
        _open.Add(socket);
        return socket;
    }

    private static async Task ShouldBeClosedAsync(Socket socket)
    {
        var buffer = new byte[1024];
        try
        {
            while (await socket.ReceiveAsync(buffer, Ending).AsTask().WaitAsync(Patience, Ending) > 0)
            {
                // The welcome.
            }
        }
        catch (SocketException)
        {
            // Closed with something of his unread.
        }
    }

    private static async Task Until(Func<bool> condition)
    {
        for (var i = 0; !condition(); i++)
        {
            i.ShouldBeLessThan(3000);
            await Task.Delay(10, Ending);
        }
    }

    /// <summary>Bob connects and greets with the true key.</summary>
    private void Greet() => _sessions.Add(GreetAsync((IPEndPoint)_listener.LocalEndpoint));

    private async Task<byte[]> RecordGreetingAsync()
    {
        using var middle = new TcpListener(IPAddress.Loopback, 0);
        middle.Start();
        _sessions.Add(GreetAsync((IPEndPoint)middle.LocalEndpoint));
        using var socket = await middle.AcceptSocketAsync(Ending);
        await using var connection = LinkConnection.FromSocket(socket, TimeProvider.System);
        await connection.SendAsync(new LinkMessage(MessageType.Welcome, 0, 0, 0, 0, ReadOnlyMemory<byte>.Empty), Ending);
        return (await connection.ReceiveAsync(Ending)).ToBytes();
    }

    private Task GreetAsync(IPEndPoint endpoint) => Caller.RunAsync(endpoint, _bob, new ProtocolOptions(), _ending.Token);

    private void Open(IAuthenticationKey key) => _reception = new Reception(_listener, key, _monitor, _time, TimeSpan.FromSeconds(5));

    private NodeKeys Open(LinkEnd end) =>
        NodeKeys.Open(_layout.Node(end), end, new KeysOptions { KmeId = $"kme-{end}", PeerKmeId = "kme-other" }, true, _monitor, _time, NullLoggerFactory.Instance);

    /// <summary>Gives whoever asks at the same time enough time to do so.</summary>
    private sealed class SlowKey(IAuthenticationKey key) : IAuthenticationKey
    {
        public int WantedBits => key.WantedBits;

        public AuthenticationPad Reserve(int bytes) => key.Reserve(bytes);

        public AuthenticationPad Take(long segment, long offset, int bytes)
        {
            var pad = key.Take(segment, offset, bytes);
            Thread.Sleep(100);
            return pad;
        }

        public void UseUp(AuthenticationPad pad) => key.UseUp(pad);

        public void Forfeit(AuthenticationPad pad) => key.Forfeit(pad);

        public byte[] DescribePositions() => key.DescribePositions();

        public void Agree(ReadOnlySpan<byte> peerPositions) => key.Agree(peerPositions);
    }
}
