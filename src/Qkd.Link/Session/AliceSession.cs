using System.Buffers.Binary;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Preparation;
using Qkd.Link.Recording;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>What Alice's end of a session is made of.</summary>
public sealed record AliceSessionParts
{
    /// <summary>What both nodes agree on.</summary>
    public required LinkAgreement Agreement { get; init; }

    /// <summary>The intensities as they are, with their intervals and probabilities, brightest first.</summary>
    public required IReadOnlyList<IntensityClass> Intensities { get; init; }

    /// <summary>The grade that Alice's attestations allow.</summary>
    public required KeyGrade Grade { get; init; }

    /// <summary>The light.</summary>
    public required Transmitter Transmitter { get; init; }

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

    /// <summary>Seeds and hash keys.</summary>
    public required ISecretRandomness Randomness { get; init; }

    /// <summary>Makes it durable that a block id is used, before the block is opened: no later session uses it again.</summary>
    public Action<long> BlockIdUsed { get; init; } = static _ => { };

    /// <summary>Takes down what the outcome of the session follows from.</summary>
    public ISessionRecorder Recorder { get; init; } = NoRecording.Instance;

    /// <summary>Time-outs.</summary>
    public LinkTimeouts Timeouts { get; init; } = new();
}

/// <summary>
/// Alice's end of one connection: she emits when Bob's tagger records, opens blocks of a number of frames fixed beforehand when he is
/// aligned, and takes each block through sifting, reconciliation, verification, bound, amplification and authentication.
/// </summary>
public sealed class AliceSession : ILinkRequestHandler, IPeerRequests, IDisposable
{
    private readonly AliceSessionParts _parts;
    private readonly LinkPace _pace = new(TimeProvider.System);
    private readonly LinkCaller _caller;
    private readonly SessionCore _core;
    private readonly BlockPlanner _planner;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly Dictionary<long, RunningBlock> _open = [];
    private Task _announced = Task.CompletedTask;
    private long _nextBlockId;
    private long _nextFrame;
    private long _untoldFrom;
    private bool _emitting;
    private bool _keying;
    private CancellationToken _ending;
    private DeviceException? _deviceFailure;

    /// <summary>Creates a session with a caller whose greeting was found authentic.</summary>
    /// <param name="caller">The caller. Not owned, but his connection is closed when the session has run.</param>
    /// <param name="nextBlockId">First block id that this node has never used.</param>
    /// <param name="parts">What the session works with.</param>
    public AliceSession(LinkCaller caller, long nextBlockId, AliceSessionParts parts)
    {
        ArgumentNullException.ThrowIfNull(caller);
        ArgumentNullException.ThrowIfNull(parts);
        _parts = parts;
        _caller = caller;
        _nextBlockId = nextBlockId;
        _core = new SessionCore(LinkEnd.Alice, caller.Connection, caller.Tagged, parts.Key, this, parts.Timeouts)
        {
            Ending = () => parts.Transmitter.StopAsync().AsTask(),
        };
        _planner = new BlockPlanner(parts.Agreement);
    }

    /// <summary>Runs until the connection ends, the light fails or the token is cancelled. The light is off afterwards.</summary>
    /// <exception cref="LinkException">Why it ended.</exception>
    /// <exception cref="DeviceException">Why it ended.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _ending = ending.Token;
        try
        {
            _parts.Monitor.StateChanged(SessionState.Handshake, _core.Connection.Peer);
            using (var limit = CancellationTokenSource.CreateLinkedTokenSource(ending.Token))
            {
                limit.CancelAfter(_parts.Timeouts.Request);
                var outcome = await Handshake.AnswerAsync(
                    _core.Connection, _core.Tagged, _caller.Greeting, _parts.Key, _parts.Agreement, _nextBlockId, limit.Token);
                _nextBlockId = outcome.FirstBlockId;
                _ready.TrySetResult();
            }

            _parts.Monitor.StateChanged(SessionState.Synchronising, "waiting for the receiver");
            await _core.ReceiveAsync(ending.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LinkException($"The peer {_core.Connection.Peer} did not finish the handshake in time.", e);
        }
        catch (LinkException) when (_deviceFailure is { } failure)
        {
            // The connection was ended for its sake: an instrument that failed must be opened again before there can be light.
            throw new DeviceException(failure.Device, failure.Address, "the session ended with it", failure);
        }
        finally
        {
            _ready.TrySetCanceled(CancellationToken.None);
            await ending.CancelAsync();

            // The light is off since the receive loop ended, which then waited for every request that was being answered: none can switch it
            // on after this.
            await _parts.Transmitter.StopAsync();
            await _core.Connection.DisposeAsync();
            await Task.WhenAll(Running());
        }
    }

    /// <inheritdoc/>
    public Task Ready => _ready.Task;

    /// <inheritdoc/>
    public ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken) =>
        _core.RequestAsync(topic, request, cancellationToken);

    /// <inheritdoc/>
    async ValueTask<ReadOnlyMemory<byte>> ILinkRequestHandler.HandleAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        try
        {
            return await AnswerAsync(topic, request, cancellationToken);
        }
        catch (DeviceException e)
        {
            _ = EndForAsync(e);
            throw;
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>> AnswerAsync(LinkTopic topic, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        switch (topic)
        {
            case LinkTopic.StartEmission:
                // Blocks of the old numbering end before there is a new one: none of them may tell anything of the new frames.
                StopBlocks(0, "emission starts anew");
                await Task.WhenAll(Running());
                var first = await _parts.Transmitter.StartAsync(cancellationToken);
                (_emitting, _untoldFrom) = (true, first / _parts.Agreement.FrameSlots);
                _parts.Monitor.EmissionStarted();
                _ = WatchLightAsync(_parts.Transmitter.Completion);
                return Number(first);

            case LinkTopic.EmittedSlot:
                return Number(await _parts.Transmitter.EmittedSlotAsync(cancellationToken));

            case LinkTopic.StartKeying:
                StartKeying(Number(request));
                return ReadOnlyMemory<byte>.Empty;

            case LinkTopic.StopKeying:
                StopBlocks(Number(request), "the receiver stopped key making");
                _parts.Monitor.StateChanged(SessionState.Aligning, "the receiver stopped key making");
                return ReadOnlyMemory<byte>.Empty;

            default:
                return await _parts.Handler.HandleAsync(topic, request, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _core.Dispose();

    private static byte[] Number(long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static long Number(ReadOnlyMemory<byte> bytes) =>
        bytes.Length == 8 ? BinaryPrimitives.ReadInt64LittleEndian(bytes.Span) : throw new LinkProtocolException("A slot or frame number has eight bytes.");

    private async Task WatchLightAsync(Task emission)
    {
        try
        {
            await emission;
        }
        catch (DeviceException e)
        {
            await EndForAsync(e);
        }
    }

    /// <summary>Ends the session because an instrument failed: that is what makes both ends start afresh.</summary>
    private async Task EndForAsync(DeviceException failure)
    {
        if (Interlocked.CompareExchange(ref _deviceFailure, failure, null) is null)
        {
            _parts.Monitor.Alarm(AlarmKind.Device, failure.Message);
            await _core.Connection.DisposeAsync();
        }
    }

    private Task[] Running()
    {
        lock (_gate)
        {
            return [.. _open.Values.Select(block => block.Task)];
        }
    }

    /// <summary>
    /// Opens blocks from a frame on. The request carries no tag: whatever it says, no frame of which anything was ever told gets into another
    /// block, and no two blocks that can still become key share a frame.
    /// </summary>
    private void StartKeying(long fromFrame)
    {
        RunningBlock[] overtaken;
        lock (_gate)
        {
            var record = _parts.Transmitter.Record;
            if (!_emitting || fromFrame < 0 || fromFrame > record.NextFrame)
            {
                throw new LinkException($"Frame {fromFrame} has not been emitted.");
            }

            fromFrame = Math.Max(fromFrame, _untoldFrom);
            overtaken = Overtake(fromFrame, "key making starts anew");

            // Where Bob lags behind, the frame he asks for may be overwritten: blocks begin with the first that is kept.
            fromFrame = Math.Max(fromFrame, record.Hold(Needed().Append(fromFrame).Min()));
            _nextFrame = fromFrame;
            _keying = true;
        }

        foreach (var block in overtaken)
        {
            block.Stop("key making starts anew");
        }

        ReleaseFrames();

        _parts.Monitor.StateChanged(SessionState.Keying, $"from frame {fromFrame}");

        // Two ahead: Bob knows where each frame belongs before he announces it.
        OpenBlock();
        OpenBlock();
    }

    private void StopBlocks(long fromFrame, string reason)
    {
        RunningBlock[] stopping;
        lock (_gate)
        {
            _keying = false;
            stopping = Overtake(fromFrame, reason);
        }

        foreach (var block in stopping)
        {
            block.Stop(reason);
        }

        ReleaseFrames();
    }

    /// <summary>Forbids the blocks that reach a frame to tell any more; they are to be stopped outside the lock.</summary>
    private RunningBlock[] Overtake(long fromFrame, string reason)
    {
        RunningBlock[] overtaken = [.. _open.Values.Where(block => block.LastFrame >= fromFrame)];
        foreach (var block in overtaken)
        {
            block.Overtake(reason);
        }

        return overtaken;
    }

    /// <summary>The preparation of a frame, of which the peer is about to be told bases and intensities. It is told once, for one block.</summary>
    private ReadOnlyMemory<ulong> Tell(RunningBlock block, long frame)
    {
        lock (_gate)
        {
            if (block.Overtaken)
            {
                throw new OperationCanceledException("The frame belongs to another block.");
            }

            _untoldFrom = Math.Max(_untoldFrom, frame + 1);
            return _parts.Transmitter.Record.Frame(frame);
        }
    }

    /// <summary>First frames that open blocks still have to match.</summary>
    private IEnumerable<long> Needed() => _open.Values.Where(block => block.NeedsFrom <= block.LastFrame).Select(block => block.NeedsFrom);

    private void OpenBlock()
    {
        lock (_gate)
        {
            if (!_keying || _ending.IsCancellationRequested)
            {
                return;
            }

            try
            {
                _parts.BlockIdUsed(_nextBlockId);
            }
            catch (LinkException e)
            {
                _parts.Monitor.Alarm(AlarmKind.Link, $"block {_nextBlockId}: {e.Message}");
                _ = _core.Connection.DisposeAsync().AsTask();
                return;
            }

            var parameters = new BlockParameters
            {
                BlockId = _nextBlockId++,
                FirstFrame = _nextFrame,
                FrameCount = _planner.FramesForNextBlock(),
                FrameSlots = _parts.Agreement.FrameSlots,
                PilotSlots = _parts.Agreement.PilotSlots,
                Intensities = _parts.Intensities,
                Security = _parts.Agreement.Security,
                Grade = _parts.Grade,
            };
            _nextFrame += parameters.FrameCount;
            var channel = _core.Open(parameters.BlockId);
            channel.Recorder = _parts.Recorder.BlockOpened(parameters);
            var block = new RunningBlock(channel, parameters, _ending);
            _open.Add(parameters.BlockId, block);

            // Bob takes blocks in the order of their frames: each is announced after the one before it.
            block.Turn = _announced;
            _announced = block.Announced.Task;
            block.Task = Task.Run(() => RunBlockAsync(block), CancellationToken.None);
        }
    }

    private async Task RunBlockAsync(RunningBlock block)
    {
        var tally = new BlockTally(block.Parameters);
        try
        {
            await DistillAsync(block, tally);
        }
        catch (Exception) when (block.IsStored)
        {
            // Only her tag did not get out: Bob may or may not have it, and the stores settle that over the next session.
            await _core.Connection.DisposeAsync();
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
            if (e is not LinkException || !_ending.IsCancellationRequested)
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
            // Anything else is a fault of ours (a full disk, a broken store): the block is lost, and the session must not go on as if nothing were.
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

            ReleaseFrames();

            _core.Close(block.Channel);
            block.Dispose();
            OpenSuccessor(block);
        }
    }

    /// <summary>
    /// Lets go of the frames that no block needs any more: the next block may begin before the last frames of this one are matched, and one
    /// that was stopped may be matching a frame at this instant.
    /// </summary>
    private void ReleaseFrames()
    {
        lock (_gate)
        {
            if (_keying)
            {
                _parts.Transmitter.Record.ReleaseBefore(Needed().Append(_nextFrame).Min());
            }
            else if (!Needed().Any())
            {
                _parts.Transmitter.Record.ReleaseHold();
            }
        }
    }

    /// <summary>Opens one block for each that has no more frames to take, so that two are always ahead.</summary>
    private void OpenSuccessor(RunningBlock block)
    {
        if (!block.HasSuccessor)
        {
            block.HasSuccessor = true;
            OpenBlock();
        }
    }

    private static async Task AnnounceAsync(RunningBlock block)
    {
        try
        {
            await block.Turn;
            await block.Channel.SendAsync(MessageType.BlockOpen, BlockOpening.Write(block.Parameters), block.Stopping);
        }
        finally
        {
            block.Announced.TrySetResult();
        }
    }

    private async Task DistillAsync(RunningBlock block, BlockTally tally)
    {
        var (channel, stop) = (block.Channel, block.Stopping);
        await AnnounceAsync(block);
        var (amplified, feed) = await AliceDistilling.RunAsync(block.Parameters, channel, new Host(this, block), tally, _parts.Agreement.QberLimit, stop);
        using var compressed = amplified;

        // 9: his tag, then hers. The key leaves only after her own check.
        var arrival = await channel.ExpectTagAsync(MessageType.TranscriptTagBob, stop);
        block.HasCostKey = true;
        var authenticated = _core.CheckBlockTag(channel, LinkEnd.Bob, arrival);

        // Durable here before Bob may believe in it: a crash in between leaves a block that only Alice has, which the stores then void.
        using var key = compressed.Release(authenticated);
        tally.Accepted(key);
        channel.Recorder.Released(key);
        await _parts.Sink.AcceptAsync(key, feed, tally.Report, CancellationToken.None);
        block.IsStored = true;
        channel.Recorder.Accepted();
        _parts.Monitor.BlockAccepted(tally.Report);
        await _core.SendBlockTagAsync(
            channel,
            MessageType.TranscriptTagAlice,
            pad => BlockAuthentication.CreateTag(channel.Transcript, LinkEnd.Alice, pad.Bytes, accept: true),
            CancellationToken.None);
    }

    /// <summary>What the session answers to a block.</summary>
    private sealed class Host(AliceSession session, RunningBlock block)
        : SessionBlockHost(LinkEnd.Alice, session._parts.Reconciler, session._parts.Randomness, session._pace, block.Channel.Recorder), IAliceBlockHost
    {
        public ReadOnlySpan<ulong> Tell(long frame)
        {
            var symbols = session.Tell(block, frame);
            Recorder.Prepared(frame, symbols);
            return symbols.Span;
        }

        public void Matched(long frame)
        {
            block.NeedsFrom = frame + 1;
            session.ReleaseFrames();
        }

        public void MatchedAll() => session.OpenSuccessor(block);

        public override void Sifted(SiftedBlock sifted)
        {
            base.Sifted(sifted);
            session._planner.Learn(block.Parameters.FrameCount, sifted.KeyCounts.Sum());
        }

        public int Feed(long secretBits)
        {
            var feed = LengthStatement.FeedFor(session._parts.Key.WantedBits, secretBits);
            Recorder.Fed(feed);
            return feed;
        }
    }
}
