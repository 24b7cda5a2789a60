using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Preparation;
using Qkd.Link.Recording;
using Qkd.Link.Session;
using Qkd.Link.Wire;
using Qkd.Timing;

namespace Qkd.Link.Tests.Session;

/// <summary>Two sessions over TCP with a man in the middle who passes everything on, or does what a test tells him.</summary>
internal sealed class TestLink : IAsyncDisposable
{
    private const int FrameSlots = 64_000;
    private const int PilotSlots = 2048;
    private const uint ForgedId = 1_000_000;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _relays = [];
    private readonly Transmitter _transmitter;
    private Task _alice = Task.CompletedTask;
    private Task _bob = Task.CompletedTask;

    public TestLink(bool sameAuthenticationKey = true, TagTimeBase timeBase = TagTimeBase.Referenced)
    {
        Light = new LoopbackLight(11) { TimeBase = timeBase };
        var secret = RandomNumberGenerator.GetBytes(64 * 1024);
        AliceKey = new TestKey(secret, 0);
        BobKey = new TestKey(sameAuthenticationKey ? secret : RandomNumberGenerator.GetBytes(secret.Length), 1);
        var plan = new ModulationPlan { FrameSlots = FrameSlots, PilotSlots = PilotSlots, MarkerDivisor = 1000, Mode = SymbolMode.Stream };
        _transmitter = new Transmitter(Light, Light, plan, new SymbolDrawer(OperatingSystemRandomness.Instance, Agreement.Probabilities), 400, TimeProvider.System);
    }

    public static LinkAgreement UsualAgreement { get; } = new()
    {
        FrameSlots = FrameSlots,
        PilotSlots = PilotSlots,
        MarkerDivisor = 1000,
        RepetitionRateHertz = 100e6,
        Probabilities = SymbolProbabilities.FromProbabilities(0.8125, [0.5, 0.3125, 0.1875]),
        Security = new SecurityParameters(1e-10),
        BlockKeyBits = 200_000,
        InitialBlockFrames = 60,
        QberLimit = 0.06,
    };

    public LinkAgreement Agreement { get; init; } = UsualAgreement;

    public LoopbackLight Light { get; }

    public TestKey AliceKey { get; }

    public TestKey BobKey { get; }

    /// <summary>What takes down each end's session.</summary>
    public ISessionRecorder AliceRecorder { get; init; } = NoRecording.Instance;

    public ISessionRecorder BobRecorder { get; init; } = NoRecording.Instance;

    /// <summary>Makes each end's error correction.</summary>
    public Func<IReconciler> Reconciler { get; init; } = static () => new CascadeReconciler();

    public Recorder Alice { get; } = new();

    public Recorder Bob { get; } = new();

    public SwitchedKeeper Keeper { get; } = new();

    /// <summary>Sees every message on its way, which it may change or withhold (null). The first argument says who sent it.</summary>
    public Func<LinkEnd, LinkMessage, LinkMessage?> Tamper { get; set; } = static (_, message) => message;

    /// <summary>Messages that the man in the middle sends to Alice in Bob's name, before the next of Bob's own.</summary>
    public ConcurrentQueue<LinkMessage> ForAlice { get; } = new();

    /// <summary>Ids of the blocks that each end said are used.</summary>
    public ConcurrentQueue<long> AliceBlockIds { get; } = new();

    public ConcurrentQueue<long> BobBlockIds { get; } = new();

    /// <summary>Alice's end of the connection.</summary>
    public LinkConnection? AliceConnection { get; private set; }

    public async Task StartAsync(LinkTimeouts? timeouts = null)
    {
        timeouts ??= new LinkTimeouts { Block = TimeSpan.FromSeconds(5), Request = TimeSpan.FromSeconds(5) };
        var (alice, middleA) = await PairAsync();
        var (middleB, bob) = await PairAsync();
        _relays.Add(Task.Run(() => RelayAsync(LinkEnd.Alice, middleA, middleB)));
        _relays.Add(Task.Run(() => RelayAsync(LinkEnd.Bob, middleB, middleA)));

        AliceConnection = alice;
        var aliceParts = new AliceSessionParts
        {
            BlockIdUsed = AliceBlockIds.Enqueue,
            Agreement = Agreement,
            Intensities = [.. LoopbackLight.Means.Select((mean, i) => new IntensityClass(mean, mean, mean, Agreement.Probabilities.Intensity(i)))],
            Grade = KeyGrade.Attested,
            Transmitter = _transmitter,
            Key = AliceKey,
            Sink = Alice,
            Monitor = Alice,
            Handler = Alice,
            Reconciler = Reconciler(),
            Randomness = OperatingSystemRandomness.Instance,
            Recorder = AliceRecorder,
            Timeouts = timeouts,
        };
        var bobSession = new BobSession(bob, 1, new BobSessionParts
        {
            BlockIdUsed = BobBlockIds.Enqueue,
            Agreement = Agreement,
            Grade = KeyGrade.Attested,
            Tagger = Light,
            Stream = new TagStreamRequest { Channels = [1, 2, 3, 4], ReferenceChannel = 0 },
            NewReceiver = random => ITagReceiver.Create(
                Light.TimeBase,
                new TagReceiverSettings
                {
                    FrameSlots = FrameSlots,
                    PilotSlots = PilotSlots,
                    MarkerDivisor = 1000,
                    VacuumIntensity = 2,
                    DeadTimePicoseconds = 0,
                    MaximumDelaySlots = 1000,
                    Detectors = [new(1, Basis.Z, 0, 0), new(2, Basis.Z, 1, 0), new(3, Basis.X, 0, 0), new(4, Basis.X, 1, 0)],
                },
                random),
            Polarization = Keeper,
            Key = BobKey,
            Sink = Bob,
            Monitor = Bob,
            Handler = Bob,
            Reconciler = Reconciler(),
            Recorder = BobRecorder,
            Timeouts = timeouts,
        });
        _alice = RunAsync(Alice, async token =>
        {
            await using var caller = await WelcomeAsync(alice, token);
            using var session = new AliceSession(caller, 1, aliceParts);
            await session.RunAsync(token);
        });
        _bob = RunAsync(Bob, async token =>
        {
            using (bobSession)
            {
                await LinkCaller.AwaitWelcomeAsync(bob, token);
                await bobSession.RunAsync(token);
            }
        });
    }

    /// <summary>A request about light or keying as the man in the middle makes one.</summary>
    public static LinkMessage Forge(LinkTopic topic, long number)
    {
        var content = new byte[13];
        BinaryPrimitives.WriteUInt32LittleEndian(content, ForgedId);
        content[4] = (byte)topic;
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(5), number);
        return new(MessageType.Control, 0, 0, 0, 0, content);
    }

    /// <summary>Waits for a condition; a test that waits in vain fails with what happened instead.</summary>
    public async Task UntilAsync(Func<bool> condition, string what)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            try
            {
                await Task.Delay(10, limit.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"{what} did not happen. Alice: {Alice}. Bob: {Bob}.");
            }
        }
    }

    /// <summary>Ends both sessions and waits for them.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        Task[] all = [_alice, _bob, .. _relays];
        try
        {
            await Task.WhenAll(all).WaitAsync(TimeSpan.FromSeconds(20), CancellationToken.None);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"Of Alice, Bob and the two relays these have ended: {string.Join(' ', all.Select(task => task.IsCompleted))}. Alice: {Alice}. Bob: {Bob}.");
        }
    }

    /// <summary>Waits until both sessions have ended by themselves.</summary>
    public Task EndedAsync() => Task.WhenAll(_alice, _bob).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _transmitter.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task<(LinkConnection, LinkConnection)> PairAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        return (LinkConnection.FromSocket(client, TimeProvider.System), LinkConnection.FromSocket(await listener.AcceptSocketAsync(), TimeProvider.System));
    }

    private async Task<LinkCaller> WelcomeAsync(LinkConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            return await LinkCaller.WelcomeAsync(connection, AliceKey, cancellationToken);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task RunAsync(Recorder recorder, Func<CancellationToken, Task> run)
    {
        try
        {
            await run(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Asked to end.
        }
        catch (Exception e)
        {
            recorder.Ended = e;
        }
    }

    private async Task RelayAsync(LinkEnd from, LinkConnection source, LinkConnection target)
    {
        try
        {
            // Messages about light and keying are numbered: those that are put in between count too, and their answers are kept from Bob.
            var shift = 0u;
            var last = 0u;
            while (true)
            {
                var received = Tamper(from, await source.ReceiveAsync(_stop.Token));
                while (from == LinkEnd.Bob && ForAlice.TryDequeue(out var forged))
                {
                    var control = forged.Type == MessageType.Control;
                    await target.SendAsync(control ? forged with { Sequence = last + ++shift } : forged, _stop.Token);
                }

                if (received is not { } message)
                {
                    continue;
                }

                if (message.Type == MessageType.ControlReply && BinaryPrimitives.ReadUInt32LittleEndian(message.Payload.Span) >= ForgedId)
                {
                    shift--;
                    continue;
                }

                if (message.Type is MessageType.Control or MessageType.ControlReply)
                {
                    last = message.Sequence;
                    message = message with { Sequence = message.Sequence + shift };
                }

                await target.SendAsync(message, _stop.Token);
            }
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            await source.DisposeAsync();
            await target.DisposeAsync();
        }
    }
}

/// <summary>Keeps what one end tells, and its keys.</summary>
internal sealed class Recorder : IBlockSink, ILinkMonitor, ILinkRequestHandler
{
    public ConcurrentDictionary<long, byte[]> Keys { get; } = new();

    public ConcurrentQueue<(AlarmKind Kind, string Detail)> Alarms { get; } = new();

    public ConcurrentQueue<BlockReport> Accepted { get; } = new();

    public ConcurrentQueue<(BlockReport Report, string Reason)> Discarded { get; } = new();

    public Exception? Ended { get; set; }

    public SessionState State { get; private set; }

    /// <summary>Requests of the peer's key store.</summary>
    public int Asked { get; private set; }

    /// <summary>Runs when a key has been stored.</summary>
    public Func<Task> Stored { get; set; } = static () => Task.CompletedTask;

    public async ValueTask AcceptAsync(SecretKey key, int authenticationBits, BlockReport report, CancellationToken cancellationToken)
    {
        var bytes = new byte[key.LengthBytes];
        key.CopyTo(bytes);
        Keys.TryAdd(key.BlockId, bytes).ShouldBeTrueOnce();
        await Stored();
    }

    public void StateChanged(SessionState state, string detail) => State = state;

    public void EmissionStarted()
    {
    }

    public void ReceiverStarted(ITagReceiver receiver)
    {
    }

    /// <summary>All frames that were received.</summary>
    public ConcurrentQueue<DetectionFrame> Frames { get; } = new();

    public void FrameReceived(DetectionFrame frame) => Frames.Enqueue(frame);

    public void BlockAccepted(BlockReport report) => Accepted.Enqueue(report);

    public void BlockDiscarded(BlockReport report, string reason) => Discarded.Enqueue((report, reason));

    public void Alarm(AlarmKind kind, string detail) => Alarms.Enqueue((kind, detail));

    public ValueTask<ReadOnlyMemory<byte>> HandleAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        Asked++;
        return ValueTask.FromResult<ReadOnlyMemory<byte>>(request.ToArray().Reverse().ToArray());
    }

    public override string ToString() =>
        $"{State}, keys {string.Join(' ', Keys.Keys)}, ended {Ended?.Message}, discarded {string.Join("; ", Discarded.Take(5).Select(d => $"{d.Report.BlockId} {d.Reason}"))}, alarms {string.Join("; ", Alarms.Take(5))}";
}

/// <summary>Aligned or not, as a test says.</summary>
internal sealed class SwitchedKeeper : IPolarizationKeeper
{
    public bool IsAligned { get; set; } = true;

    private readonly TaskCompletionSource _light = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Problem => IsAligned ? "" : "the test turned it away";

    /// <summary>How often Alice is asked which slot she emits, once there is light.</summary>
    public int Questions { get; set; }

    /// <summary>How many of them were answered.</summary>
    public int Answers { get; private set; }

    public async Task RunAsync(Func<CancellationToken, ValueTask<long>> emittedSlot, CancellationToken cancellationToken)
    {
        await _light.Task.WaitAsync(cancellationToken);
        for (; Answers < Questions; Answers++)
        {
            await emittedSlot(cancellationToken);
        }

        await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    public void FrameReceived(DetectionFrame frame) => _light.TrySetResult();
}

/// <summary>Authentication key in memory: one half for each direction, positions that only grow.</summary>
internal sealed class TestKey(byte[] secret, int sendingHalf) : IAuthenticationKey
{
    private readonly Lock _gate = new();
    private int _sent;
    private int _received;

    public int WantedBits => 0;

    public int Sent => _sent;

    public ConcurrentQueue<long> Forfeited { get; } = new();

    public AuthenticationPad Reserve(int bytes)
    {
        lock (_gate)
        {
            var offset = _sent;
            _sent += bytes;
            return new(0, offset, Bytes(sendingHalf, offset, bytes));
        }
    }

    public AuthenticationPad Take(long segment, long offset, int bytes)
    {
        lock (_gate)
        {
            if (segment != 0 || offset < _received || offset + bytes > secret.Length / 2)
            {
                throw new LinkAuthenticationException($"position {offset} in segment {segment} is not to be used");
            }

            return new(0, offset, Bytes(1 - sendingHalf, (int)offset, bytes));
        }
    }

    public void UseUp(AuthenticationPad pad)
    {
        lock (_gate)
        {
            _received = Math.Max(_received, (int)pad.Offset + pad.Bytes.Length);
        }
    }

    public void Forfeit(AuthenticationPad pad) => Forfeited.Enqueue(pad.Offset);

    public byte[] DescribePositions() => [];

    public void Agree(ReadOnlySpan<byte> peerPositions)
    {
    }

    private byte[] Bytes(int half, int offset, int count) => secret.AsSpan((half * secret.Length / 2) + offset, count).ToArray();
}

internal static class OnceExtensions
{
    /// <summary>A block's key may be handed over once.</summary>
    public static void ShouldBeTrueOnce(this bool added)
    {
        if (!added)
        {
            throw new InvalidOperationException("A block's key was handed over twice.");
        }
    }
}
