using System.Security.Cryptography;
using System.Text.Json;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Session;
using Qkd.Link.Wire;
using Qkd.Timing;
using Qkd.Timing.Recording;

namespace Qkd.Link.Replay;

/// <summary>A replay cannot go on as the recording says.</summary>
internal sealed class ReplayException(string message) : LinkException(message);

/// <summary>
/// One recorded block at work once more: the stages of a session, with the recording in the place of the peer, of the light and of the random source. It and whoever reads
/// the recording take turns: it works until it needs what has not been read yet.
/// </summary>
/// <remarks>
/// Everything that was taken down between one message of the peer's and the next is what this end did upon the first. So a message is handed over when the next one is
/// read, or the block's end: then the draws and the preparation that it asks for are there.
/// </remarks>
internal sealed class BlockReplay : IBlockMessages, IAliceBlockHost, IBobBlockHost, ISecretRandomness, IAsyncDisposable
{
    private readonly LinkEnd _end;
    private readonly BlockParameters _parameters;
    private readonly BlockTally _tally;
    private readonly Queue<BlockReceivedEntry> _received = new();
    private readonly Queue<DetectionFrame> _frames = new();
    private readonly Queue<BlockDrawEntry> _draws = new();
    private readonly Queue<PreparedFrameEntry> _prepared = new();
    private readonly Queue<BlockSentEntry> _recorded = new();
    private readonly Queue<BlockSentEntry> _said = new();
    private readonly Task<AmplifiedBlock> _work;
    private BlockReceivedEntry? _next;
    private BlockConditionsEntry? _conditions;
    private int? _feed;
    private int _compared;
    private ReplayException? _difference;
    private volatile bool _closed;
    private TaskCompletionSource _more = NewTurn();
    private TaskCompletionSource _waits = NewTurn();

    private BlockReplay(LinkEnd end, BlockParameters parameters, double qberLimit)
    {
        (_end, _parameters) = (end, parameters);
        _tally = new BlockTally(parameters);
        _work = Task.Run(() => DistillAsync(qberLimit));
    }

    /// <summary>The block.</summary>
    public BlockParameters Parameters => _parameters;

    bool IBlockMessages.HasArrived => _received.Count > 0;

    ISecretRandomness IBlockHost.Randomness => this;

    string ISecretRandomness.Origin => "recording";

    /// <summary>Begins a replay, up to where it needs something.</summary>
    /// <exception cref="LinkException">The recorded parameters make no sense.</exception>
    public static async Task<BlockReplay> BeginAsync(LinkEnd end, BlockOpenedEntry opened, double qberLimit)
    {
        BlockParameters? parameters;
        try
        {
            parameters = JsonSerializer.Deserialize<BlockParameters>(opened.ParametersJson);
            parameters?.Validate();
        }
        catch (Exception e) when (e is JsonException or DistillationException)
        {
            throw new LinkException($"The recorded parameters of block {opened.BlockId} make no sense: {e.Message}", e);
        }

        if (parameters is null || parameters.BlockId != opened.BlockId)
        {
            throw new LinkException($"The recorded parameters of block {opened.BlockId} are not this block's.");
        }

        var replay = new BlockReplay(end, parameters, qberLimit);
        await Task.WhenAny(replay._work, replay._waits.Task);
        return replay;
    }

    /// <summary>Whether a frame belongs to the block.</summary>
    public bool Takes(long frame) => frame >= _parameters.FirstFrame && frame < _parameters.EndFrame;

    /// <summary>Takes a frame of the block, which it then owns.</summary>
    public ValueTask AddAsync(DetectionFrame frame)
    {
        _frames.Enqueue(frame);
        return AdvanceAsync();
    }

    /// <summary>Takes what happened in the block.</summary>
    public ValueTask AddAsync(BlockEntry entry)
    {
        switch (entry)
        {
            case BlockReceivedEntry received:
                var due = _next;
                _next = received;
                return HandAsync(due);
            case BlockDrawEntry draw:
                _draws.Enqueue(draw);
                break;
            case PreparedFrameEntry prepared:
                _prepared.Enqueue(prepared);
                break;
            case BlockConditionsEntry conditions:
                _conditions = conditions;
                break;
            case BlockFeedEntry feed:
                _feed = feed.AuthenticationBits;
                break;
            case BlockSentEntry sent:
                _recorded.Enqueue(sent);
                Compare();
                break;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>The block has ended as an entry says, or, without one, with the recording.</summary>
    public async ValueTask<ReplayedBlock> EndAsync(BlockEntry? outcome)
    {
        await HandAsync(_next);
        var (key, failure) = await FinishAsync();
        var (result, detail) = Judge(outcome, key, failure);
        return new ReplayedBlock
        {
            BlockId = _parameters.BlockId,
            FirstFrame = _parameters.FirstFrame,
            FrameCount = _parameters.FrameCount,
            Outcome = result,
            KeyBits = (outcome as BlockAcceptedEntry)?.KeyBits ?? 0,
            MessagesCompared = _compared,
            Detail = detail,
            Report = _tally.Report,
            Key = key,
        };
    }

    /// <summary>Gives the replay up and erases what it holds.</summary>
    public async ValueTask DisposeAsync() => (await FinishAsync()).Key?.Dispose();

    async ValueTask<ReadOnlyMemory<byte>> IBlockMessages.ExpectAsync(MessageType type, CancellationToken cancellationToken)
    {
        await WaitForAsync(_received, $"a {type} message");
        var message = _received.Dequeue();
        return message.Type == (byte)type
            ? message.Payload
            : throw new ReplayException($"A {type} message was due, the recording has {(MessageType)message.Type}.");
    }

    ValueTask IBlockMessages.SendAsync(MessageType type, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        _said.Enqueue(new(_parameters.BlockId, (byte)type, payload.Length, SHA256.HashData(payload.Span)));
        Compare();
        return _difference is null ? ValueTask.CompletedTask : throw _difference;
    }

    async ValueTask<DetectionFrame> IBobBlockHost.NextFrameAsync(CancellationToken cancellationToken)
    {
        await WaitForAsync(_frames, "a frame");
        return _frames.Dequeue();
    }

    ReadOnlySpan<ulong> IAliceBlockHost.Tell(long frame)
    {
        if (!_prepared.TryDequeue(out var prepared) || prepared.Frame != frame)
        {
            throw new ReplayException($"The preparation of frame {frame} was due, the recording has {(prepared is null ? "none" : $"that of {prepared.Frame}")}.");
        }

        return prepared.Symbols.Span;
    }

    void IAliceBlockHost.Matched(long frame)
    {
    }

    void IAliceBlockHost.MatchedAll()
    {
    }

    int IAliceBlockHost.Feed(long secretBits) => _feed ?? throw new ReplayException("How much of the key was set aside was not recorded.");

    IReconciliation IBlockHost.BeginReconciliation(SiftedBlock sifted)
    {
        var conditions = _conditions ?? throw new ReplayException("What the correction was begun with was not recorded.");
        var method = conditions.Method switch
        {
            "cascade" => ReconciliationMethod.Cascade,
            "ldpc" => ReconciliationMethod.Ldpc,
            "" => ReconciliationMethod.Auto,
            var other => throw new ReplayException($"There is no method of correction '{other}'."),
        };
        IReconciler reconciler = (conditions.Chosen, method) switch
        {
            (true, _) => AdaptiveReconciler.Create(method, this),
            (_, ReconciliationMethod.Ldpc) => new LdpcReconciler(this),
            _ => new CascadeReconciler(),
        };
        return reconciler.Begin(
            sifted,
            _end,
            new(conditions.ErrorRate) { RoundTrip = conditions.RoundTrip, SiftedBitsPerSecond = conditions.SiftedBitsPerSecond, SecretShare = conditions.SecretShare },
            this);
    }

    void IBlockHost.Sifted(SiftedBlock sifted)
    {
    }

    void IBlockHost.Reconciled(IReconciliation reconciliation, SiftedBlock sifted, TimeSpan busy, TimeSpan? shortestAnswer)
    {
    }

    void IBlockHost.Bounded(VerifiedBlock verified, long secretLength)
    {
    }

    void ISecretRandomness.Fill(Span<byte> destination)
    {
        if (!_draws.TryDequeue(out var draw) || draw.Bytes.Length != destination.Length)
        {
            throw new ReplayException($"A draw of {destination.Length} bytes was due, the recording has {(draw is null ? "none" : $"one of {draw.Bytes.Length}")}.");
        }

        draw.Bytes.Span.CopyTo(destination);
    }

    private static TaskCompletionSource NewTurn() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<AmplifiedBlock> DistillAsync(double qberLimit)
    {
        if (_end == LinkEnd.Bob)
        {
            return (await BobDistilling.RunAsync(_parameters, this, this, _tally, qberLimit, CancellationToken.None)).Amplified;
        }

        await ((IBlockMessages)this).SendAsync(MessageType.BlockOpen, BlockOpening.Write(_parameters), CancellationToken.None);
        return (await AliceDistilling.RunAsync(_parameters, this, this, _tally, qberLimit, CancellationToken.None)).Amplified;
    }

    /// <summary>Hands a message over and waits until the block needs more.</summary>
    private ValueTask HandAsync(BlockReceivedEntry? message)
    {
        if (message is null)
        {
            return ValueTask.CompletedTask;
        }

        _received.Enqueue(message);
        return AdvanceAsync();
    }

    /// <summary>Lets the block work until it needs more than there is, or has ended.</summary>
    private async ValueTask AdvanceAsync()
    {
        var waits = _waits = NewTurn();
        _more.TrySetResult();
        await Task.WhenAny(_work, waits.Task);
    }

    /// <summary>The block's side of taking turns.</summary>
    private async ValueTask WaitForAsync<T>(Queue<T> queue, string what)
    {
        while (queue.Count == 0)
        {
            if (_closed)
            {
                throw new ReplayException($"{what} was due, the recording has none.");
            }

            var more = _more = NewTurn();
            _waits.TrySetResult();
            await more.Task;
        }
    }

    /// <summary>Nothing more comes: the block works to its end, one way or the other.</summary>
    private async ValueTask<(ReplayedKey? Key, Exception? Failure)> FinishAsync()
    {
        _closed = true;
        _more.TrySetResult();
        try
        {
            using var amplified = await _work;
            return (amplified.Replay(), null);
        }
        catch (Exception e)
        {
            // An altered recording may make any stage fail in its own way: each is an answer.
            return (null, e);
        }
        finally
        {
            while (_frames.TryDequeue(out var frame))
            {
                frame.Dispose();
            }
        }
    }

    private void Compare()
    {
        while (_difference is null && _said.Count > 0 && _recorded.Count > 0)
        {
            var (said, recorded) = (_said.Dequeue(), _recorded.Dequeue());
            _compared++;
            if (said.Type != recorded.Type || said.Length != recorded.Length)
            {
                _difference = new(
                    $"Message {_compared} is a {(MessageType)said.Type} of {said.Length} bytes; a {(MessageType)recorded.Type} of {recorded.Length} bytes was recorded.");
            }
            else if (!said.Sha256.Span.SequenceEqual(recorded.Sha256.Span))
            {
                _difference = new($"Message {_compared}, a {(MessageType)said.Type}, is not the one that was recorded.");
            }
        }
    }

    private (ReplayOutcome Outcome, string Detail) Judge(BlockEntry? outcome, ReplayedKey? key, Exception? failure)
    {
        if (_difference is not null)
        {
            return (ReplayOutcome.Different, _difference.Message);
        }

        switch (outcome)
        {
            case BlockAcceptedEntry when key is null:
                return (ReplayOutcome.Different, failure!.Message);
            case BlockAcceptedEntry when _said.Count + _recorded.Count > 0:
                return (ReplayOutcome.Different, $"{_recorded.Count} more messages were recorded, {_said.Count} more were made.");
            case BlockAcceptedEntry accepted:
                return key!.LengthBits == accepted.KeyBits && key.HasDigest(accepted.KeySha256.Span)
                    ? (ReplayOutcome.Same, "")
                    : (ReplayOutcome.Different, $"The key of {key.LengthBits} bits is not the one of {accepted.KeyBits} bits that was recorded.");
            case BlockDiscardedEntry when _recorded.Count > 0:
                return (ReplayOutcome.Different, $"{_recorded.Count} more messages were recorded: {failure?.Message}");
            case BlockDiscardedEntry discarded:
                return (ReplayOutcome.Discarded, discarded.Reason);
            default:
                return (ReplayOutcome.Unfinished, "the recording ends before the block");
        }
    }
}
