using System.Runtime.CompilerServices;
using System.Text.Json;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Timing;
using Qkd.Timing.Formats;
using Qkd.Timing.Recording;

namespace Qkd.Link.Replay;

/// <summary>
/// Runs a recorded session once more: Bob's tags through the receiver, each block of either end through its stages, with the recorded messages of the peer and the recorded
/// draws. Every message that this end would send is held against the one it sent, every key against the digest of the one it made. What comes of it is never key.
/// </summary>
/// <remarks>One node's recording is enough to replay that node. Memory is bounded by what the session itself held.</remarks>
/// <param name="recording">The recording, at its start. Owned.</param>
public sealed class SessionReplay(SessionRecordingReader recording) : IDisposable
{
    private readonly SortedDictionary<long, BlockReplay> _open = [];
    private readonly List<DetectionFrame> _received = [];
    private readonly RecordedDraws _draws = new();
    private ITagReceiver? _receiver;
    private LinkEnd _end;
    private double _qberLimit;

    /// <summary>Whose session it is; null until it has been read.</summary>
    public SessionEntry? Session { get; private set; }

    /// <summary>Why the recording ended; null if it does not say, or has not been read so far.</summary>
    public string? EndReason { get; private set; }

    /// <summary>What is wrong with the recording; null if nothing is. Blocks that ended before it were replayed.</summary>
    public TagFormatException? Fault { get; private set; }

    /// <summary>Batches of tags that were run through the receiver.</summary>
    public long Batches { get; private set; }

    /// <summary>Whether the receiver drew otherwise than was recorded: then it did not see the tags that it saw.</summary>
    public bool ReceiverDiffers => _draws.Missing;

    /// <summary>Replays block by block, in the order in which they ended.</summary>
    /// <param name="cancellationToken">Ends the replay.</param>
    /// <returns>The blocks; each is the caller's to dispose of. A fault of the recording ends them, see <see cref="Fault"/>.</returns>
    public async IAsyncEnumerable<ReplayedBlock> BlocksAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        try
        {
            while (Next() is { } entry)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (await TakeAsync(entry) is { } ended)
                {
                    yield return ended;
                }
            }

            while (_open.Count > 0)
            {
                var (id, block) = _open.First();
                _open.Remove(id);
                yield return await block.EndAsync(null);
            }
        }
        finally
        {
            foreach (var block in _open.Values)
            {
                await block.DisposeAsync();
            }

            _open.Clear();
            Forget();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _receiver?.Dispose();
        recording.Dispose();
    }

    private RecordingEntry? Next()
    {
        if (Fault is not null)
        {
            return null;
        }

        try
        {
            return recording.Read();
        }
        catch (TagFormatException e)
        {
            Fault = e;
            return null;
        }
    }

    /// <summary>Takes an entry; returns the block that ended with it.</summary>
    private async ValueTask<ReplayedBlock?> TakeAsync(RecordingEntry entry)
    {
        switch (entry)
        {
            case SessionEntry session:
                Begin(session);
                break;
            case RecordingEndedEntry ended:
                EndReason = ended.Reason;
                break;
            case ReceptionEntry reception:
                Receive(reception);
                break;
            case ReceiverDrawEntry draw:
                _draws.Add(draw);
                break;
            case TagsEntry tags:
                await ReceiveAsync(tags.Batch);
                break;
            case BlockOpenedEntry opened:
                await OpenAsync(opened);
                break;
            case BlockAcceptedEntry or BlockDiscardedEntry:
                return await EndAsync((BlockEntry)entry);
            case BlockEntry ofBlock:
                await AddAsync(ofBlock);
                break;
        }

        return null;
    }

    private void Begin(SessionEntry session)
    {
        try
        {
            var agreement = JsonSerializer.Deserialize<LinkAgreement>(session.AgreementJson);
            if (agreement is null || !Enum.TryParse(session.End, out _end))
            {
                Fail($"the session is of no end '{session.End}', or has no agreement");
                return;
            }

            (Session, _qberLimit) = (session, agreement.QberLimit);
        }
        catch (JsonException e)
        {
            Fail($"what the nodes agreed on cannot be read: {e.Message}");
        }
    }

    private void Receive(ReceptionEntry reception)
    {
        try
        {
            _receiver?.Dispose();
            _receiver = ITagReceiver.Create(reception.TimeBase, reception.Settings, _draws);
            _receiver.Anchor(reception.FirstSlot);
        }
        catch (Exception e) when (e is ArgumentException or ArithmeticException or InvalidOperationException)
        {
            Fail($"the receiver cannot be made: {e.Message}");
        }
    }

    /// <summary>
    /// Runs a batch through the receiver. Frames go to the blocks that are open, and are kept until the next batch: a block that needs them is opened before it, for
    /// the session takes no further batch until it has placed the frames of this one.
    /// </summary>
    private async ValueTask ReceiveAsync(TagBatch batch)
    {
        Forget();
        if (_receiver is null)
        {
            Fail("tags come before there is a receiver");
            return;
        }

        IReadOnlyList<DetectionFrame> frames;
        try
        {
            frames = _receiver.Process(batch);
        }
        catch (Exception e) when (e is ArgumentException or ArithmeticException or InvalidOperationException)
        {
            Fail($"the receiver does not take a batch: {e.Message}");
            return;
        }

        Batches++;
        _received.AddRange(frames);
        foreach (var block in _open.Values)
        {
            await ClaimAsync(block);
        }
    }

    private async ValueTask OpenAsync(BlockOpenedEntry opened)
    {
        if (Session is null || _open.ContainsKey(opened.BlockId))
        {
            Fail($"block {opened.BlockId} is opened twice, or before the session");
            return;
        }

        try
        {
            var block = await BlockReplay.BeginAsync(_end, opened, _qberLimit);
            _open.Add(opened.BlockId, block);
            await ClaimAsync(block);
        }
        catch (LinkException e)
        {
            Fail(e.Message);
        }
    }

    /// <summary>
    /// Gives a block the frames of the last batch that are its. Each gets a copy: one block may have been stopped before it came to a frame, though the recording says so
    /// later, and the next one begins with that frame. What the first then says of it was never sent, and is compared with nothing.
    /// </summary>
    private async ValueTask ClaimAsync(BlockReplay block)
    {
        foreach (var frame in _received.Where(frame => block.Takes(frame.Frame)))
        {
            await block.AddAsync(frame.Copy());
        }
    }

    private async ValueTask AddAsync(BlockEntry entry)
    {
        if (_open.TryGetValue(entry.BlockId, out var block))
        {
            await block.AddAsync(entry);
        }
        else
        {
            Fail($"block {entry.BlockId} is not open");
        }
    }

    private async ValueTask<ReplayedBlock?> EndAsync(BlockEntry outcome)
    {
        if (_open.Remove(outcome.BlockId, out var block))
        {
            return await block.EndAsync(outcome);
        }

        Fail($"block {outcome.BlockId} is not open");
        return null;
    }

    private void Forget()
    {
        foreach (var frame in _received)
        {
            frame.Dispose();
        }

        _received.Clear();
    }

    private void Fail(string problem) => Fault ??= new(recording.ChunkPosition, problem);

    /// <summary>What the receiver drew, in its order. It never fails: a receiver that draws more shows in the blocks.</summary>
    private sealed class RecordedDraws : ISecretRandomness
    {
        private readonly Queue<ReceiverDrawEntry> _draws = new();

        public string Origin => "recording";

        public bool Missing { get; private set; }

        public void Add(ReceiverDrawEntry draw) => _draws.Enqueue(draw);

        public void Fill(Span<byte> destination)
        {
            if (_draws.TryDequeue(out var draw) && draw.Bytes.Length == destination.Length)
            {
                draw.Bytes.Span.CopyTo(destination);
                return;
            }

            Missing = true;
            destination.Clear();
        }
    }
}
