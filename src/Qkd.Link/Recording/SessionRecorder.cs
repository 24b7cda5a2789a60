using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Wire;
using Qkd.Timing;
using Qkd.Timing.Recording;

namespace Qkd.Link.Recording;

/// <summary>How large a recording may become, on the disk and in memory.</summary>
public sealed record SessionRecorderLimits
{
    /// <summary>Length of the file in bytes at which the recording ends.</summary>
    public long FileBytes { get; init; } = long.MaxValue;

    /// <summary>Bytes that may wait for the disk; with more the recording ends, for the session does not wait.</summary>
    public long WaitingBytes { get; init; } = 256L << 20;
}

/// <summary>
/// Records one session to a stream: entries are made where things happen and written by a task of its own. Whatever goes wrong with the stream ends the recording and
/// never the session. The recording holds raw key and everything that key follows from.
/// </summary>
public sealed class SessionRecorder : ISessionRecorder, IAsyncDisposable
{
    private readonly SessionRecorderLimits _limits;
    private readonly Action<string> _endedEarly;
    private readonly SessionRecordingWriter _writer;
    private readonly Stream _stream;
    private readonly Channel<(RecordingEntryKind Kind, EntryBuffer Content)> _queue =
        Channel.CreateUnbounded<(RecordingEntryKind, EntryBuffer)>(new() { SingleReader = true });

    private readonly Task _writing;
    private long _waiting;
    private string? _broken;
    private volatile bool _closed;

    /// <summary>Begins a recording.</summary>
    /// <param name="stream">Where it goes. Owned.</param>
    /// <param name="key">The recording key, 32 bytes.</param>
    /// <param name="session">Whose session it is.</param>
    /// <param name="limits">How large it may become.</param>
    /// <param name="endedEarly">Is told, once and on any thread, why the recording ended before the session.</param>
    /// <exception cref="IOException">Not even the beginning can be written.</exception>
    public SessionRecorder(Stream stream, ReadOnlySpan<byte> key, SessionEntry session, SessionRecorderLimits limits, Action<string> endedEarly)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(endedEarly);
        (_limits, _endedEarly, _stream) = (limits, endedEarly, stream);
        _writer = new SessionRecordingWriter(stream, key);
        Add(session);
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Whether anything is still recorded.</summary>
    public bool IsRecording => !_closed && Volatile.Read(ref _broken) is null;

    /// <summary>The first entry of a recording.</summary>
    /// <param name="end">Which end it is of.</param>
    /// <param name="node">Name of the node.</param>
    /// <param name="agreement">What both nodes agreed on.</param>
    /// <param name="startedAt">When the session began.</param>
    public static SessionEntry Describe(LinkEnd end, string node, LinkAgreement agreement, DateTimeOffset startedAt) =>
        new(end.ToString(), node, $"qkd {typeof(SessionRecorder).Assembly.GetName().Version}", startedAt, JsonSerializer.Serialize(agreement));

    /// <summary>Appends an entry: configuration and instruments, which the session itself does not know.</summary>
    public void Add(RecordingEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (!IsRecording)
        {
            return;
        }

        var content = new EntryBuffer();
        try
        {
            entry.WriteTo(content);
            if (Interlocked.Add(ref _waiting, content.Count) <= _limits.WaitingBytes)
            {
                if (_queue.Writer.TryWrite((entry.Kind, content)))
                {
                    return;
                }
            }
            else
            {
                End($"the disk cannot keep up: {Interlocked.Read(ref _waiting) / 1_000_000} MB wait for it");
            }
        }
        catch (Exception e)
        {
            // Whatever it is: the session goes on.
            End($"an entry could not be made: {e.Message}");
        }

        content.Dispose();
    }

    /// <summary>Writes what waits, ends the recording in order and closes the stream.</summary>
    public async ValueTask DisposeAsync()
    {
        _closed = true;
        _queue.Writer.TryComplete();
        await _writing;
    }

    /// <inheritdoc/>
    public ISecretRandomness ReceiverRandomness(ISecretRandomness source) => new RecordedRandomness(source, draw => Add(new ReceiverDrawEntry(draw)));

    /// <inheritdoc/>
    public void ReceptionBegan(ITagReceiver receiver, long firstSlot)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        Add(new ReceptionEntry(firstSlot, receiver.TimeBase, receiver.Settings));
    }

    /// <inheritdoc/>
    public void TagsReceived(TagBatch batch) => Add(new TagsEntry(batch));

    /// <inheritdoc/>
    public IBlockRecorder BlockOpened(BlockParameters parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        Add(new BlockOpenedEntry(parameters.BlockId, JsonSerializer.Serialize(parameters)));
        return new BlockRecorder(this, parameters.BlockId);
    }

    /// <summary>Ends the recording before its time; what was recorded until now is still written.</summary>
    private void End(string reason)
    {
        if (Interlocked.CompareExchange(ref _broken, reason, null) is null)
        {
            _queue.Writer.TryComplete();
            try
            {
                _endedEarly(reason);
            }
            catch (Exception)
            {
                // On a full disk a log may be full as well. The recording has ended; nothing else may end with it.
            }
        }
    }

    private async Task WriteAsync()
    {
        try
        {
            await foreach (var (kind, content) in _queue.Reader.ReadAllAsync())
            {
                using (content)
                {
                    // Sealed in chunks, an entry takes hardly more than itself.
                    if (_writer.Length + content.Count > _limits.FileBytes)
                    {
                        End($"it has reached its largest length, {_limits.FileBytes / 1_000_000} MB");
                        break;
                    }

                    _writer.Write(kind, content.Written);
                    Interlocked.Add(ref _waiting, -content.Count);
                    if (kind is RecordingEntryKind.BlockAccepted or RecordingEntryKind.BlockDiscarded)
                    {
                        _writer.Flush();
                    }
                }
            }

            _writer.Write(new RecordingEndedEntry(_broken ?? "the session ended"));
            _writer.Complete();
        }
        catch (Exception e)
        {
            // A full disk, mostly. The file ends within a chunk, and is readable up to there.
            End($"the file cannot be written: {e.Message}");
        }
        finally
        {
            while (_queue.Reader.TryRead(out var rest))
            {
                rest.Content.Dispose();
            }

            await CloseAsync();
        }
    }

    private async Task CloseAsync()
    {
        _writer.Dispose();
        try
        {
            await _stream.DisposeAsync();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            End($"the file cannot be closed: {e.Message}");
        }
    }

    /// <summary>Takes down one block.</summary>
    private sealed class BlockRecorder(SessionRecorder recorder, long blockId) : IBlockRecorder
    {
        private (long Bits, byte[] Digest)? _released;

        public ISecretRandomness Randomness(ISecretRandomness source) => new RecordedRandomness(source, draw => recorder.Add(new BlockDrawEntry(blockId, draw)));

        public void Prepared(long frame, ReadOnlyMemory<ulong> symbols) => recorder.Add(new PreparedFrameEntry(blockId, frame, symbols));

        public void Sent(MessageType type, ReadOnlyMemory<byte> payload)
        {
            if (recorder.IsRecording)
            {
                recorder.Add(new BlockSentEntry(blockId, (byte)type, payload.Length, SHA256.HashData(payload.Span)));
            }
        }

        public void Received(MessageType type, ReadOnlyMemory<byte> payload) => recorder.Add(new BlockReceivedEntry(blockId, (byte)type, payload));

        public void Reconciling(string method, bool chosen, ReconciliationConditions conditions) => recorder.Add(new BlockConditionsEntry(
            blockId, method, chosen, conditions.ErrorRate, conditions.RoundTrip, conditions.SiftedBitsPerSecond, conditions.SecretShare));

        public void Fed(int authenticationBits) => recorder.Add(new BlockFeedEntry(blockId, authenticationBits));

        public void Released(SecretKey key)
        {
            if (recorder.IsRecording)
            {
                _released = (key.LengthBits, DigestOf(key));
            }
        }

        public void Accepted()
        {
            if (_released is var (bits, digest))
            {
                recorder.Add(new BlockAcceptedEntry(blockId, bits, digest));
            }
        }

        public void Discarded(string reason) => recorder.Add(new BlockDiscardedEntry(blockId, reason));

        private static byte[] DigestOf(SecretKey key)
        {
            var bytes = GC.AllocateArray<byte>(key.LengthBytes, pinned: true);
            try
            {
                key.CopyTo(bytes);
                return SHA256.HashData(bytes);
            }
            finally
            {
                CryptographicOperations.ZeroMemory(bytes);
            }
        }
    }

    /// <summary>Draws from a source and tells what came.</summary>
    private sealed class RecordedRandomness(ISecretRandomness source, Action<ReadOnlyMemory<byte>> drawn) : ISecretRandomness
    {
        public string Origin => source.Origin;

        public void Fill(Span<byte> destination)
        {
            source.Fill(destination);
            var copy = GC.AllocateUninitializedArray<byte>(destination.Length, pinned: true);
            destination.CopyTo(copy);
            drawn(copy);
            CryptographicOperations.ZeroMemory(copy);
        }
    }
}
