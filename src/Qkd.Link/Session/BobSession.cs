using System.Buffers.Binary;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Recording;
using Qkd.Link.Wire;
using Qkd.Timing;

namespace Qkd.Link.Session;

/// <summary>What Bob's end of a session is made of.</summary>
public sealed record BobSessionParts
{
    /// <summary>What both nodes agree on.</summary>
    public required LinkAgreement Agreement { get; init; }

    /// <summary>The grade that Bob's attestations allow.</summary>
    public required KeyGrade Grade { get; init; }

    /// <summary>The time tagger.</summary>
    public required ITimeTagger Tagger { get; init; }

    /// <summary>What to stream from it.</summary>
    public required TagStreamRequest Stream { get; init; }

    /// <summary>Makes a receiver for a fresh numbering of slots; it draws from the source that it is given.</summary>
    public required Func<ISecretRandomness, ITagReceiver> NewReceiver { get; init; }

    /// <summary>Bits of double clicks.</summary>
    public ISecretRandomness Randomness { get; init; } = OperatingSystemRandomness.Instance;

    /// <summary>Keeps the polarization aligned.</summary>
    public required IPolarizationKeeper Polarization { get; init; }

    /// <summary>The shared authentication key.</summary>
    public required IAuthenticationKey Key { get; init; }

    /// <summary>Takes the finished keys.</summary>
    public required IBlockSink Sink { get; init; }

    /// <summary>Is told what happens.</summary>
    public required ILinkMonitor Monitor { get; init; }

    /// <summary>Answers the requests of the peer's key store.</summary>
    public required ILinkRequestHandler Handler { get; init; }

    /// <summary>Corrects errors.</summary>
    public required IReconciler Reconciler { get; init; }

    /// <summary>Makes it durable that a block id is used, so that no later session uses it again.</summary>
    public Action<long> BlockIdUsed { get; init; } = static _ => { };

    /// <summary>Takes down what the outcome of the session follows from.</summary>
    public ISessionRecorder Recorder { get; init; } = NoRecording.Instance;

    /// <summary>Time-outs.</summary>
    public LinkTimeouts Timeouts { get; init; } = new();
}

/// <summary>
/// Bob's end of one connection: he starts his tagger, asks for light, finds the slots, waits until the polarization is aligned, and then
/// announces frame after frame into the blocks that Alice opens.
/// </summary>
public sealed class BobSession : ILinkRequestHandler, IPeerRequests, IDisposable
{
    /// <summary>A month at a hundred megahertz: far from where times in picoseconds would overflow.</summary>
    private const long LargestFirstSlot = 1L << 48;

    private readonly BobSessionParts _parts;
    private readonly LinkPace _pace = new(TimeProvider.System);
    private readonly SessionCore _core;
    private readonly PilotWatch _pilots;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, RunningBlock> _open = [];
    private readonly SemaphoreSlim _blockOpened = new(0);
    private readonly HashSet<DetectionFrame> _taken = [];
    private readonly long _nextBlockId;
    private long _firstBlockId;
    private long _keyFrom = long.MaxValue;
    private long _lastFrame;
    private CancellationToken _ending;

    /// <summary>Creates a session on a fresh connection.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="nextBlockId">First block id that this node has never used.</param>
    /// <param name="parts">What the session works with.</param>
    public BobSession(LinkConnection connection, long nextBlockId, BobSessionParts parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        _parts = parts;
        _nextBlockId = nextBlockId;
        _core = new SessionCore(LinkEnd.Bob, connection, new TaggedChannel(connection, parts.Key), parts.Key, this, parts.Timeouts) { BlockOpened = TakeBlockAsync };
        _pilots = new PilotWatch(parts.Agreement.QberLimit);
    }

    /// <summary>Runs until the connection ends, the tagger fails or the token is cancelled.</summary>
    /// <exception cref="LinkException">Why it ended.</exception>
    /// <exception cref="DeviceException">Why it ended.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _ending = ending.Token;
        var running = new List<Task>();
        try
        {
            _parts.Monitor.StateChanged(SessionState.Handshake, _core.Connection.Peer);
            using (var limit = CancellationTokenSource.CreateLinkedTokenSource(ending.Token))
            {
                limit.CancelAfter(_parts.Timeouts.Request);
                var outcome = await Handshake.ConnectAsync(
                    _core.Connection, _core.Tagged, _parts.Key, _parts.Agreement, _nextBlockId, limit.Token);
                _firstBlockId = outcome.FirstBlockId;
                _ready.TrySetResult();
            }

            running.Add(_core.ReceiveAsync(ending.Token));
            running.Add(_parts.Polarization.RunAsync(EmittedSlotAsync, ending.Token));
            running.Add(ReceiveLightAsync(ending.Token));
            await await Task.WhenAny(running);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LinkException($"The peer {_core.Connection.Peer} did not answer in time.", e);
        }
        finally
        {
            _ready.TrySetCanceled(CancellationToken.None);
            await ending.CancelAsync();
            await _core.Connection.DisposeAsync();
            running.AddRange(Running());
            await Task.WhenAll(running).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <inheritdoc/>
    public Task Ready => _ready.Task;

    /// <inheritdoc/>
    public ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        _core.RequestAsync(topic, request, cancellationToken);

    /// <inheritdoc/>
    ValueTask<ReadOnlyMemory<byte>> ILinkRequestHandler.HandleAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        _parts.Handler.HandleAsync(topic, request, cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        _core.Dispose();
        _blockOpened.Dispose();
    }

    private static byte[] Number(long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static long Number(ReadOnlyMemory<byte> bytes) =>
        bytes.Length == 8 ? BinaryPrimitives.ReadInt64LittleEndian(bytes.Span) : throw new LinkProtocolException("A slot or frame number has eight bytes.");

    /// <summary>The slot that Alice emits. Her word has no tag: one that would make the alignment wait for ever ends the session.</summary>
    private async ValueTask<long> EmittedSlotAsync(CancellationToken cancellationToken)
    {
        var slot = Number(await RequestAsync(LinkTopic.EmittedSlot, ReadOnlyMemory<byte>.Empty, cancellationToken));
        return slot >= 0 && slot / _parts.Agreement.FrameSlots <= Interlocked.Read(ref _lastFrame) + BlockPlanner.MaximumFrames
            ? slot
            : throw new LinkProtocolException($"Alice says that she emits slot {slot}, far from frame {_lastFrame} that came last.");
    }

    private async ValueTask<long> StartEmissionAsync(CancellationToken cancellationToken)
    {
        var first = Number(await RequestAsync(LinkTopic.StartEmission, ReadOnlyMemory<byte>.Empty, cancellationToken));
        return first >= 0 && first <= LargestFirstSlot && first % _parts.Agreement.MarkerDivisor == 0
            ? first
            : throw new LinkProtocolException($"Alice says that emission begins with slot {first}, which no marker can announce.");
    }

    private async Task ReceiveLightAsync(CancellationToken cancellationToken)
    {
        _parts.Monitor.StateChanged(SessionState.Synchronising, "waiting for light");
        using var receiver = _parts.NewReceiver(_parts.Recorder.ReceiverRandomness(_parts.Randomness));
        _parts.Monitor.ReceiverStarted(receiver);
        var lightAsked = false;

        await foreach (var batch in _parts.Tagger.ReadTagsAsync(_parts.Stream, cancellationToken))
        {
            using (batch)
            {
                if (!lightAsked)
                {
                    // The tagger records before light is asked for, so that the first marker edge it sees is that of the first slot.
                    lightAsked = true;
                    var first = await StartEmissionAsync(cancellationToken);
                    receiver.Anchor(first);
                    _parts.Recorder.ReceptionBegan(receiver, first);
                    continue;
                }

                foreach (var loss in batch.LossesBefore)
                {
                    if (loss.Cause is TagLossCause.HostOverflow or TagLossCause.InstrumentOverflow)
                    {
                        _parts.Monitor.Alarm(AlarmKind.TagLoss, $"{loss.Cause}: {loss.Tags?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "unknown number of"} tags");
                    }
                }

                var before = receiver.Status.State;
                var frames = receiver.Process(batch);
                _parts.Recorder.TagsReceived(batch);
                try
                {
                    foreach (var frame in frames)
                    {
                        await TakeFrameAsync(frame, cancellationToken);
                    }
                }
                finally
                {
                    // A block owns the frames that it has taken; the others hold raw bits that nobody needs.
                    foreach (var frame in frames.Where(frame => !_taken.Remove(frame)))
                    {
                        frame.Dispose();
                    }
                }

                ReportSync(before, receiver.Status);
            }
        }

        throw new DeviceException(_parts.Tagger.Name, _parts.Tagger.Address.Text, "the stream of tags ended");
    }

    private void ReportSync(SyncState before, SyncStatus now)
    {
        if (now.State == before)
        {
            return;
        }

        if (now.State == SyncState.Locked)
        {
            _parts.Monitor.StateChanged(_parts.Polarization.IsAligned ? SessionState.Keying : SessionState.Aligning, "slots numbered");
        }
        else
        {
            _parts.Monitor.StateChanged(SessionState.Synchronising, now.Detail);
            _parts.Monitor.Alarm(AlarmKind.Synchronisation, now.Detail);
        }
    }

    private async ValueTask TakeFrameAsync(DetectionFrame frame, CancellationToken cancellationToken)
    {
        Interlocked.Exchange(ref _lastFrame, frame.Frame);
        _parts.Monitor.FrameReceived(frame);
        _parts.Polarization.FrameReceived(frame);
        if (_keyFrom == long.MaxValue)
        {
            if (_parts.Polarization.IsAligned)
            {
                await StartKeyingAsync(frame.Frame + 1, cancellationToken);
            }

            return;
        }

        if (_pilots.Suspicious(frame) is { } suspicion)
        {
            _parts.Monitor.Alarm(AlarmKind.Qber, suspicion.Detail);
            await StopKeyingAsync(suspicion.FromFrame, suspicion.Detail, cancellationToken);
            return;
        }

        if (!_parts.Polarization.IsAligned)
        {
            _parts.Monitor.Alarm(AlarmKind.Alignment, _parts.Polarization.Problem);
            await StopKeyingAsync(frame.Frame, _parts.Polarization.Problem, cancellationToken);
            return;
        }

        if (frame.Frame >= _keyFrom && await BlockForAsync(frame.Frame, cancellationToken) is { } block)
        {
            try
            {
                await block.Frames.Writer.WriteAsync(frame, block.Stopping);
                _taken.Add(frame);
            }
            catch (Exception e) when (e is ChannelClosedException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                // The block was given up while it waited for this frame.
            }
        }
    }

    private async ValueTask StartKeyingAsync(long fromFrame, CancellationToken cancellationToken)
    {
        _pilots.Reset();
        await RequestAsync(LinkTopic.StartKeying, Number(fromFrame), cancellationToken);
        _keyFrom = fromFrame;
        _parts.Monitor.StateChanged(SessionState.Keying, $"from frame {fromFrame}");
    }

    private async ValueTask StopKeyingAsync(long fromFrame, string reason, CancellationToken cancellationToken)
    {
        _keyFrom = long.MaxValue;
        RunningBlock[] stopping;
        lock (_gate)
        {
            stopping = [.. _open.Values.Where(block => block.LastFrame >= fromFrame)];
        }

        foreach (var block in stopping)
        {
            block.Stop(reason);
        }

        _parts.Monitor.StateChanged(SessionState.Aligning, reason);
        await RequestAsync(LinkTopic.StopKeying, Number(fromFrame), cancellationToken);
    }

    /// <summary>The open block that a frame belongs to; waits for Alice to open it. Null if the block was given up.</summary>
    private async ValueTask<RunningBlock?> BlockForAsync(long frame, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                // Blocks are opened in the order of their frames: one that begins later means that this frame's block is gone.
                foreach (var block in _open.Values)
                {
                    if (frame <= block.LastFrame)
                    {
                        return frame >= block.Parameters.FirstFrame ? block : null;
                    }
                }
            }

            if (!await _blockOpened.WaitAsync(_parts.Timeouts.Block, cancellationToken))
            {
                throw new LinkException($"Alice opened no block for frame {frame} within {_parts.Timeouts.Block.TotalSeconds:0.#} s.");
            }
        }
    }

    private ValueTask TakeBlockAsync(LinkMessage message, BlockChannel channel)
    {
        var parameters = BlockOpening.Read(message, _parts.Agreement);
        _parts.BlockIdUsed(parameters.BlockId);
        lock (_gate)
        {
            if (parameters.BlockId < _firstBlockId)
            {
                throw new LinkProtocolException($"Block {parameters.BlockId} is older than this session.");
            }

            _firstBlockId = parameters.BlockId + 1;
            var grade = parameters.Grade < _parts.Grade ? parameters.Grade : _parts.Grade;
            parameters = parameters with { Grade = grade };
            channel.Recorder = _parts.Recorder.BlockOpened(parameters);
            var block = new RunningBlock(channel, parameters, _ending);
            _open.Add(parameters.BlockId, block);
            block.Task = Task.Run(() => RunBlockAsync(block), CancellationToken.None);
        }

        _blockOpened.Release();
        return ValueTask.CompletedTask;
    }

    private Task[] Running()
    {
        lock (_gate)
        {
            return [.. _open.Values.Select(block => block.Task)];
        }
    }

    private async Task RunBlockAsync(RunningBlock block)
    {
        var tally = new BlockTally(block.Parameters);
        try
        {
            await DistillAsync(block, tally);
            _parts.Monitor.BlockAccepted(tally.Report);
        }
        catch (Exception e) when (e is LinkException or DistillationException or OperationCanceledException)
        {
            var reason = block.ReasonFor(e);
            if (e is QberExceededException)
            {
                _parts.Monitor.Alarm(AlarmKind.Qber, $"block {block.Parameters.BlockId}: {reason}");
            }
            else if (e is TranscriptRejectedException)
            {
                _parts.Monitor.Alarm(AlarmKind.ClassicalChannel, $"block {block.Parameters.BlockId}: {reason}");
            }

            if (_ending.IsCancellationRequested)
            {
                tally.CutOff();
            }

            block.Channel.Recorder.Discarded(reason);
            _parts.Monitor.BlockDiscarded(tally.Report, reason);
            if (!_ending.IsCancellationRequested)
            {
                await _core.AbortAsync(block.Channel, reason, CancellationToken.None);
            }

            if (block.HasCostKey)
            {
                // No key came to make up for the tag: the session ends, so that whoever causes this is slowed down like at the handshake.
                await _core.Connection.DisposeAsync();
            }
        }
        catch (Exception e)
        {
            block.Channel.Recorder.Discarded(e.Message);
            _parts.Monitor.BlockDiscarded(tally.Report, e.Message);
            _parts.Monitor.Alarm(AlarmKind.Link, $"block {block.Parameters.BlockId}: {e.Message}");
            await _core.Connection.DisposeAsync();
        }
        finally
        {
            lock (_gate)
            {
                _open.Remove(block.Parameters.BlockId);
            }

            _core.Close(block.Channel);
            block.Dispose();
        }
    }

    private async Task DistillAsync(RunningBlock block, BlockTally tally)
    {
        var (channel, stop) = (block.Channel, block.Stopping);
        var (amplified, authenticationBits) = await BobDistilling.RunAsync(block.Parameters, channel, new Host(this, block), tally, _parts.Agreement.QberLimit, stop);
        using var compressed = amplified;

        // 9: his tag, then hers.
        block.HasCostKey = true;
        await _core.SendBlockTagAsync(
            channel,
            MessageType.TranscriptTagBob,
            pad => BlockAuthentication.CreateTag(channel.Transcript, LinkEnd.Bob, pad.Bytes, accept: true),
            stop);
        var arrival = await channel.ExpectTagAsync(MessageType.TranscriptTagAlice, stop);
        var authenticated = _core.CheckBlockTag(channel, LinkEnd.Alice, arrival);

        using var key = compressed.Release(authenticated);
        tally.Accepted(key);
        channel.Recorder.Released(key);
        await _parts.Sink.AcceptAsync(key, authenticationBits, tally.Report, CancellationToken.None);
        channel.Recorder.Accepted();
    }

    /// <summary>What the session answers to a block.</summary>
    private sealed class Host(BobSession session, RunningBlock block)
        : SessionBlockHost(LinkEnd.Bob, session._parts.Reconciler, session._parts.Randomness, session._pace, block.Channel.Recorder), IBobBlockHost
    {
        public ValueTask<DetectionFrame> NextFrameAsync(CancellationToken cancellationToken) => block.Frames.Reader.ReadAsync(cancellationToken);
    }
}
